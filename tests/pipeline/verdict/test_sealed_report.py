"""What CI keeps of an encrypted voice: a page without sound, and a sealed one that the key opens."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.evaluation.test_gates import gate_lines, gates_of
from tests.evaluation.test_gates import measured as measurements
from timbre.cli.main import call
from timbre.core.errors import InputError
from timbre.evaluation.gates import decide
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.verdict.decision import Decision
from timbre.pipeline.verdict.production import Production
from timbre.pipeline.verdict.reports import write_reports
from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.encryption.master import new_master, read_master
from timbre.registry.encryption.sealed_page import FILE, open_page
from timbre.registry.local_store import LocalStore

SOUND = "data:audio/flac;base64,"


def written(tmp_path: Path, job: str) -> Path:
    """The report of a voice with sound, as stage 4 writes it."""
    folder = tmp_path / "measured"
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    values = measurements()
    for name in {item.file for item in values.adapted.tts} | {
        f"samples/real-{item.id}.wav" for item in values.adapted.tts
    }:
        soundfile.write(folder / name, np.random.default_rng(1).normal(0, 0.1, 8000), 16_000, format="WAV")
    report = tmp_path / f"report-{job}"
    report.mkdir()
    context: Any = SimpleNamespace(
        report=report, registry=RegistryAddress(str(tmp_path / "registry"), os.environ), key="e" * 64,
        origin=Origin(job_url=job),
        inputs={"finetune": tmp_path / "none"}, voice=SimpleNamespace(name="ada"),
    )  # fmt: skip
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    production = Production(None)
    write_reports(context, folder, Decision(dataclasses.replace(values, voice="ada"), verdicts, production))
    return report


def test_a_job_of_an_encrypted_voice_keeps_no_plain_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    master = new_master()
    plain = written(tmp_path, "plain")
    assert SOUND in (plain / "report.html").read_text()
    assert not (plain / FILE).exists(), "without a key nothing is sealed"
    monkeypatch.setenv("TIMBRE_MASTER_KEY", master)
    here = written(tmp_path, "")
    assert SOUND in (here / "report.html").read_text(), "on a person's machine the page speaks"
    kept = written(tmp_path, "job")
    assert all(SOUND.encode() not in path.read_bytes() for path in kept.iterdir())
    assert "gates_digest" in (kept / "gates.json").read_text()
    keys = Keyring(LocalStore(tmp_path / "registry"), read_master(master))
    assert SOUND in open_page(keys, (kept / FILE).read_text())
    arguments = [
        "keys",
        "open",
        str(kept / FILE),
        str(tmp_path / "page.html"),
        "--registry",
        str(tmp_path / "registry"),
    ]
    modes, rename = [], Path.replace

    def note(self: Path, target: Path) -> Path:
        modes.append(self.stat().st_mode & 0o777)
        return rename(self, target)

    (tmp_path / "page.html").touch(mode=0o644)
    monkeypatch.setattr(Path, "replace", note)
    assert call(arguments) == 0
    assert modes == [0o600], "the page is never readable for others"
    assert SOUND in (tmp_path / "page.html").read_text()
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600
    keys.destroy("ada")
    assert call(arguments) == 40, "revocation reaches what CI keeps"
    with pytest.raises(InputError, match="no sealed report"):
        open_page(keys, "{}")
