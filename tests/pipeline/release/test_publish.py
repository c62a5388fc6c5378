"""Stage 5 and what follows it: versions, promotion, rollback, reverts without a stage, reviews, stale pipelines."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.pipeline.release.publish_stages import YAML, Repo, make_repo
from timbre.cli.main import call
from timbre.core.digests import digest_file
from timbre.core.errors import CheckFailedError, InfrastructureError
from timbre.core.progress import SilentProgress
from timbre.evaluation.measurements import Sample, read_measurements
from timbre.inference.errors import VoiceError
from timbre.inference.exported_base import EDITION, read_export
from timbre.inference.voice import load_voice
from timbre.pipeline.bases.exported import exports_folder
from timbre.pipeline.engine.alerts import Alert
from timbre.pipeline.release import package
from timbre.pipeline.release.package import MAX_BYTES, SAMPLES, choose_samples
from timbre.pipeline.release.speaking import say
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import list_bases
from timbre.registry.errors import NotFoundError, RevokedError
from timbre.registry.local_store import LocalStore
from timbre.registry.verification import audit, verify

ALL = ["look", "look", "train", "measure"]


@pytest.fixture
def repo(tmp_path: Path, pico_base: Path, pico_export: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    variables = ("TIMBRE_REGISTRY", "TIMBRE_WEBHOOK", "GITLAB_USER_NAME", "GITHUB_ACTOR", "BUILD_USER")
    for name in (*variables, "CI_COMMIT_SHA", "GITHUB_SHA", "GIT_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TIMBRE_ROOT", str(tmp_path))
    # Nothing here is about power cuts, and a busy disk makes each flush slow.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return make_repo(tmp_path, pico_base, pico_export)


class Ear:
    """A webhook that remembers."""

    def __init__(self) -> None:
        self.heard: list[Alert] = []

    def send(self, alert: Alert, log: object) -> bool:
        self.heard.append(alert)
        return True


def test_a_version_is_whole_and_says_where_it_comes_from(repo: Repo) -> None:
    run = repo.run(job_url="https://ci/7")
    outcomes = {outcome.row.name: outcome for outcome in run.outcomes}
    version = outcomes["evaluate"].key[:12]
    assert repo.said(run) == f"published {version}; production now points to {version}"
    manifest = repo.registry.resolve("ada")
    came = manifest.provenance
    assert (manifest.version, came.commit, came.author, came.job) == (
        version, repo.head, "Ada <ada@example.org>", "https://ci/7",
    )  # fmt: skip
    assert came.tools["numpy"]
    assert len(came.recipe_digest) == 64
    assert manifest.consent["rights"] == "Free | for all"
    assert manifest.gates["peak_dbfs_tts"]["limit"] == 0.0
    assert {entry.path for entry in manifest.files} == {
        "t2s/adapter_config.json", "t2s/adapter_model.safetensors", "sovits/adapter_config.json",
        "sovits/adapter_model.safetensors", "prompt.safetensors", "prompt.json", "training.json", "gates.json",
        "lexicon.txt", "measurements.json", "README.md", "samples/tts-one-1.wav", "samples/tts-two-1.wav",
        "samples/tts-three-1.wav", "samples/tts-fixed-001-1.wav",
    }  # fmt: skip
    assert list_bases(repo.registry.store)[repo.base.digest]["name"] == "pico"
    assert [str(event.act) for event in repo.registry.history("ada")] == ["published", "promoted"]
    assert verify(repo.registry) == []
    assert audit(repo.registry, "ada") == []
    small = sum(entry.size_bytes for entry in manifest.files if not entry.path.startswith(SAMPLES))
    assert small == outcomes["publish"].facts["size_bytes"] < MAX_BYTES


def test_a_manifest_holds_the_settings_of_the_voice_and_the_digest_of_the_limits(repo: Repo) -> None:
    limits = repo.root / "bases" / "pico" / "gates.yaml"
    limits.write_text("# limits of this repository\n", encoding="utf-8")
    repo.record("own settings", YAML + "recipe: {finetune: {rank: 4}, extract: {}}\n")
    repo.run()
    manifest = repo.registry.resolve("ada")
    assert manifest.overrides == {"finetune": {"rank": 4}}
    assert manifest.gates_digest == digest_file(limits)
    version = repo.registry.store.get(manifest.key)
    assert version is not None
    assert b'"rank": 4' in version.data
    assert digest_file(limits).encode() in version.data


def test_the_package_loads_and_not_on_another_base(repo: Repo, tmp_path: Path) -> None:
    repo.run()
    manifest = repo.registry.resolve("ada")
    repo.registry.fetch(manifest, tmp_path / "package")
    export = read_export(exports_folder(repo.root) / repo.base.digest)
    voice = load_voice(tmp_path / "package", export, name="ada")
    assert voice.base_digest == repo.base.digest
    assert voice.lexicon == {"timbre": ("T", "AE1", "M", "B", "ER0")}
    (tmp_path / "package" / "lexicon.txt").unlink()
    assert load_voice(tmp_path / "package", export, name="ada").lexicon == {}, "packages without readings load"
    assert read_measurements(tmp_path / "package").voice == "ada"
    import dataclasses

    other = dataclasses.replace(export, name="nano", digest="0" * 64)
    with pytest.raises(VoiceError, match=r"made for base 'pico' \(.*\), not for 'nano'"):
        load_voice(tmp_path / "package", other, name="ada")


def test_the_model_card(repo: Repo) -> None:
    repo.run()
    manifest = repo.registry.resolve("ada")
    card = repo.registry.read_file(manifest, "README.md").decode()
    _, header, body = card.split("---\n", 2)
    found = yaml.safe_load(header)
    assert found["language"] == ["en"]
    assert found["pipeline_tag"] == "text-to-speech"
    assert "| Sample peak | tts | -1 | <= 0 | - | - | passed |" in body
    assert "> Free | for all" in body
    assert "CC0-1.0" in body
    for name in ("samples/tts-one-1.wav", manifest.version, repo.head):
        assert name in body


def test_the_second_push_moves_on_and_a_revert_comes_back_without_a_stage(repo: Repo) -> None:
    repo.run()
    first = repo.production
    repo.record("two")
    repo.run()
    second = repo.production
    assert second != first
    assert repo.stages_run() == ALL * 2
    repo.git("revert", "--no-edit", "HEAD")
    run = repo.run()
    assert repo.production == first
    assert repo.stages_run() == ALL * 2
    assert [outcome.state for outcome in run.outcomes] == ["known"]
    assert "no stage run" in repo.said(run)
    assert f"now points to {first} (before: {second})" in repo.said(run)
    state = repo.registry.alias("ada")
    assert state is not None
    assert state.commit == repo.head
    assert state.generation == 3
    assert "points to" in repo.said(repo.run())
    assert "already" in repo.said(repo.run())
    repo.run(rebuild=True)
    assert repo.stages_run() == ALL * 3


def test_changed_code_or_recipe_retrains_nobody(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.run()
    monkeypatch.setattr("tests.pipeline.release.publish_stages.Look.version", 2)
    assert "no stage run" in repo.said(repo.run())
    assert repo.stages_run() == ALL
    repo.run(rebuild=True)
    assert repo.stages_run() == ALL * 2
    assert len(repo.registry.versions("ada")) == 2


def test_rollback_by_hand_stays_until_the_recordings_change(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.run()
    first = repo.production
    repo.record("two")
    repo.run()
    second = repo.production
    assert call(["rollback", "ada", "--reason", "hiss"]) == 0
    assert repo.production == first
    assert f"(before: {second})" in capsys.readouterr().out
    assert "Bob <bob@example.org> rolled" in repo.said(repo.run())
    assert "hiss" in repo.said(repo.run())
    (repo.root / "note.txt").write_text("an unrelated commit", encoding="utf-8")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "note")
    repo.run()
    assert repo.production == first
    assert call(["promote", "ada", str(second)]) == 0
    assert repo.production == second
    repo.record("three")
    repo.run()
    assert repo.production not in (first, second)


def test_a_review_holds_until_somebody_approves(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.record("reviewed", YAML + "review: required\n")
    run = repo.run()
    version = run.outcomes[-1].facts["version"]
    assert repo.production is None
    assert f"waits for a review: timbre promote ada {version} --approve" in repo.said(run)
    assert call(["promote", "ada", version]) == 20
    assert "waits for a review" in capsys.readouterr().err
    assert call(["promote", "ada", version, "--approve", "--by", "Carol", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alias"]["approved_by"] == "Carol"
    assert repo.production == version
    state = repo.registry.alias("ada")
    assert state is not None
    assert state.commit == repo.head
    repo.record("again", YAML)
    run = repo.run()
    assert repo.production == version, "a push cannot drop the review that it is itself held by"
    again = run.outcomes[-1].facts["version"]
    assert call(["promote", "ada", again]) == 20
    assert call(["promote", "ada", again, "--approve", "--by", "Carol"]) == 0
    third = repo.record("third", YAML)
    repo.run()
    assert repo.production not in (version, again)
    assert repo.registry.alias("ada").commit == third
    repo.git("revert", "--no-edit", "HEAD")
    repo.run()
    assert repo.production == again
    repo.record("reviewed", YAML + "review: required\n")
    repo.run()
    assert repo.production == version, "what was approved once needs no second approval"


def test_a_review_asked_for_later_holds_a_known_version(repo: Repo) -> None:
    repo.run()
    repo.record("two")
    repo.run()
    second = repo.production
    repo.record("one", YAML + "review: required\n")
    assert "waits for a review" in repo.said(repo.run())
    assert repo.production == second


def test_a_stale_pipeline_publishes_and_does_not_promote(repo: Repo) -> None:
    old = repo.head
    new = repo.record("two")
    repo.run()
    second = repo.production
    repo.git("checkout", "-q", old)
    run = repo.run(commit=old)
    assert f"it represents the newer commit {new[:12]}" in repo.said(run)
    assert repo.production == second
    assert len(repo.registry.versions("ada")) == 2


def test_a_merge_request_publishes_nothing(repo: Repo) -> None:
    run = repo.run(merge_request="12")
    assert repo.said(run) == "merge request 12: nothing is published"
    assert repo.stages_run() == ALL
    assert repo.registry.voices() == []
    repo.run()
    before = repo.production
    repo.record("two")
    repo.run(merge_request="13")
    repo.git("revert", "--no-edit", "HEAD")
    repo.run(merge_request="14")
    assert repo.production == before
    assert len(repo.registry.history("ada")) == 2


def test_red_gates_publish_nothing_and_alert(repo: Repo) -> None:
    (repo.root / "red").touch()
    ear = Ear()
    run = repo.run(webhook=ear)
    assert run.exit_code == 20
    assert repo.registry.voices() == []
    (alert,) = ear.heard
    assert "stage evaluate" in alert.title
    assert "Sample peak" in alert.text
    (repo.root / "red").unlink()
    repo.run(webhook=ear)
    assert ear.heard[-1].title == f"timbre: voice ada promoted to {repo.production}"
    repo.run(webhook=ear)
    repo.record("bob", voice="bob")
    repo.run(webhook=ear)
    assert len(ear.heard) == 2, "nothing moved, nothing to tell"
    state = repo.registry.alias("ada")
    assert state is not None, "the place in the order of commits is kept up"
    assert state.commit == repo.head, "the place in the order of commits is kept up"


def test_gates_of_another_run_are_not_published(repo: Repo) -> None:
    repo.run()
    gates = repo.root / ".timbre" / "reports" / "ada" / "evaluate" / "gates.json"
    made: Any = SimpleNamespace(voice=SimpleNamespace(name="ada"), base=repo.base, gates=gates)

    def check(**changes: Any) -> None:
        about = json.loads(gates.read_text(encoding="utf-8")) | changes
        gates.write_text(json.dumps(about), encoding="utf-8")
        package._verdict(made)

    check()
    with pytest.raises(InfrastructureError, match="verdicts of bob"):
        check(voice="bob")
    with pytest.raises(InfrastructureError, match="on base 000000000000"):
        check(voice="ada", base_digest="0" * 64)
    with pytest.raises(CheckFailedError, match="red gates are not published"):
        check(base_digest=repo.base.digest, passed=False)
    gates.write_text("{", encoding="utf-8")
    with pytest.raises(InfrastructureError, match="cannot be read"):
        package._verdict(made)


@pytest.mark.parametrize("after", [0, 7, 20, 28, 29, 30])
def test_a_full_disk_leaves_nothing_half(repo: Repo, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    write, count = LocalStore._write_temporary, 0

    def full(store: LocalStore, path: Path, data: bytes) -> Path:
        nonlocal count
        count += 1
        if count > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(store, path, data)

    monkeypatch.setattr(LocalStore, "_write_temporary", full)
    run = repo.run()
    assert run.exit_code == 30
    assert "No space left" in str(run.error)
    assert "free disk space" in str(run.error)
    assert verify(repo.registry) == []
    if after <= 20:
        assert repo.registry.voices() == []
    monkeypatch.setattr(LocalStore, "_write_temporary", write)
    repo.run()
    assert repo.production is not None
    assert repo.stages_run() == ALL
    assert verify(repo.registry) == []
    assert audit(repo.registry, "ada") == []


def test_a_damaged_known_version_is_mended_by_the_stages(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.run()
    entry = repo.registry.resolve("ada").entry("prompt.safetensors")
    assert entry is not None
    blob = Path(repo.address) / "blobs" / entry.sha256[:2] / entry.sha256
    blob.write_bytes(b"x")
    assert call(["verify", "--json"]) == 20
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["key"].endswith(entry.sha256)
    assert finding["affects"] == [f"ada@{repo.production}"]
    assert call(["verify", "ada"]) == 20
    repo.run()
    assert repo.stages_run() == ALL, "their outputs are still there"
    assert call(["verify", "ada", "--markdown"]) == 0


def test_revoked_for_good(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.run()
    work = repo.root / ".timbre" / "work" / "ada"
    assert work.is_dir()
    assert call(["revoke", "ada", "--reason", "withdrawn", "--yes"]) == 0
    assert not work.exists()
    with pytest.raises(RevokedError):
        repo.registry.resolve("ada")
    run = repo.run()
    assert run.exit_code == 10
    assert "was revoked" in str(run.error)
    assert repo.stages_run() == ALL, "nobody trains a voice that may not be published"
    capsys.readouterr()
    assert call(["audit", "ada", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["revoked"]["ada"]["reason"] == "withdrawn"


def test_a_deleted_folder_retires_and_a_revert_brings_it_back(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.run()
    version, before = repo.production, repo.head
    assert call(["retire", "ada"]) == 10
    repo.git("rm", "-rq", "voices/ada")
    repo.git("commit", "-q", "-m", "gone")
    capsys.readouterr()
    assert call(["changed", "--from", before, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == [{"voice": "ada", "kind": "deleted", "was": None}]
    assert call(["retire", "ada", "--registry", repo.address]) == 0
    assert repo.production is None
    repo.git("revert", "--no-edit", "HEAD")
    repo.run()
    assert repo.production == version
    assert repo.stages_run() == ALL


def test_commands_show_the_registry(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.run()
    version = repo.production
    repo.record("bob", voice="bob")
    capsys.readouterr()
    assert call(["history", "ada"]) == 0
    text = capsys.readouterr().out
    assert "published" in text
    assert "promoted" in text
    assert repo.registry.resolve("ada").created[:10] in text
    assert call(["history", "ada", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["aliases"]["production"]["version"] == version
    assert call(["history", "adda"]) == 10
    assert "did you mean ada?" in capsys.readouterr().err
    assert call(["voices", "list", "--json"]) == 0
    ada, bob = json.loads(capsys.readouterr().out)
    assert (ada["name"], ada["state"], ada["version"]) == ("ada", "published", version)
    assert (bob["name"], bob["state"], bob["version"]) == ("bob", "not published", "")
    assert call(["voices", "list", "--markdown"]) == 0
    assert "| ada | " in capsys.readouterr().out
    assert call(["audit"]) == 0
    assert "1 of 1" in capsys.readouterr().out
    assert call(["base", "publish", "pico"]) == 0
    assert "already published" in capsys.readouterr().out


def test_say(repo: Repo, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import soundfile

    repo.run()
    first, second = tmp_path / "out" / "a.wav", tmp_path / "b.wav"
    assert call(["say", "ada", "Good morning.", "-o", str(first), "--seed", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == repo.production
    assert call(["say", f"ada@{repo.production}", "Good morning.", "-o", str(second), "--seed", "3"]) == 0
    assert first.read_bytes() == second.read_bytes()
    samples, rate = soundfile.read(first)
    assert rate == said["rate_hz"]
    assert len(samples) / rate == pytest.approx(said["seconds"], abs=0.01)
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["b.wav"]


def test_say_says_what_is_wrong(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.run()
    target = repo.root / "no.wav"
    for arguments, words in (
        (["adda", "Hello."], "did you mean ada?"),
        (["ada@beta", "Hello."], "no alias 'beta'"),
        (["ada@000000000000", "Hello."], "timbre history ada"),
        (["../ada", "Hello."], "voice name"),
        (["ada", "  "], "text: it is empty"),
        (["ada", "\u2603 ..."], "nothing that can be spoken"),
        (["ada", "Hello.", "--language", "xx"], "speaks"),
        (["ada", "Hello.", "--speed", "9"], "0.25 to 4"),
        (["ada", "x" * 10_001], "10000"),
    ):
        assert call(["say", *arguments, "-o", str(target), "--seed", "1"]) == 10, arguments
        assert words in capsys.readouterr().err, arguments
        assert not target.exists(), arguments
    assert call(["say", "ada", "Hello.", "-o", str(repo.root / "no.mp3")]) == 10
    assert ".wav, .flac" in capsys.readouterr().err


def test_a_voice_of_a_base_that_nobody_has(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    repo.run()
    shutil.rmtree(exports_folder(repo.root))
    record = Path(repo.address) / "bases" / repo.base.digest / f"base-{EDITION}.json"
    record.unlink()
    shutil.rmtree(repo.root / "bases")
    assert call(["say", "ada", "Hello.", "-o", str(repo.root / "no.wav")]) == 40
    assert "timbre base publish pico" in capsys.readouterr().err


def test_unknown_voice_by_the_library(repo: Repo) -> None:
    from timbre.inference.request import SpeechRequest

    repo.run()
    with pytest.raises(NotFoundError, match="no voice 'ade'"):
        say(
            "ade",
            SpeechRequest("Hi."),
            cache=repo.root,
            registry=RegistryAddress(repo.address, {}),
            progress=SilentProgress(),
        )


def test_choice_of_samples() -> None:
    def spoken(identity: str, source: str, seed: int, file: str = "x") -> Sample:
        return Sample(identity, "", source, seed, file and f"{identity}-{seed}", {})

    own = [spoken(f"o{i}", "held-out", seed) for i in range(5) for seed in (2, 1)]
    fixed = [spoken(f"f{i}", "fixed", seed) for i in range(20) for seed in (2, 1)]
    lost = [spoken("a", "held-out", 1, "")]
    chosen = choose_samples([*lost, *own, *fixed], 6)
    assert [item.id for item in chosen] == ["f0", "f1", "f2", "o0", "o1", "o2"]
    assert {item.seed for item in chosen} == {1}
    assert len(choose_samples(own, 6)) == 5
    assert len(choose_samples(fixed, 6)) == 6
    assert choose_samples(own, 0) == ()


def test_recordings_that_are_not_committed_are_published_under_no_commit(repo: Repo) -> None:
    repo.run()
    before = repo.production
    (repo.root / "voices/ada/wavs/1.wav").write_text("never committed")
    run = repo.run()
    version = run.outcomes[-1].facts["version"]
    assert "not committed" in repo.said(run)
    assert repo.production == before
    assert repo.registry.manifest("ada", version).provenance.commit is None
