"""Where a recording is cut, so that every slice is 3 to 10 s long and its text is certain.

speech frames + text -> sentences aligned to pauses -> Plan

A recording of up to ten seconds stays whole. A longer one is cut at pauses that are known to be sentence ends: the
speech before and after such a pause must take the time that its share of the text needs, and no other pause may explain
the text about as well. Where that fails the piece stays whole if it is short enough, and is left out otherwise.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from timbre.audio.vad import FRAME_S, Activity
from timbre.text.scripts import spoken_weight, survey

# ASCII marks end a sentence before white space that no lower-case letter follows ("3.5", "a. m."), wide marks always.
_END = re.compile(r"""[.!?;]+["'”’)\]]*(?:$|\s+(?![a-z]))|[…。！？；]+["'”’」』）)\]]*""")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|No|vs|etc|Jr|Sr|[A-Z]))\.$")
PAD_S = 0.15
_MIN_PAUSE_S = 0.27
_RIVAL_SHARE = 0.35
_MAX_ERROR_S = 0.7
_MAX_ERROR_SHARE = 0.12
_RIVAL_MARGIN_S = 0.9
_BEAM = 24
_MAX_JOINED = 3


@dataclass(frozen=True)
class Cut:
    """A piece of a recording with its text."""

    start_s: float
    """Seconds from the start of the file, padding included."""
    end_s: float
    """Seconds from the start of the file, padding included."""
    text: str
    """Whole sentences, joined as running text."""


@dataclass(frozen=True)
class Plan:
    """How a recording is cut."""

    cuts: tuple[Cut, ...]
    """Pieces that become slices."""
    dropped_s: float
    """Speech that could not be used."""
    notes: tuple[str, ...]
    """Remarks for people."""


@dataclass(frozen=True)
class Limits:
    """Lengths that decide where to cut, from the recipe of stage 1."""

    slice_min_s: float
    """A last piece below this joins the one before."""
    slice_max_s: float
    """Recordings up to this stay whole; pieces are joined up to it."""
    whole_max_s: float
    """A piece without a certain cut is kept up to this, else left out."""
    clip_min_s: float
    """Recordings below this are left out."""
    max_pause_s: float
    """Longer pauses inside a slice are shortened to this; lengths are compared after that."""


def split_sentences(text: str) -> list[str]:
    """Sentences of a text with their closing marks; abbreviations such as "Mr." end none."""
    sentences: list[str] = []
    start = 0
    for end in [match.end() for match in _END.finditer(text)] + [len(text)]:
        part = text[start:end].strip()
        # A piece without a letter (a stray quotation mark) belongs to the sentence before it.
        found = survey(part)
        if not part or (_ABBREVIATION.search(part) and end < len(text)):
            continue
        if sentences and not (found.letters or found.digits):
            sentences[-1] += part
        else:
            sentences.append(part)
        start = end
    return sentences


def plan_slices(duration_s: float, activity: Activity, text: str, limits: Limits) -> Plan:
    """Decides how a recording of duration_s with that speech and text is cut."""
    spans = activity.runs(True)
    if not spans:
        return Plan((), 0.0, ("no speech found, left out",))
    start, end = max(0.0, spans[0][0] - PAD_S), min(duration_s, spans[-1][1] + PAD_S)
    whole = Cut(start, end, text)
    length = _length_s(whole, spans, limits.max_pause_s)
    if length < limits.clip_min_s:
        note = f"{length:.1f} s, shorter than {limits.clip_min_s:g} s, left out"
        return Plan((), activity.speech_s, (note,))
    if length <= limits.slice_max_s:
        return Plan((whole,), 0.0, ())
    pieces = _Aligner(activity, spans, split_sentences(text), limits).pieces(start, end)
    cuts = [cut for cut in pieces if _length_s(cut, spans, limits.max_pause_s) <= limits.whole_max_s]
    return Plan(tuple(cuts), *_remarks(pieces, cuts, spans, limits))


def _remarks(
    pieces: list[Cut], cuts: list[Cut], spans: list[tuple[float, float]], limits: Limits
) -> tuple[float, tuple[str, ...]]:
    notes = []
    dropped = 0.0
    for piece in pieces:
        if piece not in cuts:
            speech_s = sum(max(0.0, min(b, piece.end_s) - max(a, piece.start_s)) for a, b in spans)
            dropped += speech_s
            notes.append(
                f"{piece.start_s:.1f} to {piece.end_s:.1f} s: its text cannot be split reliably and it is longer "
                f"than {limits.whole_max_s:g} s, left out"
            )
        elif (length := _length_s(piece, spans, limits.max_pause_s)) > limits.slice_max_s:
            notes.append(f"{piece.start_s:.1f} to {piece.end_s:.1f} s: kept whole ({length:.1f} s), no reliable cut")
    return dropped, tuple(notes)


def _length_s(cut: Cut, spans: list[tuple[float, float]], max_pause_s: float) -> float:
    """Length of a piece once its long pauses are shortened."""
    inside = spans[bisect_left(spans, (cut.start_s - 1e-6, 0.0)) : bisect_right(spans, (cut.end_s, 0.0))]
    saved = sum(max(0.0, b[0] - a[1] - max_pause_s) for a, b in pairwise(inside))
    return cut.end_s - cut.start_s - saved


class _Aligner:
    """Matches sentence ends to pauses of one recording by dynamic programming over (sentence, pause)."""

    def __init__(
        self, activity: Activity, spans: list[tuple[float, float]], sentences: list[str], limits: Limits
    ) -> None:
        self._limits = limits
        self._spans = spans
        self._sentences = sentences
        weights = np.array([max(1.0, spoken_weight(sentence)) for sentence in sentences])
        spoken = np.concatenate(([0.0], np.cumsum(activity.speech) * FRAME_S))
        self._pauses = [(a[1], b[0]) for a, b in pairwise(spans) if b[0] - a[1] >= _MIN_PAUSE_S]
        at = [min(len(spoken) - 1, round(pause[0] / FRAME_S)) for pause in self._pauses]
        total = float(spoken[-1])
        # Positions in seconds of speech (pauses taken out): of every pause, and where every sentence should end.
        self._position = np.concatenate(([0.0], spoken[at], [total]))
        self._length = np.array([b - a for a, b in self._pauses])
        self._expected = np.concatenate(([0.0], np.cumsum(weights))) * (total / float(weights.sum()))

    def pieces(self, start: float, end: float) -> list[Cut]:
        """The recording as pieces in order, cut at certain sentence ends only, joined up to the longest slice."""
        certain = self._certain_cuts()
        edges = [(0, start, start)] + [(i, *self._pauses[j]) for i, j in certain] + [(len(self._sentences), end, end)]
        pieces: list[Cut] = []
        first = 0
        while first < len(edges) - 1:
            last = first + 1
            while last + 1 < len(edges) and self._fits(edges[first], edges[last + 1]):
                last += 1
            pieces.append(self._cut(edges[first], edges[last]))
            first = last
        return self._without_crumbs(pieces)

    def _fits(self, left: tuple[int, float, float], right: tuple[int, float, float]) -> bool:
        return _length_s(self._cut(left, right), self._spans, self._limits.max_pause_s) <= self._limits.slice_max_s

    def _cut(self, left: tuple[int, float, float], right: tuple[int, float, float]) -> Cut:
        """From the end of one pause to the beginning of another, with at most half of each pause as padding."""
        begin = left[2] - min(PAD_S, (left[2] - left[1]) / 2)
        end = right[1] + min(PAD_S, (right[2] - right[1]) / 2)
        return Cut(begin, end, _joined(self._sentences[left[0] : right[0]]))

    def _without_crumbs(self, pieces: list[Cut]) -> list[Cut]:
        """Joins a last piece below the shortest slice to the one before, if that is not too long."""
        if len(pieces) >= 2 and pieces[-1].end_s - pieces[-1].start_s < self._limits.slice_min_s:
            joined = Cut(pieces[-2].start_s, pieces[-1].end_s, _joined([pieces[-2].text, pieces[-1].text]))
            if _length_s(joined, self._spans, self._limits.max_pause_s) <= self._limits.slice_max_s:
                return [*pieces[:-2], joined]
        return pieces

    def _certain_cuts(self) -> list[tuple[int, int]]:
        """(sentences before the cut, index of the pause), in order; only cuts that no other pause could explain."""
        path = self._best_path()
        certain = []
        for before, (i, j), after in zip(path[:-2], path[1:-1], path[2:], strict=True):
            if self._is_certain(before, (i, j), after):
                certain.append((i, j - 1))
        return certain

    def _is_certain(self, before: tuple[int, int], cut: tuple[int, int], after: tuple[int, int]) -> bool:
        (i0, j0), (i, j), (i1, j1) = before, cut, after
        text_share = (self._expected[i] - self._expected[i0]) / max(1e-9, self._expected[i1] - self._expected[i0])
        left, right = self._position[j0], self._position[j1]
        predicted = left + text_share * (right - left)
        error = abs(self._position[j] - predicted)
        shorter = min(self._position[j] - left, right - self._position[j])
        if error > min(_MAX_ERROR_S, _MAX_ERROR_SHARE * (right - left)) or error > 0.5 * shorter:
            return False
        own = self._length[j - 1]
        for rival in range(j0 + 1, j1):
            if rival == j or self._length[rival - 1] < _RIVAL_SHARE * own:
                continue
            distance = abs(self._position[rival] - predicted)
            # A rival must be clearly farther off; one that is longer than the cut must be farther still.
            needed = error + _RIVAL_MARGIN_S * max(1.0, self._length[rival - 1] / own)
            if distance < needed:
                return False
        return True

    def _best_path(self) -> list[tuple[int, int]]:
        """Sentence ends (i) on pauses (j) at least cost, from (0, 0) to (n, m).

        Cost of a step: squared log ratio of its speech to what its text needs. A pause below half a second costs a
        little, and a sentence end that gets no pause costs more.
        """
        n, m = len(self._sentences), len(self._pauses) + 1
        # Costs by sentence end, then by pause. Reading goes forward, so the best few states of each end suffice.
        best: list[dict[int, float]] = [{0: 0.0}] + [{} for _ in range(n)]
        came: dict[tuple[int, int], tuple[int, int]] = {}
        for i0 in range(n):
            for j0 in sorted(best[i0], key=best[i0].__getitem__)[:_BEAM]:
                for i in range(i0 + 1, min(n, i0 + _MAX_JOINED) + 1):
                    for j in self._reach(i0, j0, i, n, m):
                        cost = best[i0][j0] + self._cost(i0, j0, i, j, m)
                        if cost < best[i].get(j, np.inf):
                            best[i][j], came[i, j] = cost, (i0, j0)
        if (n, m) not in came:
            return [(0, 0), (n, m)]
        path = [(n, m)]
        while path[-1] != (0, 0):
            path.append(came[path[-1]])
        return path[::-1]

    def _reach(self, i0: int, j0: int, i: int, n: int, m: int) -> range:
        """Pauses that may end sentence i when sentence i0 ended at pause j0: up to three times what its text needs."""
        latest = self._position[j0] + 3.0 * (self._expected[i] - self._expected[i0]) + 2.0
        if i == n:
            return range(m, m + 1) if self._position[m] <= latest else range(0)
        return range(j0 + 1, min(m, int(np.searchsorted(self._position, latest, side="right"))))

    def _cost(self, i0: int, j0: int, i: int, j: int, m: int) -> float:
        spoken = max(0.05, self._position[j] - self._position[j0])
        needed = self._expected[i] - self._expected[i0]
        # Short sentences vary more in rate: weigh by the root of their length.
        fit = float(np.log((spoken + 0.3) / (needed + 0.3))) ** 2 * min(4.0, needed)
        pause = 0.0 if j == m else max(0.0, 0.5 - float(self._length[j - 1]))
        return fit + pause + 1.0 * (i - i0 - 1)


def _joined(sentences: list[str]) -> str:
    """Sentences as running text: a space between them unless the writing uses none."""
    text = ""
    for sentence in sentences:
        gap = " " if text and not (_is_wide(text[-1]) or _is_wide(sentence[0])) else ""
        text += gap + sentence
    return text


def _is_wide(character: str) -> bool:
    return ord(character) >= 0x2E80 and not 0xAC00 <= ord(character) <= 0xD7A3


def shorten_pauses(
    samples: npt.NDArray[np.float32], rate_hz: int, pauses: list[tuple[float, float]], max_pause_s: float
) -> npt.NDArray[np.float32]:
    """Takes the middle out of pauses longer than max_pause_s, with a cross-fade of 20 ms.

    samples: (n,). pauses: (start_s, end_s) from the beginning of samples. Returns (m,), m <= n.
    """
    fade = max(1, round(0.02 * rate_hz))
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    parts: list[npt.NDArray[np.float32]] = []
    kept = samples[:0]
    at = 0
    for start_s, end_s in pauses:
        excess = end_s - start_s - max_pause_s
        if excess <= 0:
            continue
        left = round((start_s + max_pause_s / 2) * rate_hz)
        right = left + round(excess * rate_hz)
        if left - at < fade or right + fade > len(samples):
            continue
        kept = samples[at:left].copy()
        kept[-fade:] = kept[-fade:] * (1 - ramp) + samples[right - fade : right] * ramp
        parts.append(kept)
        at = right
    parts.append(samples[at:])
    return np.concatenate(parts)
