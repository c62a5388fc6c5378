"""Sound files as a stream of blocks, so that the memory needed does not depend on the length of the file.

file -> SoundFile description -> blocks of float32, shape (n, c)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 32
BLOCK_FRAMES = 1 << 16
_RE_RECORD = "open the file in an audio editor, export it again as WAV or FLAC, and replace it"
_UNKNOWN_SIZE = (0, 0xFFFFFFFF)


class UndecodableError(InputError):
    """A file that is not the sound it claims to be."""


@dataclass(frozen=True)
class SoundInfo:
    """What the header of a sound file says. frames is a claim: MP3 and damaged files may hold another number."""

    format: str
    subtype: str
    rate_hz: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        """Claimed length in seconds."""
        return self.frames / self.rate_hz


def probe(path: Path) -> SoundInfo:
    """Reads the header only. Raises UndecodableError naming the file when it is none of WAV, FLAC, OGG, MP3."""
    _refuse_non_sound(path)
    try:
        info = sf.info(str(path))
    except (sf.LibsndfileError, RuntimeError, OSError) as error:
        raise UndecodableError(f"{path.name}: not readable as sound ({_reason(error)})", _RE_RECORD) from error
    found = SoundInfo(info.format, info.subtype, int(info.samplerate), int(info.channels), int(info.frames))
    if found.format not in FORMATS:
        raise UndecodableError(f"{path.name}: format {found.format}, expected WAV, FLAC, OGG or MP3", _RE_RECORD)
    if not MIN_RATE_HZ <= found.rate_hz <= MAX_RATE_HZ:
        raise UndecodableError(
            f"{path.name}: rate {found.rate_hz} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ}", "record at 24 kHz or more"
        )
    if not 1 <= found.channels <= MAX_CHANNELS:
        raise UndecodableError(f"{path.name}: {found.channels} channels, expected 1 to {MAX_CHANNELS}", _RE_RECORD)
    return found


def blocks(path: Path, frames: int = BLOCK_FRAMES) -> Iterator[npt.NDArray[np.float32]]:
    """Yields float32 blocks of shape (n, c), n <= frames, unscaled. Values may be NaN or beyond 1 in float files.

    Raises UndecodableError at the place where decoding fails; a file that ends before its header says is one.
    """
    found = probe(path)
    read = 0
    try:
        with sf.SoundFile(str(path)) as stream:
            while True:
                block = stream.read(frames, dtype="float32", always_2d=True)
                if len(block) == 0:
                    break
                read += len(block)
                yield block
    except (sf.LibsndfileError, RuntimeError) as error:
        where = f"after {read / found.rate_hz:.2f} s"
        raise UndecodableError(f"{path.name}: decoding failed {where} ({_reason(error)})", _RE_RECORD) from error
    # MP3 headers estimate their length; every other format states it.
    if found.format != "MP3" and 0 < found.frames < 1 << 62 and read < found.frames:
        raise UndecodableError(
            f"{path.name}: truncated, {read / found.rate_hz:.2f} s of {found.duration_s:.2f} s are there", _RE_RECORD
        )
    _refuse_truncated_container(path, found)


def to_mono(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n, c) -> (n,). A channel of pure zeros is left out of the mean, so that one-sided stereo keeps its level."""
    if block.shape[1] == 1:
        return np.ascontiguousarray(block[:, 0])
    live = [channel for channel in range(block.shape[1]) if np.any(block[:, channel])]
    if not live:
        return np.zeros(len(block), dtype=np.float32)
    return block[:, live].mean(axis=1, dtype=np.float32)


def read(path: Path, max_s: float = 600.0) -> Waveform:
    """A whole file as mono, for files that must be short: raises InputError as soon as it passes max_s seconds."""
    parts: list[npt.NDArray[np.float32]] = []
    rate_hz = probe(path).rate_hz
    count = 0
    for block in blocks(path):
        count += len(block)
        if count > max_s * rate_hz:
            raise InputError(f"{path.name}: longer than {max_s:g} s", "cut it into shorter files")
        parts.append(to_mono(block))
    return Waveform(np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32), rate_hz)


def write(path: Path, wave: Waveform, subtype: str = "PCM_16") -> None:
    """Writes WAV or FLAC by suffix; values beyond full scale are an error, never clipped (ValueError)."""
    peak = float(np.max(np.abs(wave.samples), initial=0.0))
    if not peak <= 1.0:
        raise ValueError(f"{path.name}: peak {peak:.3f}, expected at most 1")
    sf.write(str(path), wave.samples, wave.rate_hz, subtype=subtype)


def _refuse_non_sound(path: Path) -> None:
    if path.is_dir():
        raise UndecodableError(f"{path.name}: is a directory, expected a sound file", "put the recording itself there")
    try:
        with path.open("rb") as stream:
            head = stream.read(128)
    except OSError as error:
        message = f"{path.name}: cannot be read ({error.strerror})"
        raise UndecodableError(message, "check that the file exists") from error
    if not head:
        raise UndecodableError(f"{path.name}: 0 bytes", _RE_RECORD)
    if head.startswith(b"version https://git-lfs"):
        raise UndecodableError(f"{path.name}: a Git LFS pointer, not the recording itself", "run `git lfs pull`")


def _refuse_truncated_container(path: Path, found: SoundInfo) -> None:
    """libsndfile quietly shortens a RIFF file whose data chunk is longer than the file, and Ogg without its end."""
    if found.format in ("WAV", "WAVEX"):
        missing = _missing_riff_bytes(path)
        if missing > 0:
            raise UndecodableError(f"{path.name}: truncated, {missing} bytes of sound are missing", _RE_RECORD)
    if found.format == "OGG" and not _ogg_has_end(path):
        raise UndecodableError(f"{path.name}: truncated, the last Ogg page is missing", _RE_RECORD)


def _missing_riff_bytes(path: Path) -> int:
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        order = ">" if head.startswith(b"RIFX") else "<"
        while len(chunk := stream.read(8)) == 8:
            name, length = struct.unpack(f"{order}4sI", chunk)
            # Programs that write to a pipe cannot know the size and leave 0 or the largest number.
            if name == b"data":
                return 0 if length in _UNKNOWN_SIZE or length >= 0x7FFFFF00 else stream.tell() + int(length) - size
            stream.seek(length + length % 2, 1)
    return 0


def _ogg_has_end(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - (1 << 17)))
        tail = stream.read()
    last = tail.rfind(b"OggS")
    return last < 0 or last + 5 >= len(tail) or bool(tail[last + 5] & 0x04)


def _reason(error: BaseException) -> str:
    text = str(error)
    return text.rsplit(": ", 1)[-1].strip().rstrip(".") or type(error).__name__
