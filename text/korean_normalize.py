"""Korean text as it is spoken: numbers without a counter, telephone numbers, decimals and signs in Hangul.

A number with its counter (3개, 25살, 9시) stays in digits: the rules of g2pk2 know which counters take native numerals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from timbre.text.patterns import sub

HANGUL = "[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]"
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_NAMES = "영일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_SCALES = ("", "만", "억", "조", "경")
_MONEY = {"₩": "원", "$": "달러", "€": "유로", "£": "파운드", "¥": "엔"}
_UNITS = {
    "km/h": "킬로미터 퍼 아워", "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터", "kg": "킬로그램", "mg":
    "밀리그램",
    "ml": "밀리리터", "mL": "밀리리터", "GB": "기가바이트", "MB": "메가바이트", "TB": "테라바이트", "GHz": "기가헤르츠",
    "MHz": "메가헤르츠", "kHz": "킬로헤르츠", "Hz": "헤르츠", "kW": "킬로와트",
    "m": "미터", "g": "그램", "L": "리터", "W":
    "와트", "V": "볼트", "%": "퍼센트", "℃": "도", "°C": "도", "°": "도",
}  # fmt: skip
_SIGNS = {"+": "더하기", "-": "빼기", "×": "곱하기", "÷": "나누기", "=": "은"}
_MARKS = str.maketrans({
    "，": ",", "、": ",", ";": ",", "；": ",", ":": ",", "：": ",", "。": ".", "．": ".", "！": "!", "？": "?",
    "·": ",", "—": ",", "–": ",", "―": ",", "\n": ".",
})  # fmt: skip
_QUOTES = '“”"()（）[]{}<>《》「」『』〈〉~～〜'
STOP = "停"
"""The table's phone for marks that have none of their own, as the v2 checkpoints were trained: quotes, brackets, ~."""
_SILENT = "'‘’|/-&"


def cardinal(value: int) -> str:
    """Sino-Korean words: 152 -> 백오십이, 10000 -> 만, 120000000 -> 일억 이천만 without its blank."""
    if value == 0:
        return _NAMES[0]
    if value >= 10**20:
        return digits(str(value))
    words = ""
    for index in range(len(_SCALES) - 1, -1, -1):
        group = value // 10000**index % 10000
        if not group:
            continue
        part = ""
        for place in range(3, -1, -1):
            digit = group // 10**place % 10
            if digit:
                part += ("" if digit == 1 and place else _NAMES[digit]) + _PLACES[place]
        words += ("" if part == "일" and index == 1 and not words else part) + _SCALES[index]
    return words


def digits(number: str) -> str:
    """Digit by digit as in telephone numbers, with 공 for zero; other characters are left out."""
    return "".join("공" if digit == "0" else _NAMES[int(digit)] for digit in number if digit.isdigit())


def _decimal(number: str) -> str:
    whole, point, fraction = number.replace(",", "").partition(".")
    words = cardinal(int(whole or "0"))
    return f"{words} 점 {digits(fraction).replace('공', '영')}" if point and fraction else words


def normalize(text: str, hangul_of: Callable[[str], str]) -> tuple[str, tuple[str, ...]]:
    """Hangul, digits before a counter and the marks , . ? ! …, and the characters that could not be spoken.

    hangul_of: reads a text with Chinese characters in it as Hangul.
    """
    text = "".join(
        unicodedata.normalize("NFKC", c) if unicodedata.category(c)[0] in "NLS" and not "㄰" <= c <= "㆏" else c
        for c in unicodedata.normalize("NFC", text.strip())
    )
    text = sub(r"\s*[\r\n\u2028\u2029]+\s*", "\n", text).replace("...", "…")
    text = sub(r"(?<=[.,?!…])\n", " ", text)
    text = sub("[\u3400-\u4dbf\u4e00-\u9fff]+", lambda m: hangul_of(m[0]), text)
    text = sub("&", " 앤 ", _numbers(text)).translate(_MARKS)
    text = "".join(STOP if c in _QUOTES else c for c in text)
    kept = re.compile(rf"{HANGUL}|[\d,.?!…{STOP}]")
    unknown = tuple(dict.fromkeys(c for c in text if not (kept.match(c) or c.isspace() or c in _SILENT)))
    text = "".join(c if kept.match(c) else " " if c.isspace() or c in "/|-" else "" for c in text)
    text = sub(r"([,.?!…])[,.?!…]+", r"\1", sub(r"\s+([,.?!…])", r"\1", sub(r"\s+", " ", text)))
    return text.strip(), unknown


def _numbers(text: str) -> str:
    """010-1234-5678 -> 공일공, 일이삼사, ...; 3.5% -> 삼 점 오퍼센트; 152 -> 백오십이; 3개 stays; 3대 2 -> 삼대 이."""
    text = sub(
        r"(?<![\d.])(\d{1,3})\s?(?:대|:)\s?(\d{1,3})(?=(?:으?로| 승| 패| 무승부|의 비율|의 스코어| 동점))",
        lambda m: f"{cardinal(int(m[1]))}대 {cardinal(int(m[2]))}",
        text,
    )
    text = sub(
        r"(?<!\d)(\d{4})[-./](1[0-2]|0?[1-9])[-./](3[01]|[12]\d|0?[1-9])(?![\d-])",
        lambda m: f"{m[1]}년 {int(m[2])}월 {int(m[3])}일",
        text,
    )
    text = sub(
        r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])",
        lambda m: f"{int(m[1]) or cardinal(0)}시" + (f" {int(m[2])}분" if int(m[2]) else ""),
        text,
    )
    text = sub(r"(?<!\d)0+(?=[시분초])", "영", text)
    text = sub(r"(?<![\d-])\d{2,4}-\d{3,4}-\d{4}(?![\d-])", lambda m: ", ".join(map(digits, m[0].split("-"))), text)
    signs = "".join(map(re.escape, _MONEY))
    text = sub(rf"([{signs}])\s?({_NUMBER})", lambda m: _decimal(m[2]) + _MONEY[m[1]], text)
    text = sub(rf"({_NUMBER})\s?[-~～〜]\s?(?={_NUMBER}(?!\s?=))", r"\1에서 ", text)
    text = sub(rf"(?<![\d{HANGUL[1:-1]})])-(?={_NUMBER})", "영하 " if re.search("[도℃°]", text) else "마이너스 ", text)
    for _ in range(2):
        text = sub(r"(?<=\d)\s?([-+×÷=])\s?(?=\d)", lambda m: f" {_SIGNS[m[1]]} ", text)
    units = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    text = sub(rf"({_NUMBER})\s?({units})(?![A-Za-z])", lambda m: _decimal(m[1]) + _UNITS[m[2]], text)
    text = sub(r"(?<![\d.,])0\d+(?![\d.,])", lambda m: digits(m[0]), text)
    text = sub(r"\d[\d,]*\.\d+", lambda m: _decimal(m[0]), text)
    return sub(rf"{_NUMBER}(?!{HANGUL}|[\d,.]*\d)", lambda m: _decimal(m[0]), text)
