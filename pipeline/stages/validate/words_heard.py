"""Words of a text that were not heard in a take: each phrase is looked for by itself in what the recogniser heard.

text -> pieces with their classes: words of English, two or three syllables of Mandarin, read in their sentence
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import InputError
from timbre.text.alignment_score import phrase_score
from timbre.text.frontend import phonemize
from timbre.text.phonemes import Segment
from timbre.text.recognition import spoken_class_ids
from timbre.text.symbols import MARKS

# A piece of fewer phones cannot be distinguished from its neighbours.
_MIN_PHONES = 4
# Of learners of English, 75 of 77 words that were said score above this, and 17 of 80 that were not.
_SCORE = -2.5
# One word in doubt is the recogniser's own error as often as the speaker's; so many are a text that was not read.
_REFUSED_COUNT, _REFUSED_SHARE = 2, 0.3
_EDGES = ".,!?;:\"'()，。！？；：、…“”"


@dataclass(frozen=True)
class WordsHeard:
    """Which pieces of a text the recogniser missed."""

    asked: int
    """Number of pieces that it could look for."""
    missed: tuple[str, ...]
    """Pieces that it did not hear, as the text writes them."""

    @property
    def refused(self) -> bool:
        """Whether something else was said."""
        return len(self.missed) >= _REFUSED_COUNT and len(self.missed) >= _REFUSED_SHARE * self.asked


def words_heard(log_chances: NDArray[np.float32], text: str, language: str) -> WordsHeard:
    """Looks for the words of a text. log_chances: log probabilities [T, K] of a take's frames. Words of other languages
    are not looked for.
    """
    asked, missed = 0, []
    for shown, classes in _pieces(text, language):
        if len(classes) < _MIN_PHONES:
            continue
        asked += 1
        if phrase_score(log_chances, classes) < _SCORE:
            missed.append(shown)
    return WordsHeard(asked, tuple(missed))


def _pieces(text: str, language: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        segments = phonemize(text, language).segments
    except InputError:
        return
    for segment in segments:
        if segment.word2ph is not None and segment.language == "zh":
            yield from _syllables(segment)
        else:
            yield from _words(segment)


def _words(segment: Segment) -> Iterator[tuple[str, tuple[int, ...]]]:
    for word in segment.text.split():
        try:
            yield word.strip(_EDGES), spoken_class_ids(phonemize(word, segment.language).phones)
        except InputError:
            continue


def _syllables(segment: Segment) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Two characters at a time, the last of a clause with them where it would stand alone."""
    assert segment.word2ph is not None
    at = 0
    clause: list[tuple[str, tuple[str, ...]]] = []
    for character, count in zip(segment.normalized, segment.word2ph, strict=True):
        phones = segment.phones[at : at + count]
        at += count
        if character in MARKS or re.match(r"\W", character):
            yield from _pairs(clause)
            clause = []
        else:
            clause.append((character, phones))
    yield from _pairs(clause)


def _pairs(clause: list[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    starts = list(range(0, max(len(clause) - 1, 1), 2))
    for start, end in zip(starts, [*starts[1:], len(clause)], strict=True):
        group = clause[start:end]
        try:
            classes = spoken_class_ids(phone for _, phones in group for phone in phones)
        except InputError:
            continue
        yield "".join(character for character, _ in group), classes
