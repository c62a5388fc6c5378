"""Audio degraded on purpose, to see which gate detects it: each function takes what a good voice said and damages it.

Waveform, seed -> Waveform of the same rate. All are what really happens: a noisy room, a wrong gain, a telephone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from timbre.audio.waveform import Waveform

Spoil = Callable[[Waveform, int], Waveform]

NOISE_SNR_DB = 5.0
LOUD_PEAK_DBFS = 6.0
QUIET_DB = -45.0
CLIP_SHARE = 0.25
TELEPHONE_HZ = 2000.0
ROOM_S = 0.9
RATE_FACTOR = 1.3
KEPT_SHARE = 0.45


def noisy(wave: Waveform, seed: int) -> Waveform:
    """White noise at 5 dB below the speech's mean power."""
    power = float(np.mean(np.square(wave.samples, dtype=np.float64)))
    noise = np.random.default_rng(seed).standard_normal(len(wave.samples))
    return _like(wave, wave.samples + noise * np.sqrt(power / 10 ** (NOISE_SNR_DB / 10)))


def clipped(wave: Waveform, seed: int) -> Waveform:
    """Everything above a quarter of the peak cut flat, then back at the old peak: overdriven, turned down since."""
    peak = float(np.max(np.abs(wave.samples), initial=0.0))
    return _like(wave, np.clip(wave.samples, -CLIP_SHARE * peak, CLIP_SHARE * peak) / CLIP_SHARE)


def silence(wave: Waveform, seed: int) -> Waveform:
    """Nothing at all."""
    return _like(wave, np.zeros_like(wave.samples))


def loud(wave: Waveform, seed: int) -> Waveform:
    """Peaks 6 dB above full scale."""
    peak = max(float(np.max(np.abs(wave.samples), initial=0.0)), 1e-9)
    return _like(wave, wave.samples * (10 ** (LOUD_PEAK_DBFS / 20) / peak))


def quiet(wave: Waveform, seed: int) -> Waveform:
    """45 dB softer."""
    return _like(wave, wave.samples * 10 ** (QUIET_DB / 20))


def band_limited(wave: Waveform, seed: int) -> Waveform:
    """Nothing above 2 kHz."""
    filters = butter(8, min(TELEPHONE_HZ, 0.45 * wave.rate_hz), fs=wave.rate_hz, output="sos")
    return _like(wave, sosfilt(filters, wave.samples.astype(np.float64)))


def reverberant(wave: Waveform, seed: int) -> Waveform:
    """A room with 0.9 s of reverberation and no direct sound to speak of; level as before."""
    count = round(ROOM_S * wave.rate_hz)
    decay = np.exp(-6.9 * np.arange(count) / count)
    room = np.random.default_rng(seed).standard_normal(count) * decay
    wet = fftconvolve(wave.samples.astype(np.float64), room)[: len(wave.samples)]
    power = max(float(np.mean(wet**2)), 1e-20)
    return _like(wave, wet * np.sqrt(float(np.mean(np.square(wave.samples, dtype=np.float64))) / power))


def wrong_rate(wave: Waveform, seed: int) -> Waveform:
    """Played 1.3 times too fast, as with a wrong sample rate in a header: higher and shorter."""
    places = np.arange(0, len(wave.samples) - 1, RATE_FACTOR)
    return _like(wave, np.interp(places, np.arange(len(wave.samples)), wave.samples))


def cut_off(wave: Waveform, seed: int) -> Waveform:
    """Only the first 45 % of it."""
    return _like(wave, wave.samples[: max(1, round(KEPT_SHARE * len(wave.samples)))])


SOUNDS: Mapping[str, Spoil] = MappingProxyType(
    {
        "noisy": noisy,
        "clipped": clipped,
        "silence": silence,
        "loud": loud,
        "quiet": quiet,
        "band-limited": band_limited,
        "reverberant": reverberant,
        "wrong-rate": wrong_rate,
        "cut-off": cut_off,
    }
)
"""By the names that calibration reports use."""


def _like(wave: Waveform, samples: np.ndarray) -> Waveform:  # type: ignore[type-arg]
    return Waveform(np.ascontiguousarray(samples, np.float32), wave.rate_hz)
