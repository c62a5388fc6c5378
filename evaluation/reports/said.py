"""The words of a sentence as a page marks them: heard, heard otherwise, or missed.

Sample -> MarkedText -> the macro `said` of templates/macros.html.j2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from timbre.evaluation.measurements import Sample
from timbre.evaluation.metrics.words import HeardWord


@dataclass(frozen=True)
class MarkedText:
    """The words of a sentence, marked for a page."""

    text: str
    """The text as written."""
    words: Sequence[tuple[HeardWord, str]]
    """Words, each with the characters up to the next one; empty if no recogniser listened."""
    otherwise: Sequence[HeardWord]
    """Words that were heard differently."""


def said_of(sample: Sample) -> MarkedText:
    """What of the sentence was heard."""
    words = sample.words
    parted = [" " if one.text.isascii() or other.text.isascii() else "" for one, other in pairwise(words)]
    return MarkedText(
        sample.text,
        tuple(zip(words, [*parted, ""] if words else [], strict=True)),
        tuple(word for word in words if word.expected != word.heard),
    )
