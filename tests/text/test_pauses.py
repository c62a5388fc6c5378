"""Final marks and the pauses inside a text."""

from __future__ import annotations

import pytest

from timbre.text.frontend import phonemize
from timbre.text.pauses import Counts, count_pauses, finished


@pytest.mark.parametrize(
    ("text", "language"),
    [("Hi", "en"), ('He said "hi"', "en"), ("wait -", "en"), ("好的", "zh"), ("我喜欢Python", "zh")],
)
def test_a_text_without_a_final_mark_gets_one(text: str, language: str) -> None:
    open_end = phonemize(text, language)
    closed = finished(open_end)
    assert closed.phones == (*open_end.phones, ".")
    for segment in closed.segments:
        if segment.word2ph is not None:
            assert sum(segment.word2ph) == len(segment.phones)
            assert len(segment.word2ph) == len(segment.normalized)


@pytest.mark.parametrize("text", ["Hi.", "Hi!", "Really?", "Well,", "Well…"])
def test_a_text_with_a_final_mark_stays(text: str) -> None:
    phonemes = phonemize(text, "en")
    assert finished(phonemes) is phonemes


def test_pauses_are_counted_between_sounds() -> None:
    assert count_pauses(phonemize("A, B, C, D, E, F, G.", "en").phones) == Counts(12, 6, 0)
    assert count_pauses(phonemize("Hello. I see. Yes, sir. Good.", "en").phones) == Counts(15, 1, 3)
    assert count_pauses([",", "AY1", ",", ".", "!", "AY1", "?"]) == Counts(2, 0, 1)
    assert count_pauses([]) == Counts(0, 0, 0)
