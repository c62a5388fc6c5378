"""F0 tracks on the frames of the acoustic model.

wave [T] -> voicing and F0 [T // hop]; frame t is centred on sample t*hop + hop/2. Praat's autocorrelation method
(Boersma 1993), through parselmouth. Used in training only: the model predicts pitch by itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timbre.core.extras import needed_by

RATE_HZ = 24_000
HOP = 480
FLOOR_HZ, CEILING_HZ = 60.0, 500.0
MIN_SECONDS = 0.2
"""Below this Praat's analysis window does not fit."""

Floats = npt.NDArray[np.float32]


def track(wave: Floats) -> Floats:
    """wave [T] at 24 kHz -> F0 [T // hop] in Hz, 0 where unvoiced."""
    with needed_by("pitch"):
        import parselmouth
    frames = len(wave) // HOP
    if len(wave) < MIN_SECONDS * RATE_HZ:
        return np.zeros(frames, np.float32)
    pitch = parselmouth.Sound(wave.astype(np.float64), RATE_HZ).to_pitch_ac(
        time_step=HOP / RATE_HZ / 2, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ
    )
    times = (np.arange(frames) + 0.5) * HOP / RATE_HZ
    # Nearest analysis frame, never an average of a voiced and an unvoiced one.
    nearest = np.clip(np.rint((times - pitch.xs()[0]) / pitch.time_step).astype(int), 0, pitch.n_frames - 1)
    return pitch.selected_array["frequency"][nearest].astype(np.float32)


def continuous(f0: Floats) -> Floats:
    """F0 with unvoiced stretches filled by a straight line in log F0 (constant at the ends); 0 everywhere stays 0."""
    voiced = np.flatnonzero(f0 > 0)
    if not voiced.size:
        return f0
    filled: Floats = np.exp(np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))).astype(np.float32)
    return filled
