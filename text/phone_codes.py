"""Codes that stand for phones, and the way of a text through them.

A base of this kind has two codes for every sound: one that begins it and one that goes on with it. So when a text is
spoken, the only open question at each code is whether the sound goes on or the next one begins; `TextPath` says which
codes answer it. Whatever a network would rather say, no sound of the text is lost, repeated or taken for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import InputError
from timbre.text.phone_lengths import PAUSES, goes_on
from timbre.text.recognition import ARPABET, CLASSES, MANDARIN_FINALS, MANDARIN_INITIALS, SILENCE, class_of
from timbre.text.symbols import phones_of

TONES = 5
NEUTRAL = 5
_NAMES = {name: index for index, name in enumerate(CLASSES)}
UNITS: tuple[tuple[int, int], ...] = (
    (SILENCE, 0),
    *((_NAMES[name], 0) for name in (*ARPABET, *MANDARIN_INITIALS)),
    *((_NAMES[name], tone) for name in MANDARIN_FINALS for tone in range(1, TONES + 1)),
)
"""(class, tone) of every pair of codes; tone 0: the sound has none. Code 2 u begins unit u, 2 u + 1 goes on with it."""

CODES = 2 * len(UNITS)
_PLOSIVES = {*"PBTDKG", *"bpdtgk"}
PLOSIVES: tuple[bool, ...] = tuple(CLASSES[kind] in _PLOSIVES for kind, _ in UNITS)
"""Of each unit, whether it is a plosive: a closure and a burst, which last as long in slow speech as in fast."""
UNIT_OF = {unit: index for index, unit in enumerate(UNITS)}

LONGEST_SOUND, LONGEST_PAUSE, LONGEST_EDGE = 14, 20, 6
"""Codes (40 ms each) after which a sound, a pause at a mark, the silence at either end must give way."""

SHORTEST_END = 2
"""Codes of silence before the end, so that the last sound is not cut off."""
_LEAST = 1e-9


def tone_of(symbol: str) -> int:
    """Tone of a Mandarin final with its digit, 0 for every other phone."""
    return int(symbol[-1]) if symbol[-1] in "12345" and symbol[:-1] in MANDARIN_FINALS else 0


@dataclass(frozen=True)
class Stop:
    """A sound or a pause on the way."""

    unit: int
    """Index in UNITS: code 2 * unit begins it, 2 * unit + 1 goes on with it."""
    optional: bool
    """It may be passed over."""
    longest: int
    """codes."""


class TextPath:
    """Where in its text an utterance is. stops: the sounds of the text, silence first and last. most_codes: of the
    whole way; when no more are left than the sounds that are still to come need, each of them gets one, and no pause
    any: an utterance that drags hurries at its end, and is never cut off.
    """

    def __init__(self, stops: Sequence[Stop], most_codes: int | None = None) -> None:
        self._stops = tuple(stops)
        self._at = -1
        self._stayed = 0
        self._left = float("inf") if most_codes is None else most_codes
        # Of each stop and those after it, without the silence at the end; of nothing behind the last.
        needed = accumulate((not stop.optional for stop in reversed(self._stops[:-1])), initial=SHORTEST_END)
        self._least = [*reversed([*needed]), 0]
        # Shared with copies: most places are asked for by several guesses and by the draw.
        self._ways: dict[_Place, tuple[tuple[int, ...], bool]] = {}
        self._usual: dict[tuple[_Place, int | None], dict[int, float]] = {}

    @classmethod
    def of(cls, phones: Sequence[int], most_codes: int | None = None) -> TextPath | None:
        """The way through phones (ids of the v2 table); None when a phone has no code of its own."""
        silence = UNIT_OF[SILENCE, 0]
        stops = [Stop(silence, False, LONGEST_EDGE)]
        try:
            for symbol in phones_of(phones):
                kind = class_of(symbol)
                if kind == SILENCE:
                    if stops[-1].unit != silence:
                        stops.append(Stop(silence, True, LONGEST_PAUSE))
                elif kind is not None:
                    stops.append(Stop(UNIT_OF[kind, tone_of(symbol)], False, LONGEST_SOUND))
        except (InputError, KeyError):
            return None
        if stops[-1].unit == silence:
            stops.pop()
        if not stops:
            return None
        return cls([*stops, Stop(silence, False, LONGEST_EDGE)], most_codes)

    @property
    def _place(self) -> _Place:
        """What the choices depend on: the place, and whether no more codes are left than are needed."""
        return self._at, self._stayed, self._left <= self._least[self._at + 1]

    def choices(self) -> tuple[tuple[int, ...], bool]:
        """Codes that may come now, and whether the utterance may end."""
        place = self._place
        found = self._ways.get(place)
        if found is None:
            found = self._ways[place] = self._choices(hurried=place[2])
        return found

    def _choices(self, *, hurried: bool) -> tuple[tuple[int, ...], bool]:
        last = len(self._stops) - 1
        if self._at == last:
            stay = (2 * self._stops[last].unit + 1,)
            more = self._stayed < SHORTEST_END or (self._stayed < LONGEST_EDGE and not hurried)
            return stay if more else (), self._stayed >= SHORTEST_END
        codes = []
        ahead = self._at + 1
        if hurried:
            return (2 * self._stops[ahead + self._stops[ahead].optional].unit,), False
        if self._at >= 0 and self._stayed < self._stops[self._at].longest:
            codes.append(2 * self._stops[self._at].unit + 1)
        codes.append(2 * self._stops[ahead].unit)
        if self._stops[ahead].optional:
            codes.append(2 * self._stops[ahead + 1].unit)
        return tuple(codes), False

    def take(self, code: int) -> None:
        """Move on by a code that was among the choices."""
        self._left -= 1
        if code % 2:
            self._stayed += 1
            return
        self._at += 1
        if self._stops[self._at].unit != code // 2:
            self._at += 1
        self._stayed = 1

    @property
    def place(self) -> tuple[int, int]:
        """Number of the sound that is spoken (-1 before the first), and codes it has had."""
        return self._at, self._stayed

    def copied(self) -> TextPath:
        """Another one at the same place, which moves by itself."""
        other = object.__new__(TextPath)
        other.__dict__.update(self.__dict__)
        return other

    def likely(self, count: int, foresee: Foresee | None = None) -> list[int]:
        """A guess of the next `count` codes, fewer before the end.

        foresee: asked first, once for each code in order: one of the path's choices, None for no idea, or any other
        code for the end. Without an idea the likeliest choice of usual_odds() is taken.
        """
        ahead = self.copied()
        found: list[int] = []
        while len(found) < count:
            codes, _ = ahead.choices()
            if not codes:
                break
            code = None if foresee is None else foresee(ahead)
            if code is None:
                usual = ahead.usual_odds()
                code = max(codes, key=usual.__getitem__)
            if code not in codes:
                break
            found.append(code)
            ahead.take(code)
        return found

    def usual_odds(self, end: int | None = None) -> dict[int, float]:
        """Log odds of the choices as sounds mostly last (text/phone_lengths.py), without asking a network.

        end: id of the end token, None to leave the end out. Not to be changed: the next path here gets the same.
        """
        key = self._place, end
        found = self._usual.get(key)
        if found is None:
            found = self._usual[key] = self._usual_odds(end)
        return found

    def _usual_odds(self, end: int | None) -> dict[int, float]:
        codes, may_end = self.choices()
        stays = [code for code in codes if code % 2]
        onward = [code for code in codes if code % 2 == 0] + ([end] if may_end and end is not None else [])
        on = 1.0 if stays else 0.0
        if stays and onward:
            on = goes_on(CLASSES[UNITS[self._stops[self._at].unit][0]], self._stayed)
        # Two ways on: over a pause at a mark, or past it.
        shares = (PAUSES, 1 - PAUSES) if len(onward) == 2 else (1.0,) * len(onward)
        chances = dict.fromkeys(stays, on) | {
            code: (1 - on) * share for code, share in zip(onward, shares, strict=True)
        }
        return {code: math.log(max(chance, _LEAST)) for code, chance in chances.items()}

    def weighed(self, scores: NDArray[np.float64], end: int) -> NDArray[np.float64]:
        """Scores [V] of a network (log odds) -> those of the choices, minus infinity for everything else.

        As odds() has them. end: id of the end token.
        """
        found = np.full(len(scores), -np.inf)
        for code, value in self.odds(scores, end).items():
            found[code] = value
        return found

    def odds(self, scores: NDArray[np.float64], end: int) -> dict[int, float]:
        """Scores [V] of a network (log odds) -> those of the choices, the end among them where it may come.

        Whether the sound goes on is asked of all codes together: what begins against what goes on, whichever sound the
        network thinks of. So a network that is unsure of the sound still keeps its time. end: id of the end token.
        """
        return self.odds_of(tallies(scores[None], end)[0], end)

    def odds_of(self, tally: Tally, end: int) -> dict[int, float]:
        """As odds(), of scores that were summed up before."""
        codes, may_end = self.choices()
        chance_of, log = tally.chances.item, math.log
        own = {code: max(chance_of(code), _LEAST) for code in codes if code % 2 == 0}
        if may_end:
            own[end] = max(chance_of(end), _LEAST)
        whole = log(max(tally.moves, _LEAST)) - log(sum(own.values())) if own else 0.0
        found = {code: whole + log(chance) for code, chance in own.items()}
        for code in codes:
            if code % 2:
                found[code] = log(max(tally.stays, _LEAST))
        return found


class Tally(NamedTuple):
    """A network's scores of one code, summed up."""

    chances: NDArray[np.float64]
    """[V], of which the likeliest is 1."""
    stays: float
    """All that go on with a sound, together."""
    moves: float
    """All that begin one or end the utterance, together."""


def tallies(scores: NDArray[np.float64], end: int) -> list[Tally]:
    """Scores [N, V] of N codes, each summed up by itself. end: id of the end token."""
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    stays = chances[:, 1 : len(UNITS) * 2 : 2].sum(axis=1).tolist()
    moves = (chances[:, : len(UNITS) * 2 : 2].sum(axis=1) + chances[:, end]).tolist()
    return [Tally(*each) for each in zip(chances, stays, moves, strict=True)]


_Place = tuple[int, int, bool]
Foresee = Callable[[TextPath], int | None]
"""Path that stands somewhere ahead -> the code that comes there."""
