"""From frame scores to phones: the likeliest sequence by what is heard and by what the language allows.

scores [T, K] -> log probabilities -> prefix search over CTC paths (Graves et al. 2006), each new phone weighed with
PhoneGrams -> class ids. The best path alone, `collapse`, asks the scores only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from timbre.text.alignment_score import exact_log_softmax
from timbre.text.phone_grams import PhoneGrams, phone_grams
from timbre.text.recognition import BLANK, SILENCE, foreign_classes

Prefix = tuple[int, ...]

WEIGHT = 0.6
"""Share of a gram's log probability that counts; with BONUS chosen on development clips of the nano base."""
BONUS = 1.2
"""Nats for each phone, since every gram makes a longer sequence less likely."""
WIDTH = 12
"""Prefixes that are kept a frame."""
_FAINTEST = -6.0
"""Log probability below which a class is not tried at a frame."""
_NEVER = -1e4
"""Score of a class that cannot be heard."""
_MOST = 8
"""Classes that are tried at a frame at most: a recogniser that knows nothing shall not take for ever."""


def own_language(scores: NDArray[np.float32], spoken: Sequence[int]) -> NDArray[np.float32]:
    """Scores [T, K], without a chance for the sounds of languages that ``spoken`` (class ids) has no sound of."""
    foreign = foreign_classes(spoken)
    if not foreign:
        return scores
    found = scores.copy()
    found[:, foreign] = _NEVER
    return found


def collapse(scores: NDArray[np.float32]) -> list[int]:
    """Best path of scores [T, K]: likeliest class a frame, repeats merged, blank and silence removed."""
    best = np.argmax(scores, axis=1)
    change = np.flatnonzero(np.diff(best, prepend=-1))
    return [int(item) for item in best[change] if item not in (BLANK, SILENCE)]


def search(
    scores: NDArray[np.float32],
    grams: PhoneGrams | None = None,
    *,
    weight: float = WEIGHT,
    bonus: float = BONUS,
    width: int = WIDTH,
) -> list[int]:
    """Class ids of the likeliest sequence for scores [T, K] (not normalised), without blank and silence; [] for T = 0.

    Silence separates like the blank. grams: default those of the package; weight 0 and bonus 0 leave them out.
    """
    if not len(scores):
        return []
    known = phone_grams() if grams is None else grams
    log_chances = exact_log_softmax(scores)
    apart = np.logaddexp(log_chances[:, BLANK], log_chances[:, SILENCE])
    phones = log_chances.copy()
    phones[:, [BLANK, SILENCE]] = -np.inf
    likeliest = np.sort(np.argpartition(phones, -_MOST, axis=1)[:, -_MOST:], axis=1)
    # prefix -> log probabilities of the paths that end apart from its last phone, and in it
    beam: dict[Prefix, tuple[float, float]] = {(): (0.0, -np.inf)}
    for frame, chances in enumerate(log_chances):
        tried = likeliest[frame][phones[frame, likeliest[frame]] > _FAINTEST]
        own = chances[tried].tolist()
        found: dict[Prefix, tuple[float, float]] = {}
        for prefix, (ended, within) in beam.items():
            whole = _add(ended, within)
            last = prefix[-1] if prefix else BLANK
            _put(found, prefix, whole + float(apart[frame]), within + float(chances[last]) if prefix else -np.inf)
            if not len(tried):
                continue
            follow = (weight * known.log_chances(prefix)[tried] + bonus).tolist() if weight else [bonus] * len(tried)
            for phone, chance, gain in zip(tried.tolist(), own, follow, strict=True):
                _put(found, (*prefix, phone), -np.inf, (ended if phone == last else whole) + chance + gain)
        best = sorted(found.items(), key=lambda item: _add(*item[1]), reverse=True)
        beam = dict(best[:width])
    return list(max(beam.items(), key=lambda item: _add(*item[1]))[0])


def _put(found: dict[Prefix, tuple[float, float]], prefix: Prefix, ended: float, within: float) -> None:
    before = found.get(prefix)
    found[prefix] = (ended, within) if before is None else (_add(before[0], ended), _add(before[1], within))


def _add(one: float, other: float) -> float:
    """Logarithm of the sum of two probabilities."""
    high, low = (one, other) if one >= other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
