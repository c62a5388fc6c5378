"""Likeness to a voice: the same for few and many of its pieces, and for steady and for changing readers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from timbre.inference.speaker_groups import TYPICAL_OWN, compare, least_likeness, likeness

Vectors = NDArray[np.float32]


def people(own: float, pieces: int, seed: int = 0, stranger: float = 0.68) -> tuple[Vectors, Vectors]:
    """Pieces of a person that are `own` alike (pieces, 512), and 200 of others whose mean cosine to them is given."""
    random = np.random.default_rng(seed)
    one = np.zeros(512)
    one[0] = 1.0

    def near(alike: float, count: int) -> NDArray[np.float64]:
        noise = random.standard_normal((count, 512))
        noise[:, 0] = 0
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        return alike * one + np.sqrt(1 - alike**2) * noise

    return near(np.sqrt(own), pieces).astype(np.float32), near(stranger / np.sqrt(own), 200).astype(np.float32)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 30])
def test_a_stranger_is_no_more_alike_to_many_pieces_than_to_one(pieces: int) -> None:
    voice, others = people(TYPICAL_OWN, pieces)
    assert likeness(voice, others).mean() == pytest.approx(0.68, abs=0.02)
    assert likeness(voice, people(TYPICAL_OWN, 200, 1)[0]).mean() == pytest.approx(TYPICAL_OWN, abs=0.02)


@pytest.mark.parametrize("own", [0.78, 0.88])
def test_a_steady_and_a_changing_reader_have_one_limit(own: float) -> None:
    voice, _ = people(own, 12)
    assert likeness(voice, people(own, 200, 1)[0]).mean() == pytest.approx(TYPICAL_OWN, abs=0.02)


def test_two_people_in_a_folder_do_not_excuse_a_third() -> None:
    random = np.random.default_rng(0)
    three = np.abs(random.standard_normal((3, 256)))
    three /= np.linalg.norm(three, axis=1, keepdims=True)
    voice = np.repeat(three[:2], 4, axis=0).astype(np.float32)
    direct = float((voice @ three[2]).mean())
    assert likeness(voice, three[2:].astype(np.float32))[0] <= direct + TYPICAL_OWN - 0.76 + 1e-6


def test_a_slice_is_compared_with_the_others_only() -> None:
    voice, _ = people(0.8, 7)
    found = compare(voice, -1.0)
    assert found.smaller == ()
    assert np.array_equal(found.voice, voice)
    for index, similarity in enumerate(found.similarity):
        rest = np.delete(voice, index, axis=0)
        assert similarity == pytest.approx(likeness(rest, voice[index : index + 1])[0], abs=1e-5)


def test_few_pieces_have_a_lower_limit() -> None:
    assert [least_likeness(0.7, pieces) for pieces in (1, 4, 5, 40)] == pytest.approx([0.62, 0.68, 0.7, 0.7])
