"""English dates, times of day, decades and years in digits."""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_calendar import MONTHS, ends_date
from timbre.text.patterns import preceding, sub

_SHORT = {month[:3]: month for month in MONTHS} | {"Sept": "September"}
_MONTH = "(" + "|".join([*MONTHS, *(f"{short}\\b\\.?" for short in _SHORT if short != "May")]) + ")"
_DAY = r"(3[01]|[12]\d|0?[1-9])"
_YEAR = r"(1[0-9]\d\d|20\d\d|2[1-9]\d\d)"

_ISO = re.compile(rf"(?<![\d/.-])(\d{{4}})([-/.])(1[0-2]|0?[1-9])\2{_DAY}(?![\d/-]|\.\d)")
_SLASHED = re.compile(r"(?<![\d/.-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)(?![\d/-]|\.\d)")
_MONTH_FIRST = re.compile(
    rf"(?<!th of )(?<!st of )(?<!nd of )(?<!rd of )\b{_MONTH} {_DAY}(?:st|nd|rd|th)?"
    rf"(?![\w%]|[.,/:-]\d)(?:(,?) {_YEAR}\b(?![,.]?\d))?"
)
_DAY_FIRST = re.compile(rf"\b([Tt]he )?{_DAY}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?=\W|$)(?:(,?) {_YEAR}\b(?![,.]?\d))?")
_MONTH_YEAR = re.compile(rf"\b{_MONTH},? {_YEAR}\b(?![,.]?\d)")


def _month(name: str) -> str:
    return _SHORT.get(name.rstrip("."), name)


def _date(year: int | None, month: str, day: int) -> str:
    words = f"{month} {numbers.ordinal(day)}"
    return f"{words}, {numbers.year(year)}" if year is not None else words


def expand_dates(text: str) -> str:
    """2024-03-15, 3/15/2024 (day first if the first number cannot be a month), March 15, 15 March 2024, March 2024."""
    text = _ISO.sub(lambda m: _date(int(m[1]), MONTHS[int(m[3]) - 1], int(m[4])), text)

    def slashed(match: re.Match[str]) -> str:
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if len(match[4]) == 2:
            if match[2] != "/":
                return match[0]
            year += 2000 if year < 50 else 1900
        month, day = (second, first) if first > 12 or match[2] == "." else (first, second)
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return match[0]
        return _date(year, MONTHS[month - 1], day)

    def month_first(match: re.Match[str]) -> str:
        return _date(int(match[4]) if match[4] else None, _month(match[1]), int(match[2]))

    def day_first(match: re.Match[str]) -> str:
        listed = re.search(r"\d(?:st|nd|rd|th)?,? (?:and|or|&) $", preceding(match))
        words = f"{match[1] or ('' if listed else 'the ')}{numbers.ordinal(int(match[2]))} of {_month(match[3])}"
        rest = match.string[match.end() :]
        if match[3].endswith(".") and not match[5] and ends_date(preceding(match), rest):
            words += "."
        return f"{words}, {numbers.year(int(match[5]))}" if match[5] else words

    text = _SLASHED.sub(slashed, text)
    text = _DAY_FIRST.sub(day_first, text)
    text = _MONTH_FIRST.sub(month_first, text)
    text = sub(
        r"(?<![\d/.-])(1[0-2]|0?[1-9])/((?:19|20)\d\d)(?![\d/-]|\.\d)",
        lambda m: f"{MONTHS[int(m[1]) - 1]} {numbers.year(int(m[2]))}",
        text,
    )
    return _MONTH_YEAR.sub(lambda m: f"{_month(m[1])} {numbers.year(int(m[2]))}", text)


_ZONES = "[ECMP][SD]?T|GMT|UTC|BST|CES?T|JST|IST|AE[SD]T|Eastern|Pacific|Central|Mountain"
_DAYS = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|" + "|".join(MONTHS)
_HALF = r"(?:\s?([AaPp])(?:\.\s?[Mm]\.?|[Mm]\b))"
_CLOCK = re.compile(rf"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?!\d|:\d){_HALF}?")
_HOUR = re.compile(rf"(?<![\d:.,$£€])(1[0-2]|[1-9]){_HALF}(?![A-Za-z])")


def _half_day(match: re.Match[str], letter: str | None) -> str:
    """Name of the half of the day; its last dot stays as a stop if a sentence ends there."""
    if not letter:
        return ""
    rest = match.string[match.end() :]
    ends = match[0].endswith(".") and re.match(rf'["\')\]]*\s*($|(?!(?:{_ZONES}|{_DAYS})\b)[A-Z"])', rest)
    return f" {letter.upper()} M" + (" ." if ends else "")


def expand_times(text: str) -> str:
    """9:05 -> nine oh five; 12:00 -> twelve o'clock; 13:30 -> thirteen thirty; 3:2 -> three to two."""

    def clock(match: re.Match[str]) -> str:
        hour, minute, second = int(match[1]), int(match[2]), match[3]
        half = _half_day(match, match[4])
        words = numbers.cardinal(hour)
        if second is not None and (int(second) or not half):
            noun = "second" if int(second) == 1 else "seconds"
            return f"{words} {_minute(minute)} and {numbers.cardinal(int(second))} {noun}{half}"
        if minute:
            return f"{words} {_minute(minute)}{half}"
        if half:
            return words + half
        return f"{words} o'clock" if 1 <= hour <= 12 else f"{words} hundred" if hour else "midnight"

    text = _CLOCK.sub(clock, text)
    text = _HOUR.sub(lambda m: numbers.cardinal(int(m[1])) + _half_day(m, m[2]), text)
    text = sub(r"(?<![\d:.])(2[5-9]|[3-5]\d):([0-5]\d)(?!\d|:\d)", _minutes, text)
    return sub(r"(?<![\d:.])(\d+):(\d+)(?![\d:])", r"\1 to \2", text)


def _minutes(match: re.Match[str]) -> str:
    """Ran it in 52:30, minutes and seconds: too late for an hour of the day."""
    if not re.search(
        r"\b(?:in|at|of|after|ran|clocked|time|took|takes|by|from|mark)\b:?(?: an?)? $", preceding(match, 24)
    ):
        return match[0]
    return f"{numbers.cardinal(int(match[1]))} {_minute(int(match[2]))}"


def _minute(minute: int) -> str:
    if minute == 0:
        return "hundred"
    return f"oh {numbers.cardinal(minute)}" if minute < 10 else numbers.cardinal(minute)


_YEAR_CUE = re.compile(
    r"(?:\b(?:in|since|until|till|by|from|to|year|years|circa|before|after|during|early|late|mid|of|between|and|AD|A D|"
    r"spring|summer|autumn|fall|winter|class|around|copyright)|[-–(])\s*$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"[ -](?!(?:was|is|has|as|its|this|thus|us|always|does|plus|minus|times|across|perhaps|unless|afterwards|besides|"
    r"equals)\b)"
    r"(?:[a-z]+[^s\W]s|people|men|women|children|feet|mice|fish|sheep|percent|million|billion|thousand|or so|yen|won)\b"
)


def expand_decades(text: str) -> str:
    """1980s, the 80s and '80s -> eighties; '99 -> ninety-nine."""
    text = sub(
        r"(?<![\w,.])((?:1[0-9]|20)\d0)'?s\s?[-–—]\s?'?(\d0)'?s\b",
        lambda m: f"{numbers.decade(int(m[1]))} to {numbers.decade(int(m[2]))}",
        text,
    )
    text = sub(r"(?<![\w,.])'?((?:1[0-9]|20)\d0)'?s\b", lambda m: numbers.decade(int(m[1])), text)
    text = sub(r"(?<!\w)'([2-9]0)'?s\b", lambda m: numbers.decade(int(m[1])), text)
    text = sub(
        r"\b((?:the|early|late|mid|her|his|their|my|your|our|its|someone's|in|to)[ -])([2-9]0)'?s\b",
        lambda m: m[1] + numbers.decade(int(m[2])),
        text,
        flags=re.IGNORECASE,
    )
    return sub(
        r"(?<![\w])'(\d)(\d)(?!\w)",
        lambda m: f"oh {numbers.cardinal(int(m[2]))}" if m[1] == "0" else numbers.cardinal(int(m[1] + m[2])),
        text,
    )


def expand_years(text: str) -> str:
    """Four digits without a comma: read as a year unless they count something ('1250 feet') or are no likely year."""
    text = sub(
        r"(?<![\w.,-])(1[1-9]\d\d|20\d\d)\s?[-–]\s?(\d\d|1[1-9]\d\d|20\d\d)(?![\w-]|[.,]\d)",
        lambda m: f"{numbers.year(int(m[1]))} to {numbers.year(int(m[2]))}",
        text,
    )

    def one(match: re.Match[str]) -> str:
        value = int(match[0])
        before, after = preceding(match), match.string[match.end() :]
        cued = bool(_YEAR_CUE.search(before))
        counted = bool(_COUNTED.match(after)) and not re.search(r"\b(?:in|since|year)\s$", before)
        likely = 1100 <= value < 2100 or value == 1066
        return f" {numbers.year(value) if not counted and (likely or cued) else numbers.cardinal(value)} "

    text = sub(
        r"(?<=[A-Z])(\d\d)(\d\d)(?!\d)",
        lambda m: f" {numbers.year(int(m[0]))} " if "10" <= m[1] < "30" else f" {numbers.digits(m[0])} ",
        text,
    )
    return sub(r"(?<![\d.,:/])[12]\d{3}(?![\d/]|[.,:]\d)", one, text)
