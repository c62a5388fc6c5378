"""Audio degraded on purpose, to see which gate detects it: each function takes what a good voice said and damages it.

Waveform, seed -> Waveform of the same rate. All are what really happens: a noisy room, a wrong gain, a telephone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from timbre.audio.waveform import Waveform
from timbre.core.extras import needed_by

Spoil = Callable[[Waveform, int], Waveform]
Heights = np.ndarray[tuple[int], np.dtype[np.float64]]
Melody = Callable[[Heights], Heights]

NOISE_SNR_DB = 5.0
LOUD_PEAK_DBFS = 6.0
QUIET_DB = -45.0
CLIP_SHARE = 0.25
TELEPHONE_HZ = 2000.0
ROOM_S = 0.9
RATE_FACTOR = 1.3
KEPT_SHARE = 0.45
HUM_HZ, HUM_DB = 100.0, 3.0
LOST_S, LOST_SHARE = 0.06, 0.4
STUTTER_S = 0.25
_FLOOR_HZ, _CEILING_HZ, _STEP_S = 75.0, 500.0, 0.01


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


def humming(wave: Waveform, seed: int) -> Waveform:
    """A mains hum with its harmonics 3 dB above the speech's mean power."""
    time = np.arange(len(wave.samples)) / wave.rate_hz
    hum = sum(np.sin(2 * np.pi * HUM_HZ * number * time) / number for number in range(1, 9))
    power = float(np.mean(np.square(wave.samples, dtype=np.float64))) * 10 ** (HUM_DB / 10)
    return _like(wave, wave.samples + hum * np.sqrt(power / max(float(np.mean(np.square(hum))), 1e-20)))


def dropouts(wave: Waveform, seed: int) -> Waveform:
    """Four in ten pieces of 60 ms are lost, as on a bad line."""
    size = max(1, round(LOST_S * wave.rate_hz))
    lost = np.random.default_rng(seed).random(-(-len(wave.samples) // size)) < LOST_SHARE
    return _like(wave, np.where(np.repeat(lost, size)[: len(wave.samples)], 0.0, wave.samples))


def stuttering(wave: Waveform, seed: int) -> Waveform:
    """Every quarter of a second is heard twice."""
    size = max(1, round(STUTTER_S * wave.rate_hz))
    parts = [wave.samples[start : start + size] for start in range(0, len(wave.samples), size)]
    return _like(wave, np.concatenate([twice for part in parts for twice in (part, part)]))


def backwards(wave: Waveform, seed: int) -> Waveform:
    """From its end to its beginning."""
    return _like(wave, wave.samples[::-1])


def monotone(wave: Waveform, seed: int) -> Waveform:
    """One pitch throughout: every sound is right and every Mandarin tone wrong."""
    return with_melody(wave, lambda heights: np.full_like(heights, heights.mean()))


def with_melody(wave: Waveform, melody: Melody) -> Waveform:
    """The sound with other pitches at the same times (PSOLA by Praat). One without voice stays as it is.

    melody: natural logarithms of the F0 of the voiced points [N], in Hz, to others.
    """
    with needed_by("pitch"):
        import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(wave.samples.astype(np.float64), wave.rate_hz)
    manipulation: Any = call(sound, "To Manipulation", _STEP_S, _FLOOR_HZ, _CEILING_HZ)
    tier: Any = call(manipulation, "Extract pitch tier")
    count = int(call(tier, "Get number of points"))
    if not count:
        return wave
    times = [float(call(tier, "Get time from index", index + 1)) for index in range(count)]
    heights = np.log([float(call(tier, "Get value at index", index + 1)) for index in range(count)])
    call(tier, "Remove points between", 0.0, sound.duration)
    for time_s, pitch_hz in zip(times, np.exp(melody(heights)), strict=True):
        call(tier, "Add point", time_s, float(np.clip(pitch_hz, _FLOOR_HZ, _CEILING_HZ)))
    call([tier, manipulation], "Replace pitch tier")
    changed: Any = call(manipulation, "Get resynthesis (overlap-add)")
    return Waveform(changed.values[0].astype(np.float32), wave.rate_hz)


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
        "humming": humming,
        "dropouts": dropouts,
        "stuttering": stuttering,
        "backwards": backwards,
        "monotone": monotone,
    }
)
"""By the names that calibration reports use."""


def _like(wave: Waveform, samples: np.ndarray) -> Waveform:  # type: ignore[type-arg]
    return Waveform(np.ascontiguousarray(samples, np.float32), wave.rate_hz)
