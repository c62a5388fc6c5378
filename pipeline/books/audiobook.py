"""Sound files of chapters -> one audiobook: AAC in MPEG-4 with chapter marks, at the loudness that players expect.

clips -> loudness of all -> gain, limiter -> encoder; two passes, a clip in memory at a time
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from timbre.audio.level import apply_gain, limit
from timbre.audio.loudness import SILENCE_LUFS, Loudness
from timbre.audio.provenance import Label
from timbre.audio.waveform import Waveform
from timbre.core.atomic import replacing
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.progress import Progress

TARGET_LUFS = -18.0
CEILING_DBFS = -1.5
_BIT_RATE = 64_000
_MOST_GAIN_DB = 30.0


@dataclass(frozen=True)
class Clip:
    """A sound file of a section and the pause after it."""

    path: Path | None
    """A mono sound file, None for a pause alone."""
    pause_s: float
    """Pause after it."""


@dataclass(frozen=True)
class Section:
    """A chapter of the finished file."""

    title: str
    """Name of the chapter mark."""
    clips: tuple[Clip, ...]
    """In the order of playing; their pauses are part of the chapter."""


@dataclass(frozen=True)
class Made:
    """The finished audiobook."""

    path: Path
    """The .m4b or .m4a file."""
    seconds: float
    """Length with all pauses."""
    chapters: int
    """Number of chapter marks."""
    lufs: float
    """Loudness after gain and limiter."""


def assemble(
    sections: Sequence[Section], target: Path, *, title: str, author: str, label: Label, progress: Progress
) -> Made:
    """Writes the file whole or not at all. Raises ConfigurationError without PyAV, InputError for silence, OSError."""
    try:
        import av
    except ImportError as error:
        raise ConfigurationError(
            "an audiobook needs the Python package av", "pip install 'timbre[serve-cpu]'"
        ) from error
    rate_hz = _rate_hz(sections)
    loudness, marks, samples = Loudness(rate_hz), [0], 0
    for section in sections:
        for wave in _waves(section, rate_hz):
            loudness.add(wave)
            samples += len(wave)
        marks.append(samples)
    if loudness.lufs <= SILENCE_LUFS:
        raise InputError("book: all of it is silence", "listen to the voice with timbre say")
    gain_db = min(TARGET_LUFS - loudness.lufs, _MOST_GAIN_DB)
    after = Loudness(rate_hz)
    with replacing(target) as partial, av.open(str(partial), "w", format="ipod") as container:
        writing: Any = container
        stream = writing.add_stream("aac", rate=rate_hz, layout="mono")
        stream.bit_rate = _BIT_RATE
        writing.metadata.update(
            {
                "title": title, "artist": author, "album": title, "genre": "Audiobook",
                "comment": label.text,
            }
        )  # fmt: skip
        writing.set_chapters(
            [
                {
                    "id": index, "start": marks[index], "end": marks[index + 1],
                    "time_base": Fraction(1, rate_hz), "metadata": {"title": section.title[:200]},
                }
                for index, section in enumerate(sections)
            ]
        )  # fmt: skip
        with progress.task("encode", total=float(len(sections)), unit="chapters") as task:
            _encode(writing, stream, sections, rate_hz, gain_db, after, task)
    return Made(target, samples / rate_hz, len(sections), round(after.lufs, 2))


def _encode(
    container: Any, stream: Any, sections: Sequence[Section], rate_hz: int, gain_db: float, after: Loudness, task: Any
) -> None:
    import av

    made = 0
    for section in sections:
        for wave in _waves(section, rate_hz):
            limited = limit(apply_gain(Waveform(wave, rate_hz), gain_db), CEILING_DBFS).wave.samples
            after.add(limited)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(limited[None]), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, made
            made += len(limited)
            container.mux(stream.encode(frame))
        task.advance()
    container.mux(stream.encode(None))


def _waves(section: Section, rate_hz: int) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Each clip with the pause after it."""
    for clip in section.clips:
        pause = np.zeros(round(clip.pause_s * rate_hz), np.float32)
        if clip.path is None:
            yield pause
            continue
        samples, rate = sf.read(str(clip.path), dtype="float32")
        if rate != rate_hz or samples.ndim != 1:
            raise InputError(f"{clip.path}: {rate} Hz beside {rate_hz} Hz", "delete the folder of parts and read again")
        yield np.concatenate([samples, pause])


def _rate_hz(sections: Sequence[Section]) -> int:
    for section in sections:
        for clip in section.clips:
            if clip.path is not None:
                return int(sf.info(str(clip.path)).samplerate)
    raise InputError("book: has no sound", "give a book with text")
