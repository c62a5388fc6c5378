"""The classes that a phone recogniser tells apart, and the map from phones of the v2 table to them.

Stress and tone are prosody and hard to hear from a short frame, so the classes are the 39 stressless ARPAbet phones for
English and toneless initials and finals for Mandarin, the inventory over which the phone error rate is defined. Class
0 is the blank of connectionist temporal classification, class 1 is silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from timbre.core.errors import InputError
from timbre.text.symbols import MARKS, SILENT, symbols

BLANK = 0
SILENCE = 1

ARPABET: tuple[str, ...] = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip

MANDARIN_INITIALS: tuple[str, ...] = (
    "b", "c", "ch", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "q", "r", "s", "sh", "t", "w", "x", "y", "z",
    "zh",
)  # fmt: skip

MANDARIN_FINALS: tuple[str, ...] = (
    "E", "En", "a", "ai", "an", "ang", "ao", "e", "ei", "en", "eng", "er", "i0", "i", "ia", "ian", "iang", "iao", "ie",
    "in", "ing", "iong", "ir", "iu", "o", "ong", "ou", "u", "ua", "uai", "uan", "uang", "ui", "un", "uo", "v", "van",
    "ve", "vn",
)  # fmt: skip

LANGUAGES = ("en", "zh")
"""Whose phones have classes."""

CLASSES: tuple[str, ...] = ("<blank>", "<silence>", *ARPABET, *MANDARIN_INITIALS, *MANDARIN_FINALS)
"""Names of the classes by class id: blank, silence, 39 English, 23 initials and 39 finals: 103."""

_ENGLISH, _MANDARIN = frozenset(range(2, 2 + len(ARPABET))), frozenset(range(2 + len(ARPABET), len(CLASSES)))

ZERO_INITIALS = frozenset({"AA", "EE", "OO"})
"""Mandarin placeholders before a syllable that begins with its vowel (EE er4): they stand for no sound of their own."""


@cache
def _class_ids() -> dict[str, int | None]:
    """Class id of each symbol of the table; None: no sound; symbols of other languages are absent."""
    by_name = {name: index for index, name in enumerate(CLASSES)}
    result: dict[str, int | None] = {}
    for symbol in symbols():
        stem, last = symbol[:-1], symbol[-1]
        if symbol in ZERO_INITIALS:
            result[symbol] = None
        elif symbol in MARKS or symbol in SILENT:
            result[symbol] = SILENCE
        elif symbol in ARPABET or symbol in MANDARIN_INITIALS:
            result[symbol] = by_name[symbol]
        elif (last in "012" and stem in ARPABET) or (last in "12345" and stem in MANDARIN_FINALS):
            result[symbol] = by_name[stem]
    return result


def class_of(phone: str) -> int | None:
    """Class id of one phone of the v2 table: SILENCE for marks and pauses, None for a Mandarin zero initial (no sound).

    Raises InputError for phones of languages that the recogniser does not cover.
    """
    try:
        return _class_ids()[phone]
    except KeyError:
        raise InputError(
            f"phone {phone!r} has no recogniser class; the classes cover English and Mandarin, not Japanese, "
            "Korean or Cantonese",
            remedy="measure this voice without the phone error rate",
        ) from None


def class_ids(phones: Iterable[str]) -> tuple[int, ...]:
    """Class ids of phones with silence for marks; neighbouring silences are one."""
    result: list[int] = []
    for phone in phones:
        identifier = class_of(phone)
        if identifier is None or (identifier == SILENCE and result and result[-1] == SILENCE):
            continue
        result.append(identifier)
    return tuple(result)


def spoken_class_ids(phones: Iterable[str]) -> tuple[int, ...]:
    """Class ids of the speech sounds alone, the sequence over which the phone error rate is counted."""
    return tuple(identifier for identifier in class_ids(phones) if identifier != SILENCE)


def foreign_classes(spoken: Iterable[int]) -> tuple[int, ...]:
    """Class ids of the languages that spoken class ids have no sound of; none where no sound is spoken.

    A listener who knows the language of a text does not take 太晚了 for "two one".
    """
    sounds = {*spoken} - {BLANK, SILENCE}
    if not sounds:
        return ()
    return tuple(sorted(item for inventory in (_ENGLISH, _MANDARIN) if not inventory & sounds for item in inventory))
