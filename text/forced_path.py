"""The best way of a sound through a text that is known: which of its phones each frame is.

log probabilities of the recogniser's classes [F, C] + classes of the text -> state of each frame (Viterbi)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from timbre.text.recognition import SILENCE

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

PAUSE_COST = 3.0
"""Nats that a pause costs where the text has no mark."""


def states_of(
    kinds: Sequence[int], pause_cost: float = PAUSE_COST
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Class of each state, and the cost of entering it: phones, with a silence before, between and after them.

    kinds: classes of the text, SILENCE for marks. pause_cost: nats of a silence where the text has no mark; 0 where the
    silence stands for the blank too.
    """
    classes: list[int] = [SILENCE]
    costs: list[float] = [0.0]
    for kind in kinds:
        if kind == SILENCE:
            if classes[-1] == SILENCE:
                costs[-1] = 0.0
            continue
        classes.extend((kind, SILENCE))
        costs.extend((0.0, pause_cost))
    costs[-1] = 0.0
    return np.array(classes), np.array(costs)


def best_path(
    scores: Floats, classes: npt.NDArray[np.int64], costs: npt.NDArray[np.float64]
) -> tuple[list[int], float]:
    """State of each frame, and the mean score a frame; empty when there are fewer frames than phones.

    scores [F,C]. States with odd index are phones, the others silences, which may be left out.
    """
    frames, count = len(scores), len(classes)
    if frames < count // 2:
        return [], -np.inf
    emitted = scores[:, classes].astype(np.float64)
    value = np.full(count, -np.inf)
    value[0] = emitted[0, 0]
    if count > 1:
        value[1] = emitted[0, 1]
    back = np.zeros((frames, count), np.int8)
    phones = np.arange(count) % 2 == 1
    for frame in range(1, frames):
        one = np.concatenate([[-np.inf], value[:-1]]) - costs
        two = np.where(phones, np.concatenate([[-np.inf, -np.inf], value[:-2]]), -np.inf)
        choices = np.stack([value, one, two])
        back[frame] = choices.argmax(0)
        value = choices.max(0) + emitted[frame]
    state = count - 1 if value[-1] >= value[-2] else count - 2
    if not np.isfinite(value[state]):
        return [], -np.inf
    score = float(value[state]) / frames
    path = [state]
    for frame in range(frames - 1, 0, -1):
        state -= int(back[frame, state])
        path.append(state)
    return path[::-1], score
