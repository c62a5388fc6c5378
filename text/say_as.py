"""`say-as` of SSML: a text rewritten into words of a language that the front end reads in one way only."""

from __future__ import annotations

import re

from timbre.core.errors import InputError
from timbre.text import english_numbers, korean_normalize, mandarin_numbers

_NAMES = {
    "characters": "characters", "spell-out": "characters", "verbatim": "characters", "letters": "characters",
    "digits": "digits", "number:digits": "digits", "cardinal": "cardinal", "number": "cardinal", "ordinal": "ordinal",
    "date": "date", "time": "plain", "telephone": "telephone", "phone": "telephone", "fraction": "plain",
    "unit": "plain", "currency": "plain", "address": "plain",
}  # fmt: skip
KINDS = tuple(_NAMES)
"""Names of `interpret-as`. What is plain, the front end reads in that way by itself."""

MOST_CHARACTERS = 60
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_NUMBER = re.compile(r"([-−+]?)([0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(\.[0-9]{1,15})?")
_FORM = re.compile(r"[ymd]{1,8}")
_DATE_EXAMPLE = 'write for example <say-as interpret-as="date" format="mdy">3/4/2024</say-as>'


def words(text: str, kind: str, form: str, language: str) -> str:
    """kind: of KINDS. Raises InputError for a text that is not of the kind."""
    meant = _NAMES[kind]
    if meant == "characters":
        return _characters(text, language)
    if meant == "digits":
        return _digits(text, language)
    if meant in ("cardinal", "ordinal"):
        return _number(text, meant, language)
    if meant == "date":
        return _date(text, form, language)
    return _telephone(text, language) if meant == "telephone" else text


def letters_are_named(kind: str) -> bool:
    """Whether single letters are names: then A is no article."""
    return _NAMES[kind] == "characters"


def _characters(text: str, language: str) -> str:
    """Letters in capitals, one by one; digits as words; marks by the front end."""
    parts = [_digits(item, language) if item in "0123456789" else item.upper() for item in text if not item.isspace()]
    return " ".join(parts)


def _digits(text: str, language: str) -> str:
    if not re.search(r"[0-9]", text):
        raise InputError(f"say-as {text[:40]!r}: it has no digits", "say which digits to read, as 2024")
    if language == "en":
        return english_numbers.digits(text)
    if language == "zh":
        return mandarin_numbers.digits(text)
    if language == "ko":
        return korean_normalize.digits(text)
    return " ".join(re.findall(r"[0-9]", text))


def _number(text: str, kind: str, language: str) -> str:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or (kind == "ordinal" and (match[1] or match[3])):
        raise InputError(f"say-as {kind} {text[:40]!r}: it is no such number", "write it in digits, as 1250")
    whole = int(match[2].replace(",", ""))
    if kind == "ordinal":
        if language == "en":
            return english_numbers.ordinal(whole)
        if language == "ko":
            return f"제{korean_normalize.cardinal(whole)}"
        return f"第{mandarin_numbers.cardinal(whole) if language == 'zh' else whole}"
    fraction = match[3] or ""
    if language == "en":
        said = english_numbers.decimal(f"{whole}{fraction}") if fraction else english_numbers.cardinal(whole)
        return f"minus {said}" if match[1] in ("-", "−") else said
    if language == "zh":
        said = mandarin_numbers.decimal(f"{whole}{fraction}") if fraction else mandarin_numbers.cardinal(whole)
        return f"负{said}" if match[1] in ("-", "−") else said
    return f"{match[1]}{whole}{fraction}"


def _date(text: str, form: str, language: str) -> str:
    """Day, month and year in an order that nothing but a date has."""
    numbers = re.findall(r"[0-9]+", text)
    if not form and len(numbers) == 1 and len(numbers[0]) == 8:
        numbers = [numbers[0][:4], numbers[0][4:6], numbers[0][6:]]
    if re.search(r"[^0-9\s/.\-]", text) and not form:
        return text  # in words already: March 4
    order = re.sub(r"(.)\1+", r"\1", form.lower()) or ("ymd" if numbers and len(numbers[0]) == 4 else "")
    if not _FORM.fullmatch(order) or len(order) != len(numbers) or len(set(order)) != len(order):
        raise InputError(f"say-as date {text[:40]!r}: format {form!r} does not say what is what", _DATE_EXAMPLE)
    given = dict(zip(order, map(int, numbers), strict=True))
    month, day, year = given.get("m"), given.get("d"), given.get("y")
    if not 1 <= (month or 1) <= 12 or not 1 <= (day or 1) <= 31 or (year or 0) > 9999:
        raise InputError(f"say-as date {text[:40]!r}: there is no such day", _DATE_EXAMPLE)
    if language != "en":
        names = ("년 ", "월 ", "일") if language == "ko" else ("年", "月", "日")
        return "".join(f"{value}{name}" for value, name in zip((year, month, day), names, strict=True) if value)
    spoken = f"{_MONTHS[month - 1]} " if month else ""
    spoken += english_numbers.ordinal(day) if day else ""
    said_year = english_numbers.year(year) if year else ""
    return f"{spoken.strip()}, {said_year}".strip(", ") if day else f"{spoken}{said_year}".strip()


def _telephone(text: str, language: str) -> str:
    """Digit by digit, with a short pause between its groups."""
    groups = re.findall(r"[0-9]+", text)
    if not groups:
        raise InputError(f"say-as telephone {text[:40]!r}: it has no digits", "write the number in digits")
    plus = text.strip().startswith("+")
    if language == "zh":
        return ("加" if plus else "") + "，".join(mandarin_numbers.digits(group, "幺") for group in groups)
    if language == "en":
        return ("plus " if plus else "") + ", ".join(english_numbers.digits(group) for group in groups)
    return ", ".join(_digits(group, language) for group in groups)
