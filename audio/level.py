"""Levels in dBFS (full-scale square = 0 dB), gain to a target, and a look-ahead limiter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from timbre.audio.waveform import Samples, Waveform

FLOOR_DBFS = -120.0
LOOK_AHEAD_S = 0.005


def to_db(ratio: float) -> float:
    """20 log10 of an amplitude ratio, never below -120."""
    return float(20.0 * np.log10(max(ratio, 10 ** (FLOOR_DBFS / 20))))


def rms(samples: Samples) -> float:
    """Root of the mean square; 0 for no samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def peak_dbfs(wave: Waveform) -> float:
    """Level of the largest sample."""
    return to_db(float(np.max(np.abs(wave.samples), initial=0.0)))


def frame_levels(samples: Samples, frame: int) -> npt.NDArray[np.float64]:
    """RMS level in dBFS of whole frames: (n,) -> (n // frame,). The rest of the last frame is left out."""
    count = len(samples) // frame
    squares = np.square(samples[: count * frame].reshape(count, frame), dtype=np.float64).mean(axis=1)
    return 10.0 * np.log10(np.maximum(squares, 10 ** (FLOOR_DBFS / 10)))


def active_level_dbfs(levels_dbfs: npt.NDArray[np.float64], active: npt.NDArray[np.bool_]) -> float:
    """RMS level over the frames (f,) that hold speech; -120 when none does."""
    chosen = levels_dbfs[active]
    return float(10.0 * np.log10(np.mean(10.0 ** (chosen / 10.0)))) if len(chosen) else FLOOR_DBFS


@dataclass(frozen=True)
class LimitedSound:
    """A sound under a ceiling."""

    wave: Waveform
    """The same object as the input where nothing exceeded the ceiling."""
    reduction_db: float
    """Largest gain reduction, 0 or above; 0: untouched."""


def limit(wave: Waveform, ceiling_dbfs: float, look_ahead_s: float = LOOK_AHEAD_S) -> LimitedSound:
    """Keeps every sample at or below the ceiling by turning the gain down smoothly around peaks, never by clipping.

    The gain that each sample needs is spread by a running minimum over +- look_ahead_s and then smoothed by a Hann
    window of the same width: every value under that window already allows for the peak at its middle, so the product
    cannot pass the ceiling.
    """
    ceiling = 10 ** (ceiling_dbfs / 20)
    magnitude = np.abs(wave.samples)
    if not len(magnitude) or float(magnitude.max()) <= ceiling:
        return LimitedSound(wave, 0.0)
    # Few sounds need it, and its import takes longer than most of what this module does.
    from scipy.ndimage import minimum_filter1d

    needed = np.minimum(1.0, ceiling / np.maximum(magnitude, 1e-9))
    half = max(1, round(look_ahead_s * wave.rate_hz))
    spread = minimum_filter1d(needed, 2 * half + 1, mode="nearest")
    window = np.hanning(2 * half + 3)[1:-1]
    gain = np.convolve(np.pad(spread, half, mode="edge"), window / window.sum(), mode="valid")
    limited = np.clip(wave.samples * gain, -ceiling, ceiling).astype(np.float32)
    return LimitedSound(Waveform(limited, wave.rate_hz), -to_db(float(gain.min())))


def apply_gain(wave: Waveform, gain_db: float) -> Waveform:
    """The sound times 10^(gain_db / 20)."""
    return Waveform((wave.samples * np.float32(10 ** (gain_db / 20))).astype(np.float32), wave.rate_hz)
