"""Post-norm transformer blocks of the text-to-semantic network (Vaswani et al. 2017). Cached steps: t2s_step.

All projections are `nn.Linear`, so that adapters can wrap them by name: `in_proj` (queries, keys and values in one
product), `out_proj`, `linear1`, `linear2`. Upstream stores the first as `in_proj_weight` and `in_proj_bias`: renamed at
the border.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from timbre.gptsovits.text_to_semantic.configuration import T2SConfig


def sinusoid_table(positions: int, width: int) -> Tensor:
    """[positions, width]: sines in even columns, cosines in odd ones, wavelengths from 2 pi to 10000 * 2 pi."""
    place = torch.arange(positions, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * -(math.log(10000.0) / width))
    table = torch.zeros(positions, width)
    table[:, 0::2] = torch.sin(place * rate)
    table[:, 1::2] = torch.cos(place * rate)
    return table


class SinusoidPosition(nn.Module):
    """x + alpha * sinusoid(position), then dropout (Vaswani et al. 2017, section 3.5; alpha as in Li et al. 2019)."""

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


class KeyValueCache:
    """Keys and values of all layers, allocated once for the longest sequence that a generation may reach.

    Fixed buffers [layers, 2, B, heads, capacity, head width]; `length` positions of them are filled.

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


_BORDER_NAMES = (("in_proj.weight", "in_proj_weight"), ("in_proj.bias", "in_proj_bias"))


def _to_border(module: nn.Module, state: dict[str, Any], prefix: str, local_metadata: dict[str, Any]) -> None:
    for inside, border in _BORDER_NAMES:
        if prefix + inside in state:
            state[prefix + border] = state.pop(prefix + inside)


def _from_border(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    # A wrapped projection keeps its weight one level deeper, where the base weights of an adapted network must go too.
    target = "in_proj.base_layer." if hasattr(module.in_proj, "base_layer") else "in_proj."
    for inside, border in _BORDER_NAMES:
        if prefix + border in state:
            state[prefix + target + inside.rsplit(".", 1)[-1]] = state.pop(prefix + border)


class SelfAttention(nn.Module):
    """Multi-head self-attention with biases, scale 1 / sqrt(head width)."""

    def __init__(self, config: T2SConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.in_proj = nn.Linear(config.hidden, 3 * config.hidden)
        self.out_proj = nn.Linear(config.hidden, config.hidden)
        self.register_state_dict_post_hook(_to_border)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_border)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, visible: Tensor, store: Tensor | None = None) -> Tensor:
        """x [B, S, H], visible bool [B or 1, 1, S, S] (query, key) -> [B, S, H].

        store: a layer of an empty cache, [2, B, heads, capacity, D], whose first S positions are written.
        """
        batch, length, width = x.shape
        qkv = self.in_proj(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if store is not None:
            store[:, :, :, :length] = qkv[1:]
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=visible, dropout_p=dropout)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class TransformerBlock(nn.Module):
    """x = norm1(x + attention(x)); x = norm2(x + linear2(relu(linear1(x))))."""

    def __init__(self, config: T2SConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.linear1 = nn.Linear(config.hidden, config.feed_forward)
        self.linear2 = nn.Linear(config.feed_forward, config.hidden)
        self.norm1 = nn.LayerNorm(config.hidden)
        self.norm2 = nn.LayerNorm(config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, visible: Tensor, store: Tensor | None = None) -> Tensor:
        """x [B, S, H] -> [B, S, H]; visible and store as in SelfAttention.forward."""
        x = self.norm1(x + self.dropout(self.self_attn(x, visible, store)))
        inner = self.dropout(F.relu(self.linear1(x)))
        out: Tensor = self.norm2(x + self.dropout(self.linear2(inner)))
        return out


class Transformer(nn.Module):
    """The stack of blocks. gradient_checkpointing: recompute each block in the backward pass, for less memory."""

    def __init__(self, config: T2SConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        self.gradient_checkpointing = False

    def forward(self, x: Tensor, visible: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """x [B, S, H], visible bool [B or 1, 1, S, S] -> [B, S, H]. cache: empty, takes the S positions."""
        if cache is not None:
            if cache.length:
                raise ValueError("the cache must be empty before the first pass")
            cache.claim(x.shape[1])
        recompute = self.gradient_checkpointing and torch.is_grad_enabled() and cache is None
        for index, layer in enumerate(self.layers):
            if recompute:
                x = checkpoint(layer, x, visible, use_reentrant=False)
            else:
                x = layer(x, visible, None if cache is None else cache.layer(index))
        return x
