"""Sampling of the next code in numpy: penalty, end-token rule, top-p, temperature, top-k, draw, in GPT-SoVITS's
order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Floats = NDArray[np.float32]
_COLDEST = 1e-5


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; defaults are GPT-SoVITS's.

    top_k: only the k likeliest codes (0: all). top_p: only the likeliest codes that together have this probability.
    temperature: 0 always takes the likeliest. repetition_penalty: codes that were spoken already are made less likely.
    seed: of this request's own random numbers; None draws one.
    """

    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    repetition_penalty: float = 1.35
    seed: int | None = None

    def __post_init__(self) -> None:
        limits = {
            "top_k": (self.top_k, 0, 1_000_000),
            "top_p": (self.top_p, 0.01, 1.0),
            "temperature": (self.temperature, 0.0, 2.0),
            "repetition_penalty": (self.repetition_penalty, 1.0, 10.0),
            "seed": (self.seed or 0, 0, 2**63 - 1),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:  # also refuses NaN
                raise InputError(
                    f"{name}: {value!r} is outside {low:g} to {high:g}", f"choose {name} inside these limits"
                )


class Sampler:
    """Draws codes for one row. Rows beside it change nothing: it has its own random numbers and its own memory."""

    def __init__(self, sampling: Sampling, vocabulary: int, end_token: int, prompt: NDArray[np.int64]) -> None:
        self._sampling = sampling
        self._end = end_token
        self._seen = np.zeros(vocabulary, bool)
        self._seen[prompt] = True
        self._random = np.random.default_rng(sampling.seed)

    def draw(self, logits: Floats, *, may_end: bool) -> int | None:
        """The next code from logits [V], or None when the sequence ends here.

        It ends when the end token is drawn or is the likeliest id after the penalty; never while may_end is False.
        """
        config = self._sampling
        scores = np.where(
            self._seen,
            np.where(logits < 0, logits * config.repetition_penalty, logits / config.repetition_penalty),
            logits,
        ).astype(np.float64)
        if not may_end:
            scores[self._end] = -np.inf
        likeliest = int(np.argmax(scores))
        if likeliest == self._end:
            return None
        code = likeliest if config.temperature == 0 else self._race(scores)
        if code == self._end:
            return None
        self._seen[code] = True
        return code

    def _race(self, scores: NDArray[np.float64]) -> int:
        config = self._sampling
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
        return int(np.argmax(chances / self._random.standard_exponential(len(chances))))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(scores - np.max(scores))
    return np.asarray(shifted / shifted.sum())
