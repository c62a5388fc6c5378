"""`make run` end to end: recordings in, five real stages, a version, a spoken file; the second time no stage."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

from tests.test_rooms import failures_without_torch
from timbre.cli.sample_run import generated_repository, main, why_base_is_missing
from timbre.core.base import read_base
from timbre.pipeline.bases.exported import exports_folder
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.verification import verify

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("validate", "extract", "finetune", "evaluate", "publish")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one sample voice, whose base's weights are not there."""
    shutil.copytree(ROOT / "voices" / "awb", tmp_path / "voices" / "awb")
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "bases" / "nano").mkdir(parents=True)
    shutil.copyfile(ROOT / "bases" / "nano" / "base.yaml", tmp_path / "bases" / "nano" / "base.yaml")
    for arguments in (("init", "-q"), ("config", "user.name", "Bob"), ("config", "user.email", "b@example.org")):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    for name in ("TIMBRE_REGISTRY", "TIMBRE_WEBHOOK", "TIMBRE_ROOT", "CI_COMMIT_SHA", "GITHUB_SHA", "GIT_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_from_recordings_to_a_spoken_sentence(
    repository: Path, pico_base: Path, pico_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = generated_repository(Workspace(repository), "awb")
    digest = read_base(sample / "bases" / "pico").digest
    assert digest == read_base(pico_base).digest, "the same seed makes the same base"
    shutil.copytree(pico_export, exports_folder(sample) / digest)
    assert main(["awb"]) == 0
    out = capsys.readouterr().out
    assert "using the generated base pico" in out
    for number, name in enumerate(STAGES, 1):
        assert f"✔ {number} {name:<9} done" in out
    registry = open_registry(RegistryAddress(str(Workspace(sample).default_registry), os.environ))
    manifest = registry.resolve("awb")
    assert f"production now points to {manifest.version}" in out
    assert "report: .timbre/reports/awb/evaluate/report.html" in out
    assert "verdict" in out
    assert all(gate["passed"] for gate in manifest.gates.values())
    assert manifest.base_digest == digest
    assert verify(registry) == []
    samples, rate = soundfile.read(repository / "out" / "awb.wav")
    assert rate == manifest.rate_hz
    assert len(samples) > rate // 2
    assert abs(samples).max() > 0
    assert not (repository / ".timbre" / "registry").exists(), "noise is not published where voices are"

    assert main(["awb", "--text", "Again.", "--out", "again.wav"]) == 0
    again = capsys.readouterr().out
    assert "no stage run" in again
    assert " done " not in again
    assert "verdict" in again
    assert (repository / "again.wav").is_file()


def test_says_which_voice_and_which_base_are_missing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abw"]) == 10
    assert "did you mean `awb`?" in capsys.readouterr().err
    assert why_base_is_missing(Workspace(repository), "nano").startswith("base nano: ")
    assert "does not exist" in why_base_is_missing(Workspace(repository), "nono")


def test_a_machine_that_only_speaks_needs_no_torch() -> None:
    names = [
        "timbre.pipeline.release.speaking",
        "timbre.cli.commands.say",
        "timbre.pipeline.bases.exported",
        "timbre.pipeline.stages.publish",
    ]
    assert failures_without_torch(names) == "{}"


def test_a_container_that_sets_ci_publishes_into_its_clone() -> None:
    """What CI alone says matters to a registry that others use."""

    def command(**environment: str) -> str:
        own = {name: value for name, value in os.environ.items() if name != "TIMBRE_REGISTRY"} | environment
        lines = subprocess.run(
            ["make", "-n", "run"], cwd=ROOT, env=own, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return next(line for line in lines if "sample_run" in line)

    assert command(CI="true").startswith("env -u CI ")
    assert "env -u" not in command(CI="true", TIMBRE_REGISTRY="s3://voices")
