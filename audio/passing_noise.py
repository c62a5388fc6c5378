"""Noise that comes and goes (a ticking clock, knocking, a barking dog): what a denoiser takes away in the pauses.

16 kHz before and after, above 120 Hz -> power of 20 ms -> frames that lost nine tenths of it -> voice against loss

Such noise leaves the quietest frames quiet, so that no level of the background shows it. A denoiser that knows speech
takes away whole frames of it; of clean speech it takes away only what is far below the voice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform

RATE_HZ = 16_000
_FRAME = 320
_LOWEST_HZ = 120.0
"""Rumble below a voice is taken away from clean recordings too, and nobody hears it."""
_LEFT = 0.1
"""A frame with less than this share of its power left held no speech."""
MAX_DB = 60.0


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
