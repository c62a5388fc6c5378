"""Mandarin text as it is spoken: numbers, dates, times, units and signs as Chinese characters, marks as , . ? ! …"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

from opencc import OpenCC

from timbre.text.cues import cue_words
from timbre.text.languages import IDEOGRAPHS as HAN
from timbre.text.mandarin_numbers import DIGITS, cardinal, decimal, digits
from timbre.text.mandarin_quantities import expand_quantities
from timbre.text.mandarin_spans import expand_services, expand_spans, measure_words
from timbre.text.patterns import sub

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"

_SIGNS = str.maketrans({
    "α": "阿尔法", "β": "贝塔", "γ": "伽玛", "δ": "德尔塔", "ε": "艾普西龙", "ζ": "捷塔", "η": "依塔", "θ": "西塔",
    "ι": "艾欧塔", "κ": "喀帕", "λ": "拉姆达", "μ": "缪", "ν": "拗", "ξ": "克西", "ο": "欧米克伦", "π": "派", "ρ": "肉",
    "σ": "西格玛", "ς": "西格玛", "τ": "套", "υ": "宇普西龙", "φ": "服艾", "χ": "器", "ψ": "普赛", "ω": "欧米伽",
    "〇": "零", "○": "零", "％": "%", "￥": "¥", "℃": "°C", "℉": "°F", "㎡": "平方米", "㎥":
    "立方米", "—": "—", "–": "-", "−": "-", "～": "~", "〜": "~", "×": "×", "\u3000": " ", "…": "…", "²": "^2", "³":
    "^3", "‘": " ", "’": " ", "“": " ", "”": " ", "「": " ", "」": " ", "『": " ", "』": " ", "《": " ", "》": " ",
    "〈": " ", "〉": " ", "【": " ", "】": " ", "（": " ", "）": " ", "\u200b": "", "\ufeff": "", "\ufe0f": "",
    "\u200d": "",
})  # fmt: skip
_CIRCLED = {
    chr(0x2460 + index): cardinal(index + 1) for index in range(20)
} | {chr(0x2160 + index): cardinal(index + 1) for index in range(12)} | {
    chr(0x3220 + index): cardinal(index + 1) for index in range(10)
} | {chr(0x2474 + index): cardinal(index + 1) for index in range(20)}  # fmt: skip
_MARKS = str.maketrans({
    "，": ",", "、": ",", "；": ",", "：": ",", ";": ",", ":": ",", "。": ".", "．": ".", "！": "!", "？": "?", "·":
    ",", "/": ",", "・": ",", "｡": ".", "﹐": ",", "‥": "…",
})  # fmt: skip


_UNSPOKEN = re.compile(rf"[^{HAN},.?!…\s\"'()\[\]{{}}<>-]")
_COMPATIBLE = re.compile("[^\x00-\x7f\u3000-\u303f\u3400-\u9fff]")


@cache
def _converter() -> OpenCC:
    return OpenCC("t2s")


@cache
def _traditional() -> frozenset[str]:
    """Characters that OpenCC changes, alone or in a phrase: a text without them stays as it is."""
    found: set[str] = set()
    for name in ("TSCharacters.txt", "TSPhrases.txt"):
        lines = (files("opencc") / "dictionary" / name).read_text(encoding="utf-8").splitlines()
        for line in lines:
            written, _, simple = line.partition("\t")
            found.update(one for one, other in zip(written, simple, strict=False) if one != other)
    return frozenset(found)


def simplify(text: str) -> str:
    """Traditional characters as simplified ones, by phrase where one character has two forms (乾 dry and 乾 qian)."""
    return text if _traditional().isdisjoint(text) else str(_converter().convert(text))


def normalize(text: str, after_letter: bool = False, simple: bool = True) -> tuple[str, tuple[str, ...]]:
    """Han characters and the marks , . ? ! … of a text, and the characters that could not be spoken, without repeats.

    after_letter: a Latin letter stands before the text (abc123), so that a number of three digits at its head is a
    code. simple: traditional characters become simplified ones, and 嗯 and 呣 what the phone table can say.
    """
    if after_letter:
        text = sub(r"^\d{3,}(?![.:,]?\d)", lambda m: digits(m[0], one="幺"), text)
        text = sub(r"^2(?![\d.:,])", "二", text)
    if re.search("[\u2160-\u249b\u3220-\u3229]", text):
        for character, words in _CIRCLED.items():
            text = text.replace(character, words)
    text = sub(r"\s*[\r\n\u2028\u2029]+\s*", "\n", text.strip())
    text = sub(r"(?<=[^\s,.;:!?，。；：！？、…])\n", "，", text).replace("\n", "")
    text = _half_width(text.translate(_SIGNS))
    if simple and re.search(f"[{HAN}]", text):
        text = simplify(text.replace("嗯", "恩").replace("呣", "母"))
    if re.search(r"\d", text):
        for expand in (
            expand_quantities, expand_spans, _dates, _times, expand_services, _telephones, _blocks, _versions,
            _fractions, _ranges, _arithmetic, _counts, _numbers,
        ):  # fmt: skip
            text = expand(text)
    else:
        text = _arithmetic(_fractions(expand_spans(text)))
    return _marks(text)


def _half_width(text: str) -> str:
    """Full-width letters and digits as ASCII; other compatibility forms (ligatures of units) folded likewise."""
    return _COMPATIBLE.sub(
        lambda m: unicodedata.normalize("NFKC", m[0]) if unicodedata.category(m[0])[0] in "NLS" else m[0], text
    )


def _dates(text: str) -> str:
    """2024-03-15, 2024/3/5 and 2024.12.25 -> 二零二四年三月十五日; 2024年 -> 二零二四年; 08年5月 -> 零八年五月."""
    text = sub(
        r"(?<!\d)(\d{4})([-/.])(1[0-2]|0?[1-9])\2(3[01]|[12]\d|0?[1-9])(?![\d/-]|\.\d)",
        lambda m: f"{digits(m[1])}年{cardinal(int(m[3]))}月{cardinal(int(m[4]))}日",
        text,
    )
    text = sub(
        r"(?<![\d.])(\d{4})\s?[-~—至到]\s?(\d{4})(?=年|学年|赛季|财年)",
        lambda m: f"{digits(m[1])}到{digits(m[2])}",
        text,
    )
    text = sub(
        r"(?<![\d.,])([1-9])000年(?=的?历史|前|多|左右|之久|了|来|间)",
        lambda m: f"{'两' if m[1] == '2' else cardinal(int(m[1]))}千年",
        text,
    )
    text = sub(r"(?<=是)([6-9]\d|0\d)(?=年的(?:[，。！？、；,.!?;]|$))", lambda m: digits(m[1]), text)
    text = sub(r"(?<![\d.,])([13-9]000)(?=年)", lambda m: cardinal(int(m[1])), text)
    text = sub(r"(?<![\d.,])(\d{4})(?=年)", lambda m: digits(m[1]), text)
    return sub(
        r"(?<![\d.,])(0\d|[6-9]\d|\d\d(?=年\s?1?\d月))(?=年(?!前|后|来|以|的|多|间|内|级|代))",
        lambda m: digits(m[1]),
        text,
    )


_TIME = r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?分?"


def _times(text: str) -> str:
    """8:30 -> 八点半; 9:00-17:30 -> 九点至十七点三十分; after 比分 or 比例, and where no time can be, 3:2 -> 三比二."""
    text = sub(r"(?<=\d)：(?=\d)", ":", text)
    text = sub(r"(比[分例率数]?[是为约]?\s?)(\d+):(\d+)", r"\1\2比\3", text)

    def one(hour: str, minute: str, second: str | None, half: bool) -> str:
        words = f"{_hour(int(hour))}点"
        if minute == "30" and second is None and half:
            return words + "半"
        if int(minute) or second:
            words += f"{'零' if minute[0] == '0' and int(minute) else ''}{cardinal(int(minute))}分"
        return words + (f"{cardinal(int(second))}秒" if second else "")

    text = sub(
        rf"(?<![\d:.]){_TIME}\s?[-~—]\s?{_TIME}(?![\d:])",
        lambda m: f"{one(m[1], m[2], m[3], False)}至{one(m[4], m[5], m[6], False)}",
        text,
    )
    text = sub(rf"(?<![\d:.]){_TIME}(?![\d:])", lambda m: one(m[1], m[2], m[3], True), text)
    return sub(r"(?<=\d):(?=\d)", "比", text)


def _hour(hour: int) -> str:
    return "两" if hour == 2 else cardinal(hour)


def _telephones(text: str) -> str:
    """13812345678 -> 幺三八...; 010-12345678 by groups; numbers after words like 密码 and before 室 digit by digit."""

    def groups(match: re.Match[str]) -> str:
        return ",".join(digits(group, one="幺") for group in re.findall(r"\d+", match[0]))

    text = sub(
        r"(?<![\d.-])\+\d{1,3}(?:[- ]\d{2,4}){2,4}(?![\d-]|\.\d)"
        r"|(?<![\d.-])(?:\+?86[- ]?)?1[3-9]\d(?:\d{8}|[- ]\d{4}[- ]\d{4})(?![\d-]|\.\d)"
        r"|(?<![\d.-])(?:\+\d{1,3}[- ]\d{2,4}[- ]\d{6,8}|0\d{2,3}[- ]\d{3,4}[- ]\d{4}"
        r"|0\d{2,3}[- ]\d{7,8}|[48]00(?:-\d{3,4}-\d{3,4}| \d{3,4} \d{3,4})|\d{3,4}-\d{7,8})(?![\d-]|\.\d)",
        groups,
        text,
    )
    text = sub(r"(?<=[\d零一二三四五六七八九幺])(转)(\d{2,5})(?!\d)", lambda m: m[1] + digits(m[2], one="幺"), text)
    text = sub(r"(?<=[层楼栋幢])(\d{3,4})(?![\d元平米人个])", lambda m: digits(m[1], one="幺"), text)
    text = sub(
        r"((?:(?<![鞋尺均])码|编号|号码|证号|单号|型号|账号)[是为:：]?\s?)(\d+(?:-\d+)+)(?![\d.:%])",
        lambda m: m[1] + ",".join(digits(group, one="幺") for group in m[2].split("-")),
        text,
    )
    cues = "|".join(sorted(cue_words("codes", "mandarin"), key=len, reverse=True))
    text = sub(
        rf"((?:{cues})[是为:：]?\s?)(\d{{3,}})(?![\d.,]*\d|[元块万亿千百%个名位只条张米公次])",
        lambda m: m[1] + digits(m[2], one="幺"),
        text,
    )
    text = sub(
        rf"(?<![\d.,A-Za-z¥$€£])(?!\d+000)(\d{{9,20}})(?![\d.,]|[元块万亿千百%美日欧港]|\s?(?:{measure_words()}))",
        lambda m: digits(m[1], one="幺"),
        text,
    )
    return sub(
        r"(?<![\d.,])(\d{3,5})(?=室|房|国道|次列车|次航班|次高铁|路公交|路车|热线)",
        lambda m: digits(m[1], one="幺"),
        text,
    )


def _blocks(text: str) -> str:
    """2栋3单元 -> 二栋三单元."""
    return sub(r"(?<![\d.])2(?=(?:栋|幢|座|单元|层|楼|区|期|号楼)\d)", "二", text)


def _versions(text: str) -> str:
    """1.2.3 -> 一点二点三; every digit on its own."""
    return sub(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\d)", lambda m: "点".join(digits(part) for part in m[0].split(".")), text)


def _fractions(text: str) -> str:
    """3/4 -> 四分之三."""
    return sub(
        r"(?<![\d/.])(-?)(\d+(?:\.\d+)?)/(\d+)(?![\d/]|\.\d)",
        lambda m: f"{'负' if m[1] else ''}{cardinal(int(m[3]))}分之{decimal(m[2])}",
        text,
    )


def _ranges(text: str) -> str:
    """3~5 -> 3到5; 10-20分钟 -> 10到20分钟. A hyphen with an equals sign after it is arithmetic."""
    text = sub(rf"({NUMBER}[{HAN}]?)\s?~\s?(-?{NUMBER})", r"\1到\2", text)
    return sub(rf"(?<![\d.+×÷=-])({NUMBER})[-—]({NUMBER})(?=[{HAN}])(?!\s?=)", r"\1到\2", text)


_ARITHMETIC = {
    "+": "加", "-": "减", "×": "乘", "*": "乘", "÷": "除以", "=": "等于", "<": "小于", ">": "大于", "≤": "小于等于",
    "≥": "大于等于", "≠": "不等于", "≈": "约等于", "±": "正负",
}  # fmt: skip


def _arithmetic(text: str) -> str:
    """3+5=8 -> 三加五等于八; 30+个 -> 三十多个; x^2 -> 的平方; -5 -> 负五."""
    text = sub(r"(\d)\+(?!\s?[\d(])", r"\1多", text)
    text = sub(r"(?<=\d)-(?=0\d)", ",", text)
    for _ in range(2):  # neighbours share an operand
        text = sub(r"(?<=[\dA-Za-z)])\s?([-+×*÷=<>≤≥≠≈±])\s?(?=-?[\d(])", lambda m: _ARITHMETIC[m[1]], text)
    text = sub(r"(?<=[\dA-Za-z)])\^2", "的平方", text)
    text = sub(r"(?<=[\dA-Za-z)])\^3", "的立方", text)
    text = sub(r"(?<=[\dA-Za-z)])\^(\d+)", r"的\1次方", text)
    text = sub(r"[=≤≥≠≈±<>×÷]", lambda m: _ARITHMETIC[m[0]], text)
    return sub(r"-(?=\d)", "负", sub(r"(?<=[一-鿿])-(?=[一-鿿])", ",", text))


def _counts(text: str) -> str:
    """2个 -> 两个, but 第2个 -> 第二个 and 12个 -> 十二个; 10几年 -> 十几年."""
    measures = measure_words()
    ranks = "[小大]于|月|日|号|分之|次方|年级|级|班|楼|层(?![皮楼])|层$|元一?次方"
    text = sub(rf"(?<![\d.,第周高初大])(?<!\d比)2(?=(?:{measures}))(?!{ranks})", "两", text)
    return sub(r"(?<![\d.])([1-9])0几", lambda m: f"{'' if m[1] == '1' else DIGITS[int(m[1])]}十几", text)


def _numbers(text: str) -> str:
    """Everything that is left in digits: decimals, grouped thousands, numbers with a leading zero, cardinals."""
    text = sub(r"\d{1,3}(?:,\d{3})+(?![,\d])", lambda m: m[0].replace(",", ""), text)
    text = sub(r"\d*\.\d+", lambda m: decimal(m[0]), text)

    def whole(match: re.Match[str]) -> str:
        number = match[0]
        as_code = (len(number) > 1 and number[0] == "0") or len(number) > 16
        return digits(number, one="幺") if as_code else cardinal(int(number))

    return sub(r"\d+", whole, text)


def _marks(text: str) -> tuple[str, tuple[str, ...]]:
    """Marks as , . ? ! … alone, one at a time; other characters out, and which of them had no words."""
    text = sub(r"(?:…|\.\.\.|。。。)+|~+", "…", text)
    text = sub(r"—+|--+", "，", text).translate(_MARKS)
    unknown = tuple(dict.fromkeys(_UNSPOKEN.findall(text)))
    text = sub(rf"[^{HAN},.?!…]", "", text)
    return sub(r"([,.?!…])[,.?!…]+", r"\1", text), unknown
