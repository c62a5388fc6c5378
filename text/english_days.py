"""English dates and times beside one another, in any form: one grammar of days and hours.

A date is written in digits (2024-05-12, 12/5/24, 12.05.2024), with its month as a word before or after the day, with
or without a weekday and a year; a time with a colon, a dot, a half of the day or as a word. Any two dates make a range
by any dash, a tilde, dots or a slash, and so do any two times. `fold_days` comes first: it joins them by "to" and
brings rare forms into those that `english_dates` reads.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_calendar import MONTHS
from timbre.text.patterns import Rule, applied, preceding

_MONTH = "(?:" + "|".join([*MONTHS, *(rf"{name[:3]}\b\.?" for name in MONTHS if name != "May"), r"Sept\b\.?"]) + ")"
_WEEKDAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:Mon|Tues?|Weds?|Thurs?|Thur|Fri|Sat|Sun)(?![a-z'’])\.?)"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?:(?:1[0-9]|20)\d\d|['’]\d\d)(?!\d)"
_NUMERIC = r"(?:19|20)\d\d-(?:1[0-2]|0?[1-9])-(?:3[01]|[12]\d|0?[1-9])|[0-3]?\d[/.][0-3]?\d[/.](?:20\d\d|19\d\d|\d\d)"
_DATE = (
    rf"(?:{_WEEKDAY},? )?(?:{_NUMERIC}|{_DAY}(?: of)? {_MONTH}(?:,? {_YEAR})?|{_MONTH} {_DAY}(?:,? {_YEAR})?|"
    rf"{_MONTH},? {_YEAR})(?![\w%]|[:/]\d)"
)
_WEEKDAY_DATE = rf"{_WEEKDAY},? (?:the )?{_DAY}(?![\w:/%]|[.,]\d)"
_DASH = r"\s?[-–—−~]\s?|\s?\.\.\.?\s?"
_DATES = re.compile(rf"(?<![\w/.$£€-])({_DATE}|{_WEEKDAY_DATE})(?:{_DASH})(?={_DATE}|{_WEEKDAY_DATE})")
_DAYS_BEFORE = re.compile(
    rf"(?<![\w./,$£€:#-])({_DAY})({_DASH}| to | through | thru )({_DAY})(?=(?: of)? {_MONTH}(?![a-z]))"
)
_DAYS_AFTER = re.compile(
    rf"(?<!\w)({_MONTH} {_DAY})({_DASH}| to | through | thru )({_DAY})"
    r"(?![\w%°\"”″'’]|[:/.,]\d|\s?[-–—]\s?\d| (?:people|[a-z]+s)\b)"
)

_HALF = r"(?:\s?[AaPp](?:\.\s?[Mm]\.?|[Mm])(?![A-Za-z]))"
_NAMED = r"(?:[Nn]oon|[Mm]idnight|[Mm]idday|[Dd]awn|[Dd]usk|[Cc]lose|late)\b"
_LATER = rf"(?:(?:2[0-4]|[01]?\d)(?:[:.][0-5]\d{_HALF}|:[0-5]\d(?![\d:]\d)|{_HALF})|{_NAMED})"
_CLOCKED = rf"(?:2[0-4]|[01]?\d)(?::[0-5]\d{_HALF}?|[.][0-5]\d{_HALF}|{_HALF})|{_NAMED}"
_TIMES = re.compile(rf"(?<![\w:.,$£€#/-])({_CLOCKED})(\s?[-–—−~]\s?)(?={_LATER}|(?:1[0-2]|[1-9])(?![\w:%°]|[-–/.,]\d))")
_HOURS = re.compile(
    rf"(?<![\w:.,$£€#/-])((?:1[0-2]|[1-9])(?:\.[0-5]\d)?)(\s?[-–—−~]\s?| to )"
    rf"(?=(?:1[0-2]|[1-9])(?:[:.][0-5]\d)?{_HALF}|(?:1[0-2]|[1-9]):[0-5]\d(?![\d:])|[Nn]oon\b|[Mm]idnight\b)"
)


def fold_days(text: str) -> str:
    """12–14 May -> 12th to 14th May; Dec 2023–Jan 2024 -> Dec 2023 to Jan 2024; 9.30–11am -> 9:30 to 11am."""
    text = applied(_RULES, text)
    text = _DATES.sub(r"\1 to ", text)
    text = _DAYS_BEFORE.sub(_days_before, text)
    text = _DAYS_AFTER.sub(_days_after, text)
    text = _TIMES.sub(r"\1 to ", text)
    return _HOURS.sub(_hours, text)


def _ranked(day: str) -> str:
    """12 and 12th -> 12th."""
    number = int(re.sub(r"\D", "", day))
    return f"{number}{'th' if number in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _rises(first: str, last: str) -> bool:
    return int(re.sub(r"\D", "", first)) < int(re.sub(r"\D", "", last))


def _days_before(match: re.Match[str]) -> str:
    if not _rises(match[1], match[3]):
        return match[0]
    return f"{_ranked(match[1])} to {_ranked(match[3])}"


def _days_after(match: re.Match[str]) -> str:
    if not _rises(re.findall(r"\d+", match[1])[-1], match[3]):
        return match[0]
    month, day = match[1].rsplit(" ", 1)
    return f"{month} {_ranked(day)} to {_ranked(match[3])}"


def _hours(match: re.Match[str]) -> str:
    rest = match.string[match.end() :]
    if "." in match[1] and not re.match(rf"\d{{1,2}}(?:[:.]\d\d)?{_HALF}", rest):
        return match[0]
    return f"{match[1].replace('.', ':')} to "


def _month(match: re.Match[str]) -> str:
    """2023-05 is May 2023; 2011-12 is a season."""
    year, number = int(match[1]), int(match[2])
    within = re.search(r"\b(?:in|during|from|between|of) $", preceding(match, 9)) and number > year % 100
    season = number >= 10 and ((year + 1) % 100 == number or within)
    return match[0] if season else f"{MONTHS[number - 1]} {year}"


def _season(match: re.Match[str]) -> str:
    """2021/22 is one season over two years; 2019/20 too, 1/2 and 2021/03 are something else."""
    return f"{match[1]}–{match[2]}" if (int(match[1]) + 1) % 100 == int(match[2]) else match[0]


def _short_year(year: str) -> str:
    return year if len(year) == 4 else f"{'20' if int(year) < 50 else '19'}{year}"


def _dotted(match: re.Match[str]) -> str:
    """25.05.24 -> 25/05/2024; 12.30.45 and 10.04.2 are none."""
    day, month = int(match[1]), int(match[2])
    named = re.search(
        r"(?:[Vv]ersion|[Rr]elease|[Bb]uild|\bv\.?) ?$", match.string[max(0, match.start() - 10) : match.start()]
    )
    if named or not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{match[1]}.{match[2]}.{_short_year(match[3])}"


_SHORT_WEEKDAYS = {
    "Mo": "Monday", "Tu": "Tuesday", "We": "Wednesday", "Th": "Thursday", "Fr": "Friday", "Sa": "Saturday",
    "Su": "Sunday",
}  # fmt: skip
_DATED = re.compile(r"\b(?:[Uu]ntil|[Tt]ill|[Oo]n|[Bb]y|[Ff]rom|[Ss]ince|[Ee]nds?|[Dd]ue|[Bb]efore|[Aa]fter) $")


def _short_weekdays(match: re.Match[str]) -> str:
    return f"{_SHORT_WEEKDAYS[match[1]]} to {_SHORT_WEEKDAYS[match[2]]}"


def _day_dot_month(match: re.Match[str]) -> str:
    """Until 24.12. is a date as Central Europe writes it."""
    day = int(match[1])
    if not _DATED.search(preceding(match, 12)) or not 1 <= day <= 31:
        return match[0]
    ends = "" if re.match(r"\s?[a-z,;]", match.string[match.end() :]) else "."
    return f"the {numbers.ordinal(day)} of {MONTHS[int(match[2]) - 1]}{ends}"


def _days(match: re.Match[str]) -> str:
    """7/1–7/4 are days; 1/2–3/4 cup are fractions."""
    first, second = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
    valid = all(1 <= month <= 12 and 1 <= day <= 31 for month, day in (first, second)) and first <= second
    usual = all(month < day and day in (2, 3, 4, 5, 8, 16) for month, day in (first, second))
    if not valid or usual or re.match(_INCH_AFTER, match.string[match.end() :]):
        return match[0]
    return " to ".join(f"{MONTHS[month - 1]} {numbers.ordinal(day)}" for month, day in (first, second))


_INCH_AFTER = r"\s?(?:inch|in\.|in$|\"|”|″|cups?\b|c\b|tsp|tbsp|miles?\b|lbs?\b|pounds?\b|of\b)"
_RULES = (
    Rule(
        "-/",
        rf"(?<![\w/.-])(3[01]|[12]\d|0?[1-9])([-/])({_MONTH})\2(\d{{4}}|\d\d)(?![\w-])",
        lambda m: f"{m[1]} {m[3]} {_short_year(m[4])}",
    ),
    Rule("-/", rf"\b({_MONTH})([-/])(3[01]|[12]\d|0?[1-9])\2(\d{{4}})(?![\w-])", r"\1 \3, \4"),
    Rule("", rf"(?<![\w.,/-])({_DAY} {_MONTH}) (\d\d)(?![\w:%/°-]|[.,]\d|(?:,)? [a-z])", r"\1 20\2"),
    Rule("12", rf"(?<![\w.,-])((?:19|20)\d\d) ({_MONTH}) (3[01]|[12]\d|0?[1-9])(?![\w%/-]|[.,:]\d)", r"\2 \3, \1"),
    Rule(".", r"(?<![\w.])([0-3]\d)\.([01]\d)\.(\d\d)(?!\w|\.?\d)", _dotted),
    Rule(".", r"(?<![\w.,$£€])([0-3]?\d)\.(1[0-2]|0?[1-9])\.(?!\d)", _day_dot_month),
    Rule(
        ".",
        r"(\b(?:[A-Z][a-z]+day|Mon|Tues?|Weds?|Thurs?|Fri|Sat|Sun|[Dd]aily|[Hh]ours|[Oo]pen|weekdays|weekends)[:,]? )"
        r"(2[0-3]|[01]?\d)\.([0-5]\d)(\s?[-–—−~]\s?| to )(2[0-3]|[01]?\d)\.([0-5]\d)(?!\d|\.\d|\s?[%a-z])",
        r"\1\2:\3\4\5:\6",
    ),
    Rule("MTWFS", r"\b(Mo|Tu|We|Th|Fr|Sa|Su)\s?[-–—]\s?(Mo|Tu|We|Th|Fr|Sa|Su)\b\.?", _short_weekdays),
    Rule("/", r"(?<![\w/.-])((?:19|20)\d\d-\d\d-\d\d)/(?=(?:19|20)\d\d-\d\d-\d\d(?![\w-]))", r"\1 to "),
    Rule("—", r"(?<![\w.,-])(1[1-9]\d\d|20\d\d)—(?=(?:1[1-9]\d\d|20\d\d)(?![\w-]|[.,]\d))", r"\1–"),
    Rule("/", r"(?<![\d/.-])((?:19|20)\d\d)/(\d\d)(?![\d/]|\.\d)", _season),
    Rule("c", r"(?<=\d)(st|nd|rd|th)[ -][cC]\.?(?=\s(?:A\.?D|B\.?C|[a-z])|[,;)]|$)", r"\1 century"),
    Rule("-", r"(?<![\d/.,–-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\d/–-]|[.,:]\d)", _month),
    Rule("W", r"(?<![\w-])((?:19|20)\d\d)-?W(0?[1-9]|[1-4]\d|5[0-3])\b", lambda m: f"{m[1]} week {int(m[2])}"),
    Rule("12", r"(?<![\w.,/#:-])((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?![\w-]|[.,]\d)", r"\1-\2-\3"),
    Rule("-–—", r"(?<=\d)(st|nd|rd|th)\s?[-–—]\s?(?=\d+(?:st|nd|rd|th)\b)", r"\1 to "),
    Rule("/", r"(?<![\w/.,$])(\d{1,2})/(\d{1,2})\s?[-–—−~]\s?(\d{1,2})/(\d{1,2})(?![\w/])", _days),
)
