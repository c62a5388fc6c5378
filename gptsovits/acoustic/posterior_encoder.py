"""Posterior encoder: linear spectrogram -> latent (Kim et al. 2021, VITS)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.configuration import WaveNetConfig
from timbre.gptsovits.acoustic.wavenet import WaveNet


@dataclass(frozen=True)
class Posterior:
    """z, mean, log_std: each [B,latent,T], zero on padding."""

    z: Tensor
    mean: Tensor
    log_std: Tensor


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
