"""Gated dilated convolutions with residual and skip paths (van den Oord et al. 2016), not causal, as in WaveGlow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.configuration import WaveNetConfig
from timbre.gptsovits.acoustic.weight_norm import WeightNormConv1d


class WaveNet(nn.Module):
    """[B,channels,T] -> [B,channels,T]; every layer sees zeros on padding, so rows do not depend on the batch's length.

    channels: width; condition_channels: width of the global condition (0: none).
    """

    def __init__(self, channels: int, condition_channels: int, config: WaveNetConfig) -> None:
        super().__init__()
        self.channels = channels
        self.in_layers = nn.ModuleList()
        self.res_skip_layers = nn.ModuleList()
        if condition_channels:
            self.cond_layer = WeightNormConv1d(condition_channels, 2 * channels * config.layers, 1)
        for index in range(config.layers):
            dilation = config.dilation_rate**index
            padding = (config.kernel - 1) * dilation // 2
            self.in_layers.append(
                WeightNormConv1d(channels, 2 * channels, config.kernel, dilation=dilation, padding=padding)
            )
            last = index == config.layers - 1
            self.res_skip_layers.append(WeightNormConv1d(channels, channels if last else 2 * channels, 1))

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """x [B,channels,T], mask [B,1,T], condition [B,condition_channels,1] -> sum of skip paths [B,channels,T]."""
        shifts = None if condition is None else self.cond_layer(condition).chunk(len(self.in_layers), dim=1)
        skips: Tensor | None = None
        for index, (gated, mixed) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            h = gated(x)
            if shifts is not None:
                h = h + shifts[index]
            a, b = h.chunk(2, dim=1)
            out = mixed(torch.tanh(a) * torch.sigmoid(b))
            if index < len(self.in_layers) - 1:
                residual, skip = out.chunk(2, dim=1)
                x = (x + residual) * mask
            else:
                skip = out
            skips = skip if skips is None else skips + skip
        assert skips is not None
        return skips * mask
