"""English signs that several characters make (<=, +/-, ->, 1.5E-4, C#), grouped digits and codes.

They come before every other expansion: what they are made of (dashes, slashes, blanks, quotes) means something else
alone.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.patterns import sub

_FOLDED = (
    (re.compile(r"\+\s?/\s?[-−–]|\+-(?=\s?\d)"), "±"),
    (re.compile(r"<=(?!>)|=<"), "≤"),
    (re.compile(r">="), "≥"),
    (re.compile(r"!==?|<>(?=\s?[\w.])|=/="), "≠"),
    (re.compile(r"(?<![=<>!])={2,3}(?!=)"), "="),
    (re.compile(r"\s*(?:-{1,2}>|=>|⇒|➔|➜)\s*"), " → "),
    (re.compile(r"~="), "≈"),
)
_SCIENTIFIC = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?:[eE]|\s?[x×*·]\s?10\^)([-+−]?)(\d{1,3})(?![\d.]*[A-Za-z]{2}|\d)")
_GROUP_BLANKS = " \u00a0\u2009\u202f"
_GROUPED = re.compile(
    rf"(?<![\d.,+-])(?<!\d[{_GROUP_BLANKS}])([1-9]\d{{0,2}})((?:[{_GROUP_BLANKS}]\d{{3}})+)(?![\d]|[{_GROUP_BLANKS}-]\d)"
)
_COUNTED_AFTER = re.compile(
    r"(?:[.,]\d+)?\s?(?:[\u3400-\u9fff]|(?:km|m|kg|g|t|people|miles|euros?|dollars?|yen|pounds?|€|£|\$|¥|%|tons?|tonnes?|users|copies|years)\b)"
)


def fold_signs(text: str) -> str:
    """<= -> ≤; +/- -> ±; -> -> →; 1.5E-4 -> 1.5 times ten to the minus 4; C# -> C sharp; -$5 -> minus $5."""
    for pattern, sign in _FOLDED:
        text = pattern.sub(sign, text)
    text = _SCIENTIFIC.sub(
        lambda m: f"{m[1]} times ten to the {'minus ' if m[2] in ('-', '−') and m[2] else ''}{m[3]}", text
    )
    text = sub(r"\b([A-G])#(?![\w#])", r"\1 sharp", text)
    text = sub(r"(?<![\w.)%])[-−–]\s?(?=[$£€¥₹]\s?\d)", "minus ", text)
    text = sub(r"(?<=\d) [x×] (?=\d[\d.,]*\s*=)", " times ", text)
    text = sub(r"(?<=\d)x(?=\d[\d.,]*\s*=)", " times ", text)
    text = sub(r"(?<=[\d)])\s/\s(?=[\d(])", " divided by ", text)
    return sub(r"(?<=[=+(] )([a-z]{2,3})(?=\^\d)", lambda m: " ".join(m[1]), text)


def join_groups(text: str) -> str:
    """1 000 000 -> 1000000; 25 000 km -> 25000 km; 12'500 -> 12500. One group alone needs a sign that it is one."""

    def joined(match: re.Match[str]) -> str:
        groups = re.findall(r"\d{3}", match[2])
        alone = len(groups) == 1 and match[2][0] == " "
        after = match.string[match.end() :]
        if alone and groups[0] != "000" and not _COUNTED_AFTER.match(after):
            return match[0]
        return match[1] + "".join(groups)

    text = _GROUPED.sub(joined, text)
    return sub(r"(?<![\d.,'])(\d{1,3})((?:['’]\d{3})+)(?!\d)", lambda m: sub(r"\D", "", m[0]), text)


_CODE_CUE = (
    r"(?:zip(?: code)?|post(?:al)? ?code|(?:area |country |dial(?:ing)? |access |door |security |verification |"
    r"product |promo |booking |pass)?code|pin(?: number| code)?|password|passcode|extension|ext\.?|"
    r"account(?: number| no\.?)?|"
    r"serial(?: number| no\.?)?|tracking(?: number)?|licen[cs]e(?: number| plate)?|id(?: number)?|badge(?: number)?|"
    r"confirmation(?: number)?|reference(?: number)?|(?:phone|mobile|cell|fax|telephone|card|hotline)(?: number)?)"
)
_CODE = re.compile(
    rf"\b({_CODE_CUE}(?: is| was|:|,| of| #)?(?: now)?\s)(\d{{3,}})\b(?![.,:/]\d|-\d|\s?%)", re.IGNORECASE
)
_PAIRED = re.compile(
    r"\b((?:[Rr]oom|[Ff]light|[Ss]uite|[Aa]partment|Apt\.?|Boeing|Airbus|A|[Hh]ighway|[Rr]oute|[Ii]nterstate|[Bb]us|"
    r"[Tt]rain|[Gg]ate|[Uu]nit|[Ll]ocker|[Ff]orm|[Aa]rea) )(\d{3,4})\b(?![.,:/-]\d|\s?%| [a-z]+s\b)"
)


def expand_codes(text: str) -> str:
    """zip code 90210 -> nine zero two one zero; Room 305 -> three oh five; Boeing 747 -> seven forty-seven."""
    text = _CODE.sub(lambda m: m[1] + numbers.digits(m[2]), text)
    text = sub(
        r"\b(ZIP|zip code|[A-Z]{2}),? (\d{5})-(\d{4})\b",
        lambda m: f"{m[1]} {numbers.digits(m[2])}, {numbers.digits(m[3])}",
        text,
    )
    text = sub(r"\b([A-Z])\.(\d{3})\b(?![\d.])", lambda m: f"{m[1]} {numbers.digits(m[2])}", text)
    return _PAIRED.sub(lambda m: m[1] + paired(m[2]), text)


def paired(number: str) -> str:
    """305 -> three oh five; 747 -> seven forty-seven; 1549 -> fifteen forty-nine; 200 -> two hundred."""
    head, tail = number[:-2], number[-2:]
    if number[0] == "0":
        return numbers.digits(number)
    if tail == "00":
        return numbers.cardinal(int(number)) if int(head) % 10 == 0 else f"{numbers.cardinal(int(head))} hundred"
    last = f"oh {numbers.cardinal(int(tail))}" if tail[0] == "0" else numbers.cardinal(int(tail))
    return f"{numbers.cardinal(int(head))} {last}"
