"""Voicing and F0 a frame -> excitation: pulses where voiced, fixed noise elsewhere.

Equal to gptsovits/acoustic/generator_source_istft.py.

The phase at the end is handed on, so that an utterance rendered in parts is the utterance rendered at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
NOISE_SAMPLES = 16384
LOWEST_HZ, HIGHEST_HZ = 50.0, 600.0


@dataclass(frozen=True)
class HarmonicSource:
    """Sum of harmonics of a pitch curve."""

    rate_hz: int
    """Of the wave."""
    hop: int
    """Samples per frame."""

    def render(
        self, voicing: Floats, f0_hz: Floats, start: int, end: int, *, first_frame: int = 0, cycles: float = 0.0
    ) -> tuple[Floats, float]:
        """voicing, f0_hz [T] of the frames from first_frame on -> samples start to end, and the phase at the end.

        start, end: sample numbers counted from the utterance's beginning. cycles: phase in periods before `start`.
        """
        f0 = self._per_sample(np.clip(f0_hz, LOWEST_HZ, HIGHEST_HZ), start, end, first_frame)
        voiced = self._per_sample(voicing, start, end, first_frame)
        # In double: after a minute float32 would miss the phase of the upper harmonics.
        turned = cycles + np.cumsum(f0.astype(np.float64) / self.rate_hz)
        phase = (turned - np.floor(turned)).astype(np.float32)
        count = np.floor(np.float32(0.48 * self.rate_hz) / f0)
        # Dirichlet's kernel: the sum of cos(2 pi k c) for k = 1..count.
        below = np.sin(np.float32(math.pi) * phase)
        near = np.abs(below) < 1e-4
        odd = 2 * count + 1
        ratio = np.sin(odd * np.float32(math.pi) * phase) / np.where(near, np.float32(1), below)
        pulses = (np.where(near, odd, ratio) - 1) / np.sqrt(2 * count)
        noise = _noise()[np.arange(start, end) % NOISE_SAMPLES]
        wave = voiced * pulses + (1 - voiced) * noise
        return np.asarray(wave, np.float32), float(turned[-1] % 1.0) if len(turned) else cycles

    def _per_sample(self, frames: Floats, start: int, end: int, first_frame: int) -> Floats:
        """Linear between the centres of the frames, constant beyond the first and the last."""
        place = (np.arange(start, end, dtype=np.float64) + 0.5) / self.hop - 0.5 - first_frame
        place = np.clip(place, 0, len(frames) - 1)
        left = place.astype(np.int64)
        share = (place - left).astype(np.float32)
        right = np.minimum(left + 1, len(frames) - 1)
        return np.asarray(frames[left] * (1 - share) + frames[right] * share, np.float32)


@cache
def _noise() -> Floats:
    noise = np.random.default_rng(16).standard_normal(NOISE_SAMPLES).astype(np.float32)
    noise.setflags(write=False)
    return noise
