"""The pages of an Ogg file: how many sounds follow each other in it, whether the last one ends, whether any is lost.

file -> page headers -> OggPages (RFC 3533, 6)
"""

from __future__ import annotations

import mmap
import zlib
from dataclasses import dataclass
from pathlib import Path

_HEADER = 27
_FIRST, _LAST = 0x02, 0x04
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class OggPages:
    """Pages of an Ogg stream."""

    chains: int
    """Sounds one after the other (1 in most files)."""
    ended: bool
    """The last page is marked as the last."""
    holed: bool = False
    """Between two pages with sound one is missing, or one is damaged: decoders fill in what they guess."""


def read_pages(path: Path) -> OggPages:
    """Walks the pages without decoding them; what is between two pages is passed over."""
    chains, ended, followed, holed = 0, True, True, False
    following: dict[bytes, int] = {}
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(b"OggS")
        while at >= 0 and at + _HEADER <= len(data):
            flags, segments = data[at + 5], data[at + 26]
            if flags & _FIRST and followed:
                # Several first pages in a row are one sound and what goes with it.
                chains += 1
            followed = not flags & _FIRST
            ended = bool(flags & _LAST)
            table = data[at + _HEADER : at + _HEADER + segments]
            end = at + _HEADER + segments + sum(table)
            if len(table) < segments or end > len(data):
                return OggPages(chains, False, holed)
            serial, number = data[at + 14 : at + 18], int.from_bytes(data[at + 18 : at + 22], "little")
            expected = None if flags & _FIRST else following.get(serial)
            holed |= (expected is not None and number != expected) or not _is_intact(data[at:end])
            if flags & _FIRST or int.from_bytes(data[at + 6 : at + 14], "little"):
                # A file that was cut out of a longer one has a gap behind its headers, and all of its sound.
                following[serial] = number + 1
            else:
                following.pop(serial, None)
            at = end if data[end : end + 4] == b"OggS" else data.find(b"OggS", end)
    return OggPages(chains, ended, holed)


def _is_intact(page: bytes) -> bool:
    """Its check sum (polynomial 0x04c11db7, highest bit first) is right: zlib's is the same one, lowest bit first."""
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2) == int.from_bytes(page[22:26], "little")
