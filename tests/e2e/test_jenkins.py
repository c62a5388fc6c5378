"""The Jenkinsfile under a harness of ours: the same jobs as in GitLab, retries by exit code, and pushes for real."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import jenkins_tool
from tests.e2e.forge import MAKEFILE, Forge, git_environment
from tests.e2e.gitlab_tool import ROOT
from tests.e2e.jenkins_tool import Build
from tests.e2e.listener import ask_once
from timbre.pipeline.ci.gitlab import GitlabSettings, child_pipeline
from timbre.pipeline.ci.jobs import as_plain, jobs_of
from timbre.pipeline.ci.plan import Plan
from timbre.pipeline.stages.table import STAGES

_FAKE = """#!/bin/sh
# Instead of timbre: the plan is given, stages only note that they were called and end as they are told to.
echo "$*" >> "$FAKE/calls"
echo "$TIMBRE_BY" >> "$FAKE/by-$1"
case "$1" in
  ci) mkdir -p .timbre/ci && cp "$FAKE/plan.json" .timbre/ci/plan.json;;
  dashboard) mkdir -p public && echo page > public/index.html;;
  *) mkdir -p ".timbre/reports/$2/$1" ".timbre/work/$2/$1" && echo report > ".timbre/reports/$2/$1/junit.xml"
     echo '{"issues": [{"fileName": "metadata.csv"}]}' > ".timbre/reports/$2/$1/issues.json"
     ls .timbre/work/$2/$1 >> "$FAKE/found-$1-$2"; echo checkpoint > ".timbre/work/$2/$1/checkpoint"
     codes="$FAKE/$1-$2"
     if [ -s "$codes" ]; then code=$(head -1 "$codes"); sed -i 1d "$codes"; exit "$code"; fi;;
esac
"""


@pytest.fixture(scope="session")
def groovy() -> None:
    """Skips, counted, where there is no groovy."""
    reason = jenkins_tool.missing()
    if reason:
        pytest.skip(reason)


def build(plan: Plan, folder: Path, codes: dict[str, list[int]] | None = None, **more: str) -> Build:
    """A build of that plan with a `timbre` that only notes; codes: "stage-voice" -> how its attempts end."""
    fake, repository = folder / "fake", folder / "repository"
    fake.mkdir()
    (fake / "timbre").write_text(_FAKE, encoding="utf-8")
    (fake / "timbre").chmod(0o755)
    (fake / "plan.json").write_text(json.dumps(as_plain(plan, jobs_of(plan))), encoding="utf-8")
    for name, values in (codes or {}).items():
        (fake / name).write_text("".join(f"{value}\n" for value in values), encoding="utf-8")
    repository.mkdir()
    (repository / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "one")):
        command = ["git", "-C", str(repository), "-c", "user.name=Bob", "-c", "user.email=b@example.org", *arguments]
        subprocess.run(command, check=True, env=git_environment())
    before = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    more |= {"FAKE": str(fake)}
    place = folder / "build"
    return jenkins_tool.run(ROOT / "Jenkinsfile", repository, place, "unused", before=before, path=str(fake), **more)


@pytest.mark.usefixtures("groovy")
def test_both_files_run_the_same_jobs(plan: Plan, tmp_path: Path) -> None:
    document = yaml.safe_load(child_pipeline(jobs_of(plan), GitlabSettings()))
    gitlab = {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}
    found = build(dataclasses.replace(plan, code=True), tmp_path, HARNESS_APPROVER="Clara")
    assert found.exit_code == 0, found.log
    *_, code = yaml.safe_load_all((ROOT / "ci" / "gitlab" / "code.yml").read_text(encoding="utf-8"))
    checked = [event["command"] for event in found.of("check", "sh")]
    assert checked == code["lint"]["script"] + code["tests"]["script"]
    (suite,) = found.of("check", "junit")
    assert suite["found"]
    assert suite["path"] == code["tests"]["artifacts"]["reports"]["junit"]
    jenkins = [name for name in found.stages() if name not in ("check", "plan", "voices")]
    assert sorted(jenkins) == sorted(gitlab)
    for voice in ("ada", "ben", "eve"):
        assert [name for name in jenkins if name.endswith(voice)] == [name for name in gitlab if name.endswith(voice)]
    for name, job in gitlab.items():
        (called,) = found.of(name, "sh")
        (node,) = found.of(name, "node")
        (limit,) = found.of(name, "timeout")
        assert [called["command"]] == job["script"]
        assert node["label"] == ("timbre-gpu" if job.get("tags") == ["gpu"] else "timbre")
        assert job["timeout"] == f"{limit['minutes']} minutes"
        locks = [lock["name"] for lock in found.of(name, "lock")]
        assert locks == ([job["resource_group"]] if "resource_group" in job else [])
        kept = [event["artifacts"].replace("**", "") for event in found.of(name, "archive")]
        assert kept == [",".join(job["artifacts"]["paths"])] if "artifacts" in job else not kept
        junit = [event["path"] for event in found.of(name, "junit")]
        assert junit == ([job["artifacts"]["reports"]["junit"]] if name == "evaluate ada" else [])
        assert bool(found.of(name, "input")) == (job.get("when") == "manual")
    assert (tmp_path / "fake" / "by-promote").read_text() == "Clara\n", "who answered approves, not who pushed"
    assert found.events[-1]["kind"] == "html"
    assert found.events[-1]["found"]


@pytest.mark.usefixtures("groovy")
def test_code_is_checked_before_voices_and_only_when_it_changed(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    found = build(plan, tmp_path / "voices")
    assert found.exit_code == 0, found.log
    assert not found.of("check", "sh"), found.log
    assert not found.of("check", "node"), found.log
    (tmp_path / "code").mkdir()
    found = build(dataclasses.replace(plan, voices=(), code=True), tmp_path / "code")
    assert found.exit_code == 0, found.log
    assert found.codes()["check"] == [0, 0], found.log
    assert [name for name in found.stages() if name in ("plan", "check", "voices")] == ["plan", "check", "voices"]


@pytest.mark.usefixtures("groovy")
def test_only_what_a_retry_may_mend_is_tried_again(plan: Plan, tmp_path: Path) -> None:
    codes = {"extract-ada": [30], "finetune-ada": [137, 143], "evaluate-ada": [20], "publish-ben": [30, 30, 30]}
    found = build(plan, tmp_path, codes)
    ended = found.codes()
    assert found.exit_code == 1
    assert ended["extract ada"] == [30, 0]
    assert ended["finetune ada"] == [137, 143, 0]
    assert ended["evaluate ada"] == [20], "a red gate is no gate if it is tried again"
    assert "publish ada" not in ended, "a red gate is no gate if it is tried again"
    assert ended["publish ben"] == [30, 30, 30], "twice at most"
    assert ended["retire eve"] == [0], "a voice that fails stops no other"
    checkpoints = (tmp_path / "fake" / "found-finetune-ada").read_text().split()
    assert checkpoints == ["checkpoint", "checkpoint"], "each attempt goes on from what the one before left"
    assert (tmp_path / "fake" / "calls").read_text().splitlines()[-1] == "dashboard --output public"


@pytest.mark.usefixtures("groovy")
@pytest.mark.parametrize("plugins", ["", "warnings-ng,badge"])
def test_findings_and_states_are_shown_where_the_plugins_are(plan: Plan, tmp_path: Path, plugins: str) -> None:
    found = build(plan, tmp_path, {"evaluate-ada": [20], "publish-ben": [30, 30, 30]}, HARNESS_PLUGINS=plugins)
    assert found.exit_code == 1
    assert found.codes()["evaluate ada"] == [20], "a plugin that is missing ends no job"
    assert found.codes()["retire eve"] == [0]
    states = {"ada": "evaluate: red", "ben": "publish: machine failed", "eve": "done"}
    described = [event["text"] for event in found.events if event["kind"] == "description"][-1]
    assert sorted(described.split(", ")) == [f"{voice}: {state}" for voice, state in states.items()]
    badges = {event["text"]: event["step"] for event in found.events if event["kind"] == "badge"}
    issues = found.of("validate ada", "issues")
    if not plugins:
        assert badges == {}
        assert issues == []
        assert "not shown, since the plugin Warnings is missing: No such DSL method" in found.log
        assert "not shown, since the plugin Badge is missing: No such DSL method" in found.log
        return
    assert badges == {
        f"{voice}: {state}": "addInfoBadge" if state == "done" else "addErrorBadge" for voice, state in states.items()
    }
    (recorded,) = issues
    assert recorded["id"] == "validate-ada"
    assert recorded["path"] == ".timbre/reports/ada/validate/issues.json"
    assert recorded["found"] == [{"fileName": "metadata.csv"}]


@pytest.mark.usefixtures("groovy")
def test_without_an_approval_production_stays(plan: Plan, tmp_path: Path) -> None:
    found = build(plan, tmp_path)
    assert found.exit_code == 0
    assert found.of("approve ada", "caught")
    assert not found.of("approve ada", "sh")
    described = [event["text"] for event in found.events if event["kind"] == "description"][-1]
    assert "ada: waits for a review" in described


@pytest.mark.usefixtures("groovy")
@pytest.mark.parametrize("codes", [[40], [30, 30, 30]], ids=["refused", "three times in vain"])
def test_an_approval_that_cannot_be_carried_out_fails_the_build(plan: Plan, tmp_path: Path, codes: list[int]) -> None:
    found = build(plan, tmp_path, {"promote-ada": codes}, HARNESS_APPROVER="Clara")
    assert found.codes()["approve ada"] == codes
    assert found.exit_code == 1, "it looked as if nobody had approved"
    assert "FAILED: approve ada: " in found.log, "it looked as if nobody had approved"
    assert not found.of("approve ada", "caught")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("groovy")
def test_a_push_and_its_revert(forge: Forge, variants: dict[str, Path]) -> None:
    commits: list[str] = []

    def pushed() -> Build:
        before = commits[-1] if commits else forge.git("rev-parse", "HEAD~1")
        forge.push(hold=True)
        commits.append(forge.head)
        place = forge.root / f"build-{len(commits)}"
        found = jenkins_tool.run(ROOT / "Jenkinsfile", forge.root / "server.git", place, forge.address, before=before)
        assert found.exit_code == 0, found.log
        return found

    forge.record(variants["one"])
    forge.commit("Ada's voice")
    first = pushed()
    assert [name for name in first.stages() if name.endswith("ada")] == [f"{row.name} ada" for row in STAGES]
    assert not first.of("check", "sh"), "a push of a voice is no push of code"
    (suite,) = first.of("evaluate ada", "junit")
    assert suite["found"]
    assert any(path.endswith("report.html") for path in _kept(first, "evaluate ada"))
    old = forge.version()
    assert old is not None
    assert forge.registry.resolve("ada").provenance.job == "http://jenkins.example/job/voices/1/"
    forge.record(variants["two"])
    forge.commit("Other recordings")
    pushed()
    assert forge.version() != old
    forge.git("revert", "--no-edit", "HEAD")
    again = pushed()
    assert [name for name in again.stages() if name.endswith("ada")] == ["publish ada"]
    assert "no stage run" in again.log
    answer = ask_once(forge.address, forge.root / "server")
    assert answer.status == 200
    assert answer.voice == f"ada@{old}"


def _kept(build: Build, stage: str) -> list[Any]:
    return [path for event in build.of(stage, "archive") for path in event["found"]]


@pytest.mark.usefixtures("groovy")
@pytest.mark.parametrize("found", [0, 1])
def test_known_vulnerabilities_fail_a_job_of_their_own(found: int, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Makefile").write_text(f"advisories:\n\t@exit {found}\n", encoding="utf-8")
    for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "one")):
        command = ["git", "-C", str(repository), "-c", "user.name=Bob", "-c", "user.email=b@example.org", *arguments]
        subprocess.run(command, check=True, env=git_environment())
    file = ROOT / "ci" / "jenkins" / "advisories.Jenkinsfile"
    done = jenkins_tool.run(file, repository, tmp_path / "build", "unused")
    assert [event["command"] for event in done.of("advisories", "sh")] == ["make advisories"], done.log
    assert done.exit_code == found
