"""Where speech is: WebRTC's detector over 30 ms frames at 16 kHz, with a gate on the level of the frames.

The detector alone calls steady noise and breath speech; the gate asks in addition that a frame is not far below the
loud frames of the same sound.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from timbre.audio.level import frame_levels
from timbre.audio.waveform import Samples

RATE_HZ = 16_000
FRAME_S = 0.03
FRAME = 480
_LOUD_PERCENTILE = 95.0
_LOUD_FLOOR_DBFS = -70.0


@dataclass(frozen=True, eq=False)
class Activity:
    """Speech or not, frame by frame of 30 ms."""

    speech: npt.NDArray[np.bool_]
    """Bool (f,)."""
    levels_dbfs: npt.NDArray[np.float64]
    """RMS of each frame (f,)."""

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return float(np.count_nonzero(self.speech)) * FRAME_S

    def runs(self, value: bool) -> list[tuple[float, float]]:
        """(start_s, end_s) of every run of frames where speech equals value."""
        same = np.concatenate(([False], self.speech == value, [False]))
        edges = np.flatnonzero(same[1:] != same[:-1])
        return [(float(a) * FRAME_S, float(b) * FRAME_S) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class ActivityStream:
    """Takes 16 kHz mono blocks (n,) of any length, keeps two numbers a frame, gives the Activity of the stream."""

    def __init__(self, aggressiveness: int = 2, gate_db: float = 35.0, hang_s: float = 0.15) -> None:
        """aggressiveness: 0 to 3, WebRTC's own scale. gate_db: a frame this far below the loud ones holds no speech.

        hang_s: gaps between speech that are shorter count as speech (closures of stops are no pauses).
        """
        # The extension itself: its Python wrapper imports pkg_resources only to learn its own version.
        import _webrtcvad

        self._process = _webrtcvad.process
        self._vad = _webrtcvad.create()
        _webrtcvad.init(self._vad)
        _webrtcvad.set_mode(self._vad, aggressiveness)
        self._gate_db = gate_db
        self._hang = round(hang_s / FRAME_S)
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self._flags: list[bool] = []
        self._levels: list[npt.NDArray[np.float64]] = []

    def push(self, block: Samples) -> None:
        """One more block of the stream. Values that are not finite must have been refused before."""
        data = np.concatenate((self._rest, block)) if len(self._rest) else block
        count = len(data) // FRAME
        pcm = (np.clip(data[: count * FRAME], -1.0, 1.0) * 32767.0).astype(np.int16).tobytes()
        step = 2 * FRAME
        for start in range(0, count * step, step):
            self._flags.append(bool(self._process(self._vad, RATE_HZ, pcm[start : start + step], FRAME)))
        self._levels.append(frame_levels(data, FRAME))
        self._rest = data[count * FRAME :].copy()

    def finish(self) -> Activity:
        """What the stream held."""
        levels = np.concatenate(self._levels) if self._levels else np.zeros(0)
        flags = np.array(self._flags, dtype=bool)
        if not flags.any():
            return Activity(flags, levels)
        loud = float(np.percentile(levels[flags], _LOUD_PERCENTILE))
        flags &= (levels > loud - self._gate_db) & (loud > _LOUD_FLOOR_DBFS)
        return Activity(_close_gaps(flags, self._hang), levels)


def detect(samples: Samples, aggressiveness: int = 2) -> Activity:
    """Activity of a whole 16 kHz sound (n,)."""
    stream = ActivityStream(aggressiveness)
    stream.push(samples)
    return stream.finish()


def _close_gaps(flags: npt.NDArray[np.bool_], longest: int) -> npt.NDArray[np.bool_]:
    """Sets runs of False that are at most `longest` frames and lie between two True."""
    closed = flags.copy()
    set_at = np.flatnonzero(flags)
    for left, right in itertools.pairwise(set_at):
        if 1 < right - left <= longest + 1:
            closed[left:right] = True
    return closed
