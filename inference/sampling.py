"""Sampling of the next code in numpy: penalty, end-token rule, top-p, temperature, top-k, draw, in GPT-SoVITS's
order.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import InputError
from timbre.core.speaking_defaults import LIMITS, SpeakingDefaults
from timbre.text.phone_codes import Tally, TextPath, tallies

Floats = NDArray[np.float32]
_COLDEST = 1e-5
_MOST_CHOICES = 3
"""That a path through a text leaves at any place."""
_DRAWN = ("top_k", "top_p", "temperature", "repetition_penalty")


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; None is what the base's base.yaml says, or else GPT-SoVITS's own value."""

    top_k: int | None = None
    """Only the k likeliest codes (0: all)."""
    top_p: float | None = None
    """Only the likeliest codes that together have this probability."""
    temperature: float | None = None
    """0 always takes the likeliest."""
    repetition_penalty: float | None = None
    """Codes that were spoken already are made less likely."""
    seed: int | None = None
    """Of this request's own random numbers; None draws one."""

    def __post_init__(self) -> None:
        for name, (low, high) in {**{name: LIMITS[name] for name in _DRAWN}, "seed": (0, 2**63 - 1)}.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # also refuses NaN
                raise InputError(
                    f"{name}: {value!r} is outside {low:g} to {high:g}", f"choose {name} inside these limits"
                )

    def filled(self, defaults: SpeakingDefaults) -> Sampling:
        """The same with what is open taken from a base's defaults."""
        return replace(self, **{name: getattr(defaults, name) for name in _DRAWN if getattr(self, name) is None})

    def over(self, defaults: SpeakingDefaults) -> SpeakingDefaults:
        """A base's defaults with what is said here in their place."""
        return replace(defaults, **{name: getattr(self, name) for name in _DRAWN if getattr(self, name) is not None})


class Sampler:
    """Draws codes for one row. Rows beside it change nothing: it has its own random numbers and its own memory."""

    def __init__(
        self,
        sampling: Sampling,
        vocabulary: int,
        end_token: int,
        prompt: NDArray[np.int64],
        path: TextPath | None = None,
    ) -> None:
        self._path = path
        self._config = sampling.over(SpeakingDefaults())
        self._end = end_token
        self._seen = np.zeros(vocabulary, bool)
        self._seen[prompt] = True
        self._random = np.random.default_rng(sampling.seed)
        self._vocabulary = vocabulary
        self._hurdles: deque[NDArray[np.float64]] = deque()
        self._foreseen: dict[tuple[int, int], Tally] = {}

    def draw(self, logits: Floats, *, may_end: bool) -> int | None:
        """The next code from logits [V], or None when the sequence ends here.

        It ends when the end token is drawn or is the likeliest id after the penalty; never while may_end is False.
        With a path through the text, only what keeps to it is drawn, and the path alone says when it may end.
        """
        return self._kept(self._drawn(self._penalised(logits), may_end))

    def draw_ahead(self, guesses: Sequence[int], logits: Floats, most: int) -> tuple[list[int], bool]:
        """Draws from logits [N + 1, V] after the last code and after each of N guesses of the next ones, for as long as
        these were right: at most `most` codes, and whether the sequence ends behind them. Needs a path.

        What logits after wrong guesses say is kept for guesses(): it is mostly the same for the same place of the text.
        """
        assert self._path is not None
        start = self._path.copied()
        codes: list[int] = []
        summed = tallies(logits.astype(np.float64), self._end)
        few = self._config.repetition_penalty == 1 and self._takes_all_of(_MOST_CHOICES)
        for place, row in enumerate(logits):
            if few:
                odds = self._path.odds_of(summed[place], self._end)
                code = self._kept(self._taken(self._race_of_few(odds, 0)))
            else:
                code = self.draw(row, may_end=True)
            if code is None:
                return codes, True
            codes.append(code)
            if len(codes) == most:
                break
            if place < len(guesses) and code != guesses[place]:
                self._remember(start, guesses, summed)
                break
        return codes, False

    def _remember(self, path: TextPath, guesses: Sequence[int], summed: Sequence[Tally]) -> None:
        """What was said at the place of the path, and after each guess."""
        self._foreseen[path.place] = summed[0]
        for guess, tally in zip(guesses, summed[1:], strict=True):
            path.take(guess)
            self._foreseen[path.place] = tally

    def guesses(self, count: int) -> list[int]:
        """What the next `count` draws may give, fewer before the end; none without a path through the text.

        Drawn with the random numbers of these draws from what is known of the same places of the text or of its sounds.
        """
        return [] if self._path is None else self._path.likely(count, self._foresee)

    def _kept(self, code: int) -> int | None:
        if code == self._end:
            return None
        self._seen[code] = True
        if self._path is not None:
            self._path.take(code)
        return code

    def _takes_all_of(self, choices: int) -> bool:
        """Whether top-p and top-k leave so many choices as they are."""
        return self._config.top_p == 1 and (self._config.top_k == 0 or self._config.top_k >= choices)

    def _foresee(self, path: TextPath, codes_ahead: int) -> int | None:
        """By what was said at the same place of the text, else by how long its sound mostly lasts."""
        tally = self._foreseen.get(path.place)
        odds = path.usual_odds(self._end) if tally is None else path.odds_of(tally, self._end)
        return self._race_of_few(odds, codes_ahead)

    def _penalised(self, logits: Floats) -> NDArray[np.float64]:
        penalty = self._config.repetition_penalty
        if penalty == 1:
            return logits.astype(np.float64)
        repeated = np.where(logits < 0, logits * penalty, logits / penalty)
        return np.where(self._seen, repeated, logits).astype(np.float64)

    def _drawn(self, scores: NDArray[np.float64], may_end: bool) -> int:
        config = self._config
        if self._path is not None:
            odds = self._path.odds(scores, self._end)
            if self._takes_all_of(len(odds)):
                return self._taken(self._race_of_few(odds, 0))
            scores = self._path.weighed(scores, self._end)
        elif not may_end:
            scores[self._end] = -np.inf
        likeliest = int(np.argmax(scores))
        return likeliest if likeliest == self._end or config.temperature == 0 else self._taken(self._race(scores))

    def _taken(self, code: int) -> int:
        """The code; its random numbers are used up."""
        if self._hurdles:
            self._hurdles.popleft()
        return code

    def _hurdle(self, codes_ahead: int) -> NDArray[np.float64]:
        """Random numbers [V] of the draw so many codes from here."""
        while len(self._hurdles) <= codes_ahead:
            self._hurdles.append(self._random.standard_exponential(self._vocabulary))
        return self._hurdles[codes_ahead]

    def _race_of_few(self, odds: Mapping[int, float], codes_ahead: int) -> int:
        """As _race over scores of which all but a few are minus infinity, with the random numbers of the draw so many
        codes from here.
        """
        best = max(odds.values())
        cold = self._config.temperature == 0
        if cold or self._end in odds:
            likeliest = min(code for code, value in odds.items() if value == best)
            if cold or likeliest == self._end:
                return likeliest
        heat = max(self._config.temperature, _COLDEST)
        hurdle_of, exp = self._hurdle(codes_ahead).item, math.exp
        # Of two that are as fast the lower id, as in argmax.
        return min((-exp((value - best) / heat) / hurdle_of(code), code) for code, value in odds.items())[1]

    def _race(self, scores: NDArray[np.float64]) -> int:
        config = self._config
        if config.top_p < 1.0:
            order = np.argsort(-scores, kind="stable")
            chances = _softmax(scores[order])
            beyond = np.cumsum(chances) > config.top_p
            beyond[0] = False
            scores = scores.copy()
            scores[order[beyond]] = -np.inf
        scores = scores / max(config.temperature, _COLDEST)
        if 0 < config.top_k < len(scores):
            weakest = np.partition(scores, -config.top_k)[-config.top_k]
            scores = np.where(scores < weakest, -np.inf, scores)
        chances = _softmax(scores)
        return int(np.argmax(chances / self._hurdle(0)))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(scores - np.max(scores))
    return np.asarray(shifted / shifted.sum())
