"""Whether a sound can be a short text: the right one passes, another one and a hole do not."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.audio.waveform import Waveform
from timbre.inference.guards import SentenceLimits, sentence_failures
from timbre.inference.recogniser import Recogniser
from timbre.text.frontend import phonemize
from timbre.text.recognition import BLANK, CLASSES, spoken_class_ids

SOUND = Waveform(np.zeros(16_000, np.float32), 16_000)
LIMITS = SentenceLimits()


class Unsure(Recogniser):
    """Calls every frame blank, and gives the phones of a text a chance in turn: how short words are heard."""

    def __init__(self, text: str, chance: float, frames: int = 40) -> None:
        phones = spoken_class_ids(phonemize(text, "en").phones)
        self._scores = np.full((frames, len(CLASSES)), -12.0, np.float32)
        self._scores[:, BLANK] = 0.0
        for place, phone in enumerate(phones):
            middle = round((place + 0.5) * frames / len(phones))
            self._scores[middle - 2 : middle + 2, phone] = chance

    def logits(self, wave: Waveform) -> np.ndarray:  # type: ignore[type-arg]
        return self._scores


def fails(recogniser: Recogniser, text: str) -> bool:
    phones = phonemize(text, "en").phones
    counts = recogniser.errors(SOUND, phones)
    found = sentence_failures(
        duration_s=1.0, expected_s=1.0, rms_dbfs=-20.0, error_rate=counts.rate, loop=1, reached_limit=False,
        limits=LIMITS, phones=counts.length, doubt=recogniser.doubt(SOUND, phones),
    )  # fmt: skip
    return any(reason.startswith("words missing") for reason in found)


@pytest.mark.parametrize("text", ["No", "Hi.", "Hello.", "Thank you."])
def test_a_short_word_that_is_faintly_heard_passes_and_another_does_not(text: str) -> None:
    recogniser = Unsure(text, -2.5)
    counts = recogniser.errors(SOUND, phonemize(text, "en").phones)
    assert counts.rate > LIMITS.error_rate_of(counts.length), "by edits alone it would have failed"
    assert not fails(recogniser, text)
    for other in ("Stop!", "Water", "Good morning.", "Three apples."):
        assert fails(recogniser, other), other


def test_half_a_sentence_is_missing() -> None:
    whole = "Please leave the blue folder on the second shelf."
    assert not fails(Unsure(whole, 6.0, 120), whole)
    assert fails(Unsure("Please leave", 6.0, 120), whole)


def test_what_is_too_short_to_hold_the_text_is_in_doubt() -> None:
    assert Unsure("Hi", 6.0, 3).doubt(SOUND, phonemize("Good morning.", "en")) == np.inf
    assert Unsure("Hi", 6.0).doubt(SOUND, ()) == 0.0
