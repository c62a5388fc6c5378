"""One pass over a recording: everything that is measured, in memory that does not grow with its samples.

file -> blocks -> (own rate: finiteness, clipping, offset, bandwidth; 16 kHz: speech, noise, room, music) -> ClipSurvey
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.audio.clicks import ClickStream
from timbre.audio.level import FLOOR_DBFS, active_level_dbfs, to_db
from timbre.audio.music import MusicStream
from timbre.audio.noise import AmplitudeStream, signal_to_noise_db
from timbre.audio.reader import UndecodableError, mono_blocks, probe
from timbre.audio.resample import StreamResampler
from timbre.audio.room import RoomStream
from timbre.audio.spectrum import BandwidthStream
from timbre.audio.vad import RATE_HZ, Activity, ActivityStream
from timbre.audio.waveform import Samples
from timbre.core.cancellation import Cancellation
from timbre.core.errors import InputError
from timbre.core.problems import Problem

# A run of equal samples at the extreme of the recording is a clipped peak; loud but whole peaks have no flat top.
_FLAT_RUN = 3
_FLAT_FLOOR = 0.1
# Float files may pass full scale, but 80 dB beyond it is no level that anybody set; powers would overflow.
_MOST_PEAK = 1e4
_EXPORT = "export it again, as 16 or 24 bit"


@dataclass(frozen=True, eq=False)
class ClipSurvey:
    """What one recording is like."""

    format: str
    """Container, as libsndfile names it: WAV, FLAC, OGG, MP3."""
    rate_hz: int
    """Of the file."""
    channels: int
    """Of the file; everything below is measured on their mean."""
    duration_s: float
    """Counted in decoded samples, whatever the header says."""
    peak: float
    """Largest magnitude, 1 is full scale; float files may exceed it."""
    dc_offset: float
    """Mean of the samples, 1 is full scale."""
    clipped_share: float
    """Share of samples in flat runs at the peaks, 0 to 1."""
    bandwidth_hz: float
    """Frequency above which nothing is recorded."""
    level_dbfs: float
    """Of the speech, pauses excluded."""
    snr_db: float
    """The lower of speech over pauses and speech over clicks."""
    music_share: float
    """Share of frames with steady tones, 0 to 1."""
    activity: Activity
    """Speech in 30 ms frames."""
    room_levels_db: npt.NDArray[np.float32]
    """(frames, bands), 100 a second."""

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return self.activity.speech_s


class TooLongError(UndecodableError):
    """A recording beyond the length that is decoded: a mistake, or a small file that unpacks into days of sound."""


class _Clipping:
    """Counts samples in flat runs at the extremes, which are known at the end only: runs are kept by height."""

    def __init__(self) -> None:
        self._by_height: dict[float, int] = {}
        self._tail: Samples = np.zeros(0, dtype=np.float32)
        self.peak = 0.0

    def push(self, block: Samples) -> None:
        if not len(block):
            return
        data = np.concatenate((self._tail, block))
        self._tail = block[-(_FLAT_RUN - 1) :]
        magnitude = np.abs(data)
        top = float(magnitude.max())
        self.peak = max(self.peak, top)
        if top < _FLAT_FLOOR:
            return
        same = (data[1:] == data[:-1]) & (magnitude[1:] >= 0.95 * top)
        flat = same[1:] & same[:-1]
        for height, count in zip(*np.unique(magnitude[2:][flat], return_counts=True), strict=True):
            key = float(height)
            self._by_height[key] = self._by_height.get(key, 0) + int(count) + _FLAT_RUN - 1

    def clipped(self) -> int:
        return sum(count for height, count in self._by_height.items() if height >= 0.98 * self.peak)


def undecodable(where: str, name: str, error: InputError) -> Problem:
    """The problem of a recording that cannot be read. name: of its file, with which the error's message begins."""
    value = error.message.removeprefix(f"{name}: ")
    return Problem(where, value, "a recording that decodes to its end", error.remedy, "undecodable")


def seconds_by_headers(paths: Iterable[Path]) -> float:
    """What files say of their lengths, in all; one that says nothing does not count."""
    total = 0.0
    for path in paths:
        try:
            total += probe(path).duration_s
        except UndecodableError:
            continue
    return total


def survey_clip(path: Path, max_s: float, aggressiveness: int, cancel: Cancellation | None = None) -> ClipSurvey:
    """Measures a recording in one pass.

    Raises UndecodableError when it cannot be decoded to its end, holds NaN or infinite samples, is silent or empty, and
    TooLongError as soon as more than max_s seconds came out of it.
    """
    info = probe(path)
    to_16k = StreamResampler(info.rate_hz, RATE_HZ)
    clipping, bandwidth = _Clipping(), BandwidthStream(info.rate_hz)
    speech, music, room = ActivityStream(aggressiveness), MusicStream(), RoomStream()
    amplitudes, clicks = AmplitudeStream(), ClickStream()
    count, total = 0, 0.0
    for mono in mono_blocks(path):
        if cancel is not None:
            cancel.check()
        if not np.isfinite(mono).all():
            place = (count + int(np.flatnonzero(~np.isfinite(mono))[0])) / info.rate_hz
            raise UndecodableError(f"{path.name}: NaN or infinite sample at {place:.2f} s", _EXPORT)
        if len(mono) and (top := float(np.abs(mono).max())) > _MOST_PEAK:
            raise UndecodableError(f"{path.name}: samples up to {top:.0e} times full scale", _EXPORT)
        count += len(mono)
        total += float(mono.sum(dtype=np.float64))
        if count > max_s * info.rate_hz:
            raise TooLongError(f"{path.name}: more than {max_s:g} s of sound", "cut it into shorter recordings")
        for part in np.split(mono, range(1 << 16, len(mono), 1 << 16)):
            clipping.push(part)
        bandwidth.push(mono)
        low = to_16k.push(mono)
        _push_16k(low, (speech, music, room, amplitudes, clicks))
    _push_16k(to_16k.push(np.zeros(0, dtype=np.float32), last=True), (speech, music, room, amplitudes, clicks))
    if count == 0:
        raise UndecodableError(f"{path.name}: no samples", "record it again")
    if to_db(clipping.peak) < -80.0:
        raise UndecodableError(f"{path.name}: silent (peak {to_db(clipping.peak):.0f} dBFS)", "record it again")
    activity = speech.finish()
    return ClipSurvey(
        format=info.format,
        rate_hz=info.rate_hz,
        channels=info.channels,
        duration_s=count / info.rate_hz,
        peak=clipping.peak,
        dc_offset=total / count,
        clipped_share=clipping.clipped() / count,
        bandwidth_hz=bandwidth.finish(),
        level_dbfs=active_level_dbfs(activity.levels_dbfs, activity.speech) if len(activity.speech) else FLOOR_DBFS,
        snr_db=min(signal_to_noise_db(activity, amplitudes.finish()), clicks.finish()),
        music_share=music.finish(),
        activity=activity,
        room_levels_db=room.finish(),
    )


def _push_16k(
    low: Samples, streams: Sequence[ActivityStream | MusicStream | RoomStream | AmplitudeStream | ClickStream]
) -> None:
    if not len(low):
        return
    # An offset would hide noise from every level; the mean over a second or more holds no speech.
    centred = low - low.mean(dtype=np.float64).astype(np.float32)
    for stream in streams:
        stream.push(centred)
