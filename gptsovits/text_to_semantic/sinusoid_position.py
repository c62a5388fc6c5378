"""Sinusoid positions with a learned strength (Vaswani et al. 2017, section 3.5; the factor as in Li et al. 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoid_table(positions: int, width: int) -> Tensor:
    """[positions, width]: sines in even columns, cosines in odd ones, wavelengths from 2 pi to 10000 * 2 pi."""
    place = torch.arange(positions, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * -(math.log(10000.0) / width))
    table = torch.zeros(positions, width)
    table[:, 0::2] = torch.sin(place * rate)
    table[:, 1::2] = torch.cos(place * rate)
    return table


class SinusoidPosition(nn.Module):
    """x + alpha * sinusoid(position), then dropout."""

    table: Tensor

    def __init__(self, width: int, max_positions: int, dropout: float) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("table", sinusoid_table(max_positions, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, H] at positions 0..T-1 -> [B, T, H]. Raises ValueError when T exceeds the table."""
        length = x.shape[1]
        if length > self.table.shape[0]:
            raise ValueError(f"{length} positions exceed the limit of {self.table.shape[0]}")
        out: Tensor = self.dropout(x + self.alpha * self.table[:length])
        return out

    def at(self, x: Tensor, positions: Tensor) -> Tensor:
        """x [B, H], row b at position positions[b] -> [B, H]; positions int64 [B], inside the table."""
        out: Tensor = self.dropout(x + self.alpha * self.table[positions])
        return out
