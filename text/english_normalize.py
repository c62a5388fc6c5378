"""English text as it is spoken: every number, sign and abbreviation as words, marks reduced to , . ? and !"""

from __future__ import annotations

import re
import unicodedata

from timbre.text import english_numbers as numbers
from timbre.text.english_abbreviations import expand_before_words
from timbre.text.english_calendar import expand_calendar
from timbre.text.english_dates import expand_dates, expand_decades, expand_times, expand_years
from timbre.text.english_marks import expand_marks
from timbre.text.english_money import expand_money
from timbre.text.english_names import (
    expand_abbreviations,
    expand_addresses,
    expand_dots,
    expand_telephones,
)
from timbre.text.english_notation import fold_notation
from timbre.text.english_paths import expand_paths
from timbre.text.english_quantities import (
    expand_arithmetic,
    expand_degrees,
    expand_hyphenated,
    expand_scales,
    expand_units,
)
from timbre.text.english_roman import expand_roman
from timbre.text.english_signs import expand_codes, fold_signs, join_groups
from timbre.text.patterns import Rule, applied, sub

_SAME = str.maketrans({
    "’": "'", "‘": "'", "ʼ": "'", "＇": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "—": " — ", "―": " — ", "−": "-", "‐": "-", "‑": "-", "⁃": "-", "。": ". ", "，": ", ", "、": ", ", "；": ", ",
    "：": ": ", "！": "! ", "？": "? ", "⁄": "/", "∕": "/", "′": "'", "″": '"', "½": " 1/2 ",
    "⅓": " 1/3 ", "⅔": " 2/3 ", "¼": " 1/4 ",
    "¾": " 3/4 ", "⅛": " 1/8 ", "⅜": " 3/8 ", "⅝": " 5/8 ", "⅞": " 7/8 ", "⅕": " 1/5 ", "ß": "ss", "ø": "o", "Ø": "O",
    "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "th", "þ": "th", "ı": "i",
    "™": " ", "®": " ", "²": "^2", "³": "^3", "\u00ad": "", "\u200b": "", "\ufeff": "", "¿": " ", "¡": " ",
    "\u200d": "", "\ufe0f": "",
})  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ο": "omicron", "π": "pi", "ρ": "rho",
    "σ": "sigma", "ς": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_STRUCTURE = " \t\"'()[]{}<>-/"
"""Characters that shape a text but are not spoken; everything else that is left without words is reported."""
_LONGEST_CARDINAL = 18
_NO_WORD = re.compile("[^A-Za-z,.?!]")


def normalize(text: str) -> tuple[str, tuple[str, ...]]:
    """Words and marks , . ? ! of a text, and the characters that could not be spoken, without repeats."""
    text = _clean(text)
    for expand in (
        expand_paths, expand_addresses, fold_signs, expand_calendar, expand_marks, expand_dates, expand_times,
        expand_abbreviations, expand_before_words, expand_dots,
        expand_telephones, expand_codes, expand_roman, expand_money, expand_scales,
        expand_hyphenated, _ranges, expand_degrees, _versions,
        expand_decades, expand_units, _ordinals,
        _fractions, expand_years, expand_arithmetic, _numbers,
    ):  # fmt: skip
        text = expand(text)
    return _marks(text)


def _clean(text: str) -> str:
    """One form for each mark and letter: compatibility forms folded, accents off, line ends as pauses."""
    text = sub(r"\s*[\r\n\u2028\u2029]+\s*", "\n", join_groups(fold_notation(text).translate(_SAME).strip()))
    text = sub(r"(?<=[^\s.,;:!?])\n", ", ", text).replace("\n", " ")
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text)
    return "".join(character for character in text if unicodedata.category(character) != "Mn")


_LETTERED = (
    r"(?:[Gg]rades?|[Rr]ows?|[Ss]ections?|[Aa]isles?|[Ff]rom|[Gg]roups?|[Nn]ames?|[Gg]ates?|[Vv]olumes?|index|"
    r"[Oo]ptions?|[Ll]evels?|[Zz]ones?|[Bb]ins?|letters?|lines?)"
)
_LETTER_RANGES = (
    Rule("-–", r"\b([A-Z])(\d{1,2})\s?[-–]\s?(?=\1\d{1,2}\b)", r"\1\2 to "),
    Rule("-–", r"\b(X{0,3}S|S|M|X{0,3}L)\s?[-–]\s?(?=(?:S|M|X{0,3}L)\b)", r"\1 to "),
    Rule("–", r"(?<![\w&.'-])([A-Z])\s?–\s?(?=[A-Z]\b(?!['-]|\.\w))", r"\1 to "),
    Rule("-", rf"(\b{_LETTERED} [A-Z])-(?=[A-Z]\b)", r"\1 to "),
)


def _ranges(text: str) -> str:
    """10-20 -> 10 to 20; 3-year-old -> 3 year-old; COVID-19 -> COVID 19; A–Z -> A to Z; Q1–Q3 -> Q1 to Q3."""
    text = applied(_LETTER_RANGES, text)
    text = sub(
        r"(?<![\w.-])([-]?[\d,.]*\d)(\s?[%°][CF]?)?(?:[-–~]|\s–\s)(?=\d[\d,.]*(?![\d-])(?!\s*=))", r"\1\2 to ", text
    )
    text = sub(
        r"(?<![\w.-])(\d+)\s?[-–]\s?(\d+)-(?=year|month|week|day|hour|minute|page|foot|inch|mile|pound)",
        r"\1 to \2 ",
        text,
    )
    text = sub(r"(?<=\d)(?<!\^\d)-(?=[A-Za-z])", " ", text)
    text = sub(r"(?<![A-Za-z])A-?(\d{1,3})(?![\d.,]*\d)", lambda m: f"A-{numbers.cardinal(int(m[1]))} ", text)
    return sub(r"(?<=[A-Za-z])-(?=\d)", " ", text)


def _versions(text: str) -> str:
    """2.0.1 -> two point zero point one; addresses of machines likewise."""

    def spoken(match: re.Match[str]) -> str:
        parts = match[0].split(".")
        words = (numbers.cardinal(int(p)) if p == "0" or p[0] != "0" else numbers.digits(p) for p in parts)
        return f" {' point '.join(words)} "

    return sub(r"(?<![\d.,])\d+(?:\.\d+){2,}(?![\d])", spoken, text)


def _ordinals(text: str) -> str:
    return sub(
        r"(?<![\d.])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b",
        lambda m: numbers.ordinal(int(m[1].replace(",", ""))),
        text,
        flags=re.IGNORECASE,
    )


def _fractions(text: str) -> str:
    """1/2 -> one half; 2 1/2 -> two and one half; 10/10 -> ten out of ten."""

    def mixed(match: re.Match[str]) -> str:
        whole, top, bottom = int(match[1]), int(match[2]), int(match[3])
        part = "a half" if (top, bottom) == (1, 2) else numbers.fraction(top, bottom)
        return f" {numbers.cardinal(whole)} and {part} "

    def plain(match: re.Match[str]) -> str:
        top, bottom = int(match[1]), int(match[2])
        if top == bottom or (top > bottom and bottom == 1):
            return f"{numbers.cardinal(top)} out of {numbers.cardinal(bottom)}"
        return f" {numbers.fraction(top, bottom)} "

    text = sub(r"(?<![\d/.,])(\d{1,4}) {1,2}(\d{1,2})/(\d{1,3})(?![\d/])(?:ths?|rds?|nds?)?", mixed, text)
    return sub(r"(?<![\d/.,])(\d{1,4})/(\d{1,4})(?![\d/]|\.\d)(?:st|nd|rd|th)?s?\b", plain, text)


def _numbers(text: str) -> str:
    """What is left in digits: decimals, grouped thousands, numbers with a leading zero, negatives, cardinals."""
    text = sub(r"(?<![\w.])-\s?(?=\.?\d)", " negative ", text)
    text = sub(r"(?<![\d.,])\d{10,}(?![\d.,]*\d)", _long, text)
    text = sub(r"\d{1,3}(?:,\d{3})+(?!\d)", lambda m: m[0].replace(",", ""), text)
    text = sub(r"\d*\.\d+", lambda m: f" {numbers.decimal(m[0])} ", text)
    return sub(r"\d+", lambda m: f" {_whole(m[0])} ", text)


def _long(match: re.Match[str]) -> str:
    """A number of ten digits and more without commas is a number of something, not an amount, unless it is round."""
    return match[0] if match[0].endswith("000") and len(match[0]) <= _LONGEST_CARDINAL else numbers.digits(match[0])


def _whole(number: str) -> str:
    if len(number) > 1 and number[0] == "0":
        return numbers.digits(number)
    return numbers.cardinal(int(number))


def _marks(text: str) -> tuple[str, tuple[str, ...]]:
    """Marks as the phones , . ? ! alone, one at a time; other characters out, and which of them had no words."""
    if not text.isascii():
        for letter, name in _GREEK.items():
            text = text.replace(letter, f" {name} ").replace(letter.upper(), f" {name} ")
    text = sub(r"\s*(?:[;:]|[—–]|--+|\s-\s)\s*", ", ", text)
    text = sub(r"(?<=\w)_(?=\w)", " underscore ", text)
    unknown = tuple(dict.fromkeys(c for c in _NO_WORD.findall(text) if c not in _STRUCTURE))
    text = sub(r"[^A-Za-z,.?!'\- ]", " ", text)
    text = sub(r"(?<=[A-Za-z])\.(?=,)", "", text)
    text = sub(r"\s+([,.?!])", r"\1", sub(r"\s+", " ", text))
    text = sub(r"(?<=[,.?!])(?:\s*[,.?!])+", "", sub(r"[,\s]+(?=[.?!])", "", text))
    return sub(r"^[,\s]+|\s+$", "", text), unknown
