"""What a text takes, and when its speech counts as failed."""

from __future__ import annotations

import pytest

from timbre.inference.guards import SentenceLimits, sentence_failures
from timbre.inference.pace import Pace
from timbre.text.frontend import phonemize
from timbre.text.pauses import count_pauses
from timbre.training.pace import measure_pace

LIMITS = SentenceLimits()
AWB = Pace(0.0825)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [  # what a reader takes for them
        ("A, B, C, D, E, F, G.", 4.2),
        ("Red, green, blue, white, black, pink.", 4.6),
        ("Hello. I see. Yes, sir. Good.", 4.0),
        ("Hi.", 0.8),
        ("A.", 0.6),
        ("3.", 0.8),
    ],
)
def test_pauses_and_single_words_are_not_cut_off(text: str, seconds: float) -> None:
    phones = phonemize(text, "en").phones
    assert AWB.sounding_s(phones) * LIMITS.duration_ratio_min < seconds < LIMITS.longest_s(AWB.expected_s(phones))


def test_long_speech_still_fails() -> None:
    phones = phonemize("He opened the window and listened to the birds in the garden.", "en").phones
    expected = AWB.expected_s(phones)
    for seconds in (AWB.sounding_s(phones) * 0.5, expected * 2.5):
        found = sentence_failures(
            duration_s=seconds, expected_s=expected, sounding_s=AWB.sounding_s(phones), rms_dbfs=-20.0,
            error_rate=0.0, loop=1, reached_limit=False, limits=LIMITS,
        )  # fmt: skip
        assert len(found) == 1
        assert found[0].startswith("duration")


@pytest.mark.parametrize(("phones", "wrong", "fails"), [(1, 1, False), (3, 2, False), (3, 3, True), (20, 11, True)])
def test_few_phones_are_judged_by_whole_ones(phones: int, wrong: int, fails: bool) -> None:
    assert (wrong / phones > LIMITS.error_rate_of(phones)) is fails


def test_pauses_are_measured_on_recordings() -> None:
    texts = ["One, two, three.", "He came. She left, too.", "Nothing here", "Red, green, blue. And white.", "Yes."] * 6
    counts = [count_pauses(phonemize(text, "en").phones) for text in texts]
    silent = [0.45 * item.weak + 0.7 * item.strong + 0.6 for item in counts]
    found = measure_pace(0.09, silent, counts)
    assert (found.weak_s, found.strong_s, found.edges_s) == pytest.approx((0.45, 0.7, 0.6), abs=0.08)
    assert measure_pace(0.09, [], []) == Pace(0.09)
    wild = measure_pace(0.09, [30.0] * 9, counts[:9])
    assert wild.weak_s <= 0.6
    assert wild.strong_s <= 0.8
    assert wild.edges_s <= 1.2
