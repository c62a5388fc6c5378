"""Whether a sound can be a short text: the right one passes, another one and a hole do not."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.audio.waveform import Waveform
from timbre.inference.guards import SentenceLimits, sentence_failures
from timbre.inference.recogniser import Recogniser
from timbre.text.frontend import phonemize
from timbre.text.recognition import BLANK, CLASSES, SILENCE, foreign_classes, spoken_class_ids

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


class Bilingual(Recogniser):
    """Hears English sounds best and those of a Mandarin text nearly as well, each for a few frames."""

    def __init__(self, english: str, mandarin: str) -> None:
        self._scores = np.full((60, len(CLASSES)), -12.0, np.float32)
        self._scores[:, BLANK] = 0.0
        for text, language, chance in ((english, "en", 6.0), (mandarin, "zh", 4.0)):
            phones = spoken_class_ids(phonemize(text, language).phones)
            for place, phone in enumerate(phones):
                middle = round((place + 0.5) * 60 / len(phones))
                self._scores[middle - 2 : middle + 2, phone] = chance

    def logits(self, wave: Waveform) -> np.ndarray:  # type: ignore[type-arg]
        return self._scores


def test_sounds_of_another_language_are_not_heard_in_a_text() -> None:
    recogniser = Bilingual("Two one", "太晚了。")
    mandarin, english = phonemize("太晚了。", "zh"), phonemize("Two one", "en")
    assert recogniser.errors(SOUND, mandarin).errors == 0
    assert recogniser.doubt(SOUND, mandarin) == 0.0
    assert tuple(recogniser.hear(SOUND, mandarin)) == spoken_class_ids(mandarin.phones)
    assert recogniser.errors(SOUND, english).errors == 0
    unknown = {*recogniser.hear(SOUND)}
    assert unknown - {*recogniser.hear(SOUND, mandarin)}, "with no text, any language is heard"
    assert unknown - {*recogniser.hear(SOUND, english)}


def test_a_mixed_text_may_have_sounds_of_both_languages() -> None:
    mixed = phonemize("我要 one 个", "zh", speaks=("zh", "en"))
    assert foreign_classes(spoken_class_ids(mixed.phones)) == ()
    assert foreign_classes(()) == ()
    assert foreign_classes((SILENCE,)) == ()
    names = {CLASSES[item] for item in foreign_classes(spoken_class_ids(phonemize("Hello", "en").phones))}
    assert {"zh", "iang"} <= names
    assert not names & {"HH", "<blank>", "<silence>"}
    assert not {CLASSES[item] for item in foreign_classes(spoken_class_ids(phonemize("你好", "zh").phones))} & {
        "n",
        "i",
    }
