"""Reference encoder: spectrum of any length -> one style vector (Min et al. 2021, the encoder of Meta-StyleSpeech)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.configuration import StyleEncoderConfig


class _Named(nn.Module):
    """Holds one layer under upstream's extra level of naming."""

    def __init__(self, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.add_module(name, layer)
        self._layer_name = name

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self._modules[self._layer_name](x)  # type: ignore[misc]
        return out


class GatedConvolution(nn.Module):
    """Convolution with a gated linear unit and a residual."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = _Named("conv", nn.Conv1d(width, 2 * width, kernel, padding="same"))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [B,C,T] -> [B,C,T]."""
        out: Tensor = x + self.drop(functional.glu(self.conv1(x), dim=1))
        return out


class StyleAttention(nn.Module):
    """Self-attention with residual. The scores are divided by sqrt(width), not sqrt(width / heads)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.w_qs = nn.Linear(width, width)
        self.w_ks = nn.Linear(width, width)
        self.w_vs = nn.Linear(width, width)
        self.fc = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B,T,C], mask [B,1,T] -> [B,T,C]."""
        split = (self.heads, self.width // self.heads)
        q, k, v = (layer(x).unflatten(2, split).transpose(1, 2) for layer in (self.w_qs, self.w_ks, self.w_vs))
        scores = (q @ k.transpose(2, 3)).float() / math.sqrt(self.width)
        weights = torch.softmax(scores.masked_fill(mask.unsqueeze(1) == 0, -1e9), dim=-1)
        out = (self.drop(weights).to(v.dtype) @ v).transpose(1, 2).flatten(2)
        mixed: Tensor = x + self.drop(self.fc(out))
        return mixed


class StyleEncoder(nn.Module):
    """out: width of the style vector."""

    def __init__(self, out: int, config: StyleEncoderConfig) -> None:
        super().__init__()
        self.bins, self.masked = config.bins, config.masked_convolutions
        width = config.width
        self.spectral = nn.Sequential(
            _Named("fc", nn.Linear(config.bins, width)),
            nn.Mish(),
            nn.Dropout(config.dropout),
            _Named("fc", nn.Linear(width, width)),
            nn.Mish(),
            nn.Dropout(config.dropout),
        )
        self.temporal = nn.ModuleList(GatedConvolution(width, config.kernel, config.dropout) for _ in range(2))
        self.slf_attn = StyleAttention(width, config.heads, config.dropout)
        self.fc = _Named("fc", nn.Linear(width, out))

    def forward(self, spectrum: Tensor, mask: Tensor) -> Tensor:
        """spectrum [B,F,T] with F >= bins (its low ``bins`` rows are used), mask [B,1,T] -> [B,out,1], float32."""
        x = (spectrum[:, : self.bins] * mask).transpose(1, 2)
        x = self.spectral(x).transpose(1, 2)
        for block in self.temporal:
            x = block(x * mask) if self.masked else block(x)
        x = (x * mask).transpose(1, 2)
        x = self.fc(self.slf_attn(x, mask)).transpose(1, 2).float()
        return (x * mask).sum(dim=2, keepdim=True) / mask.sum(dim=2, keepdim=True).clamp(min=1.0)
