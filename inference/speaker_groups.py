"""Is it one person, and is it the person who agreed? By speaker vectors (GE2E) of pieces of speech.

Stage 1, the judgement of a single take and the check of a statement compare with one function, `likeness`. How it was
calibrated: docs/validate.md, python -m benchmarks.studio_speakers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
_ROUNDS = 10
# Mean cosine of two sentences of one person, of 122 people; half of them lie between 0.81 and 0.87, the least at 0.75.
TYPICAL_OWN = 0.835
_TYPICAL_PAIRS = 3
# A folder of two people is little like itself, which must not excuse a third; a steady reader may have a cold.
_OWN_RANGE = (0.76, 0.90)
# A likeness to few pieces wanders more.
_SETTLED_AT = 5
_ALLOWANCE_EACH = 0.02


@dataclass(frozen=True, eq=False)
class Speakers:
    """What the embeddings say about the speakers of a voice."""

    voice: Vectors
    """Unit vectors (m, d) of the larger group."""
    similarity: npt.NDArray[np.float64]
    """Likeness of each slice to the others of that group (n,)."""
    groups: float
    """Similarity of the two groups into which the slices fall most easily; near 1 for one speaker."""
    smaller: tuple[int, ...]
    """Indices of the smaller group."""


def compare(vectors: Vectors, min_group_similarity: float) -> Speakers:
    """Splits embeddings (n, d) in two groups; compares slices with the larger one, or with all if they are alike."""
    labels, groups = _two_groups(vectors)
    minority = labels if np.count_nonzero(labels) <= len(labels) / 2 else ~labels
    # One odd slice is no group: noise and a cold move single sentences more than that. It is judged on its own.
    apart = groups < min_group_similarity and np.count_nonzero(minority) >= 2
    core = ~minority if apart else np.ones(len(vectors), dtype=bool)
    own = vectors[core].astype(np.float64)
    # A slice is compared with the others, not with itself.
    rest = np.where(core[:, None], own.sum(axis=0) - vectors, own.sum(axis=0))
    counts = np.where(core, len(own) - 1, len(own))
    similarity = _likeness(rest, counts, vectors) if len(vectors) > 1 else np.ones(len(vectors))
    smaller = tuple(int(i) for i in np.flatnonzero(minority)) if apart else ()
    return Speakers(vectors[core], similarity, groups, smaller)


def likeness(voice: Vectors, vectors: Vectors) -> npt.NDArray[np.float64]:
    """How much pieces of speech are of the person who speaks in others: embeddings (m, d), those of the voice (n, d),
    n at least 1, unit vectors -> (m,), 1 at most a little exceeded; a piece of the same person has about TYPICAL_OWN.

    Mean cosine to the voice's pieces, not to their mean: that is nearer to everybody the more pieces it is made of. How
    much more the voice's own pieces are alike than those of most people is taken from it (added, if less).
    """
    total = voice.astype(np.float64).sum(axis=0)
    return _likeness(np.tile(total, (len(vectors), 1)), np.full(len(vectors), len(voice)), vectors)


def least_likeness(limit: float, pieces: int) -> float:
    """The limit for a comparison with so many pieces: `limit` from five on, 0.02 less for each that is missing."""
    return limit - _ALLOWANCE_EACH * max(0, _SETTLED_AT - pieces)


def _likeness(
    totals: npt.NDArray[np.float64], counts: npt.NDArray[np.int_], vectors: Vectors
) -> npt.NDArray[np.float64]:
    """totals (m, d): for each of the vectors (m, d) the sum of those that it is compared with; counts (m,) of them."""
    counts = np.maximum(counts, 1)
    pairs = counts * (counts - 1) / 2
    # Of unit vectors, the square of the sum is their number and twice the sum of the cosines of all pairs.
    cosines = (np.sum(totals * totals, axis=1) - counts) / 2
    own = (cosines + TYPICAL_OWN * _TYPICAL_PAIRS) / (pairs + _TYPICAL_PAIRS)
    mean = np.sum(totals * vectors, axis=1) / counts
    return np.asarray(mean - np.clip(own, *_OWN_RANGE) + TYPICAL_OWN)


def _two_groups(vectors: Vectors) -> tuple[npt.NDArray[np.bool_], float]:
    """Two-means on the sphere, started from the two slices least alike: labels (n,) and likeness of the centres."""
    likeness = vectors @ vectors.T
    first, second = np.unravel_index(int(likeness.argmin()), likeness.shape)
    one, two = vectors[first], vectors[second]
    labels = vectors @ two > vectors @ one
    for _ in range(_ROUNDS):
        if labels.all() or not labels.any():
            return np.zeros(len(vectors), dtype=bool), 1.0
        one, two = _unit(vectors[~labels].mean(axis=0)), _unit(vectors[labels].mean(axis=0))
        moved = vectors @ two > vectors @ one
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels, float(one @ two)


def _unit(vector: Vectors) -> Vectors:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
