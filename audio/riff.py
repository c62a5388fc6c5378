"""Where the samples of a WAV file lie, also in files whose sizes were never written or are wrong.

file -> chunks -> RiffSound: format, first byte and number of bytes of the samples

Recorders that are switched off, and programs that write to a pipe, leave 0 or the largest number as the size of the
sound; some write an odd chunk without its padding byte. The samples are there all the same.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

_KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_NEVER_WRITTEN = (0, 0xFFFFFFFF)
# Streaming programs write this much or a little less for "until the end".
_ENDLESS = 0x7FFFFF00
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
    (_ALAW, 8): "ALAW",
    (_MULAW, 8): "ULAW",
}
# What may follow an odd chunk; every other name could be part of its content.
_CHUNKS = (b"data", b"fmt ", b"LIST", b"fact", b"bext", b"cue ", b"JUNK", b"junk", b"PAD ", b"id3 ", b"iXML", b"smpl")
_MAX_CHUNKS = 10_000


@dataclass(frozen=True)
class RiffSound:
    """The samples of a WAV file."""

    rate_hz: int
    """As the header states; not checked here."""
    channels: int
    """At least 1."""
    subtype: str
    """libsndfile's name of their coding, "" for compressed sound."""
    big_endian: bool
    """Of RIFX."""
    offset: int
    """Byte of the file at which the samples begin."""
    size_bytes: int
    """Whole frames that the file holds from `offset`, whatever the header says."""
    missing_bytes: int
    """What the header promises beyond the end of the file."""
    unfinished: bool
    """The header gives no size, so the samples go on to the end."""
    frame_bytes: int
    """One sample of every channel; of compressed sound one block."""
    more: bool = False
    """More sound lies behind it: a second piece, or another file."""


def find_samples(path: Path) -> RiffSound | None:
    """Where the samples are; None for what is no WAV file or has neither a format nor a sound."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        kind = stream.read(12)[:4]
        if kind not in _KINDS:
            return None
        big = kind == b"RIFX"
        long_size = 0
        form: bytes | None = None
        for _ in range(_MAX_CHUNKS):
            head = stream.read(8)
            if len(head) < 8:
                return None
            name, length = struct.unpack(">4sI" if big else "<4sI", head)
            at = stream.tell()
            if name == b"ds64":
                long_size = struct.unpack("<Q", stream.read(16)[8:16])[0] if length >= 16 else 0
            elif name == b"fmt ":
                form = stream.read(min(length, 64))
            elif name == b"data" and form is not None and len(form) >= 16:
                promised = long_size if kind in (b"RF64", b"BW64") and length == 0xFFFFFFFF else length
                if promised == 0 and _chunks_to_end(stream, at, size, big):
                    continue
                sound = _sound(form, big, at, promised, size)
                if sound is None or sound.unfinished or sound.missing_bytes:
                    return sound
                return replace(sound, more=_has_more(stream, at + promised + promised % 2, size, big))
            stream.seek(_next_chunk(stream, at, length, size, big))
    return None


def _sound(form: bytes, big: bool, at: int, promised: int, size: int) -> RiffSound | None:
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack(">HHIIHH" if big else "<HHIIHH", form[:16])
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack("<H", form[24:26])[0]
    if not channels or not rate_hz or not frame_bytes:
        return None
    # 20 bits lie in 24, and 24 may lie in 32, as the highest ones.
    held = frame_bytes // channels * 8 if tag == _PCM and bits <= frame_bytes // channels * 8 else bits
    subtype = _SUBTYPES.get((tag, held), "") if frame_bytes * 8 == channels * held else ""
    there = size - at
    unfinished = promised in _NEVER_WRITTEN or (promised >= _ENDLESS and promised > there)
    missing = 0 if unfinished else max(0, promised - there)
    length = there if unfinished else min(promised, there)
    return RiffSound(
        rate_hz, channels, subtype, big, at, length - length % frame_bytes, missing, unfinished, frame_bytes
    )


def _next_chunk(stream: BinaryIO, at: int, length: int, size: int, big: bool) -> int:
    """Chunks begin at even places, unless the program that wrote an odd one forgot to."""
    end = at + length
    if length % 2 == 0:
        return end
    stream.seek(end)
    around = stream.read(5)
    padded, bare = around[1:5], around[:4]
    return end if bare in _CHUNKS and padded not in _CHUNKS else end + 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _chunks_to_end(stream: BinaryIO, at: int, size: int, big: bool) -> bool:
    """Whether what follows is a row of chunks up to the end of the file, and so no sound."""
    place = at
    for _ in range(_MAX_CHUNKS):
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            break
        name, length = struct.unpack(">4sI" if big else "<4sI", head)
        if not _is_name(name) or place + 8 + length > size + 1:
            break
        place += 8 + length + length % 2
    stream.seek(at)
    return place > at and place >= size - 1


def _has_more(stream: BinaryIO, at: int, size: int, big: bool) -> bool:
    """Whether a row of chunks begins there that holds another sound or another file."""
    for _ in range(_MAX_CHUNKS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            return False
        name, length = struct.unpack(">4sI" if big else "<4sI", head)
        if name in _KINDS or (name == b"data" and length):
            return True
        if not _is_name(name) or at + 8 + length > size:
            return False
        at += 8 + length + length % 2
    return False


class Window(io.RawIOBase):
    """A part of a file as a file of its own: what libsndfile reads as samples without a header."""

    def __init__(self, path: Path, offset: int, size_bytes: int) -> None:
        self._file = path.open("rb")
        self._offset, self._size, self._at = offset, size_bytes, 0
        self._file.seek(offset)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = min(max(0, start + offset), self._size)
        self._file.seek(self._offset + self._at)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._size - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
