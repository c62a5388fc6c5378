"""Posterior encoder: linear spectrogram -> latent (Kim et al. 2021, VITS), and the WaveNet inside it and the flow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.configuration import WaveNetConfig
from timbre.gptsovits.acoustic.weight_norm import WeightNormConv1d


class WaveNet(nn.Module):
    """Gated dilated convolutions with residual and skip paths (van den Oord et al. 2016), not causal, as in WaveGlow.

    [B,channels,T] -> [B,channels,T]; every layer sees zeros on padding, so rows do not depend on the batch's length.

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


@dataclass(frozen=True)
class Posterior:
    """A latent with its distribution."""

    z: Tensor
    """Sample [B,latent,T], zero on padding."""
    mean: Tensor
    """Mean [B,latent,T], zero on padding."""
    log_std: Tensor
    """Logarithm of the standard deviation [B,latent,T], zero on padding."""


LOG_FLOOR = 1e-2
"""Added to magnitudes before their logarithm; samples are within -1..1, so this is far below audible speech."""


class PosteriorEncoder(nn.Module):
    """bins: rows of the spectrogram; latent, hidden, condition_channels: widths.

    ``compressed``: the network sees log magnitudes, and ``direct``, a linear map of one frame, is added to the mean, so
    that the latent can start as principal components of the log spectrum and the WaveNet learns the rest.
    """

    def __init__(
        self,
        bins: int,
        latent: int,
        hidden: int,
        condition_channels: int,
        config: WaveNetConfig,
        compressed: bool = False,
    ) -> None:
        super().__init__()
        self.compressed = compressed
        if compressed:
            self.direct = nn.Conv1d(bins, latent, 1)
        self.pre = nn.Conv1d(bins, hidden, 1)
        self.enc = WaveNet(hidden, condition_channels, config)
        self.proj = nn.Conv1d(hidden, 2 * latent, 1)

    def forward(
        self, spectrum: Tensor, mask: Tensor, condition: Tensor | None = None, noise_scale: float = 1.0
    ) -> Posterior:
        """spectrum [B,bins,T] (magnitudes), mask [B,1,T], condition [B,condition_channels,1].

        noise_scale 0 gives z = mean. No gradient flows from here into the condition: the posterior must not teach the
        style encoder to carry what the latent should (upstream does the same).
        """
        if self.compressed:
            spectrum = torch.log(spectrum + LOG_FLOOR)
        h = self.pre(spectrum) * mask
        h = self.enc(h, mask, None if condition is None else condition.detach())
        # The scale feeds an exponential and the flow's density: float32 also under autocast.
        mean, log_std = (self.proj(h) * mask).float().chunk(2, dim=1)
        if self.compressed:
            mean = mean + self.direct(spectrum).float() * mask
        z = mean
        if noise_scale:
            z = (mean + torch.randn_like(mean) * torch.exp(log_std) * noise_scale) * mask
        return Posterior(z, mean, log_std)
