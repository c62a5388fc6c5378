"""Does the list say what the recordings say? Every text is tried on every sound, and its own must win.

slices with frame scores and phones -> best text of each -> mismatches -> the shift or swap that explains them

Nothing depends on how good the recogniser is in itself: accents and children make every text less likely alike. Limits
and how they were found: docs/validate.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.core.problems import Problem
from timbre.inference.phone_search import collapse
from timbre.pipeline.voice.metadata import FILE as METADATA
from timbre.text.alignment_score import log_softmax, text_scores
from timbre.text.recognition import CLASSES

# By how much another text must be likelier than the own one, in nats for each phone of the own text. The first is
# enough where others say the same (a shift, or two that changed places), the second for a recording by itself.
_MARGIN = 0.15
_MARGIN_ALONE = 0.6
# Most right texts win by three.
_CLOSE = 0.5
# Beside the clip's neighbours in the list, so many texts from all over it.
_OTHERS = 12
_NEIGHBOURS = 2
_MIN_PHONES = 4
# Pairs of texts that differ by so many phones show what a phone costs, if there are so many pairs.
_LENGTHS_APART = 3
_MIN_PAIRS = 6
# Texts with more phones than there are frames score below this.
_IMPOSSIBLE = -1e20
_MIN_UNITS = 3
# A text that explains its sound no better than most others do is wrong; one that hardly does is worth an ear.
_LEAST_SHARE = 0.05
_USUAL_SHARE = 0.15
_SHIFTED_SHARE = 0.4
_MIN_SHIFTED = 3
_LISTED = 8
_SHOWN = 60


@dataclass(frozen=True, eq=False)
class Spoken:
    """One slice and its text."""

    clip: str
    """Recording that it was cut from, as metadata.csv names it."""
    text: str
    """As metadata.csv writes it, for messages."""
    phones: tuple[int, ...]
    """Of the text, as class ids."""
    scores: NDArray[np.float16]
    """[T, K], of the frames of its sound."""


@dataclass(frozen=True)
class Mismatch:
    """A slice whose text is not what is said."""

    index: int
    """Index of the slice among those given."""
    heard: str
    """Its phones."""
    better: int | None
    """Index of the slice whose text fits, None when none does."""
    margin: float
    """By how much the better text wins, in nats for each phone of the slice's own; 0 without a better one."""
    certain: bool
    """False where it should only be listened to."""


@dataclass(frozen=True)
class ListShift:
    """What explains many mismatches at once."""

    offset: int
    """Rows from a recording to the text that it says: 1 if that is one row below, 0 if the list is not shifted."""
    times: int
    """How many recordings agree with `offset`."""
    first: int
    """Row where the shift begins, from 0."""
    swaps: tuple[tuple[int, int], ...]
    """Pairs of rows (lower, higher), from 0, that have each other's text."""


def find_mismatches(spoken: Sequence[Spoken], rows: Sequence[str]) -> tuple[list[Mismatch], ListShift]:
    """The slices whose own text loses, and what explains them. rows: files in the order of the list."""
    usable = [i for i, item in enumerate(spoken) if len(item.phones) >= _MIN_PHONES and len(item.scores)]
    if len(usable) < _MIN_UNITS:
        return [], ListShift(0, 0, 0, ())
    contests = {i: _contest(spoken, usable, place) for place, i in enumerate(usable)}
    lost = {i: (found.best, found.fair_margin) for i, found in contests.items() if found.margin > _MARGIN}
    row = {file: number for number, file in enumerate(rows)}
    moves = {row[spoken[i].clip]: row[spoken[best].clip] for i, (best, _) in lost.items()}
    moved = _explanation(moves, len({spoken[i].clip for i in usable}))
    found = []
    known = [contest.advantage for contest in contests.values() if np.isfinite(contest.advantage)]
    usual = float(np.median(known)) if known else 0.0
    for i in usable:
        at = row[spoken[i].clip]
        best, margin = lost.get(i, (i, 0.0))
        agrees = i in lost and (
            (moved.offset != 0 and row[spoken[best].clip] - at == moved.offset)
            or tuple(sorted((at, row[spoken[best].clip]))) in moved.swaps
        )
        advantage = contests[i].advantage
        hopeless = advantage <= max(0.0, _LEAST_SHARE * usual)
        certain = agrees or margin > _MARGIN_ALONE or hopeless
        if certain or margin > _MARGIN or advantage < _USUAL_SHARE * usual:
            heard = _heard(log_softmax(spoken[i].scores))
            found.append(Mismatch(i, heard, best if i in lost else None, margin, certain))
    return found, moved


def transcript_problems(
    spoken: Sequence[Spoken], rows: Sequence[str], found: Sequence[Mismatch], moved: ListShift
) -> tuple[list[Problem], list[Problem]]:
    """(problems, remarks) for a person: the shift or swap first, then the recordings, a few of each kind."""
    limit = "the words that are spoken"
    lists: tuple[list[Problem], list[Problem]] = (_explained(rows, moved), [])
    for kind, certain in zip(lists, (True, False), strict=True):
        chosen = [item for item in found if item.certain is certain]
        for item in chosen[:_LISTED]:
            own = spoken[item.index]
            value = f"the list says {_short(own.text)!r}, but what is heard is: {item.heard}"
            remedy = "listen to it and write what it says, or delete the row"
            if item.better is not None:
                other = spoken[item.better]
                value += f"; {_short(other.text)!r} fits better"
                remedy = f"give it the text of {other.clip}, if it says that"
            kind.append(Problem(own.clip, value, limit, remedy, "text"))
        if len(chosen) > _LISTED:
            rest = len(chosen) - _LISTED
            kind.append(
                Problem(METADATA, f"{rest} more recordings of this kind", limit, "fix those above first", "text")
            )
    return lists


@dataclass(frozen=True)
class _Contest:
    """The own text against all others, in nats for each phone of the own text."""

    best: int
    """Index of the best other text."""
    margin: float
    """By how much it wins over the own text."""
    fair_margin: float
    """The same without what it gains by being short."""
    advantage: float
    """Of the own text over most others; infinite where no other text fits into the sound."""


def _contest(spoken: Sequence[Spoken], usable: Sequence[int], place: int) -> _Contest:
    i = usable[place]
    chances, length = log_softmax(spoken[i].scores), len(spoken[i].phones)
    tried = _rivals(spoken, usable, place)
    if not tried:
        return _Contest(i, 0.0, 0.0, float("inf"))
    own, *others = text_scores(chances, [spoken[j].phones for j in (i, *tried)])
    if max(others) > own - _CLOSE * length:
        # It lost to one of a few, or nearly: let all of them compete, to name the right one.
        rest = [j for j in usable if j not in (i, *tried) and spoken[j].phones != spoken[i].phones]
        others += list(text_scores(chances, [spoken[j].phones for j in rest]))
        tried += rest
    best = int(np.argmax(others))
    fair = _of_one_length(np.array(others), [len(spoken[j].phones) for j in tried], length)
    possible = fair[fair > _IMPOSSIBLE]
    advantage = float(own - np.median(possible)) / length if len(possible) else float("inf")
    return _Contest(tried[best], float(others[best] - own) / length, float(fair.max() - own) / length, advantage)


def _of_one_length(scores: NDArray[np.float64], lengths: Sequence[int], length: int) -> NDArray[np.float64]:
    """Scores [J] without what shorter texts gain by being short: as if they had `length` phones.

    A faint voice has sounds that are heard as nothing, and then the shortest text wins every contest. What a phone
    costs is the median slope over all pairs (Theil 1950, Sen 1968) of texts that fit into the frames at all.
    """
    sizes = np.asarray(lengths, np.float64)
    one, two = np.triu_indices(len(sizes), 1)
    fits = np.minimum(scores[one], scores[two]) > _IMPOSSIBLE
    apart = fits & (np.abs(sizes[one] - sizes[two]) >= _LENGTHS_APART)
    if np.count_nonzero(apart) < _MIN_PAIRS:
        return scores
    slopes = (scores[one] - scores[two])[apart] / (sizes[one] - sizes[two])[apart]
    cost = min(0.0, float(np.median(slopes)))
    return np.asarray(scores + cost * np.maximum(length - sizes, 0.0), np.float64)


def _rivals(spoken: Sequence[Spoken], usable: Sequence[int], place: int) -> list[int]:
    """Neighbours in the list, where a shift shows, and some from all over it; none with the same words."""
    count = len(usable)
    near = [usable[p] for p in range(place - _NEIGHBOURS, place + _NEIGHBOURS + 1) if 0 <= p < count and p != place]
    spread = [usable[int(p)] for p in np.linspace(0, count - 1, min(count, _OTHERS))]
    own = spoken[usable[place]].phones
    return [j for j in dict.fromkeys((*near, *spread)) if j != usable[place] and spoken[j].phones != own]


def _explanation(moves: dict[int, int], clips: int) -> ListShift:
    """moves: row of a recording -> row whose text it says."""
    counts = Counter(to - at for at, to in moves.items() if to != at)
    offset, times = counts.most_common(1)[0] if counts else (0, 0)
    if times < max(_MIN_SHIFTED, _SHIFTED_SHARE * clips) and not _in_a_row(moves, offset, times):
        offset, times = 0, 0
    first = min((at for at, to in moves.items() if to - at == offset), default=0) if times else 0
    swaps = sorted((at, to) for at, to in moves.items() if at < to and moves.get(to) == at)
    return ListShift(offset, times, first, tuple(swaps))


def _in_a_row(moves: dict[int, int], offset: int, times: int) -> bool:
    """A list that is shifted from some row on: most rows between the first and the last such one say the same."""
    at = sorted(row for row, to in moves.items() if to - row == offset)
    return times >= _MIN_SHIFTED + 1 and times >= 0.7 * (at[-1] - at[0] + 1)


def _explained(rows: Sequence[str], moved: ListShift) -> list[Problem]:
    where, limit = f"{METADATA}: text", "each text beside its recording"
    found = []
    if moved.offset:
        count = abs(moved.offset)
        by = f"{count} row{'s' if count > 1 else ''}"
        value = f"{moved.times} recordings say the text {by} {'below' if moved.offset > 0 else 'above'} their own"
        value += f", from {rows[moved.first]} on"
        found.append(
            Problem(where, value, limit, f"move the texts {by} {'up' if moved.offset > 0 else 'down'}", "texts")
        )
    for one, other in moved.swaps[:_LISTED]:
        value = f"{rows[one]} and {rows[other]} have each other's text"
        found.append(Problem(where, value, limit, "exchange the two texts", "texts"))
    return found


def _heard(chances: NDArray[np.float32]) -> str:
    names = [CLASSES[item] for item in collapse(chances)]
    shown = " ".join(names[:_SHOWN])
    return (shown or "nothing") + (" ..." if len(names) > _SHOWN else "")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
