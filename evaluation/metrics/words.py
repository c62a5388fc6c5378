"""Words (English) and syllables (Mandarin) that were not heard, by the phones that a recogniser hears.

text -> phones of each word; heard phones -> edit path -> a word is wrong when too many of its phones are

A recogniser of phones misses single ones in words that everybody understands, so one wrong phone does not make a wrong
word. It hears no tones: a syllable with another tone is no error here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from timbre.text.lexicon import Lexicon
from timbre.text.phonemes import Phonemes
from timbre.text.recognition import spoken_class_ids

WRONG_SHARE = 0.66
"""A word is wrong when at least so many of its phones are. Of 0.34, 0.5 and 0.66 the one that agrees best with Whisper
base on 45 short answers (correlation .30; the others .22).
"""
Word = tuple[int, ...]


def words_of(phonemes: Phonemes, lexicon: Lexicon) -> tuple[Word, ...]:
    """Recogniser classes of every word or syllable in order; marks are none."""
    from timbre.text import english

    found: list[Word] = []
    for segment in phonemes.segments:
        if segment.word2ph is None:
            found += [spoken_class_ids(english.convert(item, lexicon)[0].phones) for item in segment.normalized.split()]
            continue
        ends = np.cumsum(segment.word2ph).tolist()
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            found.append(spoken_class_ids(segment.phones[start:end]))
    return tuple(word for word in found if word)


def words_wrong(words: Sequence[Word], heard: Sequence[int]) -> int:
    """How many of the words were not heard. Phones that were heard besides count against the word before them."""
    owners = [index for index, word in enumerate(words) for _ in word]
    wrong = np.zeros(len(words))
    for place in _errors([phone for word in words for phone in word], heard):
        if owners:
            wrong[owners[place]] += 1
    return int(np.sum(wrong >= [WRONG_SHARE * len(word) for word in words])) if len(words) else 0


def _errors(reference: Sequence[Hashable], heard: Sequence[Hashable]) -> list[int]:
    """Places in the reference of every edit of a shortest path."""
    rows, columns = len(reference), len(heard)
    cost = np.zeros((rows + 1, columns + 1), np.int32)
    cost[:, 0], cost[0] = np.arange(rows + 1), np.arange(columns + 1)
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            diagonal = cost[i - 1, j - 1] + (reference[i - 1] != heard[j - 1])
            cost[i, j] = min(diagonal, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    places, i, j = [], rows, columns
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (reference[i - 1] != heard[j - 1]):
            if reference[i - 1] != heard[j - 1]:
                places.append(i - 1)
            i, j = i - 1, j - 1
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            places.append(i - 1)
            i -= 1
        else:
            places.append(max(0, i - 1))
            j -= 1
    return places
