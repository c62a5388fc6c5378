"""`timbre verify FILE`: what a sound file says of its origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.audio.test_watermark import NAME, RATE_HZ, babble
from timbre.audio.watermark import mark
from timbre.audio.waveform import Waveform
from timbre.cli.main import call
from timbre.pipeline.release.speaking import save


def test_a_marked_file_names_its_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.flac", mark(Waveform(babble(14), RATE_HZ), NAME))
    where = [str(tmp_path / "a.flac"), "--registry", str(tmp_path / "registry"), "--json"]
    assert call(["verify", *where]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["marked"], said["voice"], said["label"], said["candidates"]) == (True, None, None, 0)
    monkeypatch.setattr("timbre.cli.sound_origin._versions", lambda *_: ["bob@0123456789ab", NAME])
    assert call(["verify", *where]) == 0
    assert json.loads(capsys.readouterr().out)["voice"] == NAME


def test_a_file_that_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.wav", Waveform(babble(14), RATE_HZ))
    assert call(["verify", str(tmp_path / "a.wav"), "--registry", str(tmp_path / "registry")]) == 20
    printed = capsys.readouterr()
    assert "no mark in the sound" in printed.out
    assert "no label in its tags" in printed.out
    assert "proves nothing" in printed.err
    assert call(["verify", str(tmp_path / "none.wav"), "--registry", str(tmp_path / "registry")]) == 10
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    assert call(["verify", str(tmp_path / "text.wav"), "--registry", str(tmp_path / "registry")]) == 10
