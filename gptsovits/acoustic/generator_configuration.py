"""Sizes of the generators, which turn the latent into a waveform."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class HifiGanConfig:
    """HiFi-GAN generator (Kong et al. 2020, resblock kind 1)."""

    initial_channels: int = 512
    """Before the first upsampling; each halves them."""
    upsample_rates: tuple[int, ...] = (10, 8, 2, 2, 2)
    """Factors, one a stage; their product is `hop`."""
    upsample_kernels: tuple[int, ...] = (16, 16, 8, 2, 2)
    """Of the transposed convolutions, one a stage, in samples of their output."""
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    """Residual blocks of each stage, whose outputs are averaged."""
    resblock_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    """Of the convolutions in each of these blocks."""

    @property
    def hop(self) -> int:
        """Samples that one latent frame becomes."""
        return prod(self.upsample_rates)


@dataclass(frozen=True)
class IstftConfig:
    """ConvNeXt backbone with an inverse-STFT head (Siuzdak 2023, Vocos)."""

    width: int = 256
    """Channels between the blocks."""
    inner_width: int = 640
    """Channels inside a block."""
    blocks: int = 8
    """ConvNeXt blocks."""
    kernel: int = 7
    """Frames that the first convolution and each block see."""
    fft_size: int = 1280
    """Samples of a frame."""
    hop: int = 320
    """Samples that one latent frame becomes."""


@dataclass(frozen=True)
class SourceIstftConfig(IstftConfig):
    """Inverse-STFT generator with harmonic source and refinement of the phase; latent channels 0 and 1 are the pitch.

    Channel 0: voicing, -1 to 1. Channel 1: natural log of F0 over ``pitch_center_hz``, divided by ``pitch_log_scale``.
    """

    refinements: int = 32
    """Fast Griffin-Lim iterations on the network's own magnitude, starting from its own phase."""
    rate_hz: int = 16000
    """Sampling rate of the wave."""
    pitch_center_hz: float = 150.0
    """F0 for which channel 1 is 0."""
    pitch_log_scale: float = 0.4
    """Change of the natural log of F0 that moves channel 1 by 1."""
