"""How long each sound of a text lasts, where codes stand for phones: a quantile of what the network thinks of it.

At every code of a sound the network says how likely the sound ends there. Together these are a distribution of lengths,
as in survival analysis; one number a sound, drawn before it begins, picks a quantile of it. Drawing every code by
itself is the same with numbers from 0 to 1. Numbers near a half leave out sounds that are far too short or too long.
A speaker's pace is the length of all sounds but plosives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from timbre.text.phone_codes import PLOSIVES, TextPath

SILENT_UNIT = 0
"""Index of silence in UNITS."""
_COLDEST = 1e-5
_MIDDLE = 0.5


class Durations:
    """Chooses between going on with a sound and what may come after it, along one path through a text."""

    def __init__(self, random: np.random.Generator, spread: float, temperature: float) -> None:
        """spread: width of the numbers around the median, 0 (always the median) to 1 (the whole distribution);
        temperature: divides the log odds of every code, 0 always takes the likelier way.
        """
        self._random, self._spread = random, spread
        self._heat = max(temperature, _COLDEST)
        self._numbers: list[tuple[float, float]] = []
        """Of each sound: its quantile of lengths, and which of two ways on."""
        self._sound = -1
        self._going_on = 1.0
        """Chance that the sound has lasted until here."""

    def ahead(self) -> Durations:
        """Another one at the same place with the same numbers, which moves by itself: for guesses."""
        other = object.__new__(Durations)
        other.__dict__.update(self.__dict__)
        return other

    def choose(self, sound: int, odds: Mapping[int, float]) -> int:
        """Log odds of the codes that may come in a sound -> one of them. To be called once for each code.

        sound: its number on the path, -1 before the first.
        """
        if sound != self._sound:
            self._sound, self._going_on = sound, 1.0
        best = max(odds.values())
        chances = {code: math.exp((value - best) / self._heat) for code, value in odds.items()}
        # Codes that go on with a sound are odd, those that begin one even, and so is the end token behind them all.
        stays = [code for code in chances if code % 2]
        onward = [code for code in chances if code % 2 == 0]
        if not onward:
            return stays[0]
        length, way = self._numbers_of(sound)
        if stays:
            self._going_on *= chances[stays[0]] / sum(chances.values())
            if self._going_on > 1.0 - length:
                return stays[0]
        # Which of two ways, over a pause at a mark or past it: by its share of them.
        left = way * sum(chances[code] for code in onward)
        for code in onward[:-1]:
            left -= chances[code]
            if left < 0:
                return code
        return onward[-1]

    def _numbers_of(self, sound: int) -> tuple[float, float]:
        while len(self._numbers) <= sound + 1:
            length, way = _MIDDLE + self._spread * (self._random.random(2) - _MIDDLE)
            self._numbers.append((float(length), float(way)))
        return self._numbers[sound + 1]


class TimedPath:
    """A path through a text on which one code may come at a time: the one that its durations choose.

    For decoders that ask a path for the scores of what may come (`gptsovits.text_to_semantic.decoding.CodePath`).
    """

    def __init__(self, path: TextPath, durations: Durations) -> None:
        self._path, self._durations = path, durations

    def take(self, code: int) -> None:
        """Move on by a code."""
        self._path.take(code)

    def weighed(self, scores: NDArray[np.float64], end: int) -> NDArray[np.float64]:
        """Scores [V] of a network (log odds) -> 0 for the chosen code, minus infinity for every other; to be asked once
        a code. end: id of the end token.
        """
        found = np.full(len(scores), -np.inf)
        found[self._durations.choose(self._path.place[0], self._path.odds(scores, end))] = 0.0
        return found


def drawn_out(codes: Iterable[int], stretch: float) -> Iterator[int]:
    """Codes of phones as they come, each sound in about `stretch` (at least 1) times as many; what rounding takes from
    one sound, the next one gets. Plosives keep what they have. At 1 any codes are left as they are, also those of
    bases whose codes are no phones.

    Slow speakers draw out vowels, nasals, fricatives and pauses; the burst of a plosive lasts as long as ever, and a
    `d` or `t` of twice its length is heard as another sound ("Monday", "water").
    """
    if stretch == 1.0:
        yield from codes
        return
    due = 0.0
    for code in codes:
        if PLOSIVES[code // 2]:
            yield code
            continue
        if code % 2 == 0:
            yield code
            due += stretch - 1.0
            held = code + 1
        else:
            due += stretch
            held = code
        while due >= 0.5:
            yield held
            due -= 1.0


def codes_a_sound(utterances: Iterable[Sequence[int]]) -> float:
    """Mean number of codes of the sounds that `drawn_out` draws out, silence aside; 0 where there are none."""
    codes = [code for utterance in utterances for code in utterance]
    drawn = [code for code in codes if code // 2 != SILENT_UNIT and not PLOSIVES[code // 2]]
    begun = sum(code % 2 == 0 for code in drawn)
    return len(drawn) / begun if begun else 0.0
