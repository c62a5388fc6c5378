"""Sound files as a stream of blocks, so that the memory needed does not depend on the length of the file.

file -> SoundFile description -> blocks of float32, shape (n, c)

libsndfile reads what states its length (WAV, FLAC, Ogg, AIFF, W64); FFmpeg's libraries read the rest, and whatever
libsndfile would shorten: MP3, FLAC from a pipe, the second part of a chained Ogg.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from timbre.audio import containers
from timbre.audio.containers import ContainerError
from timbre.audio.cut_end import find_cut
from timbre.audio.flac import ends_whole, holds_more, is_joined
from timbre.audio.mpeg import count_frames
from timbre.audio.ogg import read_pages
from timbre.audio.riff import RiffSound, Window, find_samples
from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "W64", "CAF")
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 32
BLOCK_FRAMES = 1 << 16
_RE_RECORD = "open the file in an audio editor, export it again as WAV or FLAC, and replace it"
_MORE = "more sound behind the first, as of two files put together"
_JOINED = "open the parts one by one in an audio editor, put them together there, and export them as WAV or FLAC"
# The last bytes of a recording that was copied while it was written: nobody hears the difference.
_UNHEARD_S = 0.02
# Containers round their length to packets.
_PACKET_S = 0.25
_INVERTED = -0.5
# Lossy coding leaves a hiss in channels without sound: 50 dB below the voice and more.
_EMPTY = 1e-4


class UndecodableError(InputError):
    """A file that is not the sound it claims to be."""


@dataclass(frozen=True)
class SoundInfo:
    """What the header of a sound file says."""

    format: str
    """libsndfile's name in capitals ("WAV", "FLAC"), or FFmpeg's, in capitals too ("MOV")."""
    subtype: str
    """Coding of the samples: libsndfile's name ("PCM_16"), or FFmpeg's decoder ("aac")."""
    rate_hz: int
    """MIN_RATE_HZ to MAX_RATE_HZ; another is refused."""
    channels: int
    """1 to MAX_CHANNELS."""
    frames: int
    """0 where it does not say; damaged files may hold another number."""
    decoder: str = "sndfile"
    """"sndfile", "samples" (libsndfile on the samples alone, where the header is wrong) or "ffmpeg"."""

    @property
    def duration_s(self) -> float:
        """Claimed length in seconds; 0 where the header does not say."""
        return self.frames / self.rate_hz


def probe(path: Path) -> SoundInfo:
    """Reads headers only. Raises UndecodableError naming the file when it holds no sound that can be decoded."""
    _refuse_non_sound(path)
    found = _identify(path)
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
        for block in _decoded(path, found, frames):
            read += len(block)
            yield block
    except (sf.LibsndfileError, RuntimeError, ContainerError) as error:
        where = f"after {read / found.rate_hz:.2f} s"
        raise UndecodableError(f"{path.name}: decoding failed {where} ({_reason(error)})", _RE_RECORD) from error
    _refuse_shortened(path, found, read)


def mono_blocks(
    path: Path, frames: int = BLOCK_FRAMES, most_s: float | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Yields float32 blocks (n,): the mean of the channels that hold sound, inverted ones turned back.

    A recorder or cable that inverts one channel of two would else leave silence, and the empty channels of surround
    sound a faint voice. Raises what `blocks` raises, and InputError as soon as more than most_s seconds were decoded,
    before any block where there are several channels.
    """
    weights: npt.NDArray[np.float32] | None = None
    if probe(path).channels > 1:
        weights = _weights(_bounded(path, frames, most_s))
    for block in _bounded(path, frames, most_s):
        yield to_mono(block) if weights is None else block @ weights


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
    rate_hz = probe(path).rate_hz
    parts = list(mono_blocks(path, most_s=max_s))
    return Waveform(np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32), rate_hz)


def _bounded(path: Path, frames: int, most_s: float | None) -> Iterator[npt.NDArray[np.float32]]:
    """As `blocks`; a few kilobytes may hold hours of silence, so the limit counts while it is decoded."""
    rate_hz, count = probe(path).rate_hz, 0
    for block in blocks(path, frames):
        count += len(block)
        if most_s is not None and count > most_s * rate_hz:
            raise InputError(f"{path.name}: longer than {most_s:g} s", "cut it into shorter files")
        yield block


def write(path: Path, wave: Waveform, subtype: str = "PCM_16") -> None:
    """Writes WAV or FLAC by suffix; values beyond full scale are an error, never clipped (ValueError).

    Raises OSError where the file cannot be written.
    """
    peak = float(np.max(np.abs(wave.samples), initial=0.0))
    if not peak <= 1.0:
        raise ValueError(f"{path.name}: peak {peak:.3f}, expected at most 1")
    # Encoded in memory: of a full disk libsndfile says only "System error.", which nothing tells from a bug.
    encoded = BytesIO()
    sf.write(encoded, wave.samples, wave.rate_hz, subtype=subtype, format=path.suffix.removeprefix(".").upper())
    path.write_bytes(encoded.getbuffer())


def _identify(path: Path) -> SoundInfo:
    riff = find_samples(path)
    if riff is not None and riff.more:
        raise UndecodableError(f"{path.name}: {_MORE}", _JOINED)
    if riff is not None and riff.unfinished and not riff.subtype:
        return _inspected(path, "compressed WAV without a size")
    if riff is not None and riff.subtype and (riff.unfinished or not _sndfile_agrees(path, riff)):
        frames = riff.size_bytes // riff.frame_bytes
        return SoundInfo("WAV", riff.subtype, riff.rate_hz, riff.channels, frames, "samples")
    try:
        info = sf.info(str(path))
    except (sf.LibsndfileError, RuntimeError, OSError) as error:
        return _inspected(path, _reason(error))
    found = SoundInfo(info.format, info.subtype, int(info.samplerate), int(info.channels), int(info.frames))
    unknown_length = not 0 < found.frames < 1 << 62
    if found.format == "FLAC" and is_joined(path):
        raise UndecodableError(f"{path.name}: {_MORE}", _JOINED)
    goes_on = found.format == "FLAC" and (unknown_length or holds_more(path, found.frames))
    chained = found.format == "OGG" and read_pages(path).chains > 1
    if found.format not in FORMATS or found.format == "MP3" or chained or goes_on:
        return _inspected(path, f"format {found.format}")
    return found


def _sndfile_agrees(path: Path, riff: RiffSound) -> bool:
    try:
        return int(sf.info(str(path)).frames) == riff.size_bytes // riff.frame_bytes
    except (sf.LibsndfileError, RuntimeError, OSError):
        return False


def _inspected(path: Path, otherwise: str) -> SoundInfo:
    """As FFmpeg describes it; an MP3 by its frames. otherwise: why libsndfile does not read it."""
    try:
        found = containers.inspect(path)
    except ContainerError as error:
        message = f"{path.name}: not readable as sound ({otherwise}; {_reason(error)})"
        raise UndecodableError(message, _RE_RECORD) from error
    frames = round((found.duration_s or 0.0) * found.rate_hz) if found.states_length else 0
    if found.format == "mp3" and (counted := count_frames(path)) is not None:
        frames = round(counted.duration_s * found.rate_hz)
    return SoundInfo(found.format.upper(), found.codec, found.rate_hz, found.channels, frames, "ffmpeg")


def _decoded(path: Path, found: SoundInfo, frames: int) -> Iterator[npt.NDArray[np.float32]]:
    if found.decoder == "ffmpeg":
        counted = count_frames(path) if found.format == "MP3" else None
        for piece in containers.frames(path, joined=counted is not None and counted.joined):
            yield from (piece[at : at + frames] for at in range(0, len(piece), frames))
        return
    with _opened(path, found) as stream:
        while len(block := stream.read(frames, dtype="float32", always_2d=True)):
            yield block


@contextmanager
def _opened(path: Path, found: SoundInfo) -> Iterator[sf.SoundFile]:
    riff = find_samples(path) if found.decoder == "samples" else None
    if riff is None:
        with sf.SoundFile(str(path)) as stream:
            yield stream
        return
    with (
        Window(path, riff.offset, riff.size_bytes) as window,
        sf.SoundFile(
            window, samplerate=riff.rate_hz, channels=riff.channels, format="RAW", subtype=riff.subtype,
            endian="BIG" if riff.big_endian else "LITTLE",
        ) as stream,
    ):  # fmt: skip
        yield stream


def _weights(stream: Iterator[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32] | None:
    """What every channel counts in the mean (c,): nothing where it is empty, and less than nothing where it holds the
    loudest one upside down. None where no mean can be told, of silence and of samples that are not finite.
    """
    products: npt.NDArray[np.float64] | None = None
    for block in stream:
        with np.errstate(invalid="ignore", over="ignore"):
            wide = block.astype(np.float64)
            own = wide.T @ wide
        products = own if products is None else products + own
    if products is None or not np.isfinite(products).all() or not products.any():
        return None
    powers = np.diag(products)
    loudest = int(np.argmax(powers))
    live = powers > _EMPTY * powers[loudest]
    likeness = products[loudest, live] / np.sqrt(powers[loudest] * powers[live])
    weights = np.zeros(len(powers), dtype=np.float32)
    weights[live] = np.where(likeness < _INVERTED, -1.0, 1.0) / np.count_nonzero(live)
    return weights


def _refuse_non_sound(path: Path) -> None:
    if path.is_dir():
        raise UndecodableError(
            f"{path.name}: is a directory, expected a sound file", "replace it by the recording itself"
        )
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


def _refuse_shortened(path: Path, found: SoundInfo, read: int) -> None:
    """What the header promises, or the form of the file shows, and decoding did not give."""
    heard_s = read / found.rate_hz
    missing = _missing_s(path, found, heard_s)
    if missing > 0:
        raise UndecodableError(
            f"{path.name}: truncated, {missing:.2f} s of {heard_s + missing:.2f} s are missing", _RE_RECORD
        )
    ends, holed = _ends_early(path, found)
    if holed:
        raise UndecodableError(f"{path.name}: damaged, sound is missing in the middle", _RE_RECORD)
    if ends:
        raise UndecodableError(f"{path.name}: truncated, the end of the file is missing", _RE_RECORD)


def _missing_s(path: Path, found: SoundInfo, heard_s: float) -> float:
    # libsndfile quietly shortens a file whose samples go on beyond its end.
    there, missing = 0, 0
    if (riff := find_samples(path)) is not None:
        there, missing = riff.size_bytes, riff.missing_bytes
    elif (cut := find_cut(path)) is not None and not cut.framed:
        there, missing = cut.there_bytes, cut.missing_bytes
    if riff is not None or missing > 0:
        missing_s = heard_s * missing / max(1, there)
        return missing_s if missing_s > _UNHEARD_S else 0.0
    if not 0 < found.frames < 1 << 62:
        return 0.0
    missing_s = found.frames / found.rate_hz - heard_s
    return missing_s if missing_s > (_PACKET_S if found.decoder == "ffmpeg" else 0.0) else 0.0


def _ends_early(path: Path, found: SoundInfo) -> tuple[bool, bool]:
    """Whether the file ends within its sound, and whether sound is missing before."""
    if found.format == "MP3":
        counted = count_frames(path)
        return (counted.cut, counted.holed) if counted is not None else (False, False)
    if found.format == "FLAC" and found.decoder == "ffmpeg":
        return not ends_whole(path), False
    if found.format == "OGG":
        pages = read_pages(path)
        return not pages.ended, pages.holed
    cut = find_cut(path)
    return cut is not None and cut.framed, False


def _reason(error: BaseException) -> str:
    text = str(error)
    return text.rsplit(": ", 1)[-1].strip().rstrip(".") or type(error).__name__
