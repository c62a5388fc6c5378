"""Mandarin notations of science and of machines: ions, functions, processors, aircraft, units joined by a dot.

Fe³⁺ is Fe 三正, f/1.8 is F 一点八, i7-13700K is i 七 and then its digits, 370N·m is 三百七十牛米.
"""

from __future__ import annotations

import re

from timbre.text.languages import HAN
from timbre.text.mandarin_numbers import cardinal, decimal, digits
from timbre.text.patterns import Rule

_RAISED = str.maketrans("²³⁴⁵⁶", "23456")


def _ion(match: re.Match[str]) -> str:
    number, sign = match.groups()
    return (digits(number.translate(_RAISED)) if number else "") + ("正" if sign == "⁺" else "负")


def _function(match: re.Match[str]) -> str:
    """f(x) is f x, f(-3) is f 负三."""
    name, value = match.groups()
    return f"{name} {value} " if value.isalpha() else f"{name}{cardinal(int(value))}"


def _machine(match: re.Match[str]) -> str:
    letters, number = match.groups()
    return f"{letters}{cardinal(int(number)) if len(number) < 3 else digits(number)}"


def _abbreviation(match: re.Match[str]) -> str:
    """Fig.2 and Ep.5: the stop ends a word and is no decimal point."""
    return match[0] if match[1].lower() in ("no", "v") else f"{match[1]} {cardinal(int(match[2]))}"


FORMULA_RULES = (
    Rule("⁺⁻", r"(?<=[A-Za-z\d₀-₉)])([²³⁴⁵⁶]?)([⁺⁻])(?![⁰¹²³⁴-⁹])", _ion),
    Rule("(", r"(?<![A-Za-z])([fghFGP])\(([a-zA-Z]|-?\d+)\)", _function),
    Rule("/", r"(?<![A-Za-z\d])[fF]/(\d{1,2}(?:\.\d)?)(?![\d/])", lambda m: f"F{decimal(m[1])}"),
    Rule(
        "iR",
        r"(?<![A-Za-z\d])([iR])([3579])[- ](\d{4,5})(?=[A-Z]{0,2}\d?[A-Z]?(?![A-Za-z\d]))",
        lambda m: f"{m[1]}{digits(m[2])}，{digits(m[3])}",
    ),
    Rule(
        "Bb基",
        r"([A-Z]{2,5})\s?([-+])\s?(\d{1,3})(?=\s?(?:BP|bp|个?基点))",
        lambda m: f"{m[1]}{'减' if m[2] == '-' else '加'}{cardinal(int(m[3]))}",
    ),
    Rule("+", r"(?<![A-Za-z])(SPF)\s?(\d{2,3})\+", lambda m: f"{m[1]}{cardinal(int(m[2]))}加"),
    Rule("+", r"(?<![A-Za-z])(PA)(\+{1,4})(?!\+)", lambda m: m[1] + "加" * len(m[2])),
    Rule(
        "/",
        r"((?:KDA|战绩)[是为:：]?\s?)(\d{1,2})/(\d{1,2})/(\d{1,2})(?![\d/])",
        lambda m: f"{m[1]}{'，'.join(cardinal(int(m[i])) for i in (2, 3, 4))}",
    ),
    Rule("-", rf"(?<![A-Za-z\d-])(?![HM]P)([A-Z]{{1,3}})-(\d{{2,3}})(?=[A-Z]?(?:[{HAN}，。、]|$))", _machine),
    Rule(
        "B",
        rf"(?<![A-Za-z\d.,$€£¥])(\d{{1,4}}(?:\.\d)?)B(?=[{HAN}，。、]|$)",
        lambda m: f"{decimal(m[1])}B",
    ),
    Rule("次", r"2次(?=函数|方程|曲线|型|不等式|根式|项)", "二次"),
    Rule("分", r"(得|扣|拿|差|加|减|失|丢|领先|落后|砍|拿下|罚|输|赢)2分(?=$|[，。！？、球的])", r"\1两分"),
    Rule(
        "vV",
        r"(?<![A-Za-z\d])[vV](\d+(?:\.\d+)+)(?![A-Za-z\d.])",
        lambda m: f"V{'点'.join(cardinal(int(part)) for part in m[1].split('.'))}",
    ),
    Rule(".", r"(?<![A-Za-z.])([A-Za-z]{1,4})\.(\d{1,3})(?![\d.])", _abbreviation),
    Rule(
        "+-",
        r"(?<![A-Za-z])(HP|MP|SAN|EXP|ATK|DEF)\s?([+-])\s?(\d{1,5})(?![\d.])",
        lambda m: f"{m[1]}{'加' if m[2] == '+' else '减'}{cardinal(int(m[3]))}",
    ),
    Rule("#＃", rf"(?<![\d.A-Za-z])(\d{{1,4}})[#＃](?=[{HAN}，。、；）~～-]|$)", r"\1号"),
)
