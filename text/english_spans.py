"""English amounts beside one another: ranges, pairs, comparisons, signs and rates of any number with any unit or money.

One grammar: an amount is a number in any form (1,500, 2.5, 1½, 3/4) with a currency, a scale or a unit, or without.
Any two amounts make a range by any dash, a tilde or dots, or a pair by a slash; any comparison stands before any of
them. It decides what stands between amounts and leaves the amounts themselves to the later steps, except ranges of
money and fractions of a unit, which become words here. `fold_spans` comes before the rules of single notations.
"""

from __future__ import annotations

import re
from fractions import Fraction

from timbre.text import english_numbers as numbers
from timbre.text.english_amounts import is_attribute
from timbre.text.english_money import MONEY_RANGE_AFTER, MONEY_RANGE_BEFORE, MONEY_SIGN, fold_grouping, money_range
from timbre.text.english_units import CHAIN, chain_words, is_plain_letter
from timbre.text.patterns import preceding

_PARTS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
    "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6",
}  # fmt: skip
_PART = f"[{''.join(_PARTS)}]"
_FRACTION = rf"\d{{1,4}} ?{_PART}|{_PART}|\d{{1,3}} \d{{1,2}}[/⁄]\d{{1,2}}(?!\d)|\d{{1,2}}[/⁄]\d{{1,2}}(?![\d/])"
_PLAIN = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_NUMBER = rf"(?:{_FRACTION}|{_PLAIN})"
_DEGREES = r"°\s?[CcFf]?(?![A-Za-z])"
_SCALE = r"(?:[kKMB]|[mbt]n|[mb]illion|trillion|thousand)(?![\w+])"
_UNIT = rf"(?:\s?(?:{_DEGREES}|%|per ?cent\b|pct\b|in\.(?=\s?[-–—−~/])|{_SCALE}|{CHAIN})|[\"”″]|['’′](?!\w)|¢)"
_AMOUNT = rf"[-−+]?{_NUMBER}(?:{_UNIT})?"
_DASH = r"\s?[-–−~]\s?|—|\s?(?:\.\.\.?|…)\s?"
_START = r"(?<![\w./,#&@:$£€¥^+=*)\]–—−~-])(?<![-–−=+*] )"

_RANGE = re.compile(
    rf"{_START}([-−+]?)({_NUMBER})({_UNIT})?\.?({_DASH})([-−+]?)({_NUMBER})({_UNIT})?(?![\d:/-]|[.,]\d)"
)
_MEASURED = rf"\s?(?:{_DEGREES}|{CHAIN}|[\"”″])"
_PAIR = re.compile(
    rf"(?<![\w./,#$£€-])({_PLAIN})({_MEASURED})\.?\s?/\s?(?!100 ?(?:km|mi)\b)(?=(?:{_PLAIN}){_MEASURED})"
)
_PART_OF_UNIT = re.compile(
    rf"(?<![\w./,$£€])({_FRACTION})(\s?(?:{_DEGREES}|%|{CHAIN})|\s?[\"”″](?!\w))(?:\.(?=\s[a-z]))?"
)
_LIKELY = re.compile(rf"[\d{''.join(_PARTS)}%°\"'”″’′a-zA-Z²³.¢](?:{_DASH})[-−+]?[.\d{''.join(_PARTS)}]")
_AGED = re.compile(r"\b(?:[Aa]mong(?:st)?|[Tt]he|[Aa]ged|[Mm]ost|[Mm]any|[Ff]ewer|[Aa]ll|[Oo]f|[Ff]or) $")
_NAMED = re.compile(r"(?:\b[A-Z][a-z]+|#) ?$")

_COMPOSED = (
    (re.compile(r"\+\s?/\s?[-−–]|\+-(?=\s?\d)"), "±"),
    (re.compile(r"<=(?!>)|=<"), "≤"),
    (re.compile(r">="), "≥"),
    (re.compile(r"~="), "≈"),
)
_SIGNS = {
    "<": "less than", ">": "greater than", "≤": "less than or equal to", "≥": "greater than or equal to",
    "~": "about", "≈": "about", "±": "plus or minus",
}  # fmt: skip
_COMPARED = re.compile(
    rf"(?<![\w.)\]=<>~%°\"'+*/-])([<>≤≥~≈±])\s?(?=[-−+]?(?:(?:{MONEY_SIGN})\s?)?(?:\.?\d|{_PART}))(?!\d+:\d)"
)
_ROUGHLY = re.compile(rf"(?<!\d )(?<![½⅓⅔¼¾⅛] )\bc\.\s?(?=(?:(?:{MONEY_SIGN})\s?)?\.?\d)")
_MINUS_MONEY = re.compile(
    rf"(?<![\w.)%])[-−–](?=(?:{MONEY_SIGN})\s?\.?\d)|(?<![\w.)%] )(?<![\w.)%])[-−] (?=(?:{MONEY_SIGN})\s?\.?\d)"
)
_MONEY_MINUS = re.compile(rf"(?<![A-Za-z])({MONEY_SIGN})\s?[-−](?=\.?\d)")


def fold_spans(text: str) -> str:
    """5kg–12kg -> 5kg to 12kg; £5-9m -> five to nine million pounds; >5 kg -> greater than 5 kg; 2g/7oz -> 2g, 7oz."""
    text = fold_grouping(text)
    for pattern, sign in _COMPOSED:
        text = pattern.sub(sign, text)
    text = _COMPARED.sub(_compared, text)
    text = _ROUGHLY.sub("circa ", text)
    text = MONEY_RANGE_BEFORE.sub(money_range, text)
    text = MONEY_RANGE_AFTER.sub(money_range, text)
    text = _MINUS_MONEY.sub("minus ", text)
    text = _MONEY_MINUS.sub(r"minus \1", text)
    if _LIKELY.search(text):
        text = _RANGE.sub(_range, text)
    if "/" in text:
        text = _PAIR.sub(_pair, text)
    return _PART_OF_UNIT.sub(_part_of_unit, text)


def _pair(match: re.Match[str]) -> str:
    """200g/7oz -> 200g, 7oz; 6.1"/6.7" -> 6.1-inch, 6.7"."""
    return f"{match[1]}-inch, " if match[2].strip() in '"”″' else f"{match[1]}{match[2]}, "


def _compared(match: re.Match[str]) -> str:
    if match[1] == ">" and match.start() < 4 and not preceding(match).strip():
        return "more than "
    return f"{_SIGNS[match[1]]} "


def _parsed(number: str) -> tuple[int | None, Fraction | None]:
    """Whole number and fraction of a number that is written with one: 1½ -> 1, 1/2; ½ -> None, 1/2; 2.5: None, None."""
    plain = "".join(f" {_PARTS.get(c, c)}" if c in _PARTS else c for c in number.replace("⁄", "/")).split()
    if "/" not in plain[-1]:
        return None, None
    top, bottom = plain[-1].split("/")
    part = Fraction(int(top), int(bottom)) if int(bottom) else None
    return (int(plain[0]) if len(plain) == 2 else None), part


def _value(sign: str, number: str) -> float:
    whole, part = _parsed(number)
    size = float(number.replace(",", "")) if part is None and "/" not in number else (whole or 0) + float(part or 0)
    return -size if sign in ("-", "−") and sign else size


def _signed(sign: str, number: str) -> str:
    words = {"-": "negative ", "−": "negative ", "+": "plus "}
    return f"{words.get(sign, '')}{number}"


def _range(match: re.Match[str]) -> str:
    """A range of what is certainly an amount: with a unit, a fraction or a sign; others have rules of their own."""
    low_sign, low, low_unit, joint, high_sign, high, high_unit = match.groups()
    rest = match.string[match.end() :]
    low_part = _parsed(low)[1]
    high_whole, high_part = _parsed(high)
    if not (low_unit or high_unit or low_part or high_part or high_sign):
        return match[0]
    if re.match(r"\s*[=+×*÷]", rest) or (low_unit and not high_unit and re.match(r"[A-Za-z]", rest)):
        return match[0]
    if high_part is not None and high_whole is None and low_part is None and not low_unit and "-" in joint:
        return match[0]  # 1-1/2 is a number
    if "/" in low and not high_unit:
        return match[0]  # 7/1-7/4 are days, 1/4-20 is a bolt
    if high_unit == "s" and not low_unit and _AGED.search(match.string[max(0, match.start() - 16) : match.start()]):
        return f"{low} to {numbers.plural(int(high))}"
    spaced = joint[0].isspace() or joint[-1].isspace()
    rising = _value(low_sign, low) < _value(high_sign, high)
    same = bool(low_unit) and bool(high_unit) and low_unit.strip() == high_unit.strip()
    if spaced and not (rising or same):
        return match[0]
    if (
        spaced
        and not low_unit
        and (_NAMED.search(match.string[max(0, match.start() - 16) : match.start()]) or "." in joint)
    ):
        return match[0]
    if joint.strip()[:1] in (".", "…") and not low_unit and low_part is None and not rising:
        return match[0]
    if high_unit and high_unit.strip() in ('"', "”", "″") and low_unit and same:
        low_unit = ""
    if low_unit and low_unit.strip() == "in.":
        low_unit = " inches"
    return f"{_signed(low_sign, low)}{low_unit or ''} to {_signed(high_sign, high)}{high_unit or ''}"


def _part_of_unit(match: re.Match[str]) -> str:
    """1½ °F -> one and a half degrees fahrenheit; ¾ mi -> three fourths mile."""
    number, unit = match[1], match[2].strip()
    whole, part = _parsed(number)
    if part is None or not part < 1 or is_plain_letter(unit) or (unit == "in" and match[2] != unit):
        return match[0]
    top, bottom = re.findall(r"\d+", re.sub(_PART, lambda m: f" {_PARTS[m[0]]}", number))[-2:]
    words = numbers.fraction(int(top), int(bottom))
    if whole is not None:
        words = f"{numbers.cardinal(whole)} and {'a half' if words == 'one half' else words}"
    many = whole is not None and not is_attribute(match.string, match.start(), match.end())
    if unit[0] in '"”″':
        return match[0] if "/" in number else f"{'' if whole is None else f'{whole} '}{top}/{bottom}{unit}"
    if unit == "%":
        return f"{words} percent"
    if unit[0] == "°" and unit.replace(" ", "")[1:] in ("", "C", "c", "F", "f"):
        scale = {"C": " celsius", "F": " fahrenheit", "": ""}[unit.replace(" ", "")[1:].upper()]
        return f"{words} degree{'s' if many else ''}{scale}"
    return f"{words} {chain_words(unit, many)}"
