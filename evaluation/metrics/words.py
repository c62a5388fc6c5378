"""Words (English) and syllables (Mandarin) that were not heard, by the phones that a recogniser returns.

text -> phones of each word; heard phones -> edit path -> a word is wrong when too many of its phones are

A recogniser of phones misses single ones in words that everybody understands, so one wrong phone does not make a wrong
word. It ignores tones: a syllable with another tone is no error here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from timbre.text import english
from timbre.text.lexicon import Lexicon
from timbre.text.phonemes import Phonemes
from timbre.text.recognition import CLASSES, spoken_class_ids

WRONG_SHARE = 0.66
"""A word is wrong when at least so many of its phones are. Of 0.34, 0.5 and 0.66 the one that agrees best with Whisper
base on 45 short answers (correlation .30; the others .22).
"""
Word = tuple[int, ...]


@dataclass(frozen=True)
class HeardWord:
    """A word or syllable of a text and what the recogniser heard in its place."""

    text: str
    """Its spelling, as it is spoken: numbers are words already."""
    expected: str
    """Names of the expected phones, separated by spaces."""
    heard: str
    """Names of the recognised phones, separated by spaces."""
    missed: bool
    """Whether too much of it was wrong."""


def words_of(phonemes: Phonemes, lexicon: Lexicon) -> tuple[Word, ...]:
    """Recogniser classes of every word or syllable in order; marks are none."""
    return tuple(word for _, word in spelled_words(phonemes, lexicon))


def spelled_words(phonemes: Phonemes, lexicon: Lexicon) -> tuple[tuple[str, Word], ...]:
    """As words_of, each with the characters that stand for it in the text as it is spoken."""
    found: list[tuple[str, Word]] = []
    for segment in phonemes.segments:
        if segment.word2ph is None:
            for item in segment.normalized.split():
                found.append((item, spoken_class_ids(english.convert(item, lexicon)[0].phones)))
            continue
        ends = np.cumsum(segment.word2ph).tolist()
        for character, start, end in zip(segment.normalized, [0, *ends[:-1]], ends, strict=True):
            found.append((character, spoken_class_ids(segment.phones[start:end])))
    return tuple((text, word) for text, word in found if word)


def words_wrong(words: Sequence[Word], heard: Sequence[int]) -> int:
    """How many of the words were not heard. Phones that were heard besides count against the word before them."""
    return sum(_missed(words, _edits([phone for word in words for phone in word], heard)))


def words_heard(spelled: Sequence[tuple[str, Word]], heard: Sequence[int]) -> tuple[HeardWord, ...]:
    """What was heard in the place of each word, by the edits that words_wrong counts."""
    words = [word for _, word in spelled]
    edits = _edits([phone for word in words for phone in word], heard)
    owners = [index for index, word in enumerate(words) for _ in word]
    parts: list[list[int]] = [[] for _ in words]
    for edit in edits:
        if edit.heard is not None and owners:
            parts[owners[edit.place]].append(heard[edit.heard])
    missed = _missed(words, edits)
    return tuple(
        HeardWord(text, _names(word), _names(part), wrong)
        for (text, word), part, wrong in zip(spelled, parts, missed, strict=True)
    )


@dataclass(frozen=True)
class _Edit:
    """One step of a shortest path."""

    place: int
    """In the reference."""
    heard: int | None
    """Place in what was heard, None where nothing was."""
    right: bool


def _names(classes: Sequence[int]) -> str:
    return " ".join(CLASSES[identifier] for identifier in classes)


def _missed(words: Sequence[Word], edits: Sequence[_Edit]) -> list[bool]:
    owners = [index for index, word in enumerate(words) for _ in word]
    wrong = np.zeros(len(words))
    for edit in edits:
        if owners and not edit.right:
            wrong[owners[edit.place]] += 1
    return [bool(count >= WRONG_SHARE * len(word)) for count, word in zip(wrong, words, strict=True)]


def _edits(reference: Sequence[Hashable], heard: Sequence[Hashable]) -> list[_Edit]:
    """Every step of a shortest path, in order; what was heard besides belongs to the place before it."""
    rows, columns = len(reference), len(heard)
    cost = np.zeros((rows + 1, columns + 1), np.int32)
    cost[:, 0], cost[0] = np.arange(rows + 1), np.arange(columns + 1)
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            diagonal = cost[i - 1, j - 1] + (reference[i - 1] != heard[j - 1])
            cost[i, j] = min(diagonal, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    edits, i, j = list[_Edit](), rows, columns
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (reference[i - 1] != heard[j - 1]):
            edits.append(_Edit(i - 1, j - 1, reference[i - 1] == heard[j - 1]))
            i, j = i - 1, j - 1
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            edits.append(_Edit(i - 1, None, False))
            i -= 1
        else:
            edits.append(_Edit(max(0, i - 1), j - 1, False))
            j -= 1
    return edits[::-1]
