"""Programme loudness after ITU-R BS.1770-4, measured while the sound goes by.

samples -> K-weighting -> energy of blocks of 400 ms, every 100 ms -> absolute and relative gate -> LUFS

The filters are those of the recommendation's annex 1, recomputed for any rate as libebur128 does.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from timbre.audio.waveform import Samples

SILENCE_LUFS = -70.0
"""Absolute gate: what no block exceeds has this loudness."""
_OFFSET = -0.691
_STEP_S = 0.1
_STEPS = 4
_RELATIVE = -10.0


class Loudness:
    """Of one mono programme. Memory grows by 8 bytes for every 100 ms."""

    def __init__(self, rate_hz: int) -> None:
        self._step = round(_STEP_S * rate_hz)
        self._filters = [_shelf(rate_hz), _high_pass(rate_hz)]
        self._states = [np.zeros(2), np.zeros(2)]
        self._left = np.zeros(0)
        self._energies: list[npt.NDArray[np.float64]] = []

    def add(self, samples: Samples) -> None:
        """samples [S], of any number."""
        wave: npt.NDArray[np.float64] = np.asarray(samples, np.float64)
        for index, (numerator, denominator) in enumerate(self._filters):
            wave, self._states[index] = lfilter(numerator, denominator, wave, zi=self._states[index])
        wave = np.concatenate([self._left, wave])
        count = len(wave) // self._step
        self._left = wave[count * self._step :]
        if count:
            self._energies.append(np.square(wave[: count * self._step].reshape(count, self._step)).mean(axis=1))

    @property
    def lufs(self) -> float:
        """Integrated loudness so far; SILENCE_LUFS where nothing is louder, or less than 400 ms came."""
        steps = np.concatenate(self._energies) if self._energies else np.zeros(0)
        if len(steps) < _STEPS:
            return SILENCE_LUFS
        blocks = np.convolve(steps, np.full(_STEPS, 1 / _STEPS), mode="valid")
        loud = blocks[blocks > _energy(SILENCE_LUFS)]
        if not len(loud):
            return SILENCE_LUFS
        gate = _energy(_level(float(loud.mean())) + _RELATIVE)
        return _level(float(loud[loud > gate].mean()))


def _level(energy: float) -> float:
    return _OFFSET + 10 * math.log10(energy)


def _energy(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


Coefficients = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _shelf(rate_hz: int) -> Coefficients:
    """The head: a shelf of 4 dB above 1.7 kHz."""
    k, q = math.tan(math.pi * 1681.974450955533 / rate_hz), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    scale = 1 + k / q + k * k
    numerator = np.array([high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]) / scale
    return numerator, np.array([1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale])


def _high_pass(rate_hz: int) -> Coefficients:
    """The ear's falling off below 38 Hz. The numerator is not scaled: that is how the recommendation has it."""
    k, q = math.tan(math.pi * 38.13547087602444 / rate_hz), 0.5003270373238773
    scale = 1 + k / q + k * k
    return np.array([1.0, -2.0, 1.0]), np.array([1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale])
