"""Keys and values of all layers, allocated once for the longest sequence that a generation may reach."""

from __future__ import annotations

import torch
from torch import Tensor

from timbre.gptsovits.text_to_semantic.configuration import T2SConfig


class KeyValueCache:
    """Fixed buffers [layers, 2, B, heads, capacity, head width]; `length` positions of them are filled.

    Growing a cache by concatenation copies all of it for every token; here a token costs one row per layer.
    """

    def __init__(
        self,
        config: T2SConfig,
        batch: int,
        capacity: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.layers, 2, batch, config.heads, capacity, config.head_width)
        self.store = torch.empty(shape, device=device, dtype=dtype)
        self.length = 0

    @property
    def capacity(self) -> int:
        """Positions that fit."""
        return self.store.shape[4]

    def layer(self, index: int) -> Tensor:
        """Keys and values of one layer, [2, B, heads, capacity, head width]; a view."""
        return self.store[index]

    def claim(self, positions: int) -> int:
        """Make room for more positions; returns the new length. Raises ValueError when the capacity is exceeded."""
        if self.length + positions > self.capacity:
            raise ValueError(f"cache of {self.capacity} positions is full: {self.length} + {positions} asked for")
        self.length += positions
        return self.length

    def keep_rows(self, rows: Tensor) -> None:
        """Drop finished rows of the batch. rows: int64 [B'], the indices that stay."""
        self.store = self.store.index_select(2, rows)
