"""What stage 4 measures on a finished clip: active level, flat tops, roll-off.

Not what stage 1 measures on a recording as it streams by (pipeline/stages/validate/survey.py: level of the frames that
hold speech, clipped runs, edge of the band), and so under other words. The peak is one number: audio/level.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import get_window

from timbre.evaluation.metrics.errors import UnmeasurableError

Samples = NDArray[np.float32]
_FLOOR = 1e-10


def active_level_dbfs(
    samples: Samples, rate_hz: int, *, frame_s: float = 0.02, below_loudest_db: float = 30.0
) -> float:
    """RMS in dBFS over frames within below_loudest_db of the 95th percentile frame: pauses do not count."""
    power = _frame_power(samples, max(1, round(frame_s * rate_hz)))
    threshold = np.percentile(power, 95) * 10 ** (-below_loudest_db / 10)
    return float(10 * np.log10(max(float(power[power >= threshold].mean()), _FLOOR**2)))


def clipped_share(samples: Samples, *, run: int = 3, tolerance: float = 1e-3) -> float:
    """Share of samples in runs of at least `run` equal extremes: flat tops and bottoms, at whatever level they are.

    A sample counts when it is within `tolerance` of the largest magnitude of its sign. Raises UnmeasurableError on a
    silent clip.
    """
    if not len(samples) or float(np.max(np.abs(samples))) < 1e-5:
        raise UnmeasurableError("clipping: the clip is silent")
    found = 0
    for signed in (samples, -samples):
        top = float(np.max(signed))
        if top <= 0:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate(([False], signed >= (1 - tolerance) * top, [False])).astype(int)))
        lengths = edges[1::2] - edges[::2]
        found += int(lengths[lengths >= run].sum())
    return found / len(samples)


def bandwidth_hz(samples: Samples, rate_hz: int, *, share: float = 0.99) -> float:
    """Frequency below which `share` of the pre-emphasised spectral magnitude of the active frames lies.

    Pre-emphasis (0.97) and magnitude instead of power keep the weak high band of speech visible. Raises
    UnmeasurableError on a silent clip.
    """
    size = 1 << int(np.ceil(np.log2(0.025 * rate_hz)))
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]).astype(np.float64)
    if len(emphasised) < size or float(np.max(np.abs(samples))) < 1e-5:
        raise UnmeasurableError("bandwidth: the clip is silent or shorter than one frame")
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, size)[:: size // 2]
    power = np.mean(frames**2, axis=1)
    active = frames[power >= np.percentile(power, 95) * 1e-3]
    magnitude = np.abs(np.fft.rfft(active * get_window("hann", size), axis=1)).mean(axis=0)
    cumulative = np.cumsum(magnitude) / magnitude.sum()
    return float(np.searchsorted(cumulative, share) * rate_hz / size)


def _frame_power(samples: Samples, size: int) -> NDArray[np.float64]:
    count = max(1, len(samples) // size)
    if len(samples) < size:
        return np.asarray([np.mean(np.square(samples, dtype=np.float64)) if len(samples) else 0.0])
    frames = samples[: count * size].astype(np.float64).reshape(count, size)
    return np.asarray(np.mean(frames**2, axis=1))
