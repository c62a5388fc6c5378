"""Sound that libsndfile does not read, or not to its end, through FFmpeg's libraries (PyAV): what phones and meetings
record, and the sound of video files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from timbre.core.extras import needed_by

# Playlists and devices, which would open other files, are not among them.
FORMATS = (
    "mov",
    "mp4",
    "matroska",
    "webm",
    "asf",
    "aac",
    "mp3",
    "ogg",
    "flac",
    "wav",
    "aiff",
    "w64",
    "amr",
    "caf",
    "avi",
)
# These state their length; the others guess it from the first packets.
_STATES_LENGTH = ("mov", "mp4", "matroska", "asf", "avi", "caf")


class ContainerError(Exception):
    """The file is none that FFmpeg reads, or it breaks off. reason: in its words."""


@dataclass(frozen=True)
class Container:
    """What FFmpeg says about the first sound of a file."""

    format: str
    """FFmpeg's short name of the container, the first where it has several: "mov", "matroska", "mp3"."""
    codec: str
    """FFmpeg's name of the decoder: "aac", "opus"."""
    rate_hz: int
    """Of the decoded samples."""
    channels: int
    """Of the first sound stream; others are ignored."""
    duration_s: float | None
    """None where the header does not say."""

    @property
    def states_length(self) -> bool:
        """Whether the duration is a statement and not a guess."""
        return self.duration_s is not None and self.format in _STATES_LENGTH


def open_container(path: Path) -> Any:
    """The file opened by PyAV. Raises ContainerError; ConfigurationError where PyAV is not installed."""
    av = _library()
    try:
        # Local files only: a playlist must not make this machine read others.
        found = av.open(str(path), options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise ContainerError(getattr(error, "strerror", None) or str(error)) from error
    if not set(found.format.name.split(",")) & set(FORMATS) or not found.streams.audio:
        name = found.format.name
        found.close()
        raise ContainerError(f"no sound in it (format {name})")
    return found


def inspect(path: Path) -> Container:
    """Reads the headers only."""
    with open_container(path) as found:
        return _about(found)


def frames(path: Path, joined: bool = False) -> Iterator[npt.NDArray[np.float32]]:
    """Yields float32 blocks (n, c) at the rate and with the channels of the first frame, however the sound is coded.

    joined: what cannot be decoded is known to be a tag, such as those between two files that were put together.
    Raises ContainerError where decoding fails, after what could be decoded.
    """
    av = _library()
    with open_container(path) as found:
        stream = found.streams.audio[0]
        resampler: Any = None
        form: tuple[str, str, int] | None = None
        first: tuple[str, str, int] | None = None
        broken: Any = None
        packets = found.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.PatchWelcomeError as error:
                raise ContainerError("what follows has another rate or other channels") from error
            except av.error.FFmpegError as error:
                raise ContainerError(error.strerror or str(error)) from error
            if packet is None:
                break
            try:
                decoded = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                # One bad packet at the end is common after a tag; sound after it would be a hole.
                broken = None if joined else error
                continue
            for frame in decoded:
                if broken is not None:
                    raise ContainerError(f"a hole in the sound, {broken.strerror or broken}")
                if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
                    if resampler is not None:
                        yield from _arrays(resampler, None)
                    first = first or form
                    resampler = av.AudioResampler(format="flt", layout=first[1], rate=first[2])
                yield from _arrays(resampler, frame)
        if resampler is not None:
            yield from _arrays(resampler, None)


def _arrays(resampler: Any, frame: Any) -> Iterator[npt.NDArray[np.float32]]:
    for piece in resampler.resample(frame):
        channels = len(piece.layout.channels)
        yield np.asarray(piece.to_ndarray(), np.float32).reshape(-1, channels)


def _about(found: Any) -> Container:
    stream = found.streams.audio[0]
    duration = float(stream.duration * stream.time_base) if stream.duration is not None else None
    if duration is None and found.duration is not None:
        duration = found.duration / 1_000_000
    return Container(
        found.format.name.split(",")[0],
        stream.codec_context.name,
        int(stream.rate or 0),
        int(stream.channels),
        duration,
    )


def _library() -> Any:
    with needed_by("this kind of recording"):
        import av
        import av.error
    return av
