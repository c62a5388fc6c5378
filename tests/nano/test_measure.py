"""The table of the nano base: what counts as met, as failed, and in which order texts come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from timbre.nano.measure import Row, failure_rows, spoken_by
from timbre.nano.speaking import Spoken
from timbre.text.edit_distance import EditCounts, edit_counts


def test_a_limit_is_met_from_the_right_side_only() -> None:
    assert Row("a", 3.0, 3.0, True, 1).met is True
    assert Row("a", 2.9, 3.0, True, 1).met is False
    assert Row("a", 8.0, 8.0, False, 1).met is True
    assert Row("a", 8.1, 8.0, False, 1).met is False
    assert Row("a", 1.0, None, True, 1).met is None
    assert Row("a", float("nan"), 3.0, True, 1).met is False
    assert Row("a", float("nan"), 3.0, False, 1).met is False


@dataclass
class FakeSpeaker:
    """Speaks half a second a word; texts in ``bad`` loop at the first try, those in ``worse`` always."""

    bad: set[str] = field(default_factory=set)
    worse: set[str] = field(default_factory=set)
    batches: list[list[str]] = field(default_factory=list)

    def speak(self, texts: list[str], language: str, prompt: object, seed: int = 0) -> list[Spoken]:
        self.batches.append(list(texts))
        found = []
        for text in texts:
            wave = np.full(8400 * len(text.split()), 0.1, np.float32)
            loops = text in self.worse or (text in self.bad and seed < 1000)
            codes = (7,) * 200 if loops else tuple(range(50))
            found.append(Spoken(wave, codes, True))
        return found


class PerfectHearing:
    def errors(self, wave: np.ndarray, text: str, language: str) -> EditCounts:
        return edit_counts([1, 2, 3], [1, 2, 3])


def test_texts_come_back_in_the_order_given() -> None:
    texts = [f"{'word ' * (index % 5 + 1)}{index}" for index in range(23)]
    speaker = FakeSpeaker()
    spoken = spoken_by(speaker, None, texts, "en")  # type: ignore[arg-type]
    assert [len(one.wave) for one in spoken] == [8400 * len(text.split()) for text in texts]
    assert all(len(batch) <= 10 for batch in speaker.batches)


def test_failures_are_counted_at_the_first_and_at_the_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    texts = [f"sentence number {number} is here" for number in numbers]
    monkeypatch.setattr("timbre.nano.measure.SentenceSource", lambda *_: _Source(texts))
    monkeypatch.setattr("timbre.nano.measure.training_files", lambda speech: [])
    monkeypatch.setattr("timbre.nano.measure.prompt_of", lambda *_: None)
    # 0.35 s a word of about four phones.
    monkeypatch.setattr("timbre.nano.measure.seconds_a_phone", lambda files: 0.1)
    told: list[str] = []
    speaker = FakeSpeaker(bad={texts[1], texts[2]}, worse={texts[3]})
    first, second = failure_rows(speaker, PerfectHearing(), tmp_path, 10, told.append)  # type: ignore[arg-type]
    assert (first.value, second.value) == (pytest.approx(30.0), pytest.approx(10.0))
    assert (first.met, second.met) == (False, False)
    assert any("loops" in line for line in told)
    first, second = failure_rows(FakeSpeaker(), PerfectHearing(), tmp_path, 10)  # type: ignore[arg-type]
    assert (first.met, second.met) == (True, True)


class _Source:
    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def sentences(self, read_share: float = 0.0):
        return iter(self.texts)
