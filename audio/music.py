"""Music: tones that stand still.

The voice glides: above 300 Hz its partials leave an 8 Hz bin within a tenth of a second. Notes of instruments do not. A
frame counts as music when at least two partials have stood in their bin for a third of a second; a tone that stands
through half of the recording is mains hum or a fan and does not count. Nor does a soft tone that stands through half
of all that stands: speech hides it, so that it may be heard in the pauses alone. Music changes its notes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from timbre.audio.spectrum import FrameStream, to_db
from timbre.audio.waveform import Samples

RATE_HZ = 16_000
_FFT = 2048
_HOP = 512
_LOW_HZ, _HIGH_HZ = 300.0, 5000.0
_PROMINENCE_DB = 12.0
_RANGE_DB = 45.0
_STANDING_FRAMES = 11
_HUM_SHARE = 0.5
# Below the loudest frames; notes of music 10 dB softer than speech are 17 dB below.
_SOFT_DB = 27.0
_PARTIALS = 2


class MusicStream:
    """Takes 16 kHz blocks (n,); gives the share of frames that sound like music."""

    def __init__(self) -> None:
        self._frames = FrameStream(_FFT, _HOP)
        self._low = round(_LOW_HZ * _FFT / RATE_HZ)
        self._high = round(_HIGH_HZ * _FFT / RATE_HZ)
        self._runs = np.zeros(self._high - self._low, dtype=np.int32)
        self._count = 0
        self._standing: list[tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
        self._loudest_db = -200.0

    def push(self, block: Samples) -> None:
        """One more block of the stream."""
        powers = self._frames.push(block)
        if not len(powers):
            return
        # 32 ms frames by 8 Hz bins; one bin of margin on each side for the comparison with neighbours.
        level = to_db(powers[:, self._low - 1 : self._high + 1])
        middle = level[:, 1:-1]
        prominent = middle > uniform_filter1d(level, 41, axis=1, mode="nearest")[:, 1:-1] + _PROMINENCE_DB
        peaks = prominent & (middle >= level[:, :-2]) & (middle >= level[:, 2:])
        self._loudest_db = max(self._loudest_db, float(np.percentile(middle.max(axis=1), 90)))
        peaks &= middle > self._loudest_db - _RANGE_DB
        for row, levels in zip(peaks, middle, strict=True):
            self._runs = np.where(row, self._runs + 1, 0)
            standing = np.flatnonzero(self._runs >= _STANDING_FRAMES).astype(np.int32)
            if len(standing):
                self._standing.append((self._count, standing, levels[standing].astype(np.float32)))
            self._count += 1

    def finish(self) -> float:
        """Share of frames, 0 to 1, with standing partials; 0 for a stream too short to tell."""
        if self._count < 2 * _STANDING_FRAMES:
            return 0.0
        stood, level = np.zeros(len(self._runs), dtype=np.int64), np.zeros(len(self._runs))
        for _, bins, levels_db in self._standing:
            stood[bins] += 1
            level[bins] += levels_db
        soft = level / np.maximum(stood, 1) < self._loudest_db - _SOFT_DB
        hum = (stood > _HUM_SHARE * self._count) | (soft & (stood > _HUM_SHARE * len(self._standing)))
        hits = {frame for frame, bins, _ in self._standing if np.count_nonzero(~hum[bins]) >= _PARTIALS}
        # Standing is known at its end; the frames that led to it are music as well.
        flags = np.zeros(self._count, dtype=bool)
        for frame in hits:
            flags[max(0, frame - _STANDING_FRAMES + 1) : frame + 1] = True
        return float(flags.mean())
