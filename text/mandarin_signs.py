"""Mandarin writing that Latin letters and signs take part in, before a text is cut by script.

100w is 一百万, No.1 is number one, a timestamp is a date and a time, x>5 has its sign in Chinese.
"""

from __future__ import annotations

import re
import unicodedata

from timbre.text import english_numbers
from timbre.text.english_signs import join_groups
from timbre.text.languages import HAN
from timbre.text.mandarin_algebra import expand_formulas
from timbre.text.mandarin_contexts import fold_contexts, without_units
from timbre.text.mandarin_notation import fold_notation
from timbre.text.mandarin_quantities import expand_bare_units, expand_quantities
from timbre.text.mandarin_shorthand import fold_shorthand
from timbre.text.patterns import sub

_COMPARED = {
    "<=": "小于等于", ">=": "大于等于", "!=": "不等于", "≤": "小于等于", "≥": "大于等于", "≠": "不等于", "<": "小于",
    ">": "大于", "≈": "约等于", "==": "等于", "=": "等于", "+/-": "正负", "±": "正负", "->": "到", "→": "到",
}  # fmt: skip
_SIGN = "|".join(sorted(map(re.escape, _COMPARED), key=len, reverse=True))
_WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ％＋－／＝＃＄＆＠＊]")
_WIDE_NUMBER = re.compile(
    "(?<=[0-9０-９])[．：](?=[0-9０-９])|(?<=[Ａ-Ｚａ-ｚ])．(?=[０-９Ａ-Ｚａ-ｚ])|(?<=[０-９])，(?=[０-９]{3}(?![０-９]))"
)
_NARROW = str.maketrans(
    {
        chr(wide): chr(wide - 0xFEE0)
        for wide in range(0xFF01, 0xFF5F)
        if chr(wide).isalnum() or chr(wide) in "％＋－／＝＃＄＆＠＊"
    }
)
_STAMP = re.compile(
    r"(?<![\d-])(\d{4})-(\d\d)-(\d\d)[T_ ](\d\d:\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?(?![\w:])"
)


def concerns(text: str, language: str) -> bool:
    """True if the text is Chinese enough for these rules: Chinese characters in it, or no English word at all."""
    if re.search(f"[{HAN}]", text):
        return True
    words = "[a-z][A-Za-z]{2}|[A-Za-z][a-z][A-Za-z]|[A-Za-z]{2}[a-z]"
    return language in ("zh", "yue") and not re.search(words, without_units(text))


def fold_signs(text: str) -> str:
    """The text with these signs as words or digits that the later steps know."""
    text = expand_formulas(expand_bare_units(expand_quantities(_narrow(text))))
    text = sub(r"(?<=\d)\s?∶\s?(?=\d)", "比", fold_contexts(text))

    def stamp(match: re.Match[str]) -> str:
        seconds = f":{match[5]}" if match[5] and int(match[5]) else ""
        return f"{match[1]}年{int(match[2])}月{int(match[3])}日{match[4]}{seconds}"

    text = sub(rf"({_CROWD}[^，。！？]{{0,6}}?\d)\s?[kK][wW](?![A-Za-z0-9])", r"\1千万", text)
    text = sub(r"№\s?(?=\d)", "No.", text)
    text = fold_shorthand(fold_notation(_STAMP.sub(stamp, text)))
    text = sub(r"(?<=\d)\s?[wW](?=\+)", "万", text)
    text = sub(r"(?<=\d)w(?![A-Za-z0-9])", "万", text)
    text = sub(r"(?<=\d)W(?![A-Za-z0-9])", _ten_thousand_or_watt, text)
    text = sub(
        rf"(?<![\d.])(\d{{1,2}}(?:\.\d+)?)k(?=[{HAN}])(?!屏|视频|高清|分辨率|画质|电视|显示器|蓝光|超清|跑|录)|"
        r"(?<![\d.])(\d(?:\.\d+)?|\d\d+\.\d+)[kK](?=$|[，。！？、,!?；;+的多个人次粉赞阅字米块元步张条件位台辆家]|\s)",
        lambda m: f"{m[1] or m[2]}千",
        text,
    )
    text = sub(r"(?<=[万千亿])\+(?!\s?\d)", "多", text)
    text = sub(
        r"\b(?:N[Oo]|no)\.?\s?(\d{1,4})\b(?![.\d])", lambda m: f"number {english_numbers.cardinal(int(m[1]))}", text
    )
    text = sub(
        r"(?<![A-Za-z\d])(?:(?:N[Oo]|no)\.\s?(\d{1,4})|N[Oo]1)(?![A-Za-z\d]|\.\d)",
        lambda m: f"number {english_numbers.cardinal(int(m[1] or 1))}",
        text,
    )
    text = sub(rf"(?<![A-Za-z])([A-Z])\s?[-–—~～]\s?([A-Z])(?=[{HAN}])(?![A-Za-z])", r"\1到\2", text)
    text = join_groups(text)
    text = sub(r"(?<=[A-Za-z\d])[ \t]*\n\s*(?=[" + HAN + "])", "，", text)
    text = sub(r"(?<![A-Za-z])([A-Z])([a-z])(?=(?:约?等|大|小)于)", r"\1 \2", text)
    for before, after in (("[A-Za-z]", f"[-+]?[A-Za-z0-9(（{HAN}]"), ("[0-9)）]", "[A-Za-z]")):
        text = sub(rf"(?<={before})\s?({_SIGN})\s?(?={after})(?!\s?[A-Za-z]{{3}})", _compared, text)
    text = sub(r"(?<=\d)\s?(<=|>=|!=)\s?(?=\d)", _compared, text)
    return sub(rf"(?<=[{HAN}])\s?(<=|>=|!=|[<>≤≥≠]|\+/-)\s?(?=\d)", _compared, text)


def _narrow(text: str) -> str:
    """８０％－９０％ -> 80%-90%; １２：３０ -> 12:30. A mark between words, and the comma of a list, stays wide."""
    if not _WIDE.search(text):
        return text
    text = _WIDE_NUMBER.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    return text.translate(_NARROW)


_CROWD = "(?:粉丝|关注|播放|阅读|点赞|浏览|观看|用户|销量|销售额|热度|票房|下载|曝光|转发|评论|收藏)"
_WATTS_BEFORE = re.compile("(?:功率|瓦|灯|充|耗电|输出|快充|电源|适配器|支持|电器|发电)[^，。！？]{0,6}$")
_WATTS_AFTER = re.compile("的?(?:灯|快充|充电|功率|电|适配|闪充|输出|白炽|节能|LED|太阳能|电源|音箱|空调|微波)")


def _ten_thousand_or_watt(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()], match.string[match.end() :]
    return "W" if _WATTS_BEFORE.search(before) or _WATTS_AFTER.match(after) else "万"


def _compared(match: re.Match[str]) -> str:
    return _COMPARED[match[1]]
