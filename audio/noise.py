"""Signal-to-noise ratio without a clean reference.

Two views are taken: the level of the quietest frames against that of speech (sees steady noise), and the shape of the
amplitude distribution (WADA: Kim and Stern 2008, speech is peaky, noise is Gaussian; sees noise that comes and goes).
The second one counts where it is clearly worse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timbre.audio.vad import Activity
from timbre.audio.waveform import Samples

_QUIET_PERCENT = 5.0
# Steady speakers and small rooms move the distribution as 8 dB of noise would; beyond that it is noise.
_WADA_MARGIN_DB = 8.0
_AMPLITUDE_FLOOR = 1e-5
MAX_DB = 60.0
# ln(mean |x|) - mean(ln |x|) of a gamma variable (shape 0.4) plus Gaussian noise, by simulation with 4 million draws.
_WADA_DB = (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0)
_WADA_STATISTIC = (0.4123, 0.4241, 0.4620, 0.5438, 0.6676, 0.8127, 0.9561, 1.0852, 1.1949, 1.2851)


class AmplitudeStream:
    """Takes blocks (n,) without offset; keeps what the distribution needs."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._sum_log = 0.0

    def push(self, block: Samples) -> None:
        """One more block."""
        magnitude = np.maximum(np.abs(block), _AMPLITUDE_FLOOR)
        self._count += len(block)
        self._sum += float(magnitude.sum(dtype=np.float64))
        self._sum_log += float(np.log(magnitude).sum(dtype=np.float64))

    def finish(self) -> float:
        """Signal-to-noise ratio in dB, -10 to 35 where 35 also means more; 35 for an empty stream."""
        if not self._count:
            return _WADA_DB[-1]
        statistic = float(np.log(self._sum / self._count)) - self._sum_log / self._count
        return float(np.interp(statistic, _WADA_STATISTIC, _WADA_DB))


def quiet_level_dbfs(levels_dbfs: npt.NDArray[np.float64]) -> float:
    """Level of the background: the 5th percentile of the frame levels (f,); -120 without frames."""
    return float(np.percentile(levels_dbfs, _QUIET_PERCENT)) if len(levels_dbfs) else -120.0


def signal_to_noise_db(activity: Activity, wada_db: float) -> float:
    """Signal-to-noise ratio in dB (at most 60) from the frames of a sound and its AmplitudeStream."""
    if not activity.speech.any():
        return 0.0
    noise = 10 ** (quiet_level_dbfs(activity.levels_dbfs) / 10)
    speech = float(np.mean(10 ** (activity.levels_dbfs[activity.speech] / 10)))
    # The frames of speech hold the noise too.
    frames_db = 10 * np.log10(max(speech - noise, noise * 0.01) / noise)
    return float(min(frames_db, MAX_DB, wada_db + _WADA_MARGIN_DB if wada_db < _WADA_DB[-1] else MAX_DB))
