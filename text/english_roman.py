"""English roman numerals: rulers, chapters, years, pages of a preface."""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.cues import cue_words
from timbre.text.patterns import sub

_RULER = re.compile(rf"\b({'|'.join(sorted(cue_words('rulers')))}) ([IVX]+)\b(?![.]?[A-Za-z]|-(?!-))")
_COUNT = re.compile(
    rf"\b((?:{'|'.join(sorted(cue_words('numbered')))})s?) ([IVXLC]+)\b(?!-)"
    r"(?:(\s?[-–&]\s?|, | and | or | to | of )([IVXLC]+)\b(?!['-]))?",
    re.IGNORECASE,
)
_SMALL = re.compile(
    rf"\b((?:{'|'.join(sorted(cue_words('numbered')))}|[Pp]ages?|[Pp]art|[Ss]ection|[Cc]hapter|[Ss]cene|[Cc]lause) )"
    r"([ivx]{2,6})\b|(\()([ivx]{2,5})(?=\))"
)
_LETTERS = "LCDM"
"""Alone they are letters: Appendix C, Section D, Vitamin C."""
_AFTER_NAME = re.compile(r"\b([A-Z][a-z]+) ([IVX]{2,})\b(?!['-])")


_NAMED = re.compile(
    rf"\b((?:(?:{'|'.join(sorted(cue_words('rulers') | cue_words('forenames')))}) (?:[A-Z]\.? |[A-Z][a-z]+ )?|"
    rf"[A-Z]\.? [A-Z]\.? )"
    r"[A-Z][A-Za-z'’-]+,?) (II|III|IV|V)\b(?!['-])"
)
"""A full name and its numeral: only a forename or an initial before it makes it one."""


def expand_roman(text: str) -> str:
    """Henry VIII -> Henry the eighth; World War II -> World War two; Chapter IV -> Chapter four."""

    text = sub(r"\b([IVXLC]{2,})(?:th|st|nd|rd)\b", _ordered, text)
    text = sub(r"\bM{1,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b", _roman_year, text)
    text = sub(
        r"\b([A-Z]{2,4}) (I{2,3}|IV|VI{1,3}|IX|XI{1,3}|XIV|XVI?)\b(?!['-])|\b(GTA|FF) ([IVX]+)\b",
        lambda m: f"{m[1] or m[3]} {numbers.cardinal(numbers.roman(m[2] or m[4]) or 0)}",
        text,
    )
    text = sub(
        r"\b([Tt]he )([IVX]{2,})(?= (?:[A-Z][a-z]|centur|edition|congress|dynast|annual|legion|corps))", _ranked, text
    )
    text = sub(r"\b((?:pages|pp\.?|chapters|verses) )([ivxl]+)\s?[-–]\s?([ivxl]+)\b", _span, text)
    text = _SMALL.sub(_small, text)

    text = _NAMED.sub(_descendant, text)

    def ruler(match: re.Match[str]) -> str:
        value = numbers.roman(match[2])
        rest = match.string[match.end() :]
        closes = re.match(r"\s?[-—–]{2}|\s?[—–]|[,.;:)]|\s*$| (?:of|was|is|and|ruled|reigned|died)\b", rest)
        if value is None or (match[2] == "I" and not closes) or match[0] == "Malcolm X":
            return match[0]
        return f"{match[1]} the {numbers.ordinal(value)}"

    def count(match: re.Match[str]) -> str:
        value = numbers.roman(match[2])
        if value is None or not match[1][0].isupper() or match[2] in _LETTERS:
            return match[0]
        words = f"{match[1]} {numbers.cardinal(value)}"
        if len(match.groups()) < 4 or not match[4]:
            return words
        other = numbers.roman(match[4])
        joint = " to " if match[3].strip() in ("-", "–") else match[3]
        return f"{words}{joint}{match[4] if other is None else numbers.cardinal(other)}"

    text = sub(r"(\bthe \w+(?:-\w+)?) (?:&|and) ([IVX]+)\b(?=\s?$|[.,;)]| of\b)", _and_rank, _RULER.sub(ruler, text))
    return _AFTER_NAME.sub(count, _COUNT.sub(count, text))


def _descendant(match: re.Match[str]) -> str:
    """Robert Griffin III -> Robert Griffin the third."""
    value = numbers.roman(match[2])
    return match[0] if value is None else f"{match[1].rstrip(',')} the {numbers.ordinal(value)}"


def _and_rank(match: re.Match[str]) -> str:
    """James the sixth & I -> James the sixth and first."""
    value = numbers.roman(match[2])
    return (
        match[0]
        if value is None or not re.search(r"(?:th|st|nd|rd)$", match[1])
        else f"{match[1]} and {numbers.ordinal(value)}"
    )


def _ordered(match: re.Match[str]) -> str:
    """XIXth -> nineteenth."""
    value = numbers.roman(match[1])
    return match[0] if value is None else numbers.ordinal(value)


def _roman_year(match: re.Match[str]) -> str:
    """MMXXIV -> twenty twenty-four; three letters and fewer are no year for sure."""
    value = numbers.roman(match[0])
    return match[0] if value is None or len(match[0]) < 4 else numbers.year(value)


def _ranked(match: re.Match[str]) -> str:
    value = numbers.roman(match[2])
    return match[0] if value is None else match[1] + numbers.ordinal(value)


def _span(match: re.Match[str]) -> str:
    """pages xii–xv -> pages twelve to fifteen."""
    first, last = numbers.roman(match[2].upper()), numbers.roman(match[3].upper())
    if first is None or last is None:
        return match[0]
    return f"{match[1]}{numbers.cardinal(first)} to {numbers.cardinal(last)}"


def _small(match: re.Match[str]) -> str:
    value = numbers.roman((match[2] or match[4]).upper())
    return match[0] if value is None else (match[1] or match[3]) + numbers.cardinal(value)
