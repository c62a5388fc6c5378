"""Whether two voices differ in a metric: the difference of their means with its bootstrap interval.

samples of A, samples of B -> sentences that both have spoken -> difference a sentence -> interval of the mean
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.evaluation.measurements import Sample
from timbre.evaluation.metrics.summary import Interval

FEWEST = 5
"""Sentences below which no interval is given: min_sentences of every base."""
_SURE = 1.645
"""Standard errors of a difference that chance alone exceeds one time in twenty, to one side."""
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """B minus A."""

    mean: float
    """Mean of B minus mean of A, in the metric's unit."""
    low: float
    """Lower bound, by a percentile bootstrap over sentences."""
    high: float
    """Upper bound, by the same."""
    sentences: int
    """Number of sentences that both have (paired), or of the side that has fewer."""
    paired: bool
    """False with fewer than FEWEST shared sentences: both sides are then resampled apart."""

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def difference(
    left: Sequence[Sample], right: Sequence[Sample], metric: str, interval: Interval | None = None, seed: int = 0
) -> Difference | None:
    """Of the means of a metric, B (right) minus A (left). None with fewer than FEWEST sentences on a side.

    Sentences that both have spoken are compared one by one, each by the mean over its seeds: the difficulty of a
    sentence, which is most of the spread, falls out. Without enough of these both sides are drawn by themselves.
    """
    ours, theirs = by_sentence(left, metric), by_sentence(right, metric)
    how = interval or Interval()
    draw = np.random.default_rng(seed)
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) >= FEWEST:
        steps = np.array([theirs[key] - ours[key] for key in shared])
        return Difference(float(steps.mean()), *_edges(_means(steps, draw, how), how), len(shared), True)
    if min(len(ours), len(theirs)) < FEWEST:
        return None
    one, other = (np.array(list(values.values())) for values in (ours, theirs))
    edges = _edges(_means(other, draw, how) - _means(one, draw, how), how)
    return Difference(float(other.mean() - one.mean()), *edges, min(len(one), len(other)), False)


def by_sentence(samples: Sequence[Sample], metric: str) -> Mapping[tuple[str, str], float]:
    """(id, text) -> mean over seeds of a metric: an id whose text was edited is another sentence."""
    found: dict[tuple[str, str], list[float]] = {}
    for sample in samples:
        if metric in sample.values:
            found.setdefault((sample.id, sample.text), []).append(sample.values[metric])
    return {key: float(np.mean(values)) for key, values in found.items()}


def standard_error(own: Sequence[Sample], other: Sequence[Sample], metric: str) -> float:
    """Of the mean difference over the common sentences; 0 where fewer than two are common."""
    ours, theirs = by_sentence(own, metric), by_sentence(other, metric)
    steps = [ours[sentence] - theirs[sentence] for sentence in ours if sentence in theirs]
    return float(np.std(steps, ddof=1) / np.sqrt(len(steps))) if len(steps) > 1 else 0.0


def chance_allowance(margin: float, error: float) -> float:
    """What is forgiven beyond a margin. error: standard error of the mean difference over the common sentences.

    At most one standard error, and only as long as an equal voice would show such a loss more than one time in twenty:
    where the sentences suffice to decide (1.645 errors lie within the margin), the margin alone counts. docs/gates.md
    has what this lets pass.
    """
    return max(0.0, min(_SURE * error - margin, error))


def _means(values: _Values, draw: np.random.Generator, how: Interval) -> _Values:
    picked = draw.integers(0, values.size, size=(how.resamples, values.size))
    means: _Values = values[picked].mean(axis=1)
    return means


def _edges(means: _Values, how: Interval) -> tuple[float, float]:
    edge = 50.0 * (1.0 - how.confidence)
    low, high = np.percentile(means, [edge, 100.0 - edge])
    return float(low), float(high)
