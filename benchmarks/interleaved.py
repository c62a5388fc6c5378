"""Both sides of a ratio in one run: variants take turns, and each turn is timed in CPU seconds of this process.

CPU time leaves out waiting for a shared core; taking turns lets a busy neighbour slow both sides alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """CPU seconds of one variant over all rounds."""

    median_s: float
    best_s: float
    rounds: int


def take_turns(variants: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, Timing]:
    """Run every variant once a round, in turn. Raises ValueError when rounds is not positive."""
    if rounds < 1:
        raise ValueError(f"rounds must be positive, got {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(warm_up + rounds):
        for name, run in variants.items():
            start = time.process_time()
            run()
            if turn >= warm_up:
                seconds[name].append(time.process_time() - start)
    return {name: Timing(statistics.median(each), min(each), rounds) for name, each in seconds.items()}
