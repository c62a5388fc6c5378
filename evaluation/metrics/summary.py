"""Mean, worst and bootstrap interval of a metric over sentences, and refusal below a minimum count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timbre.evaluation.metrics.catalogue import Direction


@dataclass(frozen=True)
class Summary:
    """A metric over sentences."""

    count: int
    """Number of values."""
    mean: float
    """Of the values."""
    worst: float
    """In the metric's direction."""
    worst_index: int
    """Of the worst value."""
    low: float
    """Lower end of the bootstrap interval of the mean."""
    high: float
    """Upper end of that interval."""


@dataclass(frozen=True)
class Interval:
    """How the interval of a mean is found."""

    resamples: int = 1000
    """Bootstrap samples drawn."""
    confidence: float = 0.95
    """Its level, 0 to 1."""


def summarise(
    values: Sequence[float],
    direction: Direction,
    interval: Interval | None = None,
    *,
    sentences: Sequence[str] | None = None,
    seed: int = 0,
) -> Summary:
    """Summary of finite values (at least one). sentences: which one each value is of; None: all are different.

    The interval is a percentile bootstrap over clusters: whole sentences are drawn, each with the values of all its
    seeds, because seeds of one sentence share its difficulty and are no independent witnesses. It is seeded, so equal
    values give equal intervals.

    Raises ValueError when there is no value or one is not finite: an unmeasurable sentence must be handled by the
    caller.
    """
    array = np.asarray(values, np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"cannot summarise {array.tolist()!r}: need at least one value, all finite")
    index = int(np.argmin(array) if direction is Direction.HIGHER else np.argmax(array))
    how = interval or Interval()
    cluster = np.arange(array.size) if sentences is None else np.unique(list(sentences), return_inverse=True)[1]
    sums, counts = np.bincount(cluster, array), np.bincount(cluster)
    drawn = np.random.default_rng(seed).integers(0, counts.size, size=(how.resamples, counts.size))
    draws = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    edge = 50.0 * (1.0 - how.confidence)
    low, high = np.percentile(draws, [edge, 100.0 - edge])
    return Summary(array.size, float(array.mean()), float(array[index]), index, float(low), float(high))
