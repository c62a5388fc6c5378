"""Forced alignment of Mandarin with an English acoustic model: every syllable is spelt in the nearest ARPAbet phones.

The times of the borrowed phones are those of the initial or final that they stand for. Good to some 30 ms, which is
enough to begin with; a trained content encoder can then realign (realignment.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timbre.nano.alignment import LONGEST_PHONE_S, Alignment, EnglishAligner
from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, MANDARIN_FINALS, MANDARIN_INITIALS, SILENCE, class_of

INITIALS = {
    "b": "B", "c": "T S", "ch": "CH", "d": "D", "f": "F", "g": "G", "h": "HH", "j": "JH", "k": "K", "l": "L", "m": "M",
    "n": "N", "p": "P", "q": "CH", "r": "R", "s": "S", "sh": "SH", "t": "T", "w": "W", "x": "SH", "y": "Y", "z": "D Z",
    "zh": "JH",
}  # fmt: skip

FINALS = {
    "E": "EH", "En": "EH N", "a": "AA", "ai": "AY", "an": "AE N", "ang": "AA NG", "ao": "AW", "e": "AH", "ei": "EY",
    "en": "AH N", "eng": "AH NG", "er": "AA R", "i0": "Z", "i": "IY", "ia": "Y AA", "ian": "Y EH N", "iang": "Y AA NG",
    "iao": "Y AW", "ie": "Y EH", "in": "IY N", "ing": "IY NG", "iong": "Y UH NG", "ir": "ER", "iu": "Y OW", "o": "AO",
    "ong": "UH NG", "ou": "OW", "u": "UW", "ua": "W AA", "uai": "W AY", "uan": "W AE N", "uang": "W AA NG",
    "ui": "W EY", "un": "W AH N", "uo": "W AO", "v": "Y UW", "van": "Y EH N", "ve": "Y EH", "vn": "Y IY N",
}  # fmt: skip


def spoken_classes(text: str) -> list[str]:
    """Names of the recogniser classes of a Mandarin sentence, without silences."""
    classes = (class_of(phone) for phone in phonemize(text, "zh").phones)
    return [CLASSES[item] for item in classes if item is not None and item != SILENCE]


def syllables(classes: list[str]) -> list[tuple[str, ...]]:
    """Group classes into (initial, final) or (final,)."""
    groups: list[tuple[str, ...]] = []
    initial: str | None = None
    for name in classes:
        if name in MANDARIN_INITIALS:
            initial = name
        elif name in MANDARIN_FINALS:
            groups.append((initial, name) if initial else (name,))
            initial = None
        else:
            raise ValueError(f"{name!r} is no Mandarin class")
    return groups


def borrowed(syllable: tuple[str, ...]) -> list[tuple[str, str]]:
    """(class, ARPAbet phone) of each borrowed phone of a syllable, in order."""
    pairs: list[tuple[str, str]] = []
    for name in syllable:
        table = FINALS if name in MANDARIN_FINALS else INITIALS
        pairs.extend((name, phone) for phone in table[name].split())
    return pairs


class MandarinAligner:
    """Aligns Mandarin clips by way of an English aligner."""

    def __init__(self) -> None:
        self._english = EnglishAligner()

    def align(self, id: str, samples: npt.NDArray[np.int16], text: str) -> Alignment | None:
        """Alignment of int16 [T] at 16 kHz, or None when text and speech do not fit."""
        try:
            groups = syllables(spoken_classes(text))
        except ValueError:
            return None  # a foreign word in the sentence
        words = ["zh" + "".join(group) for group in groups]
        spelling = {
            word: " ".join(phone for _, phone in borrowed(group)) for word, group in zip(words, groups, strict=True)
        }
        entries = self._english.phone_ends(samples, words, spelling)
        if entries is None:
            return None
        wanted = [pair for group in groups for pair in borrowed(group)]
        return _renamed(id, entries, wanted)


def _renamed(id: str, entries: list[tuple[str, float]], wanted: list[tuple[str, str]]) -> Alignment | None:
    """Put the classes that were meant in place of the borrowed phones; None if the sequences differ or one is
    too long."""
    phones: list[str] = []
    ends: list[float] = []
    position = 0
    for name, end_s in entries:
        silent = name not in CLASSES
        if not silent and (position >= len(wanted) or wanted[position][1] != name):
            return None
        phone = CLASSES[SILENCE] if silent else wanted[position][0]
        # Two borrowed phones of one final are one; two equal finals in a row cannot be, an initial or a pause is
        # between them, but for zero initials, where one boundary is lost.
        if phones and phones[-1] == phone:
            ends[-1] = end_s
        else:
            phones.append(phone)
            ends.append(end_s)
        position += not silent
    begins = [0.0, *ends[:-1]]
    spans = zip(phones, begins, ends, strict=True)
    longest = max((end - begin for phone, begin, end in spans if phone != CLASSES[SILENCE]), default=9.0)
    complete = position == len(wanted) and longest <= LONGEST_PHONE_S
    return Alignment(id, tuple(phones), tuple(ends)) if complete else None
