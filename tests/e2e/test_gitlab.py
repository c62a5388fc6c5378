"""Pushes to a server whose hook runs our .gitlab-ci.yml with gitlab-ci-local: from a commit to what a server speaks.

The runner is real and not ours; what it does not do (retry, locks, time limits, masking) is in our command line, and
tested there.
"""

from __future__ import annotations

import concurrent.futures
import json
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.e2e import gitlab_tool
from tests.e2e.conftest import PushedVoice, Retried
from tests.e2e.forge import Forge
from tests.e2e.gitlab_tool import Pipeline
from tests.e2e.listener import ask_once, listening
from timbre.pipeline.stages.table import STAGES
from timbre.registry.events import Act

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("gitlab")]

Published = Callable[..., str]
ALL = tuple(f"{row.name} ada" for row in STAGES)


def pushed(forge: Forge) -> Pipeline:
    found = forge.push()
    assert found is not None
    return found


def voice_jobs(pipeline: Pipeline) -> tuple[str, ...]:
    return tuple(name for name in pipeline.jobs if name not in ("plan", "lint", "tests", "site", "pages"))


def hears(forge: Forge, voice: str = "ada") -> str:
    """Which version a server speaks with; it has to give sound."""
    found = ask_once(forge.address, forge.root / "server", voice)
    assert found.status == 200, found
    assert found.seconds > 0.1, found
    return found.voice


def test_the_first_voice_of_a_repository(first: PushedVoice) -> None:
    forge, pipeline = first.forge, first.pipeline
    assert pipeline.green, pipeline.log
    assert next(name for name in pipeline.jobs if name != "site") == "plan"
    assert voice_jobs(pipeline) == ALL
    assert "finetune  done" in pipeline.said("finetune ada")
    assert "evaluate: " in pipeline.said("evaluate ada")
    reports = pipeline.folder / ".timbre" / "reports" / "ada"
    suite = ElementTree.parse(reports / "evaluate" / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "0"
    assert int(suite.get("tests", "0")) >= 3
    assert (reports / "evaluate" / "metrics.txt").read_text().startswith("# HELP voice_quality_gate_value")
    assert (reports / "evaluate" / "report.html").stat().st_size > 1000
    manifest = forge.registry.resolve("ada")
    assert manifest.provenance.commit == forge.head
    assert manifest.provenance.author == "Bob <bob@example.org>"
    assert hears(forge) == f"ada@{manifest.version}"


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(retried: Retried) -> None:
    assert retried.killed == -signal.SIGKILL, retried.output
    assert retried.left == ("sovits.ckpt",), "killed behind the first checkpoint"
    assert retried.exit_code == 0, retried.output
    looks = [json.loads(line) for line in retried.output.splitlines() if line.startswith("{")]
    steps = [look["step"] for look in looks if look.get("network") == "sovits" and "step" in look]
    assert steps, "the second attempt begins behind the checkpoint of step 2"
    assert min(steps) > 2, "the second attempt begins behind the checkpoint of step 2"
    assert not list((retried.work / "finetune").glob(".resume-*"))


def test_two_voices_in_one_push(forge: Forge, variants: dict[str, Path]) -> None:
    forge.record(variants["one"], "ada")
    forge.record(variants["two"], "ben")
    forge.commit("Two voices")
    pipeline = pushed(forge)
    assert pipeline.green, pipeline.log
    assert sorted(voice_jobs(pipeline)) == sorted((*ALL, *(name.replace("ada", "ben") for name in ALL)))
    ada, ben = forge.version("ada"), forge.version("ben")
    assert ada
    assert ben
    assert ada != ben
    with listening(forge.address, forge.root / "server") as server:
        assert [server.ask(name).voice for name in ("ada", "ben")] == [f"ada@{ada}", f"ben@{ben}"]


def test_a_push_of_code_only_runs_no_voice_job(forge: Forge, published: Published) -> None:
    version = published()
    before = len(forge.registry.history("ada"))
    (forge.desk / "tool.py").write_text("print(1)\n", encoding="utf-8")
    forge.commit("A tool")
    pipeline = pushed(forge)
    assert pipeline.green, pipeline.log
    assert set(pipeline.jobs) == {"lint", "tests", "site", "pages"}, pipeline.log
    assert "tested" in pipeline.said("tests")
    assert (pipeline.folder / "public" / "docs" / "index.html").read_text() == "documentation\n"
    assert len(forge.registry.history("ada")) == before
    assert hears(forge) == f"ada@{version}"


def test_a_bad_recording_ends_at_stage_one_with_its_message(forge: Forge, published: Published) -> None:
    version = published()
    bad = next((forge.desk / "voices" / "ada" / "wavs").iterdir())
    bad.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    forge.commit("A recording that is only a pointer")
    pipeline = pushed(forge)
    assert not pipeline.green
    assert voice_jobs(pipeline) == ("validate ada",)
    assert pipeline.exit_codes["validate ada"] == 10
    said = pipeline.said("validate ada")
    assert bad.name in said, said
    assert "git lfs" in said.lower(), said
    assert forge.versions() == [version]
    assert hears(forge) == f"ada@{version}"


def test_a_failed_gate_leaves_production_alone(forge: Forge, published: Published, variants: dict[str, Path]) -> None:
    version = published()
    path = forge.desk / "bases" / "pico" / "gates.yaml"
    gates = yaml.safe_load(path.read_text(encoding="utf-8"))
    gate = next(item for item in gates["gates"] if item["metric"] == "level_dbfs")
    gate["limit"] = -20
    path.write_text(yaml.safe_dump(gates), encoding="utf-8")
    forge.record(variants["two"])
    forge.commit("Other recordings, and a limit that nobody meets")
    pipeline = pushed(forge)
    assert pipeline.exit_codes["evaluate ada"] == 20, pipeline.log
    assert "publish ada" not in pipeline.jobs, pipeline.log
    assert "Level of active speech" in pipeline.said("evaluate ada")
    suite = ElementTree.parse(pipeline.folder / ".timbre" / "reports" / "ada" / "evaluate" / "junit.xml").getroot()
    assert suite.find(".//failure") is not None, "kept although the job failed"
    assert forge.versions() == [version]
    assert hears(forge) == f"ada@{version}"


def test_a_revert_brings_the_old_version_back_without_training(forge: Forge, published: Published) -> None:
    old = published("one")
    new = published("two")
    assert old != new
    forge.git("revert", "--no-edit", "HEAD")
    with listening(forge.address, forge.root / "server") as server:
        assert server.ask("ada").voice == f"ada@{new}"
        pipeline = pushed(forge)
        assert pipeline.green, pipeline.log
        assert voice_jobs(pipeline) == ("publish ada",), pipeline.log
        assert "no stage run" in pipeline.said("publish ada")
        assert sorted(forge.versions()) == sorted((old, new)), "nothing new was made"
        assert server.ask("ada").voice == f"ada@{old}", "the server that was running all the time"
    last = forge.registry.history("ada")[-1]
    assert last.act is Act.PROMOTED
    assert last.commit == forge.head


def test_a_deleted_folder_retires_the_voice_and_a_revert_brings_it_back(forge: Forge, published: Published) -> None:
    version = published()
    forge.git("rm", "-r", "-q", "voices/ada")
    forge.commit("Ada leaves")
    with listening(forge.address, forge.root / "server") as server:
        pipeline = pushed(forge)
        assert pipeline.green, pipeline.log
        assert voice_jobs(pipeline) == ("retire ada",), pipeline.log
        gone = server.ask("ada")
        assert gone.status == 410
        assert "retired" in gone.body
        forge.git("revert", "--no-edit", "HEAD")
        pipeline = pushed(forge)
        assert pipeline.green, pipeline.log
        assert voice_jobs(pipeline) == ("publish ada",), pipeline.log
        assert server.ask("ada").voice == f"ada@{version}"


def test_a_review_is_waited_for(forge: Forge, published: Published, variants: dict[str, Path]) -> None:
    old = published("one")
    forge.record(variants["two"], review="required")
    forge.commit("New recordings, to be listened to first")
    pipeline = pushed(forge)
    assert pipeline.green, pipeline.log
    assert voice_jobs(pipeline) == ALL, pipeline.log
    (new,) = set(forge.versions()) - {old}
    assert "waits for a review" in pipeline.said("publish ada")
    assert hears(forge) == f"ada@{old}"
    job = yaml.safe_load(pipeline.child().read_text(encoding="utf-8"))["approve ada"]
    assert job["when"] == "manual"
    done = subprocess.run(
        shlex.split(job["script"][0]), cwd=pipeline.folder, capture_output=True, text=True, check=False,
        env=gitlab_tool.environment(forge.address, GITLAB_USER_NAME="Clara", GITLAB_USER_EMAIL="clara@example.org"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = forge.registry.history("ada")[-1]
    assert last.version == new
    assert last.approved_by == "Clara <clara@example.org>"
    assert hears(forge) == f"ada@{new}"


def test_a_pipeline_that_ends_late_publishes_and_does_not_promote(
    forge: Forge, published: Published, variants: dict[str, Path]
) -> None:
    old = published("one")
    forge.record(variants["two"])
    forge.commit("Other recordings")
    assert forge.push(hold=True) is None
    late = forge.pushed()[-1]
    forge.git("revert", "--no-edit", "HEAD")
    assert pushed(forge).green
    pipeline = forge.run_held(late)
    assert pipeline.green, pipeline.log
    assert voice_jobs(pipeline) == ALL, pipeline.log
    (made,) = set(forge.versions()) - {old}
    assert f"published {made}" in pipeline.said("publish ada")
    assert "represents the newer commit" in pipeline.said("publish ada")
    assert hears(forge) == f"ada@{old}"


def test_two_pushes_race_for_one_voice(forge: Forge, variants: dict[str, Path]) -> None:
    for variant in ("one", "two"):
        forge.record(variants[variant])
        forge.commit(f"Variant {variant}")
        forge.push(hold=True)
    held = forge.pushed()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pipelines = list(pool.map(forge.run_held, held))
    assert all(pipeline.green for pipeline in pipelines), "\n".join(item.log for item in pipelines)
    newest = forge.registry.resolve("ada")
    assert len(forge.versions()) == 2
    assert newest.provenance.commit == held[1].newer
    alias = forge.registry.alias("ada")
    assert alias is not None
    assert alias.commit == held[1].newer
    assert hears(forge) == f"ada@{newest.version}"


def test_a_renamed_voice_is_published_under_its_new_name(forge: Forge, published: Published) -> None:
    version = published()
    forge.git("mv", "voices/ada", "voices/eve")
    forge.commit("Ada is called Eve")
    pipeline = pushed(forge)
    assert pipeline.green, pipeline.log
    assert "retire ada" in pipeline.jobs
    assert "publish eve" in pipeline.jobs
    assert forge.version("ada") is None
    assert hears(forge, "eve") == f"eve@{version}"


def test_a_merge_request_is_tried_and_publishes_nothing(
    forge: Forge, published: Published, variants: dict[str, Path]
) -> None:
    version = published("one")
    forge.record(variants["two"])
    forge.commit("Other recordings")
    forge.push(hold=True)
    request = forge.pushed()[-1]
    pipeline = forge.run_held(
        request,
        CI_PIPELINE_SOURCE="merge_request_event",
        CI_MERGE_REQUEST_IID="7",
        CI_MERGE_REQUEST_DIFF_BASE_SHA=request.older,
    )
    assert pipeline.green, pipeline.log
    assert voice_jobs(pipeline) == ALL[:-1], pipeline.log
    assert "nothing is published: merge request 7" in pipeline.said("plan")
    assert forge.versions() == [version]
    assert hears(forge) == f"ada@{version}"
