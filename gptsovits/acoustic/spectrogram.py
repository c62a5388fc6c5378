"""Wave -> magnitude spectrum -> log mel spectrum, as the acoustic model sees them.

Framing: (n_fft - hop) / 2 samples of reflection on each side, no centring, so T samples give T // hop frames.
Magnitude is sqrt(re^2 + im^2 + 1e-8); mels are Slaney's (M. Slaney, Auditory Toolbox, 1998: linear below 1 kHz,
logarithmic above, triangles of equal area), natural logarithm of max(x, 1e-5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

MAGNITUDE_EPSILON = 1e-8
MEL_FLOOR = 1e-5


@dataclass(frozen=True)
class SpectrogramConfig:
    """Framing of a short-time spectrum."""

    rate_hz: int = 32_000
    """Of the wave; mel banks place their triangles by it."""
    n_fft: int = 2048
    """Samples of the transform."""
    hop: int = 640
    """Samples between frames; n_fft - hop must be even."""
    window: int = 2048
    """Samples of the Hann window, at most n_fft."""

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window <= self.n_fft:
            raise ValueError(f"need 0 < hop <= window <= n_fft, got {self.hop}, {self.window}, {self.n_fft}")
        if (self.n_fft - self.hop) % 2:
            raise ValueError(f"n_fft - hop must be even, got {self.n_fft} - {self.hop}")

    @property
    def bins(self) -> int:
        """Number of frequency bins, n_fft / 2 + 1."""
        return self.n_fft // 2 + 1


@dataclass(frozen=True)
class MelConfig:
    """A mel bank over a spectrum."""

    spectrogram: SpectrogramConfig = SpectrogramConfig()
    """What the bank is laid over."""
    n_mels: int = 128
    """Number of triangles."""
    f_min_hz: float = 0.0
    """Lower edge of the first."""
    f_max_hz: float | None = None
    """Upper edge of the last; None: half the rate."""


V2_SPECTROGRAM = SpectrogramConfig()
V2_MEL = MelConfig()
V3_MEL = MelConfig(SpectrogramConfig(rate_hz=24_000, n_fft=1024, hop=256, window=1024), n_mels=100)
V4_MEL = MelConfig(SpectrogramConfig(rate_hz=32_000, n_fft=1280, hop=320, window=1280), n_mels=100)

_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0


def slaney_hz_to_mel(hz: float) -> float:
    """Slaney's mel scale: linear to 1 kHz, then 27 steps for each factor of 6.4."""
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _BREAK_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP


def slaney_mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of slaney_hz_to_mel, elementwise."""
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mels, _BREAK_MEL) - _BREAK_MEL))
    hz: NDArray[np.float64] = np.where(mels < _BREAK_MEL, mels * _LINEAR_HZ_PER_MEL, above)
    return hz


def mel_bank(config: MelConfig) -> NDArray[np.float32]:
    """Triangular filters of equal area, [n_mels, bins], float32. Raises ValueError when the edges are out of order."""
    rate = config.spectrogram.rate_hz
    f_max = rate / 2 if config.f_max_hz is None else config.f_max_hz
    if not 0 <= config.f_min_hz < f_max <= rate / 2:
        raise ValueError(f"need 0 <= f_min < f_max <= {rate / 2} Hz, got {config.f_min_hz} and {f_max}")
    mels = np.linspace(slaney_hz_to_mel(config.f_min_hz), slaney_hz_to_mel(f_max), config.n_mels + 2)
    edges = slaney_mel_to_hz(mels)
    frequencies = np.arange(config.spectrogram.bins) * (rate / config.spectrogram.n_fft)
    rising = (frequencies[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies[None]) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    bank: NDArray[np.float32] = (np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)
    return bank


class Spectrogram(nn.Module):
    """Wave [B, T] (or [B, 1, T]) -> magnitudes [B, bins, T // hop], float32 also under autocast.

    Raises ValueError for a wave too short to reflect: T must exceed (n_fft - hop) / 2.
    """

    window: Tensor

    def __init__(self, config: SpectrogramConfig = V2_SPECTROGRAM) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.window), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        if wave.dim() == 3:
            wave = wave.squeeze(1)
        config = self.config
        pad = (config.n_fft - config.hop) // 2
        if wave.shape[-1] <= pad:
            raise ValueError(f"wave of {wave.shape[-1]} samples is too short: reflection needs more than {pad}")
        with torch.autocast(wave.device.type, enabled=False):
            padded = F.pad(wave.float().unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
            spectrum = torch.stft(
                padded, config.n_fft, config.hop, config.window, self.window,
                center=False, normalized=False, onesided=True, return_complex=True,
            )  # fmt: skip
            parts = torch.view_as_real(spectrum)
            return torch.sqrt(parts.square().sum(-1) + MAGNITUDE_EPSILON)


class MelSpectrogram(nn.Module):
    """Wave [B, T] -> log mels [B, n_mels, T // hop]; `from_magnitudes` takes a spectrum that is there already."""

    bank: Tensor

    def __init__(self, config: MelConfig = V2_MEL) -> None:
        super().__init__()
        self.config = config
        self.spectrogram = Spectrogram(config.spectrogram)
        self.register_buffer("bank", torch.from_numpy(mel_bank(config)), persistent=False)

    def from_magnitudes(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes [B, bins, F] -> natural log mels [B, n_mels, F]."""
        with torch.autocast(magnitudes.device.type, enabled=False):
            return torch.log(torch.clamp(torch.matmul(self.bank, magnitudes.float()), min=MEL_FLOOR))

    def forward(self, wave: Tensor) -> Tensor:
        mels: Tensor = self.from_magnitudes(self.spectrogram(wave))
        return mels
