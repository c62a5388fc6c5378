"""Transformer encoder with relative positions in a window (Shaw et al. 2018, in the form of VITS's text encoder).

Tensors are channels-first, [B,C,T]; masks are [B,1,T], 1 on content. Rows of a padded batch give what they give alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

# Large enough that a masked weight is exactly 0 in float32, small enough for half precision.
_MASKED_SCORE = -1e4


def skew(band: Tensor) -> Tensor:
    """band [...,T,2w+1], entry k of row i for the distance k-w -> [...,T,T], entry (i, i+k-w); 0 outside the window."""
    frames, width = band.shape[-2], band.shape[-1]
    full = frames + width - 1
    # A row padded to one more than the target's width starts one column later in each next row of the target.
    flat = functional.pad(band, (0, full + 1 - width)).flatten(-2)[..., : frames * full]
    window = (width - 1) // 2
    return flat.unflatten(-1, (frames, full))[..., window : window + frames]


def unskew(square: Tensor, width: int) -> Tensor:
    """square [...,T,T] -> [...,T,width]: entry (i, i+k-w) becomes entry k of row i; 0 where that is outside."""
    frames = square.shape[-1]
    full = frames + width - 1
    window = (width - 1) // 2
    flat = functional.pad(functional.pad(square, (window, window)).flatten(-2), (0, frames))
    return flat.unflatten(-1, (frames, full + 1))[..., :width]


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [B,C,T], parameters named as in the official weights."""

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.epsilon = channels, epsilon
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x [B,C,T] -> [B,C,T]."""
        normed = functional.layer_norm(x.transpose(1, 2), (self.channels,), self.gamma, self.beta, self.epsilon)
        return normed.transpose(1, 2)


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention; with ``window`` > 0 keys and values get learned vectors for distances up to it.

    channels: width of queries, keys, values and output; the relative vectors are shared by the heads.
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0, window: int = 0) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels {channels} is not a multiple of heads {heads}")
        self.heads, self.window = heads, window
        self.head_width = channels // heads
        if window:
            scale = self.head_width**-0.5
            self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * window + 1, self.head_width) * scale)
            self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * window + 1, self.head_width) * scale)
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        self.drop = nn.Dropout(dropout)
        for layer in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(layer.weight)

    def _heads(self, x: Tensor) -> Tensor:
        # [B,C,T] -> [B,heads,T,C/heads]
        return x.unflatten(1, (self.heads, self.head_width)).transpose(2, 3)

    def forward(self, queries: Tensor, keys: Tensor, key_mask: Tensor) -> Tensor:
        """queries [B,C,T], keys [B,C,S] (values too), key_mask [B,1,S] -> [B,C,T]."""
        q = self._heads(self.conv_q(queries)) / math.sqrt(self.head_width)
        k = self._heads(self.conv_k(keys))
        v = self._heads(self.conv_v(keys))
        scores = q @ k.transpose(2, 3)
        if self.window:
            scores = scores + skew(q @ self.emb_rel_k.transpose(1, 2))
        scores = scores.float().masked_fill(key_mask.unsqueeze(1) == 0, _MASKED_SCORE)
        weights = self.drop(torch.softmax(scores, dim=-1)).to(v.dtype)
        out = weights @ v
        if self.window:
            out = out + unskew(weights, 2 * self.window + 1) @ self.emb_rel_v
        return self.conv_o(out.transpose(2, 3).flatten(1, 2))


class FeedForward(nn.Module):
    """Two convolutions with ReLU between, both blind to padding."""

    def __init__(self, channels: int, inner: int, kernel: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, inner, kernel, padding="same")
        self.conv_2 = nn.Conv1d(inner, channels, kernel, padding="same")
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B,C,T], mask [B,1,T] -> [B,C,T], zero on padding."""
        h = self.drop(torch.relu(self.conv_1(x * mask)))
        return self.conv_2(h * mask) * mask


class RelativeEncoder(nn.Module):
    """Post-norm transformer blocks.

    ``gradient_checkpointing``: recompute each block in the backward pass instead of keeping its activations.
    """

    def __init__(
        self, channels: int, inner: int, heads: int, layers: int, kernel: int, window: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.gradient_checkpointing = False
        self.drop = nn.Dropout(dropout)
        self.attn_layers = nn.ModuleList(MultiHeadAttention(channels, heads, dropout, window) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, inner, kernel, dropout) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def block(self, index: int, x: Tensor, mask: Tensor) -> Tensor:
        """One block: x [B,C,T], mask [B,1,T] -> [B,C,T]."""
        x = self.norm_layers_1[index](x + self.drop(self.attn_layers[index](x, x, mask)))
        out: Tensor = self.norm_layers_2[index](x + self.drop(self.ffn_layers[index](x, mask)))
        return out

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B,C,T], mask [B,1,T] -> [B,C,T], zero on padding."""
        x = x * mask
        for index in range(len(self.attn_layers)):
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(self.block, index, x, mask, use_reentrant=False)
            else:
                x = self.block(index, x, mask)
        return x * mask
