"""How long an MP3 file is: its frames are counted, since most headers only estimate, and many have none.

file -> frames from header to header -> seconds, and whether all of them are whole
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_JUNK_SEARCH = 1 << 16
_AHEAD = 3


@dataclass(frozen=True)
class MpegFrames:
    """Frames of an MPEG stream."""

    duration_s: float
    """Of all whole frames, encoder delay included."""
    cut: bool
    """The file ends within a frame, or before those that a Xing, Info or VBRI header counts."""
    holed: bool
    """Between two frames lies something that is neither a frame nor a tag: sound that was damaged."""
    joined: bool
    """Tags in the middle: files that were put together."""


@dataclass(frozen=True)
class _Frame:
    size_bytes: int
    duration_s: float


def count_frames(path: Path) -> MpegFrames | None:
    """Counts the frames of an MP3 file; None when there are not three of them one after the other."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = _resume(data, after_tags(data, 0))
        if at is None:
            return None
        promised, frames = _promised(data, at), 0
        seconds, cut, holed, joined = 0.0, False, False, False
        while (found := _frame(data, at)) is not None:
            if at + found.size_bytes > len(data):
                cut = True
                break
            # The frame that holds the header has no sound of its own.
            seconds += found.duration_s if frames or not promised else 0.0
            frames += 1
            at += found.size_bytes
            if _frame(data, at) is None:
                behind = after_tags(data, at)
                if (again := _resume(data, behind)) is None:
                    break
                holed |= again != behind
                joined |= again == behind
                if again == behind and _promised(data, again):
                    cut |= frames < promised
                    promised, frames = _promised(data, again), 0
                at = again
        return MpegFrames(max(0.0, seconds), cut or frames < promised, holed, joined)


def _frame(data: mmap.mmap, at: int) -> _Frame | None:
    """The frame whose header is at that place."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, bits = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer == 0 or rate == 3 or bits in (0, 15):
        return None
    rate_hz = _RATES_HZ[version][rate]
    kbits = _KBITS[3 if version == 3 else 2, layer][bits]
    padding = head[2] >> 1 & 1
    samples = 384 if layer == 3 else 1152 if layer == 2 or version == 3 else 576
    length = (
        (12_000 * kbits // rate_hz + padding) * 4 if layer == 3 else samples // 8 * 1000 * kbits // rate_hz + padding
    )
    return _Frame(length, samples / rate_hz)


def after_tags(data: mmap.mmap, at: int) -> int:
    """The byte behind the tags (ID3, APE) that begin at that place."""
    while True:
        head = data[at : at + 32]
        if head[:3] == b"ID3" and len(head) >= 10:
            size = 0
            for byte in head[6:10]:
                size = size << 7 | byte & 0x7F
            at += 10 + size
        elif head[:3] == b"TAG":
            at += 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            # The size counts the footer; of a tag with a header, the one that is met first.
            at += 32 + int.from_bytes(head[12:16], "little")
        else:
            return at


def _resume(data: mmap.mmap, at: int) -> int | None:
    """The next place from which three frames follow each other (or frames to the end of the file)."""
    for place in range(at, min(len(data) - 4, at + _JUNK_SEARCH)):
        if data[place] != 0xFF:
            continue
        next_at = place
        for _ in range(_AHEAD):
            found = _frame(data, next_at)
            if found is None:
                break
            next_at += found.size_bytes
        else:
            return place
    return None


def _promised(data: mmap.mmap, at: int) -> int:
    """How many frames the header in the frame at that place counts; 0 where there is none."""
    frame = _frame(data, at)
    first = data[at : at + frame.size_bytes] if frame is not None else b""
    for mark in (b"Xing", b"Info"):
        place = first.find(mark)
        if 0 < place < 64 and len(first) >= place + 12 and first[place + 7] & 1:
            return int.from_bytes(first[place + 8 : place + 12], "big")
    place = first.find(b"VBRI")
    return int.from_bytes(first[place + 14 : place + 18], "big") if 0 < place < 64 else 0
