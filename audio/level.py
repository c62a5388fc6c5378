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


class Limiter:
    """Keeps every sample at or below a ceiling by turning the gain down smoothly around peaks, never by clipping; piece
    by piece, and the same however a sound is cut into pieces.

    The gain that each sample needs is spread by a running minimum over +- the look-ahead and then smoothed by a Hann
    window of the same width: every value under that window already allows for the peak at its middle, so the product
    cannot pass the ceiling. What is given lags two look-aheads behind.
    """

    def __init__(self, rate_hz: int, ceiling_dbfs: float, look_ahead_s: float = LOOK_AHEAD_S) -> None:
        self._ceiling = 10 ** (ceiling_dbfs / 20)
        self._half = max(1, round(look_ahead_s * rate_hz))
        window = np.hanning(2 * self._half + 3)[1:-1]
        self._window = window / window.sum()
        self._known: Samples = np.zeros(0, np.float32)
        self._given = 0
        self.least_gain = 1.0
        """The most that anything was turned down by so far, as a factor."""

    def push(self, samples: Samples) -> Samples:
        """More of the sound -> what can be given of it by now."""
        return self._next(samples, 2 * self._half)

    def flush(self) -> Samples:
        """The rest, once all was pushed."""
        return self._next(np.zeros(0, np.float32), 0)

    def _next(self, samples: Samples, held: int) -> Samples:
        known = np.concatenate([self._known, samples]) if len(self._known) else samples
        first, last = self._given, len(known) - held
        if last <= first:
            self._known = known
            return np.zeros(0, np.float32)
        piece = known[first:last]
        if float(np.max(np.abs(known), initial=0.0)) > self._ceiling:
            gain = self._gain(known)[first:last]
            self.least_gain = min(self.least_gain, float(gain.min()))
            piece = np.clip(piece * gain, -self._ceiling, self._ceiling).astype(np.float32)
        # What comes next is turned down for peaks so far behind it.
        kept = max(0, last - 2 * self._half)
        self._known, self._given = known[kept:], last - kept
        return piece

    def _gain(self, samples: Samples) -> npt.NDArray[np.float64]:
        """Of each sample [n]; wrong within two look-aheads of a side where the sound goes on."""
        needed = np.minimum(1.0, self._ceiling / np.maximum(np.abs(samples), 1e-9))
        spread = _running_minimum(np.pad(needed, 2 * self._half, constant_values=1.0), 2 * self._half + 1)
        return np.convolve(spread, self._window, mode="valid")


def _running_minimum(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Least of every `width` neighbours: [n] -> [n - width + 1]."""
    count, done = len(values) - width + 1, 1
    while 2 * done <= width:
        values, done = np.minimum(values[:-done], values[done:]), 2 * done
    return np.minimum(values[:count], values[width - done : width - done + count])


def limit(wave: Waveform, ceiling_dbfs: float, look_ahead_s: float = LOOK_AHEAD_S) -> LimitedSound:
    """The sound as a `Limiter` gives it."""
    limiter = Limiter(wave.rate_hz, ceiling_dbfs, look_ahead_s)
    limited = np.concatenate([limiter.push(wave.samples), limiter.flush()])
    if limiter.least_gain == 1.0:
        return LimitedSound(wave, 0.0)
    return LimitedSound(Waveform(limited, wave.rate_hz), -to_db(limiter.least_gain))


def apply_gain(wave: Waveform, gain_db: float) -> Waveform:
    """The sound times 10^(gain_db / 20)."""
    return Waveform((wave.samples * np.float32(10 ** (gain_db / 20))).astype(np.float32), wave.rate_hz)
