"""Mandarin quantities: a number times a unit, read as one composition.

A quantity is a comparison, a sign, a currency, a number with its magnitude and tolerance, and a unit; several are
joined by a range, a product, a sum or a slash, and share the unit of the last: ≥30%, -10℃~+40℃, (128.4±11.2)g/L,
$50~$100, 1.8m×2.0m, 500ml*12瓶/箱, 80W+50W. Only an expression with a unit is read here; no digit is left in its words.
"""

from __future__ import annotations

import re
from dataclasses import replace

from timbre.text.languages import HAN
from timbre.text.mandarin_numbers import cardinal, decimal
from timbre.text.mandarin_terms import COMPARED, COMPARISON, CURRENCY, Term, read_term
from timbre.text.mandarin_units import CHAIN, COUNTED_CHAIN, UNITS, chain_words, is_certain
from timbre.text.patterns import compiled

_BEFORE = re.compile(
    rf"(?P<compared>{COMPARISON})?\s?(?P<sign>[-+−±])?\s?(?P<currency>{CURRENCY})?\s?(?P<inner>-)?(?P<open>[(（])?$"
)
_JOINT = re.compile(
    rf"\s?(?P<joint>[-–—~～至到]|[×xX*]|\+|/|、|(?={COMPARISON}))\s?"
    rf"(?P<compared>{COMPARISON})?\s?(?P<sign>[-+−±])?\s?(?P<currency>{CURRENCY})?\s?(?=\d)"
)
_START = re.compile(
    r"(?:(?<![\dA-Za-z_])(?<!\d[.,:：])|(?<=(?<![A-Za-z])(?:RMB|CNY|USD|EUR|GBP|JPY|HKD|KRW|SGD|AUD|CAD)))\d"
)
_WRITTEN = re.compile(r"[A-Za-zμµΩ%‰°℃℉㎡㎥㎎㎏㎍¥￥$€£₩₽₹฿/元]")
_FOLDED = str.maketrans({"µ": "μ", "㎎": "mg", "㎏": "kg", "㎍": "μg", "㎜": "mm", "㎝": "cm", "㎞": "km", "㏄": "cc",
                         "⎓": " ", "º": "°", "˚": "°"})  # fmt: skip
_SIGNED_AFTER = re.compile(
    r"(?:[是为约到至达在于从和或与、，：；:,;(（\[/~～ \t|=+×*÷\n]|零上|^|"
    r"[率值润额比差度温分数幅位降减涨增长变动近拔深底标压势径移程流速存亏])$"
)
_FORMULA_BEFORE = re.compile(r"[+−×-]\s?(?:[∠△]|[∠△]?[A-Za-z\d]{1,3}\s?=\s?)$")
_PART_BEFORE = re.compile(rf"\d\s?(?:[%元℃A-Za-z]{{1,3}})[{HAN}]{{1,6}}$")
"""A part of a sum before its plus: 70%棉+30%聚酯."""
_SHARES = {"%": "百分之", "‰": "千分之", "ppm": "百万分之", "ppb": "十亿分之"}
_HUNDRED_KM = re.compile(r"^(L|l|升|kWh|kwh|KWH|度|元|kg|千克|公斤)\s?/\s?(?:100|百)\s?(?:km|KM|公里|千米)$")


def expand_quantities(text: str) -> str:
    """The text with its quantities in words: 5-10kg -> 五到十千克, ≥30% -> 大于等于百分之三十."""
    if not _WRITTEN.search(text):
        return text
    text = text.translate(_FOLDED)
    found: list[str] = []
    position = 0
    while start := _START.search(text, position):
        before = _BEFORE.search(text, max(position, start.start() - 14), start.start())
        terms, end = _expression(text, start.start(), before)
        if terms and _is_angle_sum(text, terms, start.start()):
            terms = []
        if terms:
            begin, head, first = _head(text, terms[0], before, len(terms) > 1 and terms[1].joint in _WORDED)
            if begin > position and (sign := _NAMED_BEFORE.search(text, max(position, begin - 2), begin)):
                begin, head = sign.start("sign"), "，" if sign["sign"] == "@" else "乘"
            found += text[position:begin], head, _words([first, *terms[1:]], text, begin, end)
            if closed := _MORE.match(text, end):
                found.append("多")
                end = closed.end()
        else:
            found.append(text[position:end])
        position = end
    return "".join(found).replace("华氏华氏", "华氏") + text[position:]


def _is_angle_sum(text: str, terms: list[Term], start: int) -> bool:
    """∠1+∠2=90° is a formula, whose last number is no quantity of its own."""
    return terms[-1].unit == "°" and _FORMULA_BEFORE.search(text[max(0, start - 8) : start]) is not None


def expand_bare_units(text: str) -> str:
    """Quotients of units without a number: 单位为mg/L -> 单位为毫克每升; 元/kg -> 元每千克."""
    if "/" not in text:
        return text
    text = compiled(rf"(?<![A-Za-z0-9/_.:-])({CHAIN})(?![A-Za-z0-9/_.])").sub(
        lambda m: chain_words(m[1]) if is_certain(m[1]) else m[0], text
    )
    return compiled(rf"({COUNTED_CHAIN})").sub(lambda m: chain_words(m[1]), text)


def _expression(text: str, start: int, before: re.Match[str] | None) -> tuple[list[Term], int]:
    """Terms from a digit on, up to the last with a unit, and where the search goes on; no terms without a unit."""
    terms: list[Term] = []
    position = start
    joint: re.Match[str] | None = None
    while term := read_term(text, position, joint or before, joint is not None):
        if terms and terms[-1].kind == "money" and not term.unit and _goes_on(text, term):
            term = replace(term, kind="money", currency=terms[-1].currency, unit=_SHARED)
        terms.append(term)
        joint = _JOINT.match(text, term.end)
        if joint is None or (
            joint["joint"] in _HYPHENS and text[joint.start()] == " " and text[joint.end() - 1] != " "
        ):
            break
        position = joint.end()
    end = terms[-1].end if terms else start + 1
    last = max((place for place, term in enumerate(terms) if term.unit), default=-1)
    if last < 0:
        return [], end
    while last + 1 < len(terms) and terms[last + 1].joint in _TIMES:
        last += 1
    return _typed(terms[: last + 1]), terms[last].end


_TIMES = ("×", "x", "X", "*")
_COUNTED_AFTER = re.compile(r"\s?(?:[=家个人位名年月日号条件/]|\d)")


def _goes_on(text: str, term: Term) -> bool:
    """$1-5: the second number is a price too, unless it counts something."""
    return term.joint in _RANGES and not _COUNTED_AFTER.match(text, term.end)


_SHARED = "shared"
"""Unit of a number that has the currency of the one before it."""
_HYPHENS = ("-", "–", "x", "X")
_NAMED_BEFORE = re.compile(rf"(?P<sign>@|(?<=[{HAN}])\*)$")
_MORE = re.compile(rf"\+(?!\s?[\d(A-Za-z])(?![{HAN}]{{1,6}}\s?\d)")
_WORDED = ("~", "～", "至", "到")
_RANGES = ("-", "–", "—", "~", "～", "至", "到")


def _head(text: str, first: Term, before: re.Match[str] | None, spans: bool) -> tuple[int, str, Term]:
    """Where an expression begins with its signs, a word before it, and its first term with its signs.

    spans: a range that a hyphen does not join goes on behind the term: -0.2~0.8V begins below zero.
    """
    if before is None or not before[0]:
        return first.start, "", first
    begin = first.start
    if before["open"]:
        if not _closed(text, first):
            return begin, "", first
        begin -= 1
    if before["currency"]:
        begin = before.start("currency")
    sign = before["sign"] or before["inner"] or ""
    if sign:
        place = before.start("sign") if before["sign"] else before.start("inner")
        ahead = text[max(0, place - 3) : place]
        signed = (before["compared"] or (spans and sign == "-" and not re.search(r"[\dA-Za-z)）]$", ahead))) or (
            not re.search(r"[\dA-Za-z)）]\s?$", ahead)
            and not (sign == "+" and _PART_BEFORE.search(text[max(0, place - 12) : place]))
            if first.kind in ("degrees", "percent", "money")
            else _SIGNED_AFTER.search(ahead)
        )
        if not signed:
            added = sign == "+" and re.search(f"[{HAN}）)]$", ahead) is not None
            return (before.start("sign"), "加", first) if added else (begin, "", first)
        first = replace(first, sign=sign)
        begin = before.start("sign") if before["sign"] else min(begin, before.start("inner"))
    if before["compared"]:
        first = replace(first, compared=COMPARED[before["compared"]])
        begin = before.start("compared")
    return begin, "", first


def _closed(text: str, first: Term) -> bool:
    """Whether the bracket before a number with a tolerance ends behind it: (128.4±11.2)g/L."""
    return re.match(r"[^()（）]*[)）]", text[first.start : first.end]) is not None


def _words(terms: list[Term], text: str, begin: int, end: int) -> str:
    """An expression in words: a unit that stands once at the end of a range belongs to all of it."""
    computed = (
        text[end : end + 2].lstrip().startswith("=")
        or text.endswith("满", 0, begin)
        or any(term.compared for term in terms[1:])
    )
    spoken = ""
    for index, term in enumerate(terms):
        following = terms[index + 1] if index + 1 < len(terms) else None
        if index:
            spoken += _joint(term, terms[index - 1], computed)
        if computed and term.unit == _SHARED:
            term = replace(term, currency="")
        spoken += _quantity(term, None if computed else following)
    return spoken


def _typed(terms: list[Term]) -> list[Term]:
    """The terms, those of a range before a share or degrees with that unit: a share repeats 百分之."""
    typed = terms[-1:]
    for term in reversed(terms[:-1]):
        later = typed[-1]
        shared = not term.unit and later.joint in (*_RANGES, "、") and later.kind in ("percent", "degrees")
        typed.append(replace(term, unit=later.unit, kind=later.kind) if shared else term)
    return typed[::-1]


def _joint(term: Term, before: Term, computed: bool) -> str:
    if term.joint in _RANGES:
        if computed and term.joint == "-":
            return "减"
        if term.kind == before.kind == "percent" and term.exact and before.exact and term.joint == "-":
            return "比" if float(term.exact) + float(before.exact) == 100 else "到"
        if term.joint == "至":
            return "到" if _measures(before) == _measures(term) else "至"
        return "到" if term.joint == "到" or _measures(before) in ("", _measures(term)) else "，"
    if term.joint in _TIMES:
        return "乘"
    return {"+": "加", "/": "，", "、": "，"}.get(term.joint, "")


_TIME = ("秒", "钟", "时", "天")


def _measures(term: Term) -> str:
    """What a term is an amount of: the end of its unit's name, one for all units of time."""
    if term.kind != "chain":
        return term.kind
    last = chain_words(term.unit)[-1:]
    return "time" if last in _TIME else last


def _quantity(term: Term, following: Term | None) -> str:
    spans = following is not None and following.joint in _RANGES and following.kind == term.kind
    number = term.number
    if term.kind == "percent":
        share, _, per = term.unit.partition("/")
        number = "百" if number == "一百" and share == "%" else number
        words = _SHARES[share] + number + term.magnitude + term.more + (f"每{chain_words(per)}" if per else "")
        return term.compared + _sign(term, "负", "正") + words
    if term.kind == "degrees":
        scaled = term.unit != "°"
        words = number + ("" if spans else "度")
        sign = _sign(term, "零下" if scaled else "负", "零上" if scaled else "正")
        return term.compared + "华氏" * (term.unit in ("°F", "℉", "°f")) + sign + words
    if (
        term.exact == "2"
        and term.unit != "A"
        and term.magnitude in ("", "万", "亿", "千", "万亿", "萬", "億")
        and (term.kind or term.magnitude)
    ):
        number = "两"
    amount = number + term.magnitude + ("多" if term.more == "+" else term.more)
    if term.kind == "money":
        return term.compared + _sign(term, "负", "正") + _price(term, number, following if spans else None)
    if match := _HUNDRED_KM.match(term.unit):
        return f"{term.compared}每百公里{amount}{UNITS.get(match[1], match[1])}"
    unit = "K" if term.unit == "K" else chain_words(term.unit) if term.unit else ""
    return term.compared + _sign(term, "负", "正") + amount + unit


def _sign(term: Term, below: str, above: str) -> str:
    return {"-": below, "−": below, "+": above, "±": "正负", "": ""}[term.sign]


def _price(term: Term, number: str, following: Term | None) -> str:
    """$1.2B -> 十二亿美元, ¥1,299.00 -> 一千二百九十九元."""
    if re.fullmatch(r"\d+\.0{1,2}", term.exact) and not term.magnitude:
        number = cardinal(int(float(term.exact)))
    magnitude = term.magnitude
    if magnitude.isascii() and magnitude and term.exact:
        value = float(term.exact) * {"k": 1e3, "m": 1e6, "b": 1e9, "w": 1e4}[magnitude.lower()]
        number, magnitude = _large(value)
    currency = "" if following is not None and following.currency == term.currency else term.currency
    return number + magnitude + term.more + currency + term.per


def _large(value: float) -> tuple[str, str]:
    for size, name in ((1e8, "亿"), (1e4, "万")):
        if value >= size:
            return decimal(f"{value / size:g}"), name
    return decimal(f"{value:g}"), ""
