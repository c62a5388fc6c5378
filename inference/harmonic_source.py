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
        turned = np.cumsum(f0, dtype=np.float64)
        turned /= self.rate_hz
        turned += cycles
        phase = (turned - np.floor(turned)).astype(np.float32)
        count = np.floor(np.float32(0.48 * self.rate_hz) / f0)
        # Dirichlet's kernel: the sum of cos(2 pi k c) for k = 1..count.
        phase *= np.float32(math.pi)
        below = np.sin(phase)
        near = np.abs(below) < 1e-4
        odd = 2 * count + 1
        below[near] = 1
        pulses = np.sin(np.multiply(phase, odd, out=phase), out=phase)
        pulses /= below
        pulses[near] = odd[near]
        pulses -= 1
        count *= 2
        pulses /= np.sqrt(count, out=count)
        pulses *= voiced
        pulses += (1 - voiced) * _noise_between(start, end)
        return pulses, float(turned[-1] % 1.0) if len(turned) else cycles

    def _per_sample(self, frames: Floats, start: int, end: int, first_frame: int) -> Floats:
        """Linear between the centres of the frames, constant beyond the first and the last."""
        hop, first, last = self.hop, start // self.hop, -(-end // self.hop)
        # Of every hop: the frame before it, its own, and the one behind it.
        numbers = np.arange(first - 1, last + 1) - first_frame
        known = frames[np.clip(numbers, 0, len(frames) - 1)][:, None]
        place = ((np.arange(hop) + 0.5) / hop + 0.5).astype(np.float32)
        early, late = place[: hop // 2], place[hop // 2 :] - 1
        found = np.empty((last - first, hop), np.float32)
        for part, share, left, right in (
            (slice(0, hop // 2), early, known[:-2], known[1:-1]), (slice(hop // 2, hop), late, known[1:-1], known[2:]),
        ):  # fmt: skip
            np.multiply(left, 1 - share, out=found[:, part])
            found[:, part] += right * share
        return found.reshape(-1)[start - first * hop : end - first * hop]


def _noise_between(start: int, end: int) -> Floats:
    """The fixed noise, which repeats itself, of the samples start to end."""
    offset = start % NOISE_SAMPLES
    return np.tile(_noise(), -(-(offset + end - start) // NOISE_SAMPLES))[offset : offset + end - start]


@cache
def _noise() -> Floats:
    noise = np.random.default_rng(16).standard_normal(NOISE_SAMPLES).astype(np.float32)
    noise.setflags(write=False)
    return noise
