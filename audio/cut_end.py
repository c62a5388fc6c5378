"""Whether a file breaks off within its sound: what its chunks, boxes or frames promise beyond the end of the file.

file -> row of sized pieces (AVI, AIFF, W64, CAF, MP4, Matroska) or of frames (AAC, AMR) -> Cut

Decoders read what is there and say nothing. A cut in a piece that holds no sound does no harm and is passed over.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from timbre.audio.mpeg import after_tags

_W64 = b"riff\x2e\x91\xcf\x11"
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
# Time, position, size before, blocks, groups of blocks, padding and check sums of a cluster.
_IN_CLUSTERS = (0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xEC, 0xBF)
_LONGEST_ELEMENT_HEADER = 12
# Bytes of a frame by the four bits of its header that name its kind (RFC 4867, 5.3); 0: none.
_AMR = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1),
}
Piece = tuple[bytes, int, int]
"""Name, first byte of the content, and the byte behind it: beyond the file where it is cut, -1 where nothing says."""


@dataclass(frozen=True)
class Cut:
    """The piece of sound that breaks off."""

    there_bytes: int
    """What the file holds of it."""
    missing_bytes: int
    """What it promises beyond the end of the file."""
    framed: bool
    """It is one of many, and nothing says how many follow."""


@dataclass(frozen=True)
class _Layout:
    """How the chunks of a container begin."""

    name_bytes: int
    size_bytes: int
    order: str
    align: int
    counts_header: bool = False

    def piece(self, data: mmap.mmap, at: int) -> Piece | None:
        """The chunk at that place, None where there is none."""
        start = at + self.name_bytes + self.size_bytes
        head = data[at:start]
        if len(head) < start - at:
            return None
        number = head[self.name_bytes :]
        size = int.from_bytes(number, "little" if self.order == "little" else "big")
        size -= start - at if self.counts_header else 0
        unknown = size < 0 or number == b"\xff" * self.size_bytes
        return head[:4], start, -1 if unknown else start + size


_RIFF, _AIFF = _Layout(4, 4, "little", 2), _Layout(4, 4, "big", 2)
_W64_CHUNKS, _CAF = _Layout(16, 8, "little", 8, counts_header=True), _Layout(4, 8, "big", 1)


def find_cut(path: Path) -> Cut | None:
    """The piece of sound that breaks off; None of a whole file and of kinds that are not walked here (WAV: riff.py)."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"RIFF":
            return _sized(data, _movies(data)) if data[8:12] == b"AVI " else None
        if data[:4] == b"FORM":
            return _sized(data, _walk(data, 12, _AIFF), b"SSND")
        if data[:8] == _W64:
            return _sized(data, _walk(data, 40, _W64_CHUNKS), b"data")
        if data[:4] == b"caff":
            return _sized(data, _walk(data, 8, _CAF), b"data")
        if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _sized(data, _boxes(data), b"mdat", b"moof")
        if int.from_bytes(data[:4], "big") == _EBML:
            return _matroska(data)
        for mark, sizes in _AMR.items():
            if data[: len(mark)] == mark:
                return _frames(data, len(mark), lambda at, sizes=sizes: sizes[data[at] >> 3 & 15])  # type: ignore[misc]
        return _frames(data, after_tags(data, 0), lambda at: _adts(data, at))


def _sized(data: mmap.mmap, pieces: Iterator[Piece], *names: bytes) -> Cut | None:
    for name, start, end in pieces:
        if end > len(data) and (name in names or not names):
            return Cut(len(data) - start, end - len(data), framed=False)
    return None


def _walk(data: mmap.mmap, at: int, layout: _Layout) -> Iterator[Piece]:
    while (piece := layout.piece(data, at)) is not None:
        yield piece
        _, start, end = piece
        if end < start:
            return
        at = end + (start - end) % layout.align


def _movies(data: mmap.mmap) -> Iterator[Piece]:
    """The lists of frames of every RIFF of an AVI: beyond 1 GB there are several."""
    for _, start, end in _walk(data, 0, _RIFF):
        for piece in _walk(data, start + 4, _RIFF):
            if end >= start and piece[1] >= end:
                break
            if piece[0] == b"LIST" and data[piece[1] : piece[1] + 4] == b"movi":
                yield piece


def _boxes(data: mmap.mmap) -> Iterator[Piece]:
    """The boxes of an MP4; a size of 0 means to the end of the file (ISO 14496-12, 4.2)."""
    at = 0
    while len(head := data[at : at + 16]) >= 8:
        size, start = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(head[8:], "big"), at + 16
        if size < start - at:
            return
        yield head[4:8], start, at + size
        at += size


def _matroska(data: mmap.mmap) -> Cut | None:
    """Elements down to the blocks: live recordings state no sizes of what holds them."""
    at, in_clusters = 0, False
    while (found := _element(data, at)) is not None:
        name, start, end = found
        in_clusters |= name == _CLUSTER
        if end > len(data) and (name == _CLUSTER or name in _IN_CLUSTERS):
            return Cut(len(data) - start, end - len(data), framed=True)
        if end < 0 and name not in (_SEGMENT, _CLUSTER):
            return None
        at = start if name == _SEGMENT or end < 0 else end
    return Cut(0, 1, framed=True) if in_clusters and 0 < len(data) - at < _LONGEST_ELEMENT_HEADER else None


def _element(data: mmap.mmap, at: int) -> tuple[int, int, int] | None:
    """(id, first byte of the content, byte behind it or -1) of an EBML element (RFC 8794, 4 to 6)."""
    if at >= len(data) or data[at] < 0x10:
        return None
    place = at + 9 - data[at].bit_length()
    if place >= len(data) or not data[place]:
        return None
    width = 9 - data[place].bit_length()
    start, unknown = place + width, (1 << 7 * width) - 1
    if start > len(data):
        return None
    size = int.from_bytes(data[place:start], "big") & unknown
    return int.from_bytes(data[at:place], "big"), start, -1 if size == unknown else start + size


def _frames(data: mmap.mmap, at: int, size_at: Callable[[int], int]) -> Cut | None:
    while at < len(data) and (size := size_at(at)) > 0:
        if at + size > len(data):
            return Cut(len(data) - at, at + size - len(data), framed=True)
        at += size
    return None


def _adts(data: mmap.mmap, at: int) -> int:
    """Bytes of the AAC frame at that place (ISO 14496-3, 1.A.3.2); 0 where there is none."""
    head = data[at : at + 6]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size >= 7 else 0
