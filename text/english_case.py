"""English short writing in small letters or capitals throughout, as chat and headlines have it.

jan. 5 and 25 DEC become Jan. 5 and 25 Dec, mon-fri Mon-Fri, mr. bean Mr. bean: the form that the later steps know.
"""

from __future__ import annotations

import re

from timbre.text.english_calendar import MONTHS
from timbre.text.patterns import Rule, applied

_SURE = [name.lower() for name in MONTHS if name not in ("May", "March")]
_SHORT = ["jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "sep", "oct", "nov", "dec"]
_SMALL = "|".join([*_SURE, *_SHORT])
_LARGE = "|".join(name.upper() for name in [*_SURE, *_SHORT, "may", "march"])
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_SUFFIX = r"(?:st|nd|rd|th|ST|ND|RD|TH)"
_DATE_AFTER = rf"(?=\.?,? ?(?:{_DAY}{_SUFFIX}?\b(?![:.,]?\d|\s?%)|(?:1\d|20)\d\d\b))"
_DATE_BEFORE = rf"(?<![\w.,$])({_DAY}{_SUFFIX}?(?: of)? )"
_WEEKDAY = "mon|tues?|weds?|thurs?|thur?|fri|sat|sun"
_BESIDE = r"(?:\s?[-–&/,]\s?|,? and | to )"
_TITLE = "mr|mrs|ms|mx|dr|prof|sgt|capt|rev|sen|gov"
_ZONE = "est|edt|cst|cdt|mst|mdt|pst|pdt|gmt|utc|bst|cet|cest|ist|jst|aest"


_ADDRESSED = {"mr": "mister", "mrs": "missus", "ms": "miz"}


def _capital(match: re.Match[str]) -> str:
    return match[0].capitalize()


def _second(match: re.Match[str]) -> str:
    return match[1].lower() + match[2].capitalize()


_RULES = (
    Rule("0123456789", rf"\b(?:{_SMALL})\b{_DATE_AFTER}", _capital),
    Rule("0123456789", rf"\b(?:{_LARGE})\b{_DATE_AFTER}", _capital),
    Rule("0123456789", rf"{_DATE_BEFORE}({_SMALL})\b(?!\.?\w)", _second),
    Rule("0123456789", rf"{_DATE_BEFORE}({_LARGE})\b(?!\.?\w)", _second),
    Rule("0123456789", rf"\b(?:may|march)\b(?= {_DAY}(?:{_SUFFIX}\b|,? (?:19|20)\d\d\b))", _capital),
    Rule("0123456789", rf"(?<=\b(?:on|by) )(?:may|march)\b(?= {_DAY}\b(?![:.,]?\d|\s?%))", _capital),
    Rule("0123456789", rf"(?<![\w.,$])({_DAY}{_SUFFIX}(?: of)? )(may|march)\b", _second),
    Rule("-", rf"(?<!\d )\b({'|'.join(name.capitalize() for name in _SHORT)})-(?={_DAY}\b(?![-/\w]))", r"\1 "),
    Rule("", rf"\b(?:{_WEEKDAY})\b(?=\.?{_BESIDE}(?:{_WEEKDAY})\b)", _capital),
    Rule("", rf"\b(?:{_WEEKDAY.upper()})\b(?=\.?{_BESIDE}(?:{_WEEKDAY.upper()})\b)", _capital),
    Rule(
        "",
        rf"((?i:\b(?:{_WEEKDAY})\.?{_BESIDE}))({_WEEKDAY}|{_WEEKDAY.upper()})\b",
        lambda m: m[1] + m[2].capitalize(),
    ),
    Rule("", r"\b(?:tues|weds|thurs|TUES|WEDS|THURS)\b", _capital),
    Rule(
        "0123456789",
        rf"\b(?:MON|TUE|WED|THU|FRI|SAT|SUN)\b(?=,? {_DAY}{_SUFFIX}? (?:[A-Z][a-z]+|{_LARGE})\b)",
        _capital,
    ),
    Rule(
        "0123456789",
        r"\b(?:mon|tue|wed|thu|fri|sat|sun|MON|TUE|WED|THU|FRI|SAT|SUN)\b(?=,? (?:at )?\d{1,2}(?::\d\d)? ?(?:[ap]m|"
        r"[AP]M)\b)",
        _capital,
    ),
    Rule(".", rf"\b(?:{_TITLE}|{_TITLE.upper()})\.(?= [A-Z])", _capital),
    Rule(
        "", r"\b(mrs|mr|ms)\. ?(?=[a-z]{2})|(?<![\w.'])(mrs|mr) (?=[a-z]{2})", lambda m: f"{_ADDRESSED[m[1] or m[2]]} "
    ),
    Rule("", r"(?<![\w.'])(?:mr|mrs|ms|dr)(?= [A-Z][a-z])", _capital),
    Rule(".", r"\b(my|the|her|his|our|a) dr\.(?= [a-z])", r"\1 doctor"),
    Rule(
        "aApP0123456789",
        rf"(\d\s?(?:[ap]\.?m\.?)?\s?)\b({_ZONE})\b(?!\w)",
        lambda m: (
            m[1] + m[2].upper()
            if re.search("[mM:]", m[1]) or re.search(r":\d\d?$", m.string[: m.start() + 1])
            else m[0]
        ),
    ),
    Rule(":", r"(?<=:\d\d)(?=(?:[ECMP][SD]?T|GMT|UTC|BST)\b)", " "),
    Rule("S", r"(?<![\w.])((?:1[5-9]|20)\d0)S\b(?![-/])", r"\1s"),
    Rule("(", r"(?<=[a-z]{2}[a-rt-z])\((s|es)\)(?![\w(=])", r"\1"),
)


def fold_case(text: str) -> str:
    """The text with months, weekdays, titles and time zones in their usual capitals."""
    return applied(_RULES, text)
