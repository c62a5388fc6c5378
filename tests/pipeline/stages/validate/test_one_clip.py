"""A take judged by itself, and what a terminal shows of many findings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.pipeline.voice.bad_inputs import RATE_HZ, ROOT, clip, noisy, texts
from timbre.core.base import load_base
from timbre.core.problems import Problem, grouped, problems_error
from timbre.core.recipe import ValidateRecipe
from timbre.pipeline.stages.validate.listening import listener_for
from timbre.pipeline.stages.validate.one_clip import ClipJudge


@pytest.fixture(scope="module")
def judge() -> ClipJudge:
    return ClipJudge(ValidateRecipe(), 16_000, listener_for(load_base("nano", ROOT / "bases")))


def take(folder: Path, samples: np.ndarray) -> Path:
    sf.write(str(folder / "take.wav"), samples, RATE_HZ)
    return folder / "take.wav"


def test_a_good_take_passes_and_another_person_does_not(judge: ClipJudge, tmp_path: Path) -> None:
    first = judge.judge(take(tmp_path, clip("awb", 1).samples), texts("awb")[0], "en")
    assert first.good
    assert first.missed is not None
    assert len(first.missed) <= 1
    assert first.vector is not None
    second = judge.judge(take(tmp_path, clip("awb", 2).samples), texts("awb")[1], "en", [first.vector])
    assert second.good
    assert second.similarity is not None
    assert second.similarity > 0.8
    other = judge.judge(take(tmp_path, clip("wren", 2).samples), texts("wren")[1], "en", [first.vector, second.vector])
    assert any("another speaker" in problem.value for problem in other.problems)


def test_words_that_were_not_said_are_named(judge: ClipJudge, tmp_path: Path) -> None:
    said = judge.judge(take(tmp_path, clip("awb", 1).samples), texts("awb")[0] + " Kangaroo zoology.", "en")
    assert said.missed is not None
    assert {"Kangaroo", "zoology"} & set(said.missed)


def test_noise_clipping_and_silence_are_named_at_once(judge: ClipJudge, tmp_path: Path) -> None:
    for samples, words in (
        (noisy(clip("awb", 1).samples, 0.08), "SNR"),
        (np.clip(8 * clip("awb", 1).samples, -0.9, 0.9), "clipped"),
        (np.zeros(RATE_HZ, np.float32), "silent"),
    ):
        found = judge.judge(take(tmp_path, samples), texts("awb")[0], "ko")
        assert any(words in problem.value for problem in found.problems)
        assert all(problem.where == "take.wav" and "take.wav" not in problem.value for problem in found.problems)
        assert found.missed is None


def test_repeated_problems_are_one_line_and_all_are_kept() -> None:
    many = [Problem(f"wavs/{n}.wav", f"SNR {n} dB", "at least 12 dB", "record again") for n in range(6)]
    other = Problem("voice.yaml", "missing", "a file", "write it")
    shown = grouped([*many, other])
    assert [problem.where for problem in shown] == [
        "wavs/0.wav, wavs/1.wav, wavs/2.wav, wavs/3.wav and 2 more",
        "voice.yaml",
    ]
    assert grouped(many[:3]) == many[:3]
    error = problems_error([*many, other], "voice ada")
    assert error.message.startswith("voice ada: 7 problems")
    assert "2. voice.yaml" in error.message
