"""Residual vector quantizer: semantic features <-> codes (van den Oord et al. 2017).

Official bases freeze it; in nano every row stands for a sound (nano/label_codes.py). Nothing here trains one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Quantized:
    """The chosen rows of the codebooks."""

    codes: Tensor
    """int64 [B,layers,T]."""
    values: Tensor
    """[B,C,T], the sum of the chosen rows."""


class EuclideanCodebook(nn.Module):
    """``rows`` vectors of ``width``; buffers named as in the official weights."""

    inited: Tensor
    cluster_size: Tensor
    embed: Tensor
    embed_avg: Tensor

    def __init__(self, width: int, rows: int) -> None:
        super().__init__()
        table = torch.randn(rows, width) * width**-0.5
        self.register_buffer("inited", torch.ones(1))
        self.register_buffer("cluster_size", torch.ones(rows))
        self.register_buffer("embed", table)
        self.register_buffer("embed_avg", table.clone())

    def nearest(self, x: Tensor) -> Tensor:
        """x [N,C] -> [N] int64: the row with the smallest squared Euclidean distance, in float32."""
        with torch.autocast(x.device.type, enabled=False):
            table = self.embed.float()
            # |x|^2 is the same for every row and left out.
            score = x.float() @ table.t() - 0.5 * table.square().sum(1)
            return score.argmax(dim=1)


class _Layer(nn.Module):
    def __init__(self, width: int, rows: int) -> None:
        super().__init__()
        self._codebook = EuclideanCodebook(width, rows)

    @property
    def codebook(self) -> EuclideanCodebook:
        return self._codebook


class _Layers(nn.Module):
    def __init__(self, width: int, rows: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(width, rows) for _ in range(count))


class ResidualQuantizer(nn.Module):
    """width: of the features; rows: of each codebook; layers: codebooks, each on what the ones before left over."""

    def __init__(self, width: int, rows: int, layers: int = 1) -> None:
        super().__init__()
        self.vq = _Layers(width, rows, layers)

    def codebooks(self) -> list[EuclideanCodebook]:
        """One a layer."""
        return [layer.codebook for layer in self.vq.layers if isinstance(layer, _Layer)]

    @torch.no_grad()
    def encode(self, features: Tensor) -> Tensor:
        """features [B,C,T] -> codes [B,layers,T] int64."""
        return self.quantize(features).codes

    @torch.no_grad()
    def quantize(self, features: Tensor) -> Quantized:
        """features [B,C,T]."""
        batch, width, frames = features.shape
        left = features.transpose(1, 2).reshape(batch * frames, width).float()
        codes = []
        for book in self.codebooks():
            chosen = book.nearest(left)
            left = left - book.embed[chosen].float()
            codes.append(chosen.view(batch, frames))
        stacked = torch.stack(codes, dim=1)
        return Quantized(stacked, self.decode(stacked))

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B,layers,T] -> sum of the rows [B,C,T], float32."""
        rows = [book.embed[codes[:, layer]] for layer, book in enumerate(self.codebooks())]
        return torch.stack(rows).sum(0).float().transpose(1, 2) if len(rows) > 1 else rows[0].float().transpose(1, 2)
