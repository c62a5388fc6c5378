"""Speaker similarity from embeddings: to the held-out recordings, relative to how alike these are among themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timbre.evaluation.metrics.errors import UnmeasurableError

Embeddings = NDArray[np.float32]


def cosine(left: Embeddings, right: Embeddings) -> NDArray[np.float64]:
    """Cosines of all pairs: left [M, D], right [N, D] -> [M, N]. Raises UnmeasurableError on a zero or non-finite
    row.
    """
    return _unit(left) @ _unit(right).T


def real_to_real(embeddings: Embeddings) -> float:
    """Mean cosine over all pairs of different clips [N, D] of one speaker; N must be at least 2."""
    if len(embeddings) < 2:
        raise UnmeasurableError(f"{len(embeddings)} clip cannot be compared with another of the same speaker")
    matrix = cosine(embeddings, embeddings)
    count = len(embeddings)
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))


def relative_similarity(synthesised: Embeddings, real: Embeddings) -> NDArray[np.float64]:
    """For each synthesised clip [M, D]: mean cosine to the real clips [N, D] over the real clips' own mean cosine ->
    [M].

    1.0 means as like the speaker as the speaker's own clips are. Raises UnmeasurableError when the real clips do not
    resemble each other at all (mean cosine at or below zero).
    """
    own = real_to_real(real)
    if own <= 0:
        raise UnmeasurableError(f"the real clips do not resemble each other: mean cosine {own:.2f}")
    return np.asarray(cosine(synthesised, real).mean(axis=1) / own)


def _unit(embeddings: Embeddings) -> NDArray[np.float64]:
    values = np.atleast_2d(np.asarray(embeddings, np.float64))
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    if not np.isfinite(values).all() or (norm < 1e-9).any():
        raise UnmeasurableError("an embedding is zero or not finite")
    return np.asarray(values / norm)
