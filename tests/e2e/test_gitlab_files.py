"""The GitLab files themselves: by GitLab's own schema, by a runner that reads them, and by what both do not see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e import gitlab_tool
from tests.e2e.forge import Forge, new_forge
from tests.e2e.gitlab_tool import ROOT
from timbre.pipeline.ci.git import ZERO
from timbre.pipeline.ci.gitlab import RUNNER_FAULTS, GitlabSettings, child_pipeline
from timbre.pipeline.ci.jobs import check_needs, jobs_of
from timbre.pipeline.ci.plan import Action, Plan, PlannedVoice
from timbre.pipeline.ci.push import Push
from timbre.pipeline.engine.failures import MAX_RETRIES

VOICES = (
    PlannedVoice("ada", Action.BUILD, "", review=True, training_min=60),
    PlannedVoice("ben", Action.PROMOTE, ""),
    PlannedVoice("eve", Action.RETIRE, ""),
)


def schema_says(path: Path) -> str:
    """What GitLab's published schema has against a file; "" for nothing."""
    # `$CI_PAGES_URL/...` is an address only once GitLab has filled it in.
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]
    command += ["--disable-formats", "uri"]
    done = subprocess.run(
        [*command, "--data-transform", "gitlab-ci", str(path)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def desk(gitlab: None, tmp_path: Path, pico_base: Path) -> Path:
    """A checkout with our files and a pushed voice folder."""
    forge: Forge = new_forge(tmp_path, pico_base, None)
    (forge.desk / "voices" / "ada").mkdir(parents=True)
    (forge.desk / "voices" / "ada" / "voice.yaml").write_text("language: en\n", encoding="utf-8")
    (forge.desk / "tool.py").write_text("", encoding="utf-8")
    forge.commit("A voice and a tool")
    return forge.desk


def test_files_and_children_are_valid_by_the_schema(desk: Path, tmp_path: Path) -> None:
    whole, child, empty, wrong = (tmp_path / f"{name}.yml" for name in ("whole", "child", "empty", "wrong"))
    whole.write_text(gitlab_tool.query(desk, "--preview"), encoding="utf-8")
    text = child_pipeline(jobs_of(Plan(Push(ZERO, "HEAD", True), VOICES)), GitlabSettings("timbre:1", "cpu", "gpu"))
    child.write_text(text, encoding="utf-8")
    empty.write_text(child_pipeline((), GitlabSettings()), encoding="utf-8")
    assert [schema_says(path) for path in (ROOT / ".gitlab-ci.yml", whole, child, empty)] == [""] * 4
    wrong.write_text(text.replace("when: manual", "when: sometime"), encoding="utf-8")
    assert "sometime" in schema_says(wrong)


def test_the_runner_lists_what_each_push_starts(desk: Path) -> None:
    listed = json.loads(gitlab_tool.query(desk, "--list-json"))
    jobs = {job["name"]: job for job in listed if job["when"] != "never"}
    assert set(jobs) == {"lint", "tests", "site", "plan", "voices", "pages", "rebuild all voices"}
    assert jobs["rebuild all voices"]["when"] == "manual"
    names = [job.name for job in jobs_of(Plan(Push(ZERO, "HEAD", True), VOICES))]
    (desk / "child.yml").write_text(
        child_pipeline(jobs_of(Plan(Push(ZERO, "HEAD", True), VOICES)), GitlabSettings()), encoding="utf-8"
    )
    variable = ("--variable", "CI_PIPELINE_SOURCE=parent_pipeline", "--ignore-predefined-vars", "CI_PIPELINE_SOURCE")
    listed = json.loads(gitlab_tool.query(desk, "--file", "child.yml", "--list-json", *variable))
    assert sorted(job["name"] for job in listed) == sorted(names)
    assert {job["name"]: [need["job"] for need in job["needs"]] for job in listed}["approve ada"] == ["publish ada"]


def test_no_job_needs_itself_in_a_circle(desk: Path) -> None:
    document = yaml.safe_load(gitlab_tool.query(desk, "--preview"))
    jobs = {name: job for name, job in document.items() if isinstance(job, dict) and "stage" in job}
    check_needs({name: [need["job"] for need in job.get("needs") or []] for name, job in jobs.items()})
    assert {"plan", "voices", "pages"} <= set(jobs)


def test_every_job_is_retried_after_the_same_faults_of_runners() -> None:
    """A machine that was taken away ends with runner_interrupted, which runner_system_failure no longer covers."""
    asked = {}
    for path in [ROOT / ".gitlab-ci.yml", *(ROOT / "ci" / "gitlab").glob("*.yml")]:
        *_, document = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        jobs = {name: job for name, job in document.items() if isinstance(job, dict) and "image" in job}
        asked |= {name: job.get("retry", {}) for name, job in jobs.items()}
    assert set(asked) == {".code", ".image", "plan", "pages"}, "lint, tests and site extend .code"
    for name, retry in asked.items():
        assert retry.get("max") == MAX_RETRIES, name
        assert retry.get("when") == list(RUNNER_FAULTS), name
    assert "runner_interrupted" in RUNNER_FAULTS


def test_no_logic_in_yaml() -> None:
    """Every job is one call, so that what CI does can be done and tested on a person's machine."""
    for path in [ROOT / ".gitlab-ci.yml", *(ROOT / "ci" / "gitlab").glob("*.yml")]:
        *_, document = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        for name, job in document.items():
            script = job.get("script", []) if isinstance(job, dict) else []
            assert len(script) <= 1, f"{path.name}: {name}"
            assert all(line.split()[0] in ("timbre", "make") for line in script), f"{path.name}: {name}: {script}"
            assert not any(mark in line for line in script for mark in ("&&", "|", ";", "`")), f"{path.name}: {name}"


def test_a_tag_builds_images_and_touches_no_voice(desk: Path) -> None:
    """`changes` holds for every path on a tag: without a rule of its own a release would concern all voices."""
    on_tag = ("--variable", "CI_COMMIT_TAG=v1.2.3", "--variable", "CI_COMMIT_BRANCH=")
    names = {line.split(";")[0] for line in gitlab_tool.query(desk, "--list-csv", *on_tag).splitlines()}
    assert {"image serve", "image serve-gpu", "image train"} <= names
    assert not names & {"plan", "voices", "pages"}
    ordinary = gitlab_tool.query(desk, "--list-csv")
    assert not {line.split(";")[0] for line in ordinary.splitlines()} & {"image serve", "image train"}
