"""How a FLAC file ends, whatever its header says: with a whole frame or not, at which sample, with another file behind.

file -> last frame -> its number and its two check sums (RFC 9639, 9.1.5, 9.1.8 and 9.3)
"""

from __future__ import annotations

import mmap
import re
from functools import cache
from itertools import islice
from pathlib import Path

# Frames of 4096 samples take a few kB; this also holds the longest ones of 24 bits and two channels.
_TAIL_BYTES = 1 << 19
_LONGEST_HEADER = 16
_ID3_BYTES = 128
_HEAD_BYTES = 1 << 16
# The mark, and STREAMINFO as the first block, of 34 bytes.
_STREAM = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")


def ends_whole(path: Path) -> bool:
    """Whether the check sum of the last frame comes out right."""
    frame = _last_frame(path)
    return bool(frame) and _crc(frame, 0x8005, 16) == 0


def holds_more(path: Path, stated: int) -> bool:
    """Whether the last frame ends behind the number of samples that the header states, at which decoders stop."""
    frame = _last_frame(path)
    if not frame or _crc(frame, 0x8005, 16):
        return False
    with path.open("rb") as stream:
        data = stream.read(_HEAD_BYTES)
    block = _block_size(frame)
    # The header's block size is that of all frames but the last, where frames and not samples are numbered.
    start = data.find(b"fLaC")
    step = 1 if frame[1] & 1 else int.from_bytes(data[start + 8 : start + 10], "big") if start >= 0 else 0
    return _number(frame) * step + block > stated


def is_joined(path: Path) -> bool:
    """Whether another FLAC file follows the first in the same file."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sum(1 for _ in islice(_STREAM.finditer(data), 2)) > 1


def _last_frame(path: Path) -> bytes:
    """The frame whose header is nearest to the end, up to the end; empty where there is none."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read()
    if tail[-_ID3_BYTES:][:3] == b"TAG":
        tail = tail[:-_ID3_BYTES]
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if tail[at + 1 : at + 2] in (b"\xf8", b"\xf9") and _is_header(tail, at):
            return tail[at:]
    return b""


def _number(frame: bytes) -> int:
    """Of the frame, or of its first sample, coded as in UTF-8."""
    count = 8 - (frame[4] ^ 0xFF).bit_length()
    number = frame[4] & (0x7F >> count)
    for byte in frame[5 : 4 + count]:
        number = number << 6 | byte & 0x3F
    return number


def _block_size(frame: bytes) -> int:
    """Samples of a channel in it."""
    code = frame[2] >> 4
    at = 4 + max(1, 8 - (frame[4] ^ 0xFF).bit_length())
    if code in (6, 7):
        return int.from_bytes(frame[at : at + code - 5], "big") + 1
    return 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8


def _is_header(data: bytes, at: int) -> bool:
    first = data[at + 4] if at + 4 < len(data) else 0
    number = 1 if first < 0x80 else 8 - (first ^ 0xFF).bit_length()
    block, rate = (data[at + 2] >> 4, data[at + 2] & 15) if at + 2 < len(data) else (0, 15)
    extra = {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    length = 4 + number + extra
    if block == 0 or rate == 15 or length > _LONGEST_HEADER or at + length >= len(data):
        return False
    return _crc(data[at : at + length], 0x07, 8) == data[at + length]


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    table, value, mask = _table(polynomial, bits), 0, (1 << bits) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
    return value


@cache
def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    top, mask = 1 << bits - 1, (1 << bits) - 1
    found = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        found.append(value)
    return tuple(found)
