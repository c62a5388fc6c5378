"""English notations of trades and hobbies: classes, courts, kitchens, laboratories, light, keyboards.

Of english_contexts.py, after its everyday numbers.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text import english_numbers as numbers
from timbre.text.english_context_words import COMPASS
from timbre.text.patterns import Rule

_WEEKDAYS: Final = {
    "M": "Monday", "T": "Tuesday", "Tu": "Tuesday", "W": "Wednesday", "Th": "Thursday", "R": "Thursday", "F": "Friday",
    "Sa": "Saturday", "Su": "Sunday",
}  # fmt: skip
_NUMBERED: Final = {
    "Prop": "Proposition", "Col": "Column", "col": "column", "cols": "columns", "Bk": "Book", "bk": "book",
    "Ep": "Episode", "ep": "episode", "Eps": "Episodes", "eps": "episodes", "Sch": "Schedule", "Reg": "Regulation",
    "Q": "Question", "Dist": "District", "Gr": "Grade", "gr": "grade", "Lvl": "Level", "Mod": "Module",
    "Wk": "Week", "Yr": "Year", "Div": "Division", "Pl": "Plate", "Tab": "Table", "Ln": "Line", "ln": "line",
    "Psych": "Psychology", "Hist": "History", "Econ": "Economics", "Amdt": "Amendment", "Stg": "Stage",
    "Blk": "Block", "Qtr": "Quarter", "Grp": "Group", "Sess": "Session",
}  # fmt: skip
"""Before a number only: Prop. 12, col. 2, Bk. 3."""
_LIGHT: Final = r"(?:LED|LEDs|lights?|bulbs?|lamps?|white|daylight|colou?r|lighting)"


def _classes(match: re.Match[str]) -> str:
    """Tu/Th and M-W-F are lists of weekdays; M–F is from one to the other."""
    days = [_WEEKDAYS[day] for day in re.findall(r"Tu|Th|Sa|Su|[MTWRF]", match[0])]
    return ", ".join(days) if len(days) != 2 or "/" in match[0] else " to ".join(days)


def _multiple(match: re.Match[str]) -> str:
    return f"{match[1]} {'time' if match[1] == '1' else 'times'}"


def _by_inches(match: re.Match[str]) -> str:
    return f"{match[1]} by {match[2]} inch{'' if match[3] else 'es'}{match[3] or ''}"


TRADE_RULES: Final = (
    Rule("x×", r"(?<![\w.])(\d[\d.]*)\s?[x×]\s?(\d[\d.]*)\s?[\"”″](?![\w\"”])(\s[a-z]{3,})?", _by_inches),
    Rule("s", r"(?<=\d)[- ]?sq(?:uare|\.)?-(?:ft|foot)\b\.?(?=\s[a-z])", " square foot"),
    Rule("c", r"(?<=\d)[- ]?cu(?:bic|\.)?-(?:ft|foot)\b\.?(?=\s[a-z])", " cubic foot"),
    Rule(".", rf"\b({'|'.join(_NUMBERED)})\. ?(?=\d)", lambda m: f"{_NUMBERED[m[1]]} "),
    Rule(
        "12",
        r"\b((?:docked|left|departed|arrived|landed|sailed|launched|reported|reveille|lights out|muster)(?: at| by)? )"
        r"([01]\d|2[0-3])([0-5]\d)\b(?! [a-z]+s\b)(?![,.:]\d)",
        lambda m: f"{m[1]}{numbers.military(m[2], m[3])}",
    ),
    Rule(
        "m",
        r"(\b(?:delayed|late|early|lasts|lasted|paused|nap|naps|napped|waited)(?: by| for)? )(\d{1,3})m\b",
        r"\1\2 min",
    ),
    Rule(
        "m",
        r"(?<![\w.,])(\d[\d.,]*)m (?=(?:km|kg|miles|tons|tonnes|mi|ha|acres|barrels|liters|litres)\b)",
        r"\1 million ",
    ),
    Rule(".", r"(?<![\w.])(\d{1,4})\.\.\.?(?==?\d)=?", r"\1 to "),
    Rule("★⭐", r"(?<=\d) ?[★⭐](?= [a-z]{3})(?! (?:from|for|and|out|on|by|with)\b)", " star"),
    Rule("★⭐", r"(?<=\d) ?[★⭐]", " stars"),
    Rule("#", r"(?<![\w.-])(\d{2,3})#(?=[\s,.;)]|$)", r"\1 pounds"),
    Rule("0123456789", r"(?<=, )(\d{5})(?= [A-Z][a-z]+(?:[,.;]|$))", lambda m: numbers.digits(m[1])),
    Rule("/", r"(\d ?(?:mg|mcg|g|µg|μg|IU|units?))/(?=\d[\d.]* ?(?:m?[lL]|g|kg|tsp)\b)", r"\1 per "),
    Rule("√", r"(√\d+)\s?/\s?(?=\d)", r"\1 over "),
    Rule("S", r"\bSt\.-(?=[A-Z])", "Saint "),
    Rule(
        "NSEW",
        r"\b((?:Route|Rte\.?|Rt\.?|Hwy\.?|Highway|US|I)[- ]\d{1,3}) ([NSEW])\.(?= [a-z])",
        lambda m: f"{m[1]} {COMPASS[m[2]]}",
    ),
    Rule("'’", r"(\d['’′] ?\d{1,2}[\"”″])\s?[-–]\s?(?=\d['’′])", r"\1 to "),
    Rule("A", r"\bApp\. (?=[A-Z]\b)", "Appendix "),
    Rule(
        "x",
        r"(?<![\w.])(?<![=+] )(\d{1,2})x(?=[.,;!?)]|$| (?:this|last|in|before|and|today|daily|weekly|now|since)\b)",
        _multiple,
    ),
    Rule("c", r"(?<![\d/])(\d{2})/(\d{2}) ?ct\b\.?", r"\1 \2 count"),
    Rule(
        "c",
        r"(?<![\w.])(\d{1,4})[- ]?ct\b\.?(?= (?:box|pack|bag|eggs|package|case|bottle|tablets|capsules)|[,;)]|$)",
        r"\1 count",
    ),
    Rule(
        "b",
        r"(?<=[a-z] )b4 (?=(?:i|u|you|we|he|she|they|it|the|my|noon|lunch|dinner|bed|work|school|class|\d+)\b)",
        "before ",
    ),
    Rule("l", r"(?<=[a-z] )l8\b", "late"),
    Rule("#", r"#s\b", "numbers"),
    Rule(
        "'’",
        r"(?<![\w.,$])(\d{1,2})['’]s\b(?=\s)",
        lambda m: m[0] if int(m[1]) % 10 == 0 and int(m[1]) else numbers.plural(int(m[1])),
    ),
    Rule("b", r"\b0b([01]{2,})\b", lambda m: f"zero B {numbers.digits(m[1])}"),
    Rule("!", r"(?<![\w.,])(\d{1,3})!(?=\s(?:is|equals|has|means)\b)", r"\1 factorial"),
    Rule(
        "@",
        r"@ ([01]\d|2[0-3])([0-5]\d)\b(?![,.:]?\d)",
        lambda m: f"at {numbers.military(m[1], m[2])}",
    ),
    Rule(
        "'’′",
        r"\b5['’′]\s?-\s?([ACGTUN]{2,}(?:[ -][ACGTUN]+)*)\s?-\s?3['’′]",
        lambda m: f"five prime {' '.join(m[1])} three prime",
    ),
    Rule("U", r"\bU\.S\. Const\.", "U.S. Constitution"),
    Rule("a", r"\bamend\.(?= [IVX\d])", "Amendment"),
    Rule("Oo", r"\b([Oo])p\. ?(\d{1,3})/(\d{1,2})\b", r"\1pus \2 number \3"),
    Rule("NSEW", r"(?<=\d)(-?[A-Z] )([NSEW])\.? (?=\d+(?:st|nd|rd|th)\b)", lambda m: f"{m[1]}{COMPASS[m[2]]} "),
    Rule("C", r"\bCo\. R(?:oa)?d\.? (?=\d)", "County Road "),
    Rule("-", r"\b([A-Z]{1,2})-(\d{5})\b(?![-.,]?\d)", lambda m: f"{m[1]} {numbers.digits(m[2])}"),
    Rule(
        "/",
        r"(?<![\w/])(?!M/F\b)(?:M|Tu?|W|Th|R|F|Sa|Su)(?:/(?:Tu?|W|Th|R|F|Sa|Su)){1,4}(?![\w/])"
        r"(?=,? (?:\d|at|from|class|only|and)|[.,;)]|$)",
        _classes,
    ),
    Rule("-–", r"(?<![\w-])M[-–](?:W[-–])?F(?![\w-])", _classes),
    Rule("M", r"\bMWF\b|\bTTh\b|\bTuTh\b", _classes),
    Rule("w", r"\bwk\. of (?=\d|[A-Z])", "week of "),
    Rule(
        "IVX",
        r"\b((?:Table|Figure|Fig\.|Section|Part|Chapter|Article|Eq\.) )([IVX]+)\.(\d{1,2})\b",
        lambda m: f"{m[1]}{numbers.roman(m[2])}.{m[3]}" if numbers.roman(m[2]) else m[0],
    ),
    Rule("K", rf"\b([2-9][05-7]00|1[0-9]000)\s?K\b(?=[^.?!]{{0,24}}\b{_LIGHT}\b)", r"\1 kelvin"),
    Rule("K", rf"(\b{_LIGHT}\b[^.?!\d]{{0,16}})([2-9][05-7]00)\s?K\b", r"\1\2 kelvin"),
)
