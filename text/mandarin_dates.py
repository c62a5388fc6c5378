"""Mandarin dates in the order of other countries or of forms, eras in Latin letters, hours with am and pm.

08-08-2008 is 二零零八年八月八日, 08/2008 is 二零零八年八月, 44BC is 公元前四十四年, 8.30pm is 下午八点半.
"""

from __future__ import annotations

import re

from timbre.text.mandarin_numbers import cardinal, digits
from timbre.text.patterns import Rule

_YEAR = r"((?:19|20)\d\d)"
_EVENTS = "大促|购物|晚会|事件|事变|惨案|地震|特大|恐怖|空难|活动|狂欢|放假|假期|节|运动|国际"
_HALVES = {"a": "上午", "p": "下午"}
_NAMED = re.compile(r"(?:早|晚|上午|下午|中午|凌晨|清晨|傍晚|夜|深夜|午后|午间)[上间里]?\s?$")


def _day(year: str, month: str, day: str) -> str:
    return f"{year}年{int(month)}月{int(day)}日"


def _day_last(match: re.Match[str]) -> str:
    """12/31/2024 and 31/12/2024: what is above twelve is the day, else the month comes first."""
    first, sign, second, year = match.groups()
    if int(first) > 12 < int(second) or (sign != "/" and not len(first) == len(second) == 2):
        return match[0]
    return _day(year, second, first) if int(first) > 12 else _day(year, first, second)


def _hour(match: re.Match[str]) -> str:
    """8.30pm -> 下午8:30; 1:02:36 am -> 上午1:02:36; a part of the day before it is enough."""
    hour, minutes, seconds, half = match.groups()
    named = _NAMED.search(match.string[: match.start()])
    return f"{'' if named else _HALVES[half.lower()]}{hour}:{minutes}{seconds or ''}"


def _era(match: re.Match[str]) -> str:
    """2000BC -> 公元前2000年, AD 79 -> 公元七九年."""
    year = match[1] or match[4]
    before = (match[2] or match[3])[:1].upper() == "B"
    spoken = cardinal(int(year)) if before or len(year) < 3 else digits(year)
    return f"公元{'前' * before}{spoken}年"


_ERAS = r"B\.?C\.?(?:E\.?)?|A\.?D\.?|CE|bc|ad|b\.c\.|a\.d\."
DATE_RULES = (
    Rule(
        "0",
        r"(?<![\d.-])(0[1-9]|1[0-2])\.(0[1-9]|[12]\d|3[01])\s?[-–—~～至到]\s?(0[1-9]|1[0-2])\.(0[1-9]|[12]\d|3[01])(?![\d.])",
        lambda m: f"{int(m[1])}月{int(m[2])}日到{int(m[3])}月{int(m[4])}日",
    ),
    Rule(
        "-/.",
        rf"(?<![\d./-])(3[01]|[12]\d|0?[1-9])([-/.])(3[01]|[12]\d|0?[1-9])\2{_YEAR}(?![\d/-]|\.\d)",
        _day_last,
    ),
    Rule(
        "-/.",
        rf"(?<![\d./-])(0[1-9]|1[0-2])[-/.]{_YEAR}(?![\d/-]|\.\d|\s?[=元个%])",
        lambda m: f"{m[2]}年{int(m[1])}月",
    ),
    Rule(
        ".",
        rf"((?:^|[（(，、；：\s于自从至到在]|日期|时间|截至|[年出]版|毕业|入学)\s?){_YEAR}\.(0[1-9]|1[0-2])(?=$|[，。、；）)\s—–~～至到-])",
        lambda m: f"{m[1]}{m[2]}年{int(m[3])}月",
    ),
    Rule(
        "·・",
        rf"(?<![\d·・]){_YEAR}[·・](1[0-2]|0?[1-9])[·・](3[01]|[12]\d|0?[1-9])(?![\d·・])",
        lambda m: _day(*m.groups()),
    ),
    Rule(
        "/.",
        rf"(?<![\d./A-Za-z-])(?=0|\d\d[/.]0)(0[1-9]|1[0-2])[/.](0[1-9]|[12]\d|3[01])(?![\d/]|\.\d|\s?[页%元]|“?[”]?(?:{_EVENTS}))(?![日号届级])",
        lambda m: f"{int(m[1])}月{int(m[2])}日",
    ),
    Rule("0", r"(?<![\d.])0([1-9])(?=月(?:份|\d|初|底|中|末|上|下|[，。、至到]|$))", r"\1"),
    Rule("0", r"(?<=月)0([1-9])(?=[日号])", r"\1"),
    Rule(
        "日号",
        rf"(?<![\d./-]){_YEAR}([-/.])(1[0-2]|0?[1-9])\2(3[01]|[12]\d|0?[1-9])(?=[日号])",
        lambda m: f"{m[1]}年{int(m[3])}月{int(m[4])}",
    ),
    Rule(
        "aApP",
        r"(?<![\d:.：])([01]?\d|2[0-3])[:.：]([0-5]\d)([:：][0-5]\d)?\s?([aApP])\.?[mM]\.?(?![A-Za-z])",
        _hour,
    ),
    Rule(
        "BbAaC",
        rf"(?<![\d.A-Za-z-])(?:(\d{{1,5}})\s?({_ERAS})|(AD|A\.D\.)\s?(\d{{1,4}}))(?![A-Za-z\d])年?",
        _era,
    ),
)
