"""Delay and gain between a recording and its copy, found and removed before sample-wise metrics.

STOI falls from 1.0 to below 0.9 for an inaudible delay of 10 ms; PESQ aligns for itself. Both sides are
therefore aligned first, and the found delay and gain are reported.

The delay is where the envelopes of the bands agree, for these are what is heard. A generator chooses phases of its own:
the waveforms of a perfect copy may agree best a pitch period or three away from where its words are, and hardly
anywhere. Only where they do agree is the delay refined by them, within less than half a period.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from timbre.evaluation.metrics.errors import UnmeasurableError

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]

_HOP_S, _WINDOW_S = 0.001, 0.032
_BANDS_HZ = (100, 200, 300, 400, 500, 650, 800, 1000, 1250, 1600, 2000, 2500, 3200, 4000, 5000)
_POWER = 0.3
"""Of an energy, as loudness grows with it."""
_FINE_S = 0.0015
_ALIKE = 0.5
"""Correlation of the waveforms above which they say more about the delay than the envelopes do."""


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
    """Removes one constant delay (up to max_delay_s either way) and one constant gain.

    reference [T1], degraded [T2]: float32 mono at rate_hz. The delay is the lag at which the band envelopes correlate
    best, to a millisecond, and to the sample where the waveforms correlate too; the gain is the ratio of the energies.
    Raises UnmeasurableError when either side is empty, silent or not finite, or when less than half of the shorter side
    would remain.
    """
    _require_sound(reference, "reference")
    _require_sound(degraded, "degraded")
    lag = _envelope_lag(reference, degraded, rate_hz, max_delay_s)
    lag = _waveform_lag(reference, degraded, lag, round(_FINE_S * rate_hz))
    ref, deg = _overlap(reference, degraded, lag)
    if len(ref) < 0.5 * min(len(degraded), len(reference)):
        raise UnmeasurableError(f"only {len(ref)} samples overlap at the best delay of {lag / rate_hz:.3f} s")
    energies = [float(np.sum(np.square(side, dtype=np.float64))) for side in (ref, deg)]
    if min(energies) <= 0:
        raise UnmeasurableError("one of the two signals is silent where both overlap")
    factor = (energies[0] / energies[1]) ** 0.5
    return Aligned(ref, (deg * np.float32(factor)).astype(np.float32), lag / rate_hz, float(-20 * np.log10(factor)))


def _envelope_lag(reference: Samples, degraded: Samples, rate_hz: int, max_delay_s: float) -> int:
    """Samples by which the envelopes of degraded are later, in steps of a millisecond."""
    hop = round(_HOP_S * rate_hz)
    left, right = (_envelopes(side, rate_hz, hop) for side in (reference, degraded))
    lags = np.arange(1 - left.shape[1], right.shape[1])
    size = next_fast_len(left.shape[1] + right.shape[1] - 1, real=True)
    product = (np.conj(rfft(left, size, axis=1)) * rfft(right, size, axis=1)).sum(0)
    correlation = irfft(product, size)[lags]
    allowed = np.abs(lags) <= round(max_delay_s / _HOP_S)
    return int(lags[allowed][np.argmax(correlation[allowed])]) * hop


def _envelopes(samples: Samples, rate_hz: int, hop: int) -> Floats:
    """Loudness of each band [B, N] without its mean; the bands count alike."""
    window = np.hanning(round(_WINDOW_S * rate_hz) + 2)[1:-1]
    padded = np.pad(samples.astype(np.float64), len(window) // 2)
    energies = np.square(np.abs(np.fft.rfft(sliding_window_view(padded, len(window))[::hop] * window, axis=1)))
    edges = np.searchsorted(np.fft.rfftfreq(len(window), 1 / rate_hz), _BANDS_HZ)
    kept = [(low, high) for low, high in pairwise(edges) if high > low]
    bands = np.stack([energies[:, low:high].sum(1) ** _POWER for low, high in kept])
    bands -= bands.mean(1, keepdims=True)
    return np.asarray(bands / np.maximum(bands.std(1, keepdims=True), 1e-12))


def _waveform_lag(reference: Samples, degraded: Samples, lag: int, reach: int) -> int:
    """The lag within reach of the given one at which the waveforms correlate best, if they do."""
    best, found = _ALIKE, lag
    for near in range(lag - reach, lag + reach + 1):
        ref, deg = (side.astype(np.float64) for side in _overlap(reference, degraded, near))
        size = float(np.sqrt(np.dot(ref, ref) * np.dot(deg, deg)))
        if size > 0 and (alike := float(np.dot(ref, deg)) / size) > best:
            best, found = alike, near
    return found


def _overlap(reference: Samples, degraded: Samples, lag: int) -> tuple[Samples, Samples]:
    """Both sides where they overlap when degraded is later by lag samples."""
    late, early = degraded[max(lag, 0) :], reference[max(-lag, 0) :]
    length = min(len(late), len(early))
    return early[:length], late[:length]


def _require_sound(samples: Samples, name: str) -> None:
    if samples.ndim != 1 or len(samples) == 0:
        raise UnmeasurableError(f"{name}: expected a non-empty mono signal, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise UnmeasurableError(f"{name}: holds values that are not finite")
    if float(np.max(np.abs(samples))) < 1e-5:
        raise UnmeasurableError(f"{name}: is silent (peak below -100 dBFS)")
