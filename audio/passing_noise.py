"""Noise that comes and goes (a ticking clock, knocking, a barking dog): what a denoiser takes away in the pauses.

16 kHz before and after, above 120 Hz -> power of 20 ms -> frames that lost nine tenths of it -> voice against loss

Such noise leaves the quietest frames quiet, so that no level of the background shows it. A denoiser that knows speech
takes away whole frames of it; of clean speech it takes away only what is far below the voice. Some voices it takes for
noise: syllable by syllable, as much as it keeps. What is noise, another denoiser takes away as well.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from timbre.audio.denoise import Denoiser
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform

RATE_HZ = 16_000
_FRAME = 320
_LOWEST_HZ = 120.0
"""Rumble below a voice is taken away from clean recordings too, and nobody hears it."""
_LEFT = 0.1
"""A frame with less than this share of its power left held no speech."""
MAX_DB = 60.0
MIN_DB = 5.0
"""DeepFilterNet: clocks as loud as a voice give -4 to 2 dB, clean speakers but for one 16 or more."""
_SURE_DB = 9.0
"""RNNoise: noise of seven kinds, as loud as the voice, gives 8 dB at most, the voice that DeepFilterNet empties 14."""


def empties_much(ratio_db: float) -> bool:
    """Whether a denoiser took so much that it was noise, or a voice that it takes for noise."""
    return ratio_db < MIN_DB


def keeps_voice(ratio_db: float) -> bool:
    """Whether a second denoiser is sure that a sound is a voice, whatever another one or an opinion network says."""
    return ratio_db >= _SURE_DB


def agreed_ratio_db(before: Waveform, after: Waveform, second: Callable[[], Denoiser]) -> float:
    """Voice over loss in dB of what a denoiser made of a sound; of `second` where that one is sure to keep the voice.

    second: makes another denoiser; called only where the first one took much.
    """
    ratio_db = voice_over_loss_db(before, after)
    if not empties_much(ratio_db):
        return ratio_db
    other_db = voice_over_loss_db(before, second().denoise(before))
    return other_db if keeps_voice(other_db) else ratio_db


def voice_over_loss_db(before: Waveform, after: Waveform) -> float:
    """Ratio in dB (-60 to 60) of what a denoiser kept to what it took out of the frames that it emptied.

    before, after: the same length and rate. 60 also means that it emptied none.
    """
    given, kept = _powers(before), _powers(after)
    emptied = kept < _LEFT * given
    loss = float((given - kept)[emptied].sum())
    if loss <= 0:
        return MAX_DB
    return float(np.clip(10 * np.log10(max(float(kept.sum()), 1e-12) / loss), -MAX_DB, MAX_DB))


def _powers(wave: Waveform) -> npt.NDArray[np.float64]:
    """Mean square of frames of 20 ms (f,) above 120 Hz."""
    from scipy.signal import butter, sosfilt

    samples = sosfilt(butter(4, _LOWEST_HZ, "highpass", fs=RATE_HZ, output="sos"), resample(wave, RATE_HZ).samples)
    count = len(samples) // _FRAME
    powers: npt.NDArray[np.float64] = np.square(samples[: count * _FRAME].reshape(count, _FRAME)).mean(axis=1)
    return powers
