"""English numbers that only their neighbours explain, second half: what is left once the first half has read its own.

Of english_contexts.py.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text import english_numbers as numbers
from timbre.text.english_calendar import MONTHS
from timbre.text.english_signs import paired
from timbre.text.patterns import Rule, preceding

_SHORT_MONTHS: Final = {name[:3]: name for name in MONTHS if name != "May"} | {"Sept": "September"}
_FRACTIONS: Final = "½⅓⅔¼¾⅛⅜⅝⅞"
_SPOONS: Final = {"c": "cup", "T": "tablespoon", "t": "teaspoon", "pkg": "package", "doz": "dozen", "env": "envelope"}
_ATTRIBUTES: Final = (
    r"pizzas?|screens?|monitors?|TVs?|displays?|pipes?|rulers?|skillets?|pans?|laptops?|records?|subs?|blades?|cakes?|"
    r"tablets?|wheels?|nails?|boards?|vinyl|tiles?|plates?|barrels?|bolts?|sandwich(?:es)?|tortillas?|speakers?"
)
_COUNTED: Final = (
    "people|users|customers|followers|viewers|jobs|homes|households|voters|tonnes|tons|barrels|subscribers|visitors|"
    "passengers|workers|children|cases|copies|votes|residents|refugees|sales|units|views|men|women|families|downloads|"
    "members|patients|students|pounds|dollars|euros|acres|hectares|cars|streams|hits|fans|species|vehicles"
)
_PEOPLE: Final = (
    "nurses|doctors|teachers|pensioners|drivers|readers|players|listeners|shoppers|owners|smokers|lawyers|soldiers|"
    "migrants|immigrants|tourists|graduates|employees|citizens|adults|teenagers|taxpayers|savers|borrowers|tenants|"
    "listings|orders|messages|tickets|books|meals|doses|vaccines|trees|animals|deaths|births|jobs|pupils|americans|britons"
)
_CHAT: Final = {
    "gr8": "great", "l8r": "later", "h8": "hate", "m8": "mate", "w8": "wait", "2nite": "tonight", "2night": "tonight",
    "2day": "today", "2moro": "tomorrow", "2morrow": "tomorrow", "4ever": "forever", "4u": "for you",
    "some1": "someone", "any1": "anyone", "every1": "everyone",
}  # fmt: skip


def _address(match: re.Match[str]) -> str:
    """192.168.0.1 -> one ninety-two dot one sixty-eight dot zero dot one; a part above 255 makes it no address."""
    address, _, mask = match[0].partition("/")
    parts = address.split(".")
    if any(int(part) > 255 for part in parts) or (not mask and all(int(part) < 20 for part in parts)):
        return match[0]
    if re.search(r"(?:[Vv]ersion|[Rr]elease|[Bb]uild|[Uu]pdate|\bv\.?)\s?$", preceding(match)):
        return match[0]
    words = " dot ".join(paired(part) if len(part) == 3 else numbers.cardinal(int(part)) for part in parts)
    return f"{words} slash {numbers.cardinal(int(mask))}" if mask else words


def _dotted_date(match: re.Match[str]) -> str:
    """12.31.2023 and 31.12.2023 are dates; the month is the first unless it cannot be."""
    first, second, year = int(match[1]), int(match[2]), match[3]
    month, day = (first, second) if first <= 12 else (second, first)
    return f"{month}/{day}/{year}" if month <= 12 and day <= 31 else match[0]


def _spoon(match: re.Match[str]) -> str:
    """1½ c. flour -> 1½ cups flour; ½ c. and 1 c. are one cup."""
    number, short = match[1], match[2]
    noun = _SPOONS[short]
    one = number.strip() == "1" or re.fullmatch(rf"[{_FRACTIONS}]|\d/\d", number.strip()) or short == "doz"
    return f"{number.rstrip()} {noun}{'' if one else 's'}"


def _average(match: re.Match[str]) -> str:
    return f"{match[1]}{paired(match[2])}"


def _calibre(match: re.Match[str]) -> str:
    return paired(match[1]) if len(match[1]) == 3 else numbers.cardinal(int(match[1]))


LATER_RULES: Final = (
    Rule("A", r"(\d\s?V,? ?[/-]? ?)(\d+(?:\.\d+)?)\s?A\b(?!\w)(?= [a-z])", r"\1\2 amp"),
    Rule("A", r"(\d\s?V,? ?[/-]? ?)(\d+(?:\.\d+)?)\s?A\b(?!\w)", r"\1\2 amps"),
    Rule(
        ".",
        r"(\d\s?(?:lbs?|ft|hrs?|min|yds?|gal|qts?|wks?|yrs?|mi))\.(?=,?\s\d+\s?(?:oz|in|mins?|secs?|ft|qt|pt|mo|days?)\b)",
        r"\1",
    ),
    Rule(".", r"(?<![\d.,/])(?<![\d½⅓⅔¼¾⅛⅜⅝⅞] )1\s?in\.(?=\s(?:of|wide|long|tall|high|deep|thick)\b)", "1 inch"),
    Rule(
        ".",
        rf"((?<![\w.])(?:\d+(?:\s?[{_FRACTIONS}]|(?: \d)?/\d)?|[{_FRACTIONS}])\s?)(c|T|t|pkg|doz|env)\."
        r"(?=,?\s(?:\(|[a-z]|=)|\))",
        _spoon,
    ),
    Rule(".", r"(?<=\d )(lg|med|sm)\.(?=\s[a-z])", lambda m: {"lg": "large", "med": "medium", "sm": "small"}[m[1]]),
    Rule("×x", r"(?<=[\d)])\s?[×x]\s?(?=\d[\d.,]*\s*÷)", " times "),
    Rule("×", r"(÷\s?\d[\d.]*)\s?×\s?(?=\d)", r"\1 times "),
    Rule("×", r"(?<=[\d)])\s?×\s?(?=\d[\d.,]*\s?(?:[<>≤≥≈≠+÷]|[-−]\s))", " times "),
    Rule("x×", rf"(?<=[{_FRACTIONS}])\s?[x×]\s?(?=\d)", " by "),
    Rule(".", r"(?<![\d.,/-])\d{1,3}(?:\.\d{1,3}){3}(?:/\d\d?\b)?(?![\d.]*\d|:\d)", _address),
    Rule(",", r"(?<![\d.,$£¥€])(\d{1,3}),(\d\d)\s?(?:EUR|[Ee]uros?)\b", r"€\1.\2"),
    Rule(",", r"(?<![\d.,$£¥])(\d{1,3}),(\d\d)(?=\s?(?:PLN|SEK|NOK|DKK|CHF|kron[eo]r|zł)\b)", r"\1.\2"),
    Rule(".,", r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d\d)(?![\d,])", lambda m: f"{m[1].replace('.', '')}.{m[2]}"),
    Rule("E", r"(?<=EUR )(\d+),(\d\d)(?![\d,])", r"\1.\2"),
    Rule(".", r"(?<![\d.])([0-3]?\d)\.([0-3]?\d)\.((?:19|20)\d\d)(?![\d.]*\d)", _dotted_date),
    Rule(".", r"((?:\b(?:batt(?:ing|ed)|hit(?:s|ting)?|average of|averaged|batted)) )\.(\d{3})(?!\d)", _average),
    Rule(
        ".", r"()(?<![\w.])\.(\d{3})(?= (?:hitter|batting|average|hitting|percentage|season|winning|team)\b)", _average
    ),
    Rule(
        ".",
        r"(?<![\w.])\.(\d{2,3})"
        r"(?=[ -](?:cal(?:iber|ibre)?\b|[Mm]agnum|rifle|pistol|revolver|handgun|Special|rounds?|gun|bullet))",
        _calibre,
    ),
    Rule("'’", r"\b([QH][1-4])\s?['’](\d\d)\b", r"\1 \2"),
    Rule(
        "'’",
        rf"\b({'|'.join(_SHORT_MONTHS)})\.? ['’](\d\d)\b",
        lambda m: f"{_SHORT_MONTHS[m[1]]} '{m[2]}",
    ),
    Rule(":", r"(?<![\d:.-])(1[0-2]|[1-9]):00\s?[-–]\s?(?=(?:1[0-2]|[1-9])(?::[0-5]\d)?\s?[AaPp]\.?[Mm]\b)", r"\1 to "),
    Rule("-–", r"(?<=\d/\d)\s?[-–]\s?(?=(?:1[0-2]|[1-9])(?![\d/-]))", " to "),
    Rule("e", r"(?<=\d) ea\b\.?", " each"),
    Rule("p", r"([$£€]\d[\d,.]*) ?(?:pp|p\.p|p/p)\b\.?", r"\1 per person"),
    Rule("ap", r"(?<=\b(?:at|by) )(1[0-2]|[1-9])([ap])\.(?=\s|$)", r"\1\2m."),
    Rule("p", r"\b([Pp])lat\.(?=\s\d)", r"\1latform"),
    Rule("l", r"\blong\.(?=:?\s[-−]?\d)", "longitude"),
    Rule("q", r"\bq\.?\s?(?=\d+(?:\s?[-–]\s?\d+)?\s?(?:h|hrs?|hours?|d|days?|min|wks?)\b)", "every "),
    Rule("s", r"(?<=[a-z]-)(\d)s\b", lambda m: numbers.plural(int(m[1]))),
    Rule("/", r"(?<![\d/.,$])20/(15|25|30|40|50|60|70|80|100|200|400)(?![\d/]|\.\d)", r"twenty \1"),
    Rule("m", rf"(?<=\d)m(?= (?:{_COUNTED}|{_PEOPLE})\b)", " million"),
    Rule("m", r"(?<![\w.])(\d+\.\d+) mil\b\.?(?!\w)", r"\1 million"),
    Rule("'’", r"['’](\d\d)\s?[-–]\s?['’]?(\d\d)(?!\d|s)", r"'\1 to '\2"),
    Rule(".", r"(?<=\d )(sq|cu)\.? (ft|in|yd|mi|m)\.?/", r"\1 \2/"),
    Rule("123456789", rf"\b({'|'.join(_CHAT)})\b", lambda m: _CHAT[m[1]]),
    Rule("c", r"\bc\. ?(?=1\d\d0s|20\d0s)", "circa "),
    Rule(
        "8",
        r"\b802\.11([a-z]{1,2})?\b",
        lambda m: "eight oh two dot eleven" + (f" {' '.join(m[1].upper())}" if m[1] else ""),
    ),
    Rule("s", r"(?<=[A-Z])(\d)s\b", lambda m: f" {numbers.plural(int(m[1]))}"),
    Rule("p", r"(?<![\w.,:£])(\d{1,3})p(?= (?:a|an) [a-z])", r"\1 pence"),
    Rule("c", r"(?<![\w.,:$])(\d{1,2})c(?= (?:coins?|stamps?|piece)\b)", r"\1 cent"),
    Rule('"”″', rf"(?<![\w.])(\d{{1,3}}(?:\.\d)?)[\"”″](?= (?:{_ATTRIBUTES})\b)", r"\1-inch"),
    Rule(
        "x", r"(?<![\w.])(\d)\s?[x×]\s?(\d{2,4})\s?m\b(?= (?:relay|medley|freestyle|race|hurdles))", r"\1 by \2 meter"
    ),
    Rule("U", r"(?<![\w.])(\d{3}) U\.S\. (\d{3})\b(?![.,]?\d)", lambda m: f"{paired(m[1])} U S {paired(m[2])}"),
    Rule("(", r"\b(501|401|403|457)(?=\([a-z]\))", lambda m: paired(m[1])),
    Rule("(", r"(?<=[\w)])\(([a-e])\)(?=[\s(.,;)]|$)", lambda m: f" {m[1].upper()} "),
    Rule("#", r"#(?=[0-9A-Fa-f]{6}\b)(?=\d*[A-Fa-f])([0-9A-Fa-f]{6})\b", lambda m: f"hash {_hex(m[1])}"),
    Rule(
        "ab",
        r"\b((?:[Ff]ig(?:ure|s|\.)?|[Tt]able|[Ss]ection|[Qq]uestion|[Pp]art|[Ss]tep|[Ee]xercise|[Ee]q\.|[Pp]anel|[Aa]ppendix)"
        r"\.? \d{1,3})([a-f])\b",
        lambda m: f"{m[1]} {m[2].upper()}",
    ),
)


def _hex(code: str) -> str:
    return " ".join(numbers.digits(one) if one.isdigit() else one.upper() for one in code)
