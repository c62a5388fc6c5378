"""Japanese text as Open JTalk can read it: numbers, times, money and signs in words, marks as , . ? ! …

Open JTalk reads numbers with their counters (三本 san-bon, 八本 hap-pon) and its dictionary has most units, so digits
stay digits here; what is cut or garbled there (grouped thousands, clock times, ranges, telephone numbers, signs) gets
its words.
"""

from __future__ import annotations

import re
import unicodedata

from timbre.text.patterns import sub

CHARACTERS = "A-Za-z0-9\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""What Open JTalk reads beside the dot of a decimal, as a class of a regular expression."""
QUOTES = '「」『』（）()【】[]《》〈〉“”"{}<>〜~～'
"""Marks that part words without a pause: the v2 checkpoints have UNK for them."""
_NUMBER = r"\d+(?:\.\d+)?"
_DIGITS = dict(
    zip("0123456789", ["ゼロ", "イチ", "ニー", "サン", "ヨン", "ゴー", "ロク", "ナナ", "ハチ", "キュー"], strict=True)
)
_MONEY = {"¥": "円", "$": "ドル", "€": "ユーロ", "£": "ポンド", "₩": "ウォン", "元": "元"}
_UNITS = {
    "km/h": "キロメートル毎時", "km": "キロメートル", "cm": "センチメートル", "mm": "ミリメートル", "kg": "キログラム",
    "mg": "ミリグラム", "ml": "ミリリットル", "mL": "ミリリットル", "GHz": "ギガヘルツ", "MHz": "メガヘルツ", "kHz":
    "キロヘルツ", "Hz": "ヘルツ", "GB": "ギガバイト", "MB": "メガバイト", "TB": "テラバイト", "kW": "キロワット", "dB":
    "デシベル", "m": "メートル", "g": "グラム", "L": "リットル", "W": "ワット", "V": "ボルト",
}  # fmt: skip
_SIGNS = {"+": "足す", "-": "引く", "×": "かける", "÷": "割る", "=": "は"}
_MARKS = str.maketrans({
    "、": ",", "，": ",", "；": ",", ";": ",", "：": ",", ":": ",", "。": ".", "．": ".", "！": "!", "？": "?",
    "·": ",", "—": ",", "―": ",", "–": ",", "\n": ".", "−": "-",
})  # fmt: skip
_SILENT = " \t'‘’|"
_KEPT = re.escape(QUOTES)


def normalize(text: str) -> tuple[str, tuple[str, ...]]:
    """Text of `CHARACTERS` and the marks , . ? ! … -, and the characters that could not be spoken, without repeats."""
    text = "".join(
        unicodedata.normalize("NFKC", c) if unicodedata.category(c)[0] in "NLS" or c in "％／：－＋．，" else c
        for c in sub(r"[\uff66-\uff9f]+", lambda m: unicodedata.normalize("NFKC", m[0]), text.strip())
    )
    text = text.replace("…", "\ue000").replace("...", "\ue000")
    text = sub(r"\s*[\r\n\u2028\u2029]+\s*", "\n", text)
    text = sub(r"(?<=[。、！？!?.,\ue000])\n", "", text)
    for expand in (_dates, _times, _telephones, _quantities, _signs):
        text = expand(text)
    text = sub(r"〒\s?", "郵便番号", text).replace("〇", "ゼロ").replace("〆", "しめ").replace("&", "アンド")
    text = sub(r"(?<=\d)\.(?=\d)", "\ue001", text).translate(_MARKS).replace("\ue000", "…")
    unknown = tuple(
        dict.fromkeys(c for c in text if not re.match(rf"[{CHARACTERS}{_KEPT},.?!…\ue001-]", c) and c not in _SILENT)
    )
    text = sub(rf"[^{CHARACTERS}{_KEPT},.?!…\ue001-]", "", text)
    text = sub(r"([,.?!…-])[,.…-]+(?=$|[^,.…-])", r"\1", sub(r"([,.?!…])\1+", r"\1", text))
    text = sub(r"(?:^|(?<=[,.?!…]))ー+", "", text)
    return sub(r"^[,-]+", "", text).replace("\ue001", "."), unknown


def _dates(text: str) -> str:
    """2024-03-15 and 2024/3/5 -> 2024年3月15日."""
    return sub(
        r"(?<!\d)(\d{4})([-/.])(1[0-2]|0?[1-9])\2(3[01]|[12]\d|0?[1-9])(?![\d/-]|\.\d)",
        lambda m: f"{m[1]}年{int(m[3])}月{int(m[4])}日",
        text,
    )


def _times(text: str) -> str:
    """9:00-17:30 -> 9時から17時30分; 12:05 -> 12時5分."""

    def one(match: re.Match[str]) -> str:
        minutes = f"{int(match[2])}分" if int(match[2]) else ""
        return f"{int(match[1])}時{minutes}" + (f"{int(match[3])}秒" if match[3] else "")

    text = sub(r"(?<=\d:\d\d)\s?[-~〜～]\s?(?=\d{1,2}:\d\d)", "から", text)
    text = sub(r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])", one, text)
    return sub(r"(?<=\d):(?=\d)", "対", text)


def _telephones(text: str) -> str:
    """090-1111-2222 -> digit by digit, with a pause between its groups."""

    def groups(match: re.Match[str]) -> str:
        return ",".join("".join(_DIGITS[digit] for digit in group) for group in match[0].split("-"))

    return sub(r"(?<![\d-])(?:\d{2,5}-\d{1,4}-\d{3,4}|(?<=〒)\d{3}-\d{4})(?![\d-])", groups, text)


def _quantities(text: str) -> str:
    """1,000円 -> 1000円; ¥500 -> 500円; 10-20分 -> 10から20分; -5℃ -> マイナス5度; 3/4 -> 4分の3."""
    text = sub(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![,\d])", lambda m: m[0].replace(",", ""), text)
    signs = "".join(map(re.escape, _MONEY))
    text = sub(rf"([{signs}])\s?({_NUMBER}(?:万|億)?)", lambda m: m[2] + _MONEY[m[1]], text)
    text = sub(r"°\s?C|℃", "度", text)
    text = sub(rf"(?<![\dA-Za-z)\]])-(?={_NUMBER})", "マイナス", text)
    text = sub(rf"(?<![\d/])({_NUMBER})/({_NUMBER})(?![\d/])", r"\2分の\1", text)
    text = sub(rf"({_NUMBER}[%度]?)\s?[-~〜～]\s?(?={_NUMBER}(?!\s?[=\d-]))", r"\1から", text)
    text = text.replace("%", "パーセント")
    names = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    return sub(rf"({_NUMBER})\s?({names})(?![A-Za-z])", lambda m: m[1] + _UNITS[m[2]], text)


def _signs(text: str) -> str:
    """5+3=8 -> 5足す3は8."""
    for _ in range(2):
        text = sub(r"(?<=\d)\s?([-+×÷=])\s?(?=\d)", lambda m: _SIGNS[m[1]], text)
    return text
