"""English short names of weekdays and months, ranges of times and days, and timestamps."""

from __future__ import annotations

import re

from timbre.text.cues import cue_words
from timbre.text.patterns import preceding, sub

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = {
    "Mon": "Monday", "Tues": "Tuesday", "Tue": "Tuesday", "Weds": "Wednesday", "Wed": "Wednesday", "Thurs": "Thursday",
    "Thur": "Thursday", "Thu": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_MONTHS_IN_FULL = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July", "Aug": "August",
    "Sept": "September", "Sep": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_DAY = "|".join(_DAYS)
_FULL_DAY = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTH = "|".join(_MONTHS_IN_FULL)
_FULL_MONTH = "|".join(MONTHS)
_SURE_DAYS = "|".join(day for day in _DAYS if day not in ("Sat", "Sun", "Wed"))
_ANY_DAY = re.compile(rf"\b(?:{_SURE_DAYS}|{_FULL_DAY})\b|\b(?:Sat|Sun|Wed)\b(?=\.?,? ?\d)")
_DASH = r"\s?[-–—]\s?"
_NEVER_WORDS = frozenset({"Mon", "Tue", "Tues", "Weds", "Thu", "Thur", "Thurs", "Fri"})
_NEVER_MONTHS = frozenset({"Feb", "Apr", "Aug", "Sept", "Oct", "Nov"})
_BEFORE = re.compile(
    rf"(?:\b(?:on|every|each|next|last|this|until|till|by|from|to|through|since|in|of|open|closed|early|late|mid)[ -]|"
    rf"\b(?:{_DAY}|{_FULL_DAY}|{_MONTH}|{_FULL_MONTH})\.?(?:,| and| or| &| to)?\s|[-–(/]\s?)$",
    re.IGNORECASE,
)
_AFTER_DAY = re.compile(
    rf"\.?(?:{_DASH}|, | and | or | & |/)(?:{_DAY}|{_FULL_DAY})\b|\.?,? (?:{_MONTH}|{_FULL_MONTH})\b|"
    r"\.?,? (?:\d|the \d|noon\b|midnight\b)"
)
_AFTER_MONTH = re.compile(rf"\.?(?:{_DASH}|, | and | or |/)(?:{_MONTH}|{_FULL_MONTH})\b|\.?,? (?:1\d|20)\d\d\b")
_CAPITAL = re.compile(rf"[\"')\]]*\s[\"'(]*(?!(?:AD|BC|{_DAY}|{_FULL_DAY}|{_MONTH}|{_FULL_MONTH})\b)[A-Z]")
_AFTER_PREPOSITION = re.compile(r"\b(?:on|by|until|till|since|in|every|next|last|this|and|or) $")
_LEADING_DATE = re.compile(
    r"(?:^|[.!?\n][\"')\]]*\s)[\"'(]*(?:On|By|Since|From|Until|Till|Before|After|Around|At|As of|Between|Every)\b"
    r"(?: [\w']+){0,4} $"
)
"""A date that leads a sentence has its subject after it: On 2 Aug. Smith won."""
_STAMP = re.compile(
    r"(?<!\d)(\d{4}-\d\d-\d\d)[T_ ](\d\d:\d\d)(?::(\d\d)(?:[.,]\d+)?)?\s?(?:Z|[+-]\d\d:?\d\d)?(?!\w|:\d)"
)


def expand_calendar(text: str) -> str:
    """2024-12-25T10:30:00Z -> 2024-12-25 10:30; 9am-5pm -> 9am to 5pm; Mon-Fri -> Monday to Friday."""

    def stamp(match: re.Match[str]) -> str:
        seconds = f":{match[3]}" if match[3] and int(match[3]) else ""
        return f"{match[1]} {match[2]}{seconds}"

    text = _STAMP.sub(stamp, text)
    text = sub(
        rf"\b({_DAY}|{_FULL_DAY})\b\.?{_DASH}(?=(?:{_DAY}|{_FULL_DAY})\b)",
        lambda m: f"{_DAYS.get(m[1], m[1])} to ",
        text,
    )
    text = sub(
        rf"\b({_MONTH}|{_FULL_MONTH})\b\.?{_DASH}(?=(?:{_MONTH}|{_FULL_MONTH})\b)",
        lambda m: f"{_MONTHS_IN_FULL.get(m[1], m[1])} to ",
        text,
    )
    text = sub(rf"(?<![-'’])\b({_DAY})\b(\.?)(?!['’-]\w)", _day, text)
    return sub(rf"(?<![-'’])\b({_MONTH})\b(\.?)(?!['’-]\w)", _month, text)


def _day(match: re.Match[str]) -> str:
    before, rest = preceding(match), match.string[match.end() :]
    sure = match[1] in _NEVER_WORDS or (match[2] and not begins(rest)) or _beside_a_day(before, rest)
    if not (sure or _BEFORE.search(before) or _AFTER_DAY.match(match[2] + rest)):
        return match[0]
    return _DAYS[match[1]] + ("." if match[2] and _ends(before, rest) else "")


def _beside_a_day(before: str, rest: str) -> bool:
    """True if another weekday stands near: Sat 11am to 3pm, Sun closed. Not the Sun, which is a name."""
    if re.search(r"\b(?:[Tt]he|[Aa]|[Oo]ur|of) $", before):
        return False
    return _ANY_DAY.search(before[-40:]) is not None or _ANY_DAY.search(rest[:25]) is not None


def _month(match: re.Match[str]) -> str:
    before, rest = preceding(match), match.string[match.end() :]
    if re.search(r"\d(?:st|nd|rd|th)?(?: of)? $", before) or re.match(r",? \d", rest):
        # A date: english_dates reads it, and needs to see a stop that ends a sentence.
        ends = match[2] and ends_date(before, rest) and not re.match(r",? \d", rest)
        return _MONTHS_IN_FULL[match[1]] + ("." if ends else "")
    if (match[2] and re.match(r" [a-z]", rest)) or match[1] in _NEVER_MONTHS:
        return _MONTHS_IN_FULL[match[1]] + ("." if match[2] and _ends(before, rest) else "")
    if not (_AFTER_MONTH.match(match[2] + rest) or (_BEFORE.search(before) and not re.match(r" [A-Z]", rest))):
        return match[0]
    return _MONTHS_IN_FULL[match[1]] + ("." if match[2] and _ends(before, rest) else "")


def _ends(before: str, rest: str) -> bool:
    """True if a sentence ends after the dot of a weekday or a month: closed on Fri. Nobody came."""
    return begins(rest) or (_AFTER_PREPOSITION.search(before) is not None and ends_date(before, rest))


def ends_date(before: str, rest: str) -> bool:
    """True if a sentence ends after a day and its month with a dot: at its end, and before a capital elsewhere.

    Not where the date leads its sentence: On 2 Aug. Smith won.
    """
    return begins(rest) or (_CAPITAL.match(rest) is not None and _LEADING_DATE.search(before) is None)


def begins(rest: str) -> bool:
    """True at the end of the text and before a capitalised word of those that begin sentences and no names."""
    following = re.match(r"[\"')\]]*\s*(?:$|[\"'(]*([A-Z][a-z]*)\b)", rest)
    return following is not None and (following[1] is None or following[1].lower() in cue_words("openers"))
