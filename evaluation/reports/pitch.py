"""Pitch curves of a report: F0 over time, as metrics/prosody.py finds it.

samples at RATE_HZ -> (seconds, Hz) a hundred times a second; not a number where nothing is voiced
"""

from __future__ import annotations

import math

import numpy as np

from timbre.core.errors import ConfigurationError
from timbre.evaluation.metrics.prosody import pitch_track
from timbre.evaluation.reports.sound import RATE_HZ

_MIN_S = 0.2
"""Below this Praat's analysis window does not fit."""


def pitch_curve(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[tuple[float, float]]:
    """Empty for a sound without voice, one too short, and where praat-parselmouth is not installed."""
    if len(samples) < _MIN_S * RATE_HZ:
        return []
    try:
        times, hertz = pitch_track(samples, RATE_HZ)
    except ConfigurationError:
        return []
    if not np.any(hertz > 0):
        return []
    return [
        (round(float(time), 2), round(float(value), 1) if value > 0 else math.nan)
        for time, value in zip(times, hertz, strict=True)
    ]
