"""Mandarin writing with Latin letters that stand for Chinese words: units, codes of currencies, k for a thousand.

Before a text is cut by script: g/cm³ after a number is 克每立方厘米, RMB 300 is 300元, 8k-12k of wages are thousands.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers
from timbre.text.languages import HAN
from timbre.text.mandarin_numbers import cardinal, digits
from timbre.text.patterns import sub

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_WAGES = r"(?:月薪|年薪|工资|薪资|薪水|底薪|收入|价格|预算|房租|租金|奖金|成本|花了|约|近|超|超过|达|卖)[是为:：约]?\s?"
_ACCOUNT = re.compile(
    r"((?:QQ|微信|WeChat|UID|ID|PIN|WiFi密码|Wi-Fi密码|ISBN|DOI|IMEI|SN)\s?(?:号码|号|群号|群|码)?\s?(?:[是为:：]|就是|加)?\s?)"
    r"(\d[\d-]{3,}\d)(?![\d.,]*\d|[元块万亿%])"
)
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8",
    "⅞": "7/8",
}  # fmt: skip
_VERSES = (
    "(?:马太|马可|路加|约翰)福音|创世记|出埃及记|诗篇|箴言|传道书|以赛亚书|罗马书|启示录|使徒行传|哥林多[前后]书|"
    "希伯来书"
)
_LATIN = re.compile("[A-Za-z]")
_SIGNS = re.compile(r"[½⅓⅔¼¾⅕⅛⅜⅝⅞⁰⁴-⁹⁻√′″'+]|\d\"|[¹²³][⁰¹²³⁴-⁹]|华氏|7-11|[书经篇音记言行录传]\s?\d+[:：]\d")
_LINES = re.compile(r"(?<![\d.,])(144|240|360|480|720|1080|1440|2160|4320)([pPiI])(?![A-Za-z])")


def fold_shorthand(text: str) -> str:
    """The text with these as Chinese words; digits stay for the later steps."""
    if "(" in text or "（" in text:
        text = _bracketed(text)
    if _SIGNS.search(text):
        text = _signs(text)
    if "/" in text:
        text = _slashed(text)
    if "-" in text:
        text = sub(
            r"((?:[今明昨后前]天|日期|截止|生日|定于|定在)[是为在到:：]?\s?)"
            r"(1[0-2]|0[1-9])-(3[01]|[12]\d|0[1-9])(?=[，。！？、；,!?;）)]|$)",
            lambda m: f"{m[1]}{int(m[2])}月{int(m[3])}日",
            text,
        )
    return _latin(text) if _LATIN.search(text) else text


def _bracketed(text: str) -> str:
    """（1939-1945） are years, (010)8888-6666 is a telephone number."""
    text = sub(
        r"(?<=[（(])(\d{3,4})\s?[-–—~～至]\s?(\d{3,4}|今|至今|现在)(?=[）)])",
        lambda m: f"{digits(m[1])}到{digits(m[2]) or m[2].removeprefix('至')}",
        text,
    )
    text = sub(r"(?<=[（(])((?:1[5-9]|20)\d\d)(?=[）)])", lambda m: digits(m[1]), text)
    return sub(r"[（(](0\d{2,3})[)）]\s?-?(?=\d{3,4}[- ]?\d{4}(?!\d))", r"\1-", text)


def _signs(text: str) -> str:
    """2½ -> 2又1/2, 10⁻³ -> 10的负3次方, √16 -> 根号16, 5'30" -> 5分30秒, 7-11 of a shop, 诗篇23:4 -> 23章4节."""
    text = sub(r"(?<=\d)\s?[½⅓⅔¼¾⅕⅛⅜⅝⅞]", lambda m: f"又{_VULGAR[m[0].strip()]}", text)
    text = sub("[½⅓⅔¼¾⅕⅛⅜⅝⅞]", lambda m: _VULGAR[m[0]], text)
    text = sub(r"(?<=\d)⁻([⁰¹²³⁴-⁹]+)|(?<=\d)([⁴-⁹⁰]|¹[⁰¹²³⁴-⁹]+|²[⁰¹²³⁴-⁹]+)", _power, text)
    text = sub(r"(?<![\d.])(\d+)√\s?(?=[\d（(A-Za-z])", lambda m: f"{cardinal(int(m[1]))}倍根号", text)
    text = sub(r"√\s?(?=[\d（(A-Za-z])", "根号", text)
    if "^" not in text:
        text = sub(r"(?<=\d)\+(?=[A-Za-z](?![A-Za-z]))", "加", text)
    text = sub(r"(?<![\d.])(\d{1,2})['′](\d\d)(?:[\"″]|'')", r"\1分\2秒", text)
    text = sub(r"(?<![\d.])(\d{1,3}(?:\.\d)?)\s?[\"″](?=的?(?:视频|短片|广告|语音|内))", r"\1秒", text)
    text = sub(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s?″", r"\1英寸", text)
    text = sub(r"华氏(?=-?\d[\d.]*\s?(?:°\s?F|℉))", "", text)
    text = sub(r"7-11(?=便利|超市|店|买|门口)", "七十一", text)
    return sub(rf"({_VERSES})\s?(\d{{1,3}})[:：](\d{{1,3}})", r"\1\2章\3节", text)


def _slashed(text: str) -> str:
    """Dates and pairs: 11/23 06:50, 2024/11, 80/20, 120/80mmHg."""
    text = sub(
        r"(?<![\d/.])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?=\s\d{1,2}:\d\d|[（(]?(?:周|星期))", r"\1月\2日", text
    )
    text = sub(r"(?<![\d/.])((?:19|20)\d\d)/(1[0-2]|0?[1-9])(?![\d/]|\.\d)", lambda m: f"{m[1]}年{int(m[2])}月", text)
    text = sub(
        r"((?:[今明昨后前]天|日期|截止|生日|时间|定于|定在)[是为在到:：]?\s?)"
        r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)",
        lambda m: f"{m[1]}{int(m[2])}月{int(m[3])}日",
        text,
    )
    text = sub(
        rf"(?<![\d/.])(1[0-2]|0?[1-9])/([12]\d|3[01])(?=(?:之|以)?[前后](?![{HAN}]?[分的])|起(?!来)|止|截止|当[天日晚]|早上|上午|下午|晚上|凌晨|到期|出发)",
        r"\1月\2日",
        text,
    )
    text = sub(r"(?<![\d/.])(1\d\d)/(\d\d)(?![\d/.])(?=[，。、；！？,]|$)", r"\1，\2", text)
    return sub(r"(?<![\d/.])([1-9]0)/([1-9]0)(?![\d/分]|\.\d)", _hundred, text)


def _latin(text: str) -> str:
    """Units, roman numerals, thousands, codes of currencies, accounts and lines of a picture."""
    text = sub(r"(?<![A-Za-z])PM\s?2\.5(?!\d)", "PM二点五", text)
    text = sub(r"(?<![A-Za-z0-9.])(\d+)h(\d+)(?:min|m)(?![A-Za-z])", r"\1小时\2分钟", text)
    text = sub(r"(?<![A-Za-z0-9.])(\d+)min(\d+)s(?![A-Za-z])", r"\1分\2秒", text)
    text = sub(r"(?<![A-Za-z])([A-Z]{2,5}) (\d{4})(?![\d.,:%]|[元块人个年])", lambda m: f"{m[1]}{digits(m[2])}", text)
    text = sub(r"第\s?([IVX]{1,6})(?=[一-鿿])", lambda m: f"第{english_numbers.roman(m[1]) or m[1]}", text)
    text = sub(
        r"(?<![A-Za-z])(I{2,3}|IV|VI{1,3}|IX|XI{0,3}V?|X[IVX]+|I)(?=[世期型级度类卷届](?!字))",
        _counted,
        text,
    )
    text = sub(
        r"(?<![\d.A-Za-z])(\d+(?:\.\d+)?)([kK])?\s?[-–—~～至到]\s?(\d+(?:\.\d+)?)[kK](?![A-Za-z0-9])",
        lambda m: f"{_thousands(m[1]) if m[2] or float(m[1]) < 1000 else m[1]}到{_thousands(m[3])}",
        text,
    )
    text = sub(rf"({_WAGES})(\d{{2,3}})[kK](?![A-Za-z0-9])", lambda m: m[1] + _thousands(m[2]), text)
    text = _ACCOUNT.sub(lambda m: m[1] + "，".join(digits(g, one="幺") for g in m[2].split("-")), text)
    return _LINES.sub(lambda m: f"{digits(m[1])}{m[2].upper()}", text)


def _counted(match: re.Match[str]) -> str:
    value = english_numbers.roman(match[1])
    return match[1] if value is None else cardinal(value)


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def _power(match: re.Match[str]) -> str:
    """10⁻³ is 10的负3次方."""
    number = (match[1] or match[2]).translate(_SUPERSCRIPTS)
    return f"的{'负' if match[1] else ''}{number}次方"


def _hundred(match: re.Match[str]) -> str:
    return f"{match[1]}，{match[2]}" if int(match[1]) + int(match[2]) == 100 else match[0]


def _thousands(number: str) -> str:
    value = float(number) * 1000
    return str(int(value)) if value == int(value) else str(value)
