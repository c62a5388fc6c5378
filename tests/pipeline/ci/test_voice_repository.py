"""What `timbre init` writes, and that it overwrites nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from timbre.cli.main import call
from timbre.core.errors import InputError
from timbre.core.recipe import load_recipe
from timbre.pipeline.ci.voice_repository import make_repository, without_code_stage

ROOT = Path(__file__).resolve().parents[3]


def test_gitlab_files_are_those_of_this_project(tmp_path: Path) -> None:
    made = make_repository(tmp_path, "gitlab", "registry.example.com/timbre:train", lfs=True)
    assert {"README.md", "CODEOWNERS", ".gitattributes", "recipes/default.yaml"} <= set(made.files)
    for name in ("ci/gitlab/voices.yml", "ci/gitlab/pages.yml"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
    pipeline = yaml.safe_load((tmp_path / ".gitlab-ci.yml").read_text("utf-8"))
    assert [item["local"] for item in pipeline["include"]] == ["ci/gitlab/voices.yml", "ci/gitlab/pages.yml"]
    assert {item["inputs"]["image"] for item in pipeline["include"]} == {"registry.example.com/timbre:train"}
    load_recipe(tmp_path / "recipes" / "default.yaml")
    rules = (tmp_path / ".gitattributes").read_text("utf-8")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = ["voices/ada/wavs/0001.flac", "voices/ada/wavs/0001.opus", "voices/ada/voice.yaml"]
    asked = ["git", "-C", str(tmp_path), "check-attr", "filter", "eol", "--", *files]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.rsplit(" ", 1)[1] for line in said] == ["lfs", "lf", "lfs", "lf", "unspecified", "lf"], rules


def test_a_checkout_on_windows_has_the_same_bytes(tmp_path: Path) -> None:
    """Keys of stages are digests of files, so a line end that Git for Windows adds would train a voice again."""
    make_repository(tmp_path, "gitlab", "registry.example.com/timbre:train", lfs=False)
    (tmp_path / "voices" / "transcript.txt").write_bytes(b"0001|Good morning.\n0002|Good night.\n")
    git = ["git", "-C", str(tmp_path), "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Voices"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (tmp_path / "voices" / "transcript.txt").unlink()
    subprocess.run([*git, "checkout", "--", "voices/transcript.txt"], check=True, capture_output=True)
    assert b"\r" not in (tmp_path / "voices" / "transcript.txt").read_bytes()


def test_the_jenkinsfile_has_no_stage_of_code(tmp_path: Path) -> None:
    make_repository(tmp_path, "jenkins", "timbre:train", lfs=False)
    text = (tmp_path / "Jenkinsfile").read_text("utf-8")
    assert "make " not in text
    assert "stage('voices')" in text
    assert text.count("{") == text.count("}")
    assert not (tmp_path / ".gitlab-ci.yml").exists()
    with pytest.raises(ValueError, match="no stage of code"):
        without_code_stage(text)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"README\.md exist"):
        make_repository(tmp_path, "gitlab", "timbre:train", lfs=False)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert call(["init", str(folder), "--json"]) == 0
    assert (folder / "voices").is_dir()
    assert ".gitlab-ci.yml" in json.loads(capsys.readouterr().out)["files"]
    assert call(["init", str(folder)]) == 10
    assert "exist already" in capsys.readouterr().err


def test_the_component_is_the_included_file() -> None:
    """GitLab's catalogue reads templates/; `make docs` copies the file there."""
    assert (ROOT / "templates" / "voices.yml").read_bytes() == (ROOT / "ci" / "gitlab" / "voices.yml").read_bytes()
