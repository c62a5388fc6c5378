"""Which pushes change code: one list for GitLab's rules and for the plan that the Jenkinsfile reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.pipeline.ci.test_changes import Work
from timbre.core.recipe import Recipe
from timbre.pipeline.ci.code_paths import CODE_PATHS, changes_code
from timbre.pipeline.ci.jobs import as_plain, jobs_of
from timbre.pipeline.ci.plan import Planner
from timbre.pipeline.ci.push import Push
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "path",
    [
        "tool.py", "core/recipe.py", "a/b/c/d.py", "recipes/default.yaml", "bases/nano/base.yaml", "README.md",
        "tests/e2e/jenkins_harness.groovy", "docs/jenkins.md", "Makefile", "pyproject.toml", "constraints.txt",
        "compose.yaml", ".gitlab-ci.yml", "Jenkinsfile", "Dockerfile", ".dockerignore", ".hadolint.yaml",
        "ci/gitlab/code.yml", "docker/start.sh", "serving/page/page.js", "text/data/symbols_v2.txt",
        "training/finetune/practice_texts/en.txt",
    ],
)  # fmt: skip
def test_code(path: str) -> None:
    assert changes_code(["voices/ada/voice.yaml", path])


@pytest.mark.parametrize(
    "path",
    ["voices/ada/voice.yaml", "voices/ada/1.wav", "docs/images/flow.svg", "a.pyc", "a/Makefile", "ci", "mytests/x"],
)
def test_no_code(path: str) -> None:
    assert not changes_code([path])
    assert not changes_code([])


def test_both_ci_files_count_the_same_paths_as_code() -> None:
    *_, document = yaml.safe_load_all((ROOT / "ci" / "gitlab" / "code.yml").read_text(encoding="utf-8"))
    assert document[".code"]["rules"] == [{"changes": list(CODE_PATHS)}]
    jenkinsfile = (ROOT / "Jenkinsfile").read_text(encoding="utf-8")
    assert "expression { plan.code }" in jenkinsfile
    assert "changeset '" not in jenkinsfile


def test_no_file_of_a_package_is_overlooked() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rooms = tuple(f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py"))
    files = [path for path in listed.split("\0") if path.startswith(rooms) and not path.endswith("py.typed")]
    assert files
    assert [path for path in files if not changes_code([path])] == []


def test_the_plan_says_whether_a_push_changes_code(tmp_path: Path) -> None:
    work = Work(tmp_path / "repo")
    work.voice("ada")
    one = work.commit()
    (work.path / "tool.py").write_text("", encoding="utf-8")
    two = work.commit()
    work.git("rm", "-q", "tool.py")
    three = work.commit()
    work.voice("ada", "two")
    four = work.commit()

    def code(older: str, newer: str, **options: bool) -> bool:
        plan = Planner(work.path, Recipe(), open_registry(RegistryAddress(str(tmp_path / "registry"), {}))).plan(
            Push(older, newer, False), **options
        )
        said = json.loads(json.dumps(as_plain(plan, jobs_of(plan))))["code"]
        assert isinstance(said, bool)
        return said

    assert code(one, two), "a file that went away is a change of code too"
    assert code(two, three), "a file that went away is a change of code too"
    assert not code(three, four), "every voice, but no code"
    assert not code(three, four, every=True), "every voice, but no code"
    assert code("0" * 40, two), "a first build looks at everything"
