"""Counts of phones in a row: chances, smoothing, the file, and what the package's own counts know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from timbre.core.errors import ConfigurationError
from timbre.text.frontend import phonemize
from timbre.text.phone_grams import PhoneGrams, phone_grams
from timbre.text.recognition import BLANK, CLASSES, MANDARIN_INITIALS, SILENCE, spoken_class_ids

A, B, C, D = (CLASSES.index(name) for name in ("AA", "B", "CH", "D"))


@pytest.fixture
def grams() -> PhoneGrams:
    return PhoneGrams.count([(A, B, A, B, A, C), (A, B, A)])


def test_chances_are_chances(grams: PhoneGrams) -> None:
    for before in ((), (A,), (A, B), (D, D, D), (B, A, B, A, B)):
        chances = np.exp(grams.log_chances(before))
        assert chances.shape == (len(CLASSES),)
        assert chances.sum() == pytest.approx(1.0, abs=1e-5)
        assert chances[BLANK] == chances[SILENCE] == 0.0
        assert (np.delete(chances, [BLANK, SILENCE]) > 0).all(), "nothing that can be said is impossible"


def test_smoothing_by_hand(grams: PhoneGrams) -> None:
    """After A B A: seen B once, C once (2 kinds, 2 times); after B A: the same and once the end; Witten and Bell."""
    shorter = grams._chance((B, A))
    wanted = (np.eye(len(CLASSES))[B] + np.eye(len(CLASSES))[C] + 2 * shorter) / (2 + 2)
    assert np.allclose(np.exp(grams.log_chances((A, B, A))), wanted, atol=1e-6)
    unseen = np.exp(grams.log_chances((D, B, A)))
    assert np.allclose(unseen, shorter, atol=1e-6), "a history that was never seen asks the shorter one"


def test_only_the_last_three_count_and_the_start_is_a_place(grams: PhoneGrams) -> None:
    assert np.array_equal(grams.log_chances((D, D, B, A, B)), grams.log_chances((C, B, A, B)))
    assert int(grams.log_chances(()).argmax()) == A, "every sentence began with it"


def test_the_file_gives_the_same_chances(grams: PhoneGrams, tmp_path: Path) -> None:
    path = tmp_path / "grams.npz"
    grams.save(path)
    again = PhoneGrams.load(path)
    for before in ((), (A,), (A, B, A)):
        assert np.array_equal(grams.log_chances(before), again.log_chances(before))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match=r"grams\.npz"):
        PhoneGrams.load(path)


@pytest.mark.parametrize(
    ("text", "language", "swapped"), [("The weather was kind to us.", "en", "ZH"), ("我们今天去学校。", "zh", "uang")]
)
def test_the_packages_counts_know_both_languages(text: str, language: str, swapped: str) -> None:
    """A sentence is likelier than the same with one phone replaced by a rare one."""
    ids = list(spoken_class_ids(phonemize(text, language).phones))

    def chance(row: list[int]) -> float:
        return sum(float(phone_grams().log_chances(row[:place])[item]) for place, item in enumerate(row))

    for place in range(1, len(ids) - 1):
        wrong = [*ids[:place], CLASSES.index(swapped), *ids[place + 1 :]]
        assert chance(ids) > chance(wrong), (place, CLASSES[ids[place]])


def test_languages_keep_apart() -> None:
    english = list(spoken_class_ids(phonemize("good morning", "en").phones))
    mandarin = [CLASSES.index(name) for name in MANDARIN_INITIALS]
    assert np.exp(phone_grams().log_chances(english)[mandarin]).sum() < 0.1
