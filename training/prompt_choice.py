"""Which slice conditions synthesis: a whole sentence of 3 to 10 s, clean, and typical of the speaker.

candidates with their measures -> the best one, with the measures of all of them and the reason in words
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from timbre.core.errors import InputError

SENTENCE_ENDS = tuple(".?!…。？！")
_CLOSERS = "\"'”’)]」』）】»"
_BEST_S = (4.0, 8.0)
_FULL_SNR_DB = 40.0
SHORTLIST = 6
"""Slices that are listened to: DNSMOS takes longer than everything else about a slice."""


@dataclass(frozen=True)
class Candidate:
    """A training slice."""

    id: str
    """Of the slice; decides between equal scores."""
    text: str
    """One that ends as a sentence does is preferred."""
    duration_s: float
    """Of the whole slice, silence included."""
    similarity: float
    """Cosine of its GE2E vector with the voice's mean."""
    snr_db: float
    """As stage 1 measured it."""
    mos: float | None
    """DNSMOS overall, None before it is measured."""
    seconds_per_phone: float
    """Seconds of speech divided by the number of sounding phones."""
    prompt: bool
    """Whether stage 1 allows it as the prompt (its length fits)."""

    @property
    def complete(self) -> bool:
        """Whether the text ends as a sentence does."""
        return self.text.rstrip().rstrip(_CLOSERS).endswith(SENTENCE_ENDS)


@dataclass(frozen=True)
class PromptChoice:
    """The slice that conditions synthesis, and why it does."""

    id: str
    """Of the slice."""
    reason: str
    """In words, with its figures."""
    relaxed: tuple[str, ...]
    """Wishes that no slice met, in words."""
    scores: tuple[dict[str, Any], ...]
    """Figures of every slice that was ranked, best first."""


def score(candidate: Candidate, pace: float) -> float:
    """Higher is better; about 0 to 3. pace: the voice's own seconds per sounding phone.

    Likeness and cleanness count about alike; a pace unlike the voice's own costs, since the prompt sets the pace of
    what is spoken after it; lengths of 4 to 8 s are preferred, which leave room in the context.
    """
    clean = min(max(candidate.snr_db, 0.0), _FULL_SNR_DB) / _FULL_SNR_DB
    if candidate.mos is not None:
        clean = 0.5 * clean + 0.5 * (candidate.mos - 1.0) / 4.0
    unlike = abs(math.log(candidate.seconds_per_phone / pace)) if candidate.seconds_per_phone > 0 else 1.0
    short, long = _BEST_S
    outside = max(0.0, short - candidate.duration_s, candidate.duration_s - long)
    return 2.0 * candidate.similarity + clean - unlike - 0.1 * outside


def choose_prompt(
    candidates: Sequence[Candidate], min_s: float, max_s: float, listen: Callable[[Candidate], float] | None = None
) -> PromptChoice:
    """The best of the training slices. Wishes that no slice meets are dropped one by one, and named in `relaxed`.

    listen: gives DNSMOS of a slice; asked about the SHORTLIST best by everything else, which are then ranked again.

    Equal scores: the smaller id, so that the choice is the same on every machine. Raises InputError without candidates.
    """
    if not candidates:
        raise InputError("no slice to train on, so no prompt either", "record more sentences of 3 to 10 s")
    fitting = [item for item in candidates if item.prompt and min_s <= item.duration_s <= max_s]
    relaxed: list[str] = []
    if not fitting:
        relaxed.append(f"no slice of {min_s:g} to {max_s:g} s")
        longest = max(item.duration_s for item in candidates if item.duration_s <= max_s or len(candidates) == 1)
        fitting = [item for item in candidates if item.duration_s >= 0.5 * longest]
    sentences = [item for item in fitting if item.complete]
    if not sentences:
        relaxed.append("no slice ends as a sentence does")
    pool = sentences or fitting
    pace = median(item.seconds_per_phone for item in candidates)
    ranked = _ranked(pool, pace)
    if listen is not None:
        ranked = _ranked([replace(item, mos=listen(item)) for item in ranked[:SHORTLIST]], pace)
    best = ranked[0]
    heard = "" if best.mos is None else f"DNSMOS {best.mos:.2f}, "
    reason = (
        f"best of {len(pool)} of {len(candidates)} training slices: {best.duration_s:.1f} s, "
        f"{'a complete sentence' if best.complete else 'not a complete sentence'}, {heard}"
        f"SNR {best.snr_db:.0f} dB, likeness to the voice's mean {best.similarity:.3f} (GE2E), "
        f"pace {best.seconds_per_phone / pace:.2f} of the voice's own"
    )
    if relaxed:
        reason += f"; relaxed: {', '.join(relaxed)}"
    scores = tuple({**asdict(item), "complete": item.complete, "score": round(score(item, pace), 4)} for item in ranked)
    return PromptChoice(best.id, reason, tuple(relaxed), scores)


def _ranked(pool: Sequence[Candidate], pace: float) -> list[Candidate]:
    return sorted(pool, key=lambda item: (-round(score(item, pace), 6), item.id))
