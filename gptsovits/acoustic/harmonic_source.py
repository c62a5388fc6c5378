"""Voicing and F0 a frame -> excitation wave: a train of pulses where voiced, fixed noise elsewhere.

The idea of a harmonic source beside the network is that of neural source-filter models (Wang, Takaki & Yamagishi
2019): a network that works at 50 frames a second cannot keep the phases of harmonics in step by itself, since the
same frame content must give another phase in every frame.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

NOISE_SAMPLES = 16384
LOWEST_HZ, HIGHEST_HZ = 50.0, 600.0


class HarmonicSource(nn.Module):
    """rate_hz: of the wave; hop: samples a frame. No parameters; the same input gives the same wave."""

    noise: Tensor

    def __init__(self, rate_hz: int, hop: int) -> None:
        super().__init__()
        self.rate_hz, self.hop = rate_hz, hop
        # Fixed noise keeps synthesis repeatable and the exported graph equal to this one.
        noise = np.random.default_rng(16).standard_normal(NOISE_SAMPLES).astype(np.float32)
        self.register_buffer("noise", torch.from_numpy(noise), persistent=False)

    def _per_sample(self, frames: Tensor) -> Tensor:
        """[B,T] -> [B,T*hop], linear between the centres of the frames."""
        return functional.interpolate(
            frames.unsqueeze(1), scale_factor=float(self.hop), mode="linear", align_corners=False
        ).squeeze(1)

    def forward(self, voicing: Tensor, f0_hz: Tensor) -> Tensor:
        """voicing [B,T] 0..1, f0_hz [B,T] -> wave [B,T*hop], float32, RMS about 1."""
        f0 = self._per_sample(f0_hz.clamp(LOWEST_HZ, HIGHEST_HZ))
        voiced = self._per_sample(voicing)
        # Cycles in double: after a minute float32 would miss the phase of the upper harmonics.
        cycles = torch.cumsum(f0.double() / self.rate_hz, dim=1)
        cycles = (cycles - torch.floor(cycles)).float()
        count = torch.floor(0.48 * self.rate_hz / f0)
        # Sum of cos(2 pi k c) for k = 1..count is (sin((2 count + 1) pi c) / sin(pi c) - 1) / 2 (Dirichlet's kernel).
        below = torch.sin(math.pi * cycles)
        near = below.abs() < 1e-4
        ratio = torch.sin((2 * count + 1) * math.pi * cycles) / torch.where(near, torch.ones_like(below), below)
        pulses = (torch.where(near, 2 * count + 1, ratio) - 1) / torch.sqrt(2 * count)
        samples = f0.shape[1]
        index = torch.arange(samples, device=f0.device) % NOISE_SAMPLES
        return voiced * pulses + (1 - voiced) * self.noise[index].unsqueeze(0)
