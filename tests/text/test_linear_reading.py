"""Reading takes time in proportion to a text's length, whatever is repeated in it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from timbre.text import english_normalize, mandarin_normalize

SHORT, LONG = 3_000, 12_000
MOST_GROWTH = 9.0
"""Of processor time at four times the length: 4 in proportion, 16 in its square."""
ENGLISH = (
    "1/2 ", "3-5 kg ", "$1-$2 ", "1.2.", "9am-5pm ", "a@b.c ", "12:30-", "x^2+", "(1,", "2024-01-02 ", "- ", "1 000 ",
    "A.", "5'", "#", "&", "/", "3x", "~", "5 to ",
)  # fmt: skip
MANDARIN = (
    "1/2",
    "3×",
    "±5",
    "5~8℃",
    "1.2.",
    "100w",
    "(1,",
    "x²+",
    "2年",
    "10-20%",
    "1:",
    "℃",
    "第1、",
    "-",
    "O(n)",
    "|x",
)


def seconds(read: Callable[[str], object], text: str) -> float:
    """Least processor time of three readings."""
    found = []
    for _ in range(3):
        begun = time.process_time()
        read(text)
        found.append(time.process_time() - begun)
    return min(found)


@pytest.mark.parametrize(
    ("read", "repeated"),
    [
        *((english_normalize.normalize, text) for text in ENGLISH),
        *((mandarin_normalize.normalize, text) for text in MANDARIN),
    ],
)
def test_four_times_the_text_takes_four_times_as_long(read: Callable[[str], object], repeated: str) -> None:
    short, long = ((repeated * length)[:length] for length in (SHORT, LONG))
    read(repeated)
    assert seconds(read, long) < MOST_GROWTH * seconds(read, short) + 0.02
