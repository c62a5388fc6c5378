"""Whether a FLAC file that does not state its length ends with a whole frame.

file -> last frame -> its two check sums (RFC 9639, 9.1.8 and 9.3)
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Frames of 4096 samples take a few kB; this also holds the longest ones of 24 bits and two channels.
_TAIL_BYTES = 1 << 19
_LONGEST_HEADER = 16
_ID3_BYTES = 128


def ends_whole(path: Path) -> bool:
    """Looks for a frame header near the end from which the check sum of the frame comes out right."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read()
    if tail[-_ID3_BYTES:][:3] == b"TAG":
        tail = tail[:-_ID3_BYTES]
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if tail[at + 1 : at + 2] in (b"\xf8", b"\xf9") and _is_header(tail, at):
            # The nearest header is that of the last frame.
            return _crc(tail[at:], 0x8005, 16) == 0
    return False


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
