"""Logits -> the next code, in upstream's order: repetition penalty, top-p, temperature, top-k, softmax, draw.

The penalty follows Keskar et al. 2019 (CTRL), once for each distinct id that was seen; top-p (Holtzman et al. 2020)
is taken before the temperature, and keeps the ids whose cumulative probability does not exceed p, and always the best
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_COLDEST = 1e-5


@dataclass(frozen=True)
class SamplingConfig:
    """How a code is drawn."""

    top_k: int = 15
    """Number of best ids that stay; 1: greedy."""
    top_p: float = 1.0
    """Probability mass that stays; 1: no effect."""
    temperature: float = 1.0
    """Divides the logits."""
    repetition_penalty: float = 1.35
    """Of codes that came before, see `penalise`; 1: no effect."""

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {self.top_p}")
        if not self.temperature >= 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature}")
        if not self.repetition_penalty > 0:
            raise ValueError(f"repetition_penalty must be positive, got {self.repetition_penalty}")


def seen_ids(tokens: Tensor, vocabulary: int) -> Tensor:
    """bool [B, V]: which ids occur in tokens int64 [B, N]."""
    seen = torch.zeros(tokens.shape[0], vocabulary, dtype=torch.bool, device=tokens.device)
    return seen.scatter_(1, tokens, True)


def penalise(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Logits [B, V] of seen ids (bool [B, V]) made less likely: negative ones times the penalty, others divided by
    it.
    """
    if penalty == 1.0:
        return logits
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def probabilities(penalised: Tensor, config: SamplingConfig) -> Tensor:
    """Penalised logits [B, V] -> probabilities [B, V] after top-p, temperature and top-k, in that order."""
    logits = penalised
    if config.top_p < 1.0:
        ranked, order = torch.sort(logits, descending=True)
        beyond = torch.softmax(ranked, dim=-1).cumsum(dim=-1) > config.top_p
        beyond[:, 0] = False
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
    logits = logits / max(config.temperature, _COLDEST)
    if config.top_k < logits.shape[-1]:
        weakest = torch.topk(logits, config.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < weakest, -torch.inf)
    return torch.softmax(logits, dim=-1)


def draw(chances: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Probabilities [B, V] -> ids int64 [B], by an exponential race; row b uses generators[b], whatever its
    neighbours do.
    """
    if len(generators) != chances.shape[0]:
        raise ValueError(f"{len(generators)} generators for {chances.shape[0]} rows")
    race = torch.empty_like(chances)
    for row, generator in zip(race, generators, strict=True):
        row.exponential_(1.0, generator=generator)
    return torch.argmax(chances / race, dim=-1)
