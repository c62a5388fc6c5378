"""Records of runs: each outcome leaves one, in its own area, encrypted and revocable like every file of a voice."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.release.publish_stages import YAML, Repo, make_repo
from timbre.audio.reader import write
from timbre.audio.waveform import Waveform
from timbre.core.cancellation import Cancellation
from timbre.core.errors import InfrastructureError, InputError
from timbre.core.redaction import Redactor
from timbre.pipeline.engine.run_log import RunLog, run_area
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.voice_runs import run_voice, status_of
from timbre.pipeline.release.run_view import LOST, RunView, views
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.encryption.master import new_master, read_master
from timbre.registry.references import references
from timbre.registry.registry import Actor
from timbre.registry.revocation import revoke
from timbre.registry.run_records import Retention, RunStore, open_sample, runs_of
from timbre.registry.store import Store
from timbre.registry.usage import usage
from timbre.registry.verification import verify

LOG = logging.getLogger("test")


@pytest.fixture
def repo(tmp_path: Path, pico_base: Path, pico_export: Path) -> Repo:
    return make_repo(tmp_path, pico_base, pico_export)


def go(repo: Repo, voice: str = "ada", until: str = "", keys: Keyring | None = None, **origin: str) -> VoiceRun:
    engine = repo.engine(**origin)
    log = RunLog(RunStore(repo.registry.store, run_area(engine.origin), keys), Redactor(("hunter22",)))
    return run_voice(engine, voice, until, False, None, runs=log)


def last(repo: Repo, voice: str = "ada") -> RunView:
    return views(runs_of(repo.registry.store, voice))[-1]


def red(repo: Repo, **more: Any) -> VoiceRun:
    """A red run whose samples are sound."""
    (repo.root / "red").touch()
    return go(repo, **more)


@pytest.fixture
def sounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 4 keeps real sound: the worst sample, its recording and the base."""
    from tests.pipeline.release import publish_stages

    made = publish_stages.Measure.run
    decided = publish_stages.Measure.decide

    def run(self: Any, context: Any) -> Any:
        found = made(self, context)
        path = context.output / "measurements.json"
        data = json.loads(path.read_text())
        data["plain"]["tts"] = [{**data["adapted"]["tts"][0], "file": "samples/tts-base-one-1.wav"}]
        path.write_text(json.dumps(data))
        wave = Waveform(np.sin(np.arange(24000, dtype=np.float32) / 20) * np.float32(0.3), 24000)
        for name in ("tts-one-1", "tts-base-one-1", "real-one"):
            write(context.output / "samples" / f"{name}.wav", wave)
        return found

    def decide(self: Any, context: Any, measured: Path) -> Any:
        try:
            return decided(self, context, measured)
        finally:
            path = context.report / "gates.json"
            data = json.loads(path.read_text())
            data["gates"]["peak_dbfs_tts"]["worst_file"] = "samples/tts-one-1.wav"
            path.write_text(json.dumps(data))

    monkeypatch.setattr(publish_stages.Measure, "run", run)
    monkeypatch.setattr(publish_stages.Measure, "decide", decide)


def test_a_promoted_run_says_who_what_and_how_long(repo: Repo) -> None:
    repo.said(go(repo, job_url="https://gitlab.example/-/jobs/1"))
    found = last(repo)
    assert found.state == "promoted"
    assert found.reached == "publish"
    assert not found.failed
    assert found.text("author") == "Ada"
    assert found.text("commit") == repo.head
    assert found.job.endswith("/jobs/1")
    assert [stage.name for stage in found.stages] == ["validate", "extract", "finetune", "evaluate", "publish"]
    assert all((stage.peak_memory_mib or 0) > 1 and stage.seconds >= 0 for stage in found.stages)
    assert found.text("version") == repo.production
    assert found.gates["peak_dbfs_tts"]["value"] == -1.0
    assert list(repo.registry.store.list("runs/")) == [found.record.key], "the mark of the running run is gone"
    stored = repo.registry.store.get(found.record.key)
    assert stored is not None
    assert b"ada@example.org" not in stored.data
    assert verify(repo.registry) == []


def test_refused_cancelled_red_superseded_waiting_and_bug_are_each_told_apart(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = repo.head
    repo.record("two")
    go(repo)
    repo.git("checkout", "-q", older)
    go(repo)
    assert last(repo).state == "superseded"
    repo.git("checkout", "-q", "main")
    red(repo, why_not="branch x")
    assert last(repo).state == "red"
    assert last(repo).red == ("Sample peak",)
    assert last(repo).reached == "evaluate"
    (repo.root / "red").unlink()
    repo.record("three")

    def refuse(*_: Any) -> Any:
        raise InputError("wavs/1.wav: too quiet", "record again")

    with monkeypatch.context() as patched:
        patched.setattr("tests.pipeline.release.publish_stages.Look.run", refuse)
        go(repo)
    assert last(repo).state == "refused"
    assert "too quiet" in last(repo).text("error")
    assert last(repo).text("remedy") == "record again"
    assert last(repo).reached == "validate"
    repo.record("four", YAML + "review: required\n")
    go(repo)
    assert last(repo).state == "waiting"
    repo.record("five")
    cancel = Cancellation()
    cancel.cancel("signal SIGTERM")
    log = RunLog(RunStore(repo.registry.store), Redactor())
    run_voice(dataclasses.replace(repo.engine(), cancel=cancel), "ada", "", False, None, runs=log)
    assert last(repo).state == "cancelled"
    monkeypatch.setattr("tests.pipeline.release.publish_stages.Look.run", lambda *_: 1 / 0)
    repo.record("six")
    go(repo)
    assert last(repo).state == "bug"
    assert last(repo).failed
    assert last(repo).reached == "validate"


def test_a_merge_request_writes_only_to_its_own_area_and_is_not_believed(repo: Repo) -> None:
    before = set(repo.registry.store.list("runs/"))
    go(repo, merge_request="7")
    found = last(repo)
    assert found.state == "tried"
    assert not found.record.trusted
    assert found.where.endswith("merge request 7")
    assert set(repo.registry.store.list("runs/")) == before == set()
    assert runs_of(repo.registry.store, "ada")


def test_red_samples_can_be_heard_and_secrets_are_not_written(repo: Repo, sounding: None) -> None:
    red(repo, ref="hunter22")
    found = last(repo)
    assert {entry.path for entry in found.record.samples} == {
        "samples.json", "1-voice.flac", "1-recording.flac", "1-base.flac"
    }  # fmt: skip
    entry = next(item for item in found.record.samples if item.path == "1-voice.flac")
    assert open_sample(repo.registry.store, found.record, entry, None).startswith(b"fLaC")
    assert "hunter22" not in json.dumps(dict(found.record.about))
    assert entry.sha256 in references(repo.registry.store), "no clearing up takes the sample away"
    assert usage(repo.registry.store).unreferenced == 0


def test_samples_are_encrypted_and_go_when_consent_is_withdrawn(
    repo: Repo, sounding: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = new_master()
    monkeypatch.setenv("TIMBRE_MASTER_KEY", master)
    store: Store = repo.registry.store
    keys = Keyring(store, read_master(master))
    repo.said(go(repo))
    repo.record("two")
    red(repo, keys=keys)
    found = last(repo).record
    entry = next(item for item in found.samples if item.path == "1-voice.flac")
    blob = store.get(f"blobs/{entry.sha256[:2]}/{entry.sha256}")
    assert blob is not None
    assert not blob.data.startswith(b"fLaC")
    assert open_sample(store, found, entry, keys).startswith(b"fLaC")
    done = revoke(repo.registry, "ada", actor=Actor("Bob"), reason="she asked")
    assert found.key in done.destroyed
    assert store.get(f"blobs/{entry.sha256[:2]}/{entry.sha256}") is None
    go(repo, keys=keys)
    assert last(repo).state == "refused"
    assert last(repo).record.samples == ()


def test_old_records_go_and_their_samples_with_them(repo: Repo, sounding: None) -> None:
    red(repo)
    entry = last(repo).record.samples[0]
    store = repo.registry.store
    runs = RunStore(store, retention=Retention(most=3, slack=1))
    for number in range(5):
        run = runs.begin("ada", f"2099-01-01T00:00:0{number}.000000+00:00", {})
        runs.finish("ada", run, {"state": "tried"}, {})
    assert len(list(store.list("runs/ada/"))) <= 4
    assert store.get(f"blobs/{entry.sha256[:2]}/{entry.sha256}") is None
    run = RunStore(store, retention=Retention(days=1)).begin("eve", "2020-01-01T00:00:00.000000+00:00", {})
    assert views(runs_of(store, "eve"))[-1].state == LOST, "a process that was killed years ago does not run"
    RunStore(store, retention=Retention(days=1)).finish("eve", run, {"state": "tried"}, {})
    assert runs_of(store, "eve") == []


def test_a_registry_that_cannot_be_written_costs_a_warning(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        url = "full"

        def put_if_absent(self, key: str, data: bytes) -> bool:
            raise InfrastructureError("registry full", "free space")

    engine = repo.engine()
    log = RunLog(RunStore(Full()), Redactor())  # type: ignore[arg-type]
    assert run_voice(engine, "ada", "", False, None, runs=log).error is None
    assert "run not recorded" in caplog.text


def test_a_red_evaluation_is_never_ticked(repo: Repo) -> None:
    red(repo)
    states = [outcome.state for outcome in status_of(repo.engine(), "ada").outcomes]
    assert states[3] == "red"
    (repo.root / "red").unlink()
    (repo.root / ".timbre/reports/ada/evaluate/verdict.json").unlink()
    assert status_of(repo.engine(), "ada").outcomes[3].state == "undecided"
    go(repo)
    assert status_of(repo.engine(), "ada").outcomes[3].state == "skipped"


def test_hostile_records_are_left_out(repo: Repo) -> None:
    go(repo, merge_request="7", job_url="javascript:alert(1)")
    assert last(repo).job == ""
    store = repo.registry.store
    store.put_if_absent("merge-requests/runs/ada/2099-x.json", b"{")
    key = last(repo).record.key
    stored = store.get(key)
    assert stored is not None
    store.put_if_absent("merge-requests/runs/ada/2099-y.json", stored.data)
    assert len(runs_of(store, "ada")) == 1
