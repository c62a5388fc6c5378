"""Codes of speech whose text is known, for bases whose codes stand for phones (text/phone_codes.py).

log probabilities of the recogniser's classes + phones of the text -> best monotone path -> one code every 40 ms

Between phones silence may come, free of charge where the text has a mark and at both ends, at a price elsewhere. Where
it is loud there is none: a network that learned from native speech does not find the phones of the text in an accent,
and silence is then the least unlikely class, of 60 to 80 % of the speech of learners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from timbre.text.forced_path import best_path, states_of
from timbre.text.phone_codes import UNIT_OF, tone_of
from timbre.text.recognition import SILENCE, class_of
from timbre.text.symbols import phones_of

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int16]

WORST_SCORE = -3.0
"""Mean log probability a frame below which text and speech do not belong together."""

LOUD_COST = 10.0
"""Nats that silence costs where it is loud."""
LOUD_RANGE_DB = 30.0
"""Speech that is further below its peaks may be a pause."""
_LEAST_RANGE_DB = 10.0
"""Between pauses and peaks: below, a recording has no pauses, or is all noise."""


@dataclass(frozen=True)
class CodeLabels:
    """Codes of a clip, one every 40 ms."""

    codes: Ids
    """int16 [N]."""
    places: Ids
    """int16 [N], index in the text of the phone of each code, -1 unknown."""


def levels_of(wave: Floats, count: int) -> npt.NDArray[np.float64]:
    """Level of each of `count` equal pieces of a wave [T], dB of full scale."""
    pieces = np.array_split(wave.astype(np.float64), count)
    return np.array([10 * np.log10(np.mean(np.square(piece)) + 1e-10) if piece.size else -100.0 for piece in pieces])


def loud(levels_dbfs: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which pieces of a recording are certainly speech: above the middle between its pauses and its peaks, and less
    than LOUD_RANGE_DB below these; none where both are alike."""
    pauses, peaks = np.percentile(levels_dbfs, (10, 95))
    if peaks - pauses < _LEAST_RANGE_DB:
        return np.zeros(len(levels_dbfs), bool)
    return levels_dbfs > max((pauses + peaks) / 2, peaks - LOUD_RANGE_DB)


def without_loud_silence(scores: Floats, levels_dbfs: npt.NDArray[np.float64]) -> Floats:
    """Scores [N,C] in which silence costs LOUD_COST more where it is loud; levels_dbfs [N]."""
    found = scores.copy()
    found[loud(levels_dbfs), SILENCE] -= LOUD_COST
    return found


def codes_of_text(
    scores: npt.NDArray[np.float32], phones: Sequence[int], levels_dbfs: npt.NDArray[np.float64] | None = None
) -> CodeLabels | None:
    """Codes of speech whose text is known: the best way through the text, whatever a free choice would have heard.

    scores [N,C]: log probabilities of the classes at every code; phones: ids of the v2 table [P]; levels_dbfs [N]: of
    the sound at every code, None: not known. None when the two do not fit.
    """
    symbols = list(phones_of(phones))
    kinds = [class_of(symbol) for symbol in symbols]
    # Whether they fit is asked of the scores alone: phones of an accent are unlikely, whatever text it is.
    found = align_codes(scores, kinds)
    if found is None:
        return None
    if levels_dbfs is not None:
        found = align_codes(without_loud_silence(scores, levels_dbfs), kinds, worst=-np.inf) or found
    codes, places = np.zeros(len(found), np.int16), np.zeros(len(found), np.int16)
    before: tuple[int, int] | None = None
    for index, (kind, place) in enumerate(found):
        tone = tone_of(symbols[place]) if kind != SILENCE else 0
        codes[index] = 2 * UNIT_OF[kind, tone] + ((kind, place) == before)
        places[index] = place
        before = (kind, place)
    return CodeLabels(codes, places)


def align_codes(
    scores: Floats, kinds: Sequence[int | None], worst: float = WORST_SCORE
) -> list[tuple[int, int]] | None:
    """(class, index of the phone) at every step of scores [N,C]; None when text and speech do not fit.

    kinds: class of each phone of the text, SILENCE for marks, None for what has no sound. A pause has the index of the
    mark that stands there, else of the phone before it.
    """
    sounding = [(kind, index) for index, kind in enumerate(kinds) if kind is not None]
    classes, costs = states_of([kind for kind, _ in sounding])
    path, score = best_path(scores, classes, costs)
    if not path or score < worst:
        return None
    spoken = [index for kind, index in sounding if kind != SILENCE]
    found = []
    for state in path:
        if state % 2:
            found.append((int(classes[state]), spoken[state // 2]))
        else:
            before = spoken[state // 2 - 1] if state else -1
            marked = before + 1 < len(kinds) and kinds[before + 1] == SILENCE
            found.append((SILENCE, before + 1 if marked else max(before, 0)))
    return found
