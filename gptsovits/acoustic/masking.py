"""Masks of padded batches, slices of sequences."""

from __future__ import annotations

import torch
from torch import Tensor


def sequence_mask(lengths: Tensor, frames: int) -> Tensor:
    """lengths [B] -> [B,1,frames] float32, 1 where a row has content and 0 on its padding (padding on the right)."""
    positions = torch.arange(frames, device=lengths.device)
    return (positions.unsqueeze(0) < lengths.unsqueeze(1)).unsqueeze(1).float()


def slice_rows(x: Tensor, starts: Tensor, size: int) -> Tensor:
    """x [B,C,T], starts [B] -> [B,C,size]: from every row the ``size`` steps that begin at its start."""
    index = starts.view(-1, 1, 1) + torch.arange(size, device=x.device).view(1, 1, -1)
    return x.gather(2, index.expand(-1, x.shape[1], -1))


def random_starts(lengths: Tensor, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Uniform start of a slice of ``size`` in each row: [B] int64, 0 where a row is shorter than the slice."""
    span = (lengths - size).clamp(min=0) + 1
    draw = torch.rand(lengths.shape, generator=generator, device=lengths.device)
    return (draw * span).long().minimum(span - 1)
