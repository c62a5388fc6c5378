"""Pitch curves of a report: F0 over time, as Praat's autocorrelation method (Boersma 1993) finds it.

samples at RATE_HZ -> (seconds, Hz) a hundred times a second; not a number where nothing is voiced
"""

from __future__ import annotations

import math

import numpy as np

from timbre.evaluation.metrics.prosody import CEILING_HZ, FLOOR_HZ, STEP_S
from timbre.evaluation.reports.sound import RATE_HZ

_MIN_S = 0.2
"""Below this Praat's analysis window does not fit."""


def pitch_curve(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[tuple[float, float]]:
    """Empty for a sound without voice, one too short, and where praat-parselmouth is not installed."""
    try:
        import parselmouth
    except ImportError:
        return []
    if len(samples) < _MIN_S * RATE_HZ:
        return []
    pitch = parselmouth.Sound(samples.astype(np.float64), RATE_HZ).to_pitch_ac(
        time_step=STEP_S, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ
    )
    hertz = pitch.selected_array["frequency"]
    if not np.any(hertz > 0):
        return []
    return [
        (round(float(time), 2), round(float(value), 1) if value > 0 else math.nan)
        for time, value in zip(pitch.xs(), hertz, strict=True)
    ]
