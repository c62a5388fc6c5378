"""Sampling of the next code in numpy: penalty, end-token rule, top-p, temperature, top-k, draw, in GPT-SoVITS's
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import InputError
from timbre.core.speaking_defaults import LIMITS, SpeakingDefaults
from timbre.text.phone_codes import Foresee, Tally, TextPath, tallies
from timbre.text.phone_durations import Durations

Floats = NDArray[np.float32]
_COLDEST = 1e-5
_DRAWN = ("top_k", "top_p", "temperature", "repetition_penalty", "duration_spread")


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
    duration_spread: float | None = None
    """Of bases whose codes stand for phones: share of each sound's lengths that is drawn, around their median."""

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
        self._durations = Durations(self._random, self._config.duration_spread, self._config.temperature)
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
        unchanged = self._config.repetition_penalty == 1
        for place, row in enumerate(logits):
            if unchanged:
                code = self._kept(self._timed(self._path.odds_of(summed[place], self._end)))
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
        return [] if self._path is None else self._path.likely(count, self._foresight())

    def _kept(self, code: int) -> int | None:
        if code == self._end:
            return None
        self._seen[code] = True
        if self._path is not None:
            self._path.take(code)
        return code

    def _timed(self, odds: Mapping[int, float]) -> int:
        """The choice among the codes that keep to the text."""
        assert self._path is not None
        return self._durations.choose(self._path.place[0], self._allowed(odds))

    def _allowed(self, odds: Mapping[int, float]) -> Mapping[int, float]:
        """Log odds of a few codes, without those that top-p and top-k leave out."""
        config = self._config
        if config.top_p == 1 and (config.top_k == 0 or config.top_k >= len(odds)):
            return odds
        codes = sorted(odds, key=lambda code: (-odds[code], code))
        shares = _softmax(np.array([odds[code] for code in codes]))
        within = 1 + int(np.sum(np.cumsum(shares)[1:] <= config.top_p))
        return {code: odds[code] for code in codes[: min(within, config.top_k or within)]}

    def _foresight(self) -> Foresee:
        """What the next draws would choose, were the odds what they are expected to be."""
        durations = self._durations.ahead()

        def foresee(path: TextPath) -> int | None:
            odds = self._expected(path)
            return None if odds is None else durations.choose(path.place[0], self._allowed(odds))

        return foresee

    def _expected(self, path: TextPath) -> Mapping[int, float] | None:
        """By what was said at the same place of the text, else by how long its sound mostly lasts."""
        tally = self._foreseen.get(path.place)
        return path.usual_odds(self._end) if tally is None else path.odds_of(tally, self._end)

    def _penalised(self, logits: Floats) -> NDArray[np.float64]:
        penalty = self._config.repetition_penalty
        if penalty == 1:
            return logits.astype(np.float64)
        repeated = np.where(logits < 0, logits * penalty, logits / penalty)
        return np.where(self._seen, repeated, logits).astype(np.float64)

    def _drawn(self, scores: NDArray[np.float64], may_end: bool) -> int:
        if self._path is not None:
            return self._timed(self._path.odds(scores, self._end))
        if not may_end:
            scores[self._end] = -np.inf
        likeliest = int(np.argmax(scores))
        return likeliest if likeliest == self._end or self._config.temperature == 0 else self._race(scores)

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
        return int(np.argmax(chances / self._random.standard_exponential(self._vocabulary)))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(scores - np.max(scores))
    return np.asarray(shifted / shifted.sum())
