"""Post-norm transformer blocks of the text-to-semantic network (Vaswani et al. 2017). Cached steps: t2s_step.

All projections are `nn.Linear`, so that adapters can wrap them by name: `in_proj` (queries, keys and values in one
product), `out_proj`, `linear1`, `linear2`. Upstream stores the first as `in_proj_weight` and `in_proj_bias`: renamed at
the border.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.key_value_cache import KeyValueCache

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
