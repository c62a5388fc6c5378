"""A voice's pauses from its own recordings: how long it is silent at commas, at full stops and around a sentence.

slices -> seconds without speech, marks inside -> least squares, usual values as a prior -> weak_s, strong_s, edges_s
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbre.inference.pace import Pace
from timbre.text.pauses import Counts

_PRIOR_SLICES = 4.0
"""So many slices' worth of belief in the usual values: a voice without any comma inside keeps them."""
_LEAST_S, _MOST_S = (0.05, 0.05, 0.1), (0.6, 0.8, 1.2)


def measure_pace(phone_s: float, silent_s: Sequence[float], counts: Sequence[Counts]) -> Pace:
    """silent_s: seconds of a slice that hold no speech; counts: of its phones. phone_s: seconds a sounding phone.

    Pauses are kept between limits that a reader's have: what stage 1 shortened and what a detector misses cannot turn
    into an impossible value.
    """
    usual = Pace(phone_s)
    prior = np.array([usual.weak_s, usual.strong_s, usual.edges_s])
    rows = np.array([[item.weak, item.strong, 1.0] for item in counts], np.float64).reshape(-1, 3)
    silent = np.maximum(np.asarray(silent_s, np.float64), 0.0)
    left = rows.T @ rows + _PRIOR_SLICES * np.eye(3)
    found = np.linalg.solve(left, rows.T @ silent + _PRIOR_SLICES * prior)
    weak, strong, edges = np.clip(found, _LEAST_S, _MOST_S).tolist()
    return Pace(phone_s, round(weak, 4), round(strong, 4), round(edges, 4))
