"""Stage 4's verdicts beside production: what is compared, what is left out and said, and what ends the stage."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.evaluation.test_gates import measured
from tests.registry.conftest import make_files, make_manifest
from timbre.core.errors import CheckFailedError, ConfigurationError, InfrastructureError
from timbre.core.recipe import EvaluateRecipe
from timbre.evaluation.measurements import FILE, Measurements
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.stages.evaluate import EvaluateStage
from timbre.pipeline.verdict.production import production_measurements
from timbre.pipeline.verdict.reports import production_sounds
from timbre.registry import records
from timbre.registry.address import RegistryAddress
from timbre.registry.local_store import LocalStore
from timbre.registry.names import alias_key, version_key
from timbre.registry.open import open_registry
from timbre.registry.records import seal, unseal
from timbre.registry.registry import Actor

CI = Actor("ci", "c1")
LINE = {"metric": "estoi", "protocol": "copy", "limit": 0.5, "production_margin": 0.01}


class Judged:
    """A registry below root whose production measured a STOI of 0.99, and stage 4's decision about another voice."""

    def __init__(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.root, self.caplog = root, caplog
        self.address = str(root / "registry")
        self.registry = open_registry(RegistryAddress(self.address, os.environ))
        self.version = make_manifest().version

    def publish(
        self, found: Measurements | None, changes: dict[str, Any] | None = None, kept: dict[str, bytes] | None = None
    ) -> None:
        files = {**make_files(), **(kept or {})}
        if found is not None:
            found.write(self.root)
            content = json.loads((self.root / FILE).read_text(encoding="utf-8")) | (changes or {})
            files[FILE] = json.dumps(content).encode()
        self.registry.publish(make_manifest(), files, actor=CI)
        self.registry.promote("ada", self.version, actor=CI)

    @property
    def manifest(self) -> Path:
        return Path(self.address) / version_key("ada", self.version)

    def decide(self, stoi: float) -> dict[str, str]:
        """Reports of a voice with this STOI: file -> text. Raises what the stage raises."""
        base, report, output = (self.root / name for name in ("base", "report", "output"))
        for folder in (base, report, output):
            folder.mkdir(exist_ok=True)
        (base / "gates.yaml").write_text(json.dumps({"gates": [LINE]}), encoding="utf-8")
        measured({"estoi": stoi}).write(output)
        context: Any = SimpleNamespace(
            voice=SimpleNamespace(name="ada", recipe={}), base=SimpleNamespace(folder=base),
            registry=RegistryAddress(self.address, {}),
            report=report, inputs={"finetune": output}, origin=Origin(), log=logging.getLogger("timbre"),
            section=lambda kind: EvaluateRecipe(bootstrap_samples=100),
        )  # fmt: skip
        with self.caplog.at_level(logging.WARNING, "timbre"):
            EvaluateStage().decide(context, output)
        return {path.name: path.read_text(encoding="utf-8") for path in report.iterdir()}


@pytest.fixture
def judged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Judged:
    return Judged(tmp_path, caplog)


def test_a_voice_that_is_worse_than_production_is_red(judged: Judged) -> None:
    judged.publish(measured({"estoi": 0.99}))
    judged.decide(0.98)
    with pytest.raises(CheckFailedError, match=r"STOI 0.900 is more than 0.010 below production \(0.990\)"):
        judged.decide(0.9)
    report = json.loads((judged.root / "report" / "gates.json").read_text(encoding="utf-8"))
    assert report["gates"]["estoi_copy"]["production"] == pytest.approx(0.99)
    assert report["production_left_out"] == ""


def test_nothing_in_production_is_nothing_to_say(judged: Judged) -> None:
    assert judged.decide(0.6)["gates.json"].count('"production_left_out": ""') == 1, "never published"
    judged.publish(measured({"estoi": 0.99}))
    judged.registry.retire("ada", actor=CI)
    reports = judged.decide(0.6)
    assert "Not compared" not in reports["report.md"] + reports["report.html"] + reports["junit.xml"]
    assert judged.caplog.records == []


def _sounds(judged: Judged) -> dict[tuple[str, str], bytes]:
    return production_sounds(production_measurements(RegistryAddress(judged.address, {}), "ada"))


def test_what_production_says_is_found_by_sentence(judged: Judged) -> None:
    file, data = "samples/tts-voice-s0-1.wav", b"RIFF of s0"
    judged.publish(measured({"estoi": 0.99}), kept={file: data})
    text = measured().adapted.tts[0].text
    assert _sounds(judged) == {("s0", text): data}
    entry = judged.registry.resolve("ada").entry(file)
    assert entry is not None
    (Path(judged.address) / "blobs" / entry.sha256[:2] / entry.sha256).write_bytes(b"x")
    assert _sounds(judged) == {}, "damage costs a player"
    judged.decide(0.99)


def _manifest(judged: Judged) -> None:
    judged.manifest.write_text("{}", encoding="utf-8")


def _gone(judged: Judged) -> None:
    judged.manifest.unlink()


def _blob(judged: Judged) -> None:
    entry = judged.registry.resolve("ada").entry(FILE)
    assert entry is not None
    (Path(judged.address) / "blobs" / entry.sha256[:2] / entry.sha256).write_bytes(b"x")


def _newer(judged: Judged) -> None:

    key = version_key("ada", judged.version)
    body = unseal(key, judged.manifest.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "SCHEMA_VERSION", 2)
        judged.manifest.write_bytes(seal(key, body))


def _alias(judged: Judged) -> None:
    (Path(judged.address) / alias_key("ada", "production")).write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_manifest, "is not a sealed record"),
        (_gone, "has no version"),
        (_blob, "was changed"),
        (_newer, "has schema version 2"),
        (_alias, "is not a sealed record"),
    ],
)
def test_what_cannot_be_compared_with_is_said(judged: Judged, damage: Callable[[Judged], None], words: str) -> None:
    judged.publish(measured({"estoi": 0.99}))
    damage(judged)
    said_everywhere(judged, words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 99}, "measurements.json: schema version 99, expected 1"),
        ({"adapted": 3}, "measurements.json: TypeError"),
        (None, "has no file 'measurements.json'"),
    ],
)
def test_measurements_of_another_kind_are_left_out(judged: Judged, changes: dict[str, Any] | None, words: str) -> None:
    judged.publish(None if changes is None else measured({"estoi": 0.99}), changes)
    said_everywhere(judged, words)


def said_everywhere(judged: Judged, words: str) -> None:
    reports = judged.decide(0.6)
    (record,) = judged.caplog.records
    reason = record.__dict__["reason"]
    assert record.levelname == "WARNING"
    assert words in reason
    assert str(judged.root / "output") not in reason
    assert json.loads(reports["gates.json"])["production_left_out"] == reason
    for name in ("report.md", "junit.xml"):
        assert "Not compared with production" in reports[name], name
    for sentence in ("Not compared with production", "没有与生产版本比较"):
        assert sentence in reports["report.html"]


def test_a_registry_that_cannot_be_read_is_no_green(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    judged.publish(measured({"estoi": 0.99}))

    def away(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", away)
        with pytest.raises(InfrastructureError, match="Input/output error") as raised:
            production_measurements(RegistryAddress(judged.address, {}), "ada")
    assert raised.value.exit_code == 30

    def lost(store: LocalStore, key: str) -> None:
        raise InfrastructureError(f"read {key}: Stale file handle", "try again")

    monkeypatch.setattr(LocalStore, "get", lost)
    with pytest.raises(InfrastructureError, match="Stale file handle"):
        judged.decide(0.9)


def test_an_address_that_is_none_is_the_operators(judged: Judged) -> None:
    with pytest.raises(ConfigurationError, match="s3://"):
        production_measurements(RegistryAddress("s3://bucket", os.environ), "ada")


def test_production_on_another_base_is_not_compared_with(judged: Judged) -> None:
    judged.publish(dataclasses.replace(measured({"estoi": 0.99}), base_digest="c" * 64))
    judged.decide(0.6)
