"""Memory of the processes that read a book, second by second, and how it grows once the program is warm."""

from __future__ import annotations

import statistics
import subprocess
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import click

WARM_WORDS = 2_500
"""One chapter of the book: until then dictionaries, sessions and their arenas are filled for the first time."""
SHORTEST = 4 * WARM_WORDS
"""Words of a book that is long enough to judge growth by."""
TENTHS = 10


@dataclass(frozen=True)
class Sample:
    """Memory at one moment."""

    words: int
    """Of the book that were spoken."""
    mib: float
    """Resident memory, of the process and those that it started."""


@dataclass(frozen=True)
class Growth:
    """How memory went on after the warm-up."""

    settled: float
    """Median of the warm-up's second half, MiB."""
    most: float
    """Highest after the warm-up, the assembling of the file included, MiB."""
    end: float
    """Median of the last twentieth of what was spoken, MiB."""

    @property
    def share(self) -> float:
        """Growth from the end of the warm-up to the highest value after it."""
        return self.most / self.settled - 1


def growth(samples: Sequence[Sample]) -> Growth | None:
    """None for a book too short to judge by."""
    total = max((item.words for item in samples), default=0)
    warm = [item.mib for item in samples if WARM_WORDS / 2 <= item.words < WARM_WORDS]
    later = [item.mib for item in samples if item.words >= WARM_WORDS]
    if total < SHORTEST or not warm or not later:
        return None
    spoken = [item.mib for item in samples if total * 0.95 <= item.words < total]
    return Growth(statistics.median(warm), max(later), statistics.median(spoken or later))


def watch(process: subprocess.Popen[bytes], record: Path, words: Sequence[int]) -> list[Sample]:
    """Samples of every second until the process ends, with a line at every tenth of the book.

    record: journal of the reader, a line a passage; words: of each passage.
    """
    samples, steps, began = list[Sample](), list(accumulate(words, initial=0)), time.monotonic()
    line = _lines(record)
    while process.poll() is None:
        time.sleep(1)
        mib = sum(map(_resident_mib, _family(process.pid)))
        if not mib:
            continue  # it ended
        done = steps[min(line(), len(words))]
        if samples and done * TENTHS // steps[-1] > samples[-1].words * TENTHS // steps[-1]:
            click.echo(f"    {done:>7} words: {mib:.0f} MiB after {time.monotonic() - began:.0f} s")
        samples.append(Sample(done, mib))
    return samples


def _family(process: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _resident_mib(process: int) -> float:
    """0 for one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def curve(samples: Sequence[Sample]) -> list[str]:
    """A line for the warm-up and for each tenth of the book: median and highest memory in it."""
    total = max(item.words for item in samples)
    ends = sorted({min(WARM_WORDS, total), *(total * step // TENTHS for step in range(1, TENTHS + 1))})
    held: dict[int, list[float]] = {end: [] for end in ends}
    for item in samples:
        if item.words < total:
            held[ends[bisect_right(ends, item.words)]].append(item.mib)
    last = [item.mib for item in samples if item.words == total]
    rows = [(f"to {end} words", found) for end, found in held.items()] + [("assembling", last)]
    return [f"{name:>16}: {statistics.median(found):.0f} MiB, most {max(found):.0f}" for name, found in rows if found]


def _lines(path: Path) -> Callable[[], int]:
    """Counts the lines of a growing file, reading only what is new."""
    place = count = 0

    def so_far() -> int:
        nonlocal place, count
        if path.is_file():
            with path.open("rb") as file:
                file.seek(place)
                new = file.read()
            place, count = place + len(new), count + new.count(b"\n")
        return count

    return so_far
