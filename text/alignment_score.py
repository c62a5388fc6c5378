"""How well texts explain a sound: the probability of their classes under connectionist temporal classification.

log probabilities [T, K] + class ids of J texts -> log probability of each text (Graves et al. 2006, forward recursion)

For one sound these compare: every text has to account for the same frames, whatever its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timbre.text.recognition import BLANK, SILENCE

_NEVER = -1e30


def log_softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Scores [T, K] of a recogniser as log probabilities [T, K]."""
    return np.asarray(exact_log_softmax(scores), np.float32)


def exact_log_softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The same in double precision."""
    wide = np.asarray(scores, np.float64)
    moved = wide - wide.max(axis=1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(axis=1, keepdims=True)))


def text_scores(log_chances: NDArray[np.floating[Any]], texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Log probabilities [J] of J texts, class ids without silence, for log probabilities [T, K] of one sound.

    Silence separates like the blank. An empty text, and one with more classes than there are frames, has about -1e30.
    """
    if not texts:
        return np.zeros(0)
    longest = max(len(text) for text in texts)
    steps = 2 * longest + 1
    labels = np.zeros((len(texts), steps), np.int64)
    skips = np.zeros((len(texts), steps), bool)
    for row, text in enumerate(texts):
        labels[row, 1 : 2 * len(text) : 2] = text
        skips[row, 3 : 2 * len(text) : 2] = np.diff(np.asarray(text, np.int64)) != 0
    chances = np.asarray(log_chances, np.float64)
    chances[:, BLANK] = np.logaddexp(chances[:, BLANK], chances[:, SILENCE])
    state = np.full((len(texts), steps), _NEVER)
    state[:, :2] = chances[0][labels[:, :2]]
    skipped = np.where(skips, 0.0, _NEVER)
    for frame in chances[1:]:
        one = np.full_like(state, _NEVER)
        one[:, 1:] = state[:, :-1]
        two = np.full_like(state, _NEVER)
        two[:, 2:] = state[:, :-2]
        state = np.logaddexp(np.logaddexp(state, one), two + skipped) + frame[labels]
    ends = np.array([2 * len(text) for text in texts])
    rows = np.arange(len(texts))
    scores = np.logaddexp(state[rows, ends], state[rows, np.maximum(ends - 1, 0)])
    return np.where(ends > 0, scores, _NEVER)


def phrase_score(log_chances: NDArray[np.floating[Any]], phrase: Sequence[int]) -> float:
    """How well a phrase (class ids) is heard somewhere within log probabilities [T, K]: 0 is perfect.

    Log probability of the best place, relative to the likeliest classes of its frames, for each phone; what is before
    and behind costs nothing.
    """
    if not phrase or not len(log_chances):
        return _NEVER
    chances = np.array(log_chances, np.float64)
    chances[:, BLANK] = np.logaddexp(chances[:, BLANK], chances[:, SILENCE])
    chances[:, SILENCE] = _NEVER
    chances -= chances.max(axis=1, keepdims=True)
    labels = np.zeros(2 * len(phrase) - 1, np.int64)
    labels[::2] = phrase
    skipped = np.full(len(labels), _NEVER)
    skipped[2::2] = np.where(np.diff(np.asarray(phrase, np.int64)) != 0, 0.0, _NEVER)
    state = np.full(len(labels), _NEVER)
    best = _NEVER
    for frame in chances:
        one, two = np.full_like(state, _NEVER), np.full_like(state, _NEVER)
        one[1:], two[2:] = state[:-1], state[:-2]
        state = np.maximum(np.maximum(state, one), two + skipped)
        state[0] = max(state[0], 0.0)
        state += frame[labels]
        best = max(best, float(state[-1]))
    return best / len(phrase)
