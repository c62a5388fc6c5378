"""Noise that comes in clicks (a fire, a bad cable, a tapping pen): how much of a sound's power is in them.

16 kHz blocks -> power of 2 ms -> against the loud end of 0.1 s around -> ratio of the rest to the clicks

Neither the quietest frames nor the distribution of amplitudes shows such noise: it is quiet in between. A click is far
above everything near it, which no syllable is; the burst of a stop has its vowel beside it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timbre.audio.waveform import Samples

FRAME = 32
_AROUND = 51
_LOUD_PERCENT = 85
# So many times the power of the loud end around: voices with creak reach four.
_RATIO = 8.0
MAX_DB = 60.0


class ClickStream:
    """Takes blocks (n,) at 16 kHz without offset; keeps 500 numbers a second."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self._powers: list[npt.NDArray[np.float32]] = []

    def push(self, block: Samples) -> None:
        """One more block."""
        data = np.concatenate((self._rest, block))
        whole = len(data) // FRAME * FRAME
        self._rest = data[whole:]
        self._powers.append(np.square(data[:whole]).reshape(-1, FRAME).mean(axis=1, dtype=np.float32))

    def finish(self) -> float:
        """Ratio in dB of the power of everything else to that of the clicks; 60 also means none."""
        from scipy.ndimage import percentile_filter

        powers = np.concatenate(self._powers).astype(np.float64) if self._powers else np.zeros(0)
        if not len(powers):
            return MAX_DB
        around = percentile_filter(powers, _LOUD_PERCENT, size=_AROUND, mode="nearest")
        clicks = float((powers - around)[powers > _RATIO * np.maximum(around, 1e-12)].sum())
        rest = float(powers.sum()) - clicks
        if clicks <= 0:
            return MAX_DB
        return float(np.clip(10 * np.log10(max(rest, 1e-12) / clicks), -MAX_DB, MAX_DB))
