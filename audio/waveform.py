"""A piece of mono sound with its rate beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono sound."""

    samples: Samples
    """float32, shape (n,), full scale is +-1."""
    rate_hz: int
    """Samples a second, at least 1."""

    def __post_init__(self) -> None:
        if self.samples.ndim != 1:
            raise ValueError(f"samples: shape {self.samples.shape}, expected one dimension (mono)")
        if self.samples.dtype != np.float32:
            raise ValueError(f"samples: {self.samples.dtype}, expected float32")
        if self.rate_hz < 1:
            raise ValueError(f"rate_hz: {self.rate_hz}, expected at least 1")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz

    def between(self, start_s: float, end_s: float) -> Waveform:
        """The part from start_s to end_s (seconds); ends outside the sound are moved to its ends."""
        start = max(0, round(start_s * self.rate_hz))
        end = min(len(self.samples), round(end_s * self.rate_hz))
        return Waveform(self.samples[start : max(start, end)], self.rate_hz)


def within_full_scale(samples: Samples) -> Samples:
    """What an encoder of bounded range can take: samples (n,) cut at +-1, with silence for NaN."""
    return np.asarray(np.clip(np.nan_to_num(samples), -1.0, 1.0), np.float32)


def join(pieces: list[Waveform]) -> Waveform:
    """Pieces of one rate, one after the other. Raises ValueError on different rates or no piece."""
    rates = {piece.rate_hz for piece in pieces}
    if len(rates) != 1:
        raise ValueError(f"pieces have rates {sorted(rates)}, expected exactly one")
    return Waveform(np.concatenate([piece.samples for piece in pieces]), rates.pop())
