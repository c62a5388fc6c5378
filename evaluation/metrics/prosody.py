"""Melody and pauses of speech beside the recordings of its speaker.

wave -> semitones of voiced frames -> distance of two distributions; wave -> seconds of silence between words
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timbre.audio.resample import resample
from timbre.audio.vad import RATE_HZ, detect
from timbre.audio.waveform import Waveform
from timbre.core.extras import needed_by
from timbre.evaluation.metrics.errors import UnmeasurableError

Semitones = NDArray[np.float64]
_FLOOR_HZ, _CEILING_HZ = 60.0, 500.0
_STEP_S = 0.01
_REFERENCE_HZ = 100.0
_LEAST_FRAMES = 30
_QUANTILES = np.linspace(0.05, 0.95, 19)
"""Not the ends: a tracker that doubles a frame or two would decide there."""


def pitch_track(samples: NDArray[np.float32], rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples [T] -> seconds [N] of frames, 100 a second, and F0 in Hz [N], 0 where unvoiced.

    Praat's autocorrelation method (Boersma 1993), through parselmouth. Raises ConfigurationError without it. A sound
    shorter than Praat's window is the caller's to leave out.
    """
    with needed_by("pitch"):
        import parselmouth
    pitch = parselmouth.Sound(samples.astype(np.float64), rate_hz).to_pitch_ac(
        time_step=_STEP_S, pitch_floor=_FLOOR_HZ, pitch_ceiling=_CEILING_HZ
    )
    return np.asarray(pitch.xs(), np.float64), np.asarray(pitch.selected_array["frequency"], np.float64)


def semitones(wave: Waveform) -> Semitones:
    """F0 of the voiced frames [N], 100 a second, in semitones above 100 Hz; [0] for a sound without any. Raises
    ConfigurationError as pitch_track does.
    """
    if wave.duration_s < 4.0 / _FLOOR_HZ or not np.any(wave.samples):
        return np.zeros(0)
    _, f0 = pitch_track(wave.samples, wave.rate_hz)
    return np.asarray(12.0 * np.log2(f0[f0 > 0] / _REFERENCE_HZ))


def pitch_distance(spoken: Semitones, recorded: Semitones) -> float:
    """Mean distance of the quantiles of two F0 distributions [N], [M] in semitones (Wasserstein distance of order 1).

    0: the same melody range; a flat voice, one an octave off and one that swings too far all move away from it. Raises
    UnmeasurableError when either has less than 0.3 s of voice.
    """
    for name, values in (("spoken", spoken), ("recorded", recorded)):
        if len(values) < _LEAST_FRAMES:
            raise UnmeasurableError(f"{name}: {len(values) * _STEP_S:.2f} s of voice are too little for a melody")
    return float(np.mean(np.abs(np.quantile(spoken, _QUANTILES) - np.quantile(recorded, _QUANTILES))))


def pauses_s(wave: Waveform) -> float:
    """Seconds without speech between the first and the last speech. Raises UnmeasurableError where there is none."""
    activity = detect(resample(wave, RATE_HZ).samples)
    speech = activity.runs(True)
    if not speech:
        raise UnmeasurableError("pauses: there is no speech")
    first, last = speech[0][0], speech[-1][1]
    return sum(end - start for start, end in activity.runs(False) if start >= first and end <= last)
