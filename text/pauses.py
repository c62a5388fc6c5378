"""Marks of a text as its speaker hears them: the one at its end, and the pauses inside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from timbre.text.phonemes import Phonemes
from timbre.text.symbols import MARKS, is_speech

FINAL = "."
_STRONG = frozenset({".", "!", "?", "…"})


@dataclass(frozen=True)
class Counts:
    """Sounds and pauses of a text."""

    sounding: int
    """Speech sounds."""
    weak: int
    """Pauses between sounds; several marks in a row are one."""
    strong: int
    """Pauses with at least one strong mark; they are not in `weak`."""


def finished(phonemes: Phonemes) -> Phonemes:
    """The same with a full stop where the last sound has no mark after it: networks trained on whole sentences
    swallow a word that no mark closes.
    """
    if not phonemes.segments or not is_speech(phonemes.phones[-1]):
        return phonemes
    last = phonemes.segments[-1]
    closed = replace(
        last,
        normalized=last.normalized + FINAL,
        phones=(*last.phones, FINAL),
        word2ph=None if last.word2ph is None else (*last.word2ph, 1),
        words=(*last.words, (FINAL, 1)) if last.words else (),
    )
    return replace(phonemes, segments=(*phonemes.segments[:-1], closed))


def count_pauses(phones: Iterable[str]) -> Counts:
    """Sounds and the pauses between the first and the last of them."""
    sounding = weak = strong = 0
    waiting: str | None = None
    for phone in phones:
        if is_speech(phone):
            if sounding and waiting is not None:
                strong, weak = strong + (waiting in _STRONG), weak + (waiting not in _STRONG)
            sounding, waiting = sounding + 1, None
        elif phone in MARKS and (waiting is None or phone in _STRONG):
            waiting = phone
    return Counts(sounding, weak, strong)
