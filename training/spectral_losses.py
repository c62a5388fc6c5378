"""Losses between real and generated speech that need no discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.posterior_encoder import LOG_FLOOR
from timbre.gptsovits.acoustic.spectrogram import MelConfig, MelSpectrogram, SpectrogramConfig

RESOLUTIONS = ((256, 32), (512, 48), (1024, 80), (2048, 128))
"""(FFT size, mel bands): short windows for onsets, long ones for harmonics."""


class MultiResolutionMel(nn.Module):
    """Mean L1 distance of log mels at several FFT sizes, hop a quarter of the size."""

    def __init__(self, rate_hz: int, resolutions: tuple[tuple[int, int], ...] = RESOLUTIONS) -> None:
        super().__init__()
        self.mels = nn.ModuleList(
            MelSpectrogram(MelConfig(SpectrogramConfig(rate_hz, size, size // 4, size), bands))
            for size, bands in resolutions
        )

    def forward(self, wave: Tensor, target: Tensor) -> Tensor:
        """wave, target [B,1,L] -> scalar."""
        # Real speech of the corpus holds digital silence: without a floor near audibility it would dominate the loss.
        total = torch.zeros((), device=wave.device)
        for mel in self.mels:
            total = total + (soft_floor(mel(wave)) - soft_floor(mel(target))).abs().mean()
        return total / len(self.mels)


def soft_floor(log_mel: Tensor, floor: float = -7.0) -> Tensor:
    """log(exp(x) + exp(floor)): levels far below the floor count as equal. Any shape."""
    return torch.logaddexp(log_mel, torch.full_like(log_mel, floor))


def log_magnitude_loss(log_magnitude: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """L1 distance of log magnitudes. log_magnitude [B,F,T] predicted, target [B,F,T] magnitudes, weights [F] of mean
    1."""
    floor = torch.full_like(log_magnitude, LOG_FLOOR).log()
    predicted = torch.logaddexp(log_magnitude, floor)
    return ((predicted - torch.log(target + LOG_FLOOR)).abs() * weights.view(1, -1, 1)).mean()


def direct_distance(
    generator: SourceIstftGenerator, latent: Tensor, spectrum: Tensor, importance: Tensor, mask: Tensor
) -> Tensor:
    """L1 distance of the log magnitudes that a latent stands for (the generator's direct path, whose weights get no
    gradient) from the recorded ones. latent [B,C,T], spectrum [B,F,T] magnitudes, importance [F], mask [B,1,T]."""
    weight, bias = generator.direct.weight.detach(), generator.direct.bias.detach()  # type: ignore[union-attr]
    found = nn.functional.conv1d(latent, weight, bias)
    error = (found - torch.log(spectrum + LOG_FLOOR)).abs() * importance.view(1, -1, 1) * mask
    return error.sum() / (mask.sum() * spectrum.shape[1]).clamp(min=1.0)


def standardised_distance(said: Sequence[Tensor], recorded: Sequence[Tensor], there: Tensor) -> Tensor:
    """L1 distance of layers [B,T,W] in units of each recorded feature's spread, mean over the layers; there [B,T,1]."""
    total = torch.zeros((), device=there.device)
    count = there.sum().clamp(min=1.0)
    for one, other in zip(said, recorded, strict=True):
        other = other.detach().float()
        mean = (other * there).sum((0, 1)) / count
        spread = ((other - mean).square() * there).sum((0, 1)).div(count).sqrt() + 0.05
        total = total + (((one.float() - other).abs() / spread) * there).sum() / count / other.shape[2]
    return total / len(said)


def pitch_loss(z: Tensor, voiced: Tensor, log_f0: Tensor, pitched: Tensor, center_hz: float, scale: float) -> Tensor:
    """Teach latent channels 0 and 1. z [B,C,T] posterior mean; voiced, log_f0 [B,T]; pitched [B]: has any F0 at all."""
    voicing = (z[:, 0] - (2.0 * voiced - 1.0)).square().mean()
    wanted = (log_f0 - torch.log(torch.tensor(center_hz))) / scale
    # Unvoiced frames carry an interpolated pitch: worth learning a little, so that the line does not jump.
    weight = (0.05 + 0.95 * voiced) * pitched.float().unsqueeze(1)
    error = nn.functional.smooth_l1_loss(z[:, 1], wanted, reduction="none", beta=0.2)
    return voicing + 2.0 * (error * weight).sum() / weight.sum().clamp(min=1.0)


def bin_weights(bins: int, rate_hz: int) -> Tensor:
    """Importance of each spectrum bin [F], falling as hearing's resolution does: 1 / (1 + f / 1 kHz)."""
    hertz = torch.arange(bins) * (rate_hz / 2 / (bins - 1))
    return 1.0 / (1.0 + hertz / 1000.0)
