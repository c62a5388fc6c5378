"""Pinyin of Mandarin words (pypinyin, by phrase where it knows the phrase) as initials and finals of the v2 table."""

from __future__ import annotations

import re
from functools import lru_cache

from timbre.text.mandarin_tones import Syllable

_INITIALS = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?([a-zêü]+)([1-5])?")
_ZERO_INITIALS = {"a": "AA", "e": "EE", "o": "OO"}
_BEFORE_Y = {"e": "E", "an": "En", "uan": "van", "ue": "ve", "un": "vn", "u": "v"}
_SYLLABIC = {"ng": ("EE", "en"), "n": ("EE", "en"), "m": ("m", "u"), "hm": ("h", "en"), "hng": ("h", "eng")}


def syllable(pinyin: str) -> Syllable | None:
    """One syllable of pinyin with its tone digit ('zhuang4', 'lve4', 'er2'; no digit: neutral) as symbols of the v2
    table.

    None if the text is no syllable of pinyin.
    """
    if not (match := re.fullmatch(_INITIALS, pinyin.replace("ü", "v").replace("ê", "ei"))):
        return None
    tone = int(match[3] or 5)
    letters = pinyin.rstrip("012345")
    if letters in _SYLLABIC:
        return Syllable(*_SYLLABIC[letters], tone)
    initial, final = match[1] or "", match[2]
    if not initial:
        return Syllable(_ZERO_INITIALS[final[0]], final, tone) if final[0] in _ZERO_INITIALS else None
    if initial == "y":
        final = _BEFORE_Y.get(final, final)
    elif initial in ("j", "q", "x"):
        final = "v" + final[1:] if final in ("u", "uan", "ue", "un") else final
    elif final == "ue":
        final = "ve"
    elif final == "i" and initial in ("zh", "ch", "sh", "r"):
        final = "ir"
    elif final == "i" and initial in ("z", "c", "s"):
        final = "i0"
    return Syllable(initial, final, tone)


@lru_cache(maxsize=20_000)
def pinyin_of(word: str) -> tuple[str, ...]:
    """Pinyin with tone digits of each Han character of a word, polyphones by phrase; '' where there is none."""
    from pypinyin import Style, lazy_pinyin

    readings = lazy_pinyin(
        word, style=Style.TONE3, neutral_tone_with_five=True, errors=lambda text: " " * len(text), v_to_u=False
    )
    found = [part for reading in readings for part in (reading if reading.isspace() else [reading])]
    return tuple(part.strip() for part in found) if len(found) == len(word) else ("",) * len(word)


def syllables_of(word: str) -> list[Syllable | None]:
    """Syllables of a word before sandhi, one for each character; None where there is no reading."""
    return [syllable(reading) if reading else None for reading in pinyin_of(word)]


@lru_cache(maxsize=20_000)
def tones_of(word: str) -> tuple[int, ...]:
    """Tones of a word before sandhi; empty if a character has no reading."""
    found = syllables_of(word)
    return tuple(s.tone for s in found if s is not None) if all(s is not None for s in found) else ()
