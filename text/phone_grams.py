"""Which phone follows which: counts of up to four recogniser classes in a row, over pronounced sentences.

A recogniser hears single phones badly where they are short; which sounds the language allows next settles many of
those. The counts come with the package (data/phone_grams.npz, written by ``timbre pretrain grams``) and cover English
and Mandarin in one table: what came before says which of the two it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import ConfigurationError
from timbre.text.recognition import BLANK, CLASSES, SILENCE

ORDER = 4
PATH = Path(__file__).parent / "data" / "phone_grams.npz"
_BASE = len(CLASSES)
_START = BLANK
"""Stands before the first phone of a sentence."""


class PhoneGrams:
    """Chances of the next class, smoothed as by Witten and Bell (1991): a history that was seen often trusts itself,
    the others ask the shorter one.

    keys: of each order 1.. the grams as numbers in base K, sorted; counts: how often each was seen.
    """

    def __init__(self, keys: Sequence[NDArray[np.uint32]], counts: Sequence[NDArray[np.uint32]]) -> None:
        self._keys, self._counts = tuple(keys), tuple(counts)
        self._chances = lru_cache(maxsize=8192)(self._smoothed)

    @classmethod
    def count(cls, sentences: Iterable[Sequence[int]], least: int = 1) -> PhoneGrams:
        """From class ids of sentences without silence. least: grams of the highest order seen less often are left
        out."""
        tables = [Counter[int]() for _ in range(ORDER)]
        for sentence in sentences:
            whole = [_START] * (ORDER - 1) + list(sentence)
            for place in range(ORDER - 1, len(whole)):
                key = 0
                for order in range(ORDER):
                    key += whole[place - order] * _BASE**order
                    tables[order][key] += 1
        keys, counts = [], []
        for order, table in enumerate(tables):
            kept = sorted((key, seen) for key, seen in table.items() if order < ORDER - 1 or seen >= least)
            keys.append(np.array([key for key, _ in kept], np.uint32))
            counts.append(np.array([seen for _, seen in kept], np.uint32))
        return cls(keys, counts)

    def save(self, path: Path) -> None:
        """Write an npz file."""
        arrays: dict[str, NDArray[np.uint32]] = {}
        for order, (keys, counts) in enumerate(zip(self._keys, self._counts, strict=True), start=1):
            arrays |= {f"keys{order}": np.diff(keys, prepend=np.uint32(0)), f"counts{order}": counts}
        np.savez_compressed(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path = PATH) -> PhoneGrams:
        """Read what `save` wrote. Raises ConfigurationError when the file is absent or not such a file."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                keys = [np.cumsum(stored[f"keys{order}"], dtype=np.uint32) for order in range(1, ORDER + 1)]
                counts = [stored[f"counts{order}"] for order in range(1, ORDER + 1)]
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise ConfigurationError(f"{path}: {error}", "install the package again") from None
        return cls(keys, counts)

    def log_chances(self, before: Sequence[int]) -> NDArray[np.float32]:
        """Natural logarithms float32 [K] of the chances of each class after ``before``, of which the last three count.

        Blank and silence, which are no phones, have -inf.
        """
        history = ((_START,) * (ORDER - 1) + tuple(before))[-(ORDER - 1) :]
        return self._chances(history)

    def _smoothed(self, history: tuple[int, ...]) -> NDArray[np.float32]:
        with np.errstate(divide="ignore"):
            return np.log(self._chance(history)).astype(np.float32)

    def _chance(self, history: tuple[int, ...]) -> NDArray[np.float64]:
        if not history:
            chances = np.full(_BASE, 0.5)
            chances[self._keys[0]] += self._counts[0]
            chances[[BLANK, SILENCE]] = 0.0
            return np.asarray(chances / chances.sum())
        shorter = self._chance(history[1:])
        keys, counts = self._keys[len(history)], self._counts[len(history)]
        first = 0
        for item in history:
            first = (first + item) * _BASE
        begin, end = np.searchsorted(keys, [first, first + _BASE])
        if begin == end:
            return shorter
        seen = counts[begin:end].astype(np.float64)
        chances = shorter * len(seen)
        chances[keys[begin:end] - np.uint32(first)] += seen
        return np.asarray(chances / (seen.sum() + len(seen)))


@cache
def phone_grams() -> PhoneGrams:
    """Those of the package, read once."""
    return PhoneGrams.load()
