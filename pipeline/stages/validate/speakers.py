"""Is it one person, and is it the person who agreed? By GE2E embeddings of slices and of the statement.

Limits were calibrated on 34 speakers of four corpora, 12 to 20 sentences each: see docs/validate.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from timbre.audio.waveform import Samples
from timbre.pipeline.stages.validate.one_thread import one_torch_thread

if TYPE_CHECKING:
    from timbre.gptsovits.encoders.ge2e import Ge2e

Vectors = npt.NDArray[np.float32]
# Shorter speech gives embeddings that wander.
MIN_SPEECH_S = 1.6
_ROUNDS = 10


@lru_cache(maxsize=1)
def _network() -> Ge2e:
    # Frozen weights that every voice of a run may share.
    from timbre.gptsovits.encoders.ge2e import load_ge2e

    return load_ge2e()


class SpeakerEncoder:
    """GE2E on the CPU, loaded at the first call (it brings torch)."""

    def embed(self, waves: Sequence[Samples]) -> Vectors:
        """Unit vectors (n, 256) of n pieces of speech at 16 kHz, none of them silent."""
        with one_torch_thread():
            return _network().embed_many(waves)


@dataclass(frozen=True, eq=False)
class Speakers:
    """What the embeddings say about the speakers of a voice."""

    centre: Vectors
    """Unit vector (d,) of the larger group."""
    similarity: npt.NDArray[np.float64]
    """Of each slice to the others of that group (n,)."""
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
    total = vectors[core].sum(axis=0, dtype=np.float64)
    # A slice is compared with the others, not with itself.
    rest = np.where(core[:, None], total - vectors, total)
    rest = rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-12)
    similarity = np.sum(rest * vectors, axis=1) if len(vectors) > 1 else np.ones(len(vectors))
    smaller = tuple(int(i) for i in np.flatnonzero(minority)) if apart else ()
    return Speakers((total / np.linalg.norm(total)).astype(np.float32), similarity, groups, smaller)


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
