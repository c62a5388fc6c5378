"""The pages of an Ogg file: how many sounds follow each other in it, and whether the last one ends.

file -> page headers -> OggPages
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

_HEADER = 27
_FIRST, _LAST = 0x02, 0x04


@dataclass(frozen=True)
class OggPages:
    """Pages of an Ogg stream."""

    chains: int
    """Sounds one after the other (1 in most files)."""
    ended: bool
    """The last page is marked as the last."""


def read_pages(path: Path) -> OggPages:
    """Walks the pages without decoding them; what is between two pages is passed over."""
    chains, ended, followed = 0, True, True
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
                return OggPages(chains, False)
            at = end if data[end : end + 4] == b"OggS" else data.find(b"OggS", end)
    return OggPages(chains, ended)
