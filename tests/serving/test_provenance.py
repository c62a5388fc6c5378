"""Speech that says it is synthetic: tags of every container, the mark in the sound, and `timbre verify FILE`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.serving.running import FAST, Running
from tests.serving.shelf_of_voices import Shelf
from tests.serving.test_speaking import decoded
from timbre.audio.provenance import read_label
from timbre.audio.watermark import find_mark
from timbre.audio.waveform import Waveform
from timbre.cli.main import call

TEXT = "Good morning, everybody. The boats leave at ten, and the last of them comes back before the sun goes down. " * 2


@pytest.mark.parametrize(
    ("form", "whole", "labelled"),
    [
        ("wav", True, True),
        ("wav", False, False),
        ("mp3", True, True),
        ("mp3", False, True),
        ("opus", True, True),
        ("opus", False, True),
        ("flac", True, True),
        ("flac", False, True),
        ("aac", False, False),
    ],
)
def test_tags_of_each_container(
    live: Running, voices: Shelf, tmp_path: Path, form: str, whole: bool, labelled: bool
) -> None:
    body = {"input": "Good morning.", "voice": "ada", "response_format": form, "stream": not whole, "seed": 1}
    answer = live.call("POST", "/v1/audio/speech", body)
    (tmp_path / f"a.{form}").write_bytes(answer.data)
    label = read_label(tmp_path / f"a.{form}")
    assert (label is not None) == labelled
    if label is not None:
        assert label.voice == f"ada@{voices.registry.resolve('ada').version}"
        assert label.program.startswith("Timbre ")
        assert b"AIGC" in answer.data or form == "wav"
    assert len(decoded(answer.data, form)[0]) > 0


def test_the_sound_is_marked_and_verify_names_the_voice(
    live: Running, voices: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"input": TEXT, "voice": "ada", "response_format": "wav", "seed": 1, "speed": 0.5}
    streamed = live.call("POST", "/v1/audio/speech", body)
    samples, rate = decoded(streamed.data, "wav")
    version = voices.registry.resolve("ada").version
    found = find_mark(Waveform(samples.astype(np.float32), rate), [f"bob@{version}", f"ada@{version}"])
    assert found.found
    assert found.voice == f"ada@{version}"
    (tmp_path / "a.wav").write_bytes(streamed.data)
    where = ["--registry", str(voices.folder), "--json"]
    assert call(["verify", str(tmp_path / "a.wav"), *where]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["marked"] is True
    assert said["voice"] == f"ada@{version}"
    assert said["label"] is None
    assert said["candidates"] >= 3


def test_verify_of_what_says_nothing(voices: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from timbre.pipeline.release.speaking import save

    noise = np.random.default_rng(0).standard_normal(24_000 * 13).astype(np.float32) * 0.1
    save(tmp_path / "a.wav", Waveform(np.clip(noise, -1, 1), 24_000))
    assert call(["verify", str(tmp_path / "a.wav"), "--registry", str(voices.folder)]) == 20
    printed = capsys.readouterr()
    assert "no mark in the sound" in printed.out
    assert "proves nothing" in printed.err
    assert call(["verify", str(tmp_path / "none.wav"), "--registry", str(voices.folder)]) == 10


def test_marks_can_be_switched_off(serve: Callable[..., Running], shelf: Shelf, tmp_path: Path) -> None:
    shelf.publish("ada", 0)
    marked, plain = serve(FAST), serve(dataclasses.replace(FAST, mark=False))
    body = {"input": "Good morning.", "voice": "ada", "response_format": "flac", "seed": 1}
    answers = [server.call("POST", "/v1/audio/speech", body).data for server in (marked, plain)]
    (tmp_path / "a.flac").write_bytes(answers[1])
    assert read_label(tmp_path / "a.flac") is None
    sounds = [decoded(answer, "flac")[0] for answer in answers]
    assert len(sounds[0]) == len(sounds[1])
    difference = np.sqrt(np.mean((sounds[0] - sounds[1]) ** 2)) / np.sqrt(np.mean(sounds[1] ** 2))
    assert 0.02 < difference < 0.2
