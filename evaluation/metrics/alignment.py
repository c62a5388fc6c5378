"""Delay and gain between a recording and its copy, found and removed before sample-wise metrics.

STOI falls from 1.0 to below 0.9 for an inaudible delay of 10 ms; PESQ aligns for itself. Both sides are
therefore aligned first, and the found delay and gain are reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate, correlation_lags

from timbre.evaluation.metrics.errors import UnmeasurableError

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Aligned:
    """Two equally long signals and what was removed from the second."""

    reference: Samples
    """[T] float32."""
    degraded: Samples
    """[T] float32, scaled to the reference's level."""
    delay_s: float
    """How much later the copy was (negative: earlier)."""
    gain_db: float
    """Level of the copy relative to the reference before scaling."""


def align(reference: Samples, degraded: Samples, rate_hz: int, *, max_delay_s: float = 0.5) -> Aligned:
    """Removes one constant delay (up to max_delay_s either way, to the sample) and one constant gain.

    reference [T1], degraded [T2]: float32 mono at rate_hz. The delay is the lag of the largest absolute
    cross-correlation;
    the gain is the least-squares factor of degraded onto reference. Raises UnmeasurableError when either side is empty,
    silent or not finite, or when less than half of the shorter side would remain.
    """
    _require_sound(reference, "reference")
    _require_sound(degraded, "degraded")
    correlation = correlate(degraded.astype(np.float64), reference.astype(np.float64), mode="full", method="fft")
    lags = correlation_lags(len(degraded), len(reference), mode="full")
    allowed = np.abs(lags) <= round(max_delay_s * rate_hz)
    if not allowed.any():
        raise UnmeasurableError("the two signals do not overlap within the allowed delay")
    lag = int(lags[allowed][np.argmax(correlation[allowed])])
    start_degraded, start_reference = max(lag, 0), max(-lag, 0)
    length = min(len(degraded) - start_degraded, len(reference) - start_reference)
    if length < 0.5 * min(len(degraded), len(reference)):
        raise UnmeasurableError(f"only {length} samples overlap at the best delay of {lag / rate_hz:.3f} s")
    ref = reference[start_reference : start_reference + length]
    deg = degraded[start_degraded : start_degraded + length]
    energy = float(np.dot(deg, deg))
    factor = abs(float(np.dot(ref, deg))) / energy if energy > 0 else 0.0
    if not np.isfinite(factor) or factor <= 0:
        raise UnmeasurableError("the two signals have nothing in common: their correlation is zero")
    return Aligned(ref, (deg * np.float32(factor)).astype(np.float32), lag / rate_hz, float(-20 * np.log10(factor)))


def _require_sound(samples: Samples, name: str) -> None:
    if samples.ndim != 1 or len(samples) == 0:
        raise UnmeasurableError(f"{name}: expected a non-empty mono signal, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise UnmeasurableError(f"{name}: holds values that are not finite")
    if float(np.max(np.abs(samples))) < 1e-5:
        raise UnmeasurableError(f"{name}: is silent (peak below -100 dBFS)")
