"""One term of a Mandarin quantity: a number with its magnitude and tolerance, and the unit or currency behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from timbre.text.mandarin_numbers import cardinal, decimal
from timbre.text.mandarin_units import CHAIN, COUNTED_CHAIN, QUOTIENT, is_plain_letter, quotient_words
from timbre.text.patterns import compiled

MONEY = {
    "$": "美元", "¥": "元", "￥": "元", "€": "欧元", "£": "英镑", "₩": "韩元", "₽": "卢布", "₹": "卢比", "฿": "泰铢",
    "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "HKD": "港元", "KRW": "韩元",
    "TWD": "新台币", "SGD": "新加坡元", "AUD": "澳元", "CAD": "加元", "CHF": "瑞士法郎", "US$": "美元", "HK$": "港元",
    "NT$": "新台币", "A$": "澳元", "C$": "加元", "S$": "新加坡元", "CN¥": "元", "MOP": "澳门元", "MOP$": "澳门元",
    "THB": "泰铢", "RUB": "卢布", "INR": "卢比", "NZD": "新西兰元", "VND": "越南盾",
}  # fmt: skip
CURRENCY = "|".join(sorted((re.escape(one) + r"(?![A-Za-z])" * one.isalpha() for one in MONEY), key=len, reverse=True))
_NAMED = "[美欧港日韩澳加]?元(?![旦件素音月宵宝])|英镑|卢布"
COMPARED = {
    "<=": "小于等于", ">=": "大于等于", "≤": "小于等于", "≥": "大于等于", "≦": "小于等于", "≧": "大于等于", "<": "小于",
    ">": "大于", "＜": "小于", "＞": "大于", "≈": "约等于", "≠": "不等于", "==": "等于", "=": "等于",
}  # fmt: skip
COMPARISON = "|".join(sorted(COMPARED, key=len, reverse=True))
_RAISED = str.maketrans("⁻−⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
_SPACE = "[ \u2009\u202f\xa0]"
_PLAIN = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!\d|\s?[-–~]\s?\d|{_SPACE}\d)|\d+)(?:\.\d+)?"
_TEN = r"10(?:\^\(?[-−]?\d+\)?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
_NUMBER = re.compile(
    rf"(?:(?P<ten>{_TEN})|(?P<above>\d{{1,3}})/(?P<below>\d{{1,4}})(?![\d./])"
    rf"|(?P<plain>{_PLAIN})(?:\s?[×xX*·]\s?(?P<of>{_TEN})|(?P<pi>π))?)"
    rf"(?:\s?(?:±|\+/-|\+-)\s?(?P<tolerance>\d+(?:\.\d+)?))?"
    r"(?:\s?(?P<magnitude>万亿|萬億|[千百十][亿億]|[千百十][万萬]|[亿億万萬千百]|[kKmMbBwW](?![A-Za-z0-9/²³·⁻])))?"
    r"(?P<more>多|余|来|\+(?=[A-Za-z%°℃]))?"
)
_UNIT = re.compile(
    rf"\s?(?:(?P<percent>%|‰|ppm(?![A-Za-z])|ppb(?![A-Za-z]))(?P<per>/(?:a|年|月|日|天|h|min|d|kg|℃|K|小时)(?![A-Za-z]))?"
    rf"|(?P<chain>{CHAIN})|(?P<over>{QUOTIENT}+)"
    rf"|(?P<degrees>°\s?[CcFf]?(?![A-Za-z])|℃|℉)(?!\s?\d+(?:\.\d+)?\s?['′’])(?!\s?[NSEW](?![A-Za-z]))"
    rf"|(?P<counted>{COUNTED_CHAIN})|(?P<currency>{CURRENCY}|{_NAMED})(?!\s?\d))"
)
_WATTS_BEFORE = re.compile(
    r"(?:功率|瓦|灯|充|耗电|输出|快充|电源|适配器|支持|电器|发电)[^，。！？]{0,6}$|\d\s?m?[VA][，,；; /]{0,2}$"
)
_WATTS_AFTER = re.compile(
    r"(?:[+/、-]\d+W)*的?(?:灯|快充|充电|功率|电|适配|闪充|输出|白炽|节能|LED|太阳能|电源|音箱|空调|微波|有线|无线)"
)
_AMPERES_BEFORE = re.compile(r"(?:电流|额定|充电|插座|输出|保险丝|空开|快充|最大|[伏赫兹特瓦]|V|Hz|W)[^。！？]{0,8}$")
_CROWD = re.compile(
    "(?:粉丝|关注|播放|阅读|点赞|浏览|观看|用户|销量|销售额|热度|票房|下载|曝光|转发|评论|收藏)[^，。！？]{0,6}$"
)
_KELVINS_BEFORE = re.compile("(?:色温|开尔文|热力学温度|绝对温度)[^，。！？]{0,12}$")
_SOLID = re.compile("打印|电影|眼镜|模型|动画|效果|游戏")
_WAVES = re.compile("手机|网络|信号|基站|时代|套餐|流量|通信|网")


@dataclass(frozen=True)
class Term:
    """One quantity of an expression."""

    start: int
    """Where its number begins."""
    end: int
    """Where what belongs to it ends."""
    number: str
    """The number in words, with its tolerance."""
    exact: str
    """The number as it is written, '' unless it is plain digits."""
    magnitude: str
    """万, 亿 and the like, or a letter for one."""
    more: str
    """多 or 余 behind the number."""
    compared: str = ""
    """Comparison before it, in words."""
    sign: str = ""
    """Sign before it."""
    currency: str = ""
    """Currency before or after it, in words."""
    unit: str = ""
    """Unit as it is written; % and degrees too."""
    kind: str = ""
    """What the unit is: percent, degrees, chain, counted, money."""
    per: str = ""
    """What a price is for, in words."""
    joint: str = ""
    """Sign between it and the term before it."""


def read_term(text: str, position: int, before: re.Match[str] | None, joined: bool) -> Term | None:
    """The quantity whose number is at a position; before: its signs, which its joint holds if it is joined."""
    number = _NUMBER.match(text, position)
    words, exact = _number(number) if number else ("", "")
    if number is None or not words:
        return None
    end = number.end()
    if not joined and before and before["open"] and number["tolerance"] and text[end : end + 1] in (")", "）"):
        end += 1
    currency = MONEY.get((before["currency"] if before else None) or "", "")
    term = Term(position, end, words, exact, number["magnitude"] or "", number["more"] or "")
    if joined and before:
        compared = COMPARED.get(before["compared"] or "", "")
        term = replace(term, joint=before["joint"], sign=before["sign"] or "", compared=compared)
    if term.magnitude.isascii() and term.magnitude and not currency:
        # A letter behind a number without a currency is a unit or nothing that is read here.
        term = replace(term, magnitude="", more="", end=number.start("magnitude"))
    if currency:
        term = replace(term, currency=currency, kind="money", unit=currency, end=_after_price(text, term))
        return _with_quotient(text, term)
    unit = _UNIT.match(text, term.end)
    return _with_unit(text, term, unit) if unit else term


def _after_price(text: str, term: Term) -> int:
    """¥50元 has its currency twice."""
    twice = compiled("(?:[美欧日韩港]?元|英镑)").match(text, term.end)
    return twice.end() if twice else term.end


def _with_quotient(text: str, term: Term) -> Term:
    """¥176/件 is 176元每件."""
    match = compiled(QUOTIENT + "+").match(text, term.end)
    if match is None:
        return term
    return replace(term, per=quotient_words(match[0].split("/")[1:]), end=match.end())


def _with_unit(text: str, term: Term, unit: re.Match[str]) -> Term:
    if unit["percent"]:
        return replace(term, unit=unit[0].strip(), kind="percent", end=unit.end())
    if unit["degrees"] or unit["chain"] in ("°C", "℃", "°F", "℉"):
        return replace(term, unit=(unit["degrees"] or unit["chain"]).replace(" ", ""), kind="degrees", end=unit.end())
    if unit["currency"]:
        currency = MONEY.get(unit["currency"], unit["currency"])
        return _with_quotient(text, replace(term, currency=currency, unit=currency, kind="money", end=unit.end()))
    if unit["over"]:
        return replace(term, unit=unit["over"].strip(), kind="chain", end=unit.end()) if _divides(term) else term
    if unit["counted"]:
        return replace(term, unit=unit["counted"], kind="counted", end=unit.end())
    chain, before, after = unit["chain"], text[max(0, term.start - 16) : term.start], text[unit.end() : unit.end() + 8]
    if is_plain_letter(chain) and not _is_unit(chain, unit[0], before, after):
        return term
    if chain == "W" and not (_WATTS_BEFORE.search(before) or _WATTS_AFTER.match(after)):
        return term
    if chain in ("kw", "kW", "KW", "Kw") and _CROWD.search(before):
        return term
    if (chain == "g" and len(term.exact) == 1 and _WAVES.match(after)) or (
        chain == "s" and re.fullmatch(r"1[5-9]\d0|20[0-2]0", term.exact)
    ):
        return term
    return replace(term, unit=chain, kind="chain", end=unit.end())


def _is_unit(letter: str, written: str, before: str, after: str) -> bool:
    """Letters that only their neighbours make units: 电流2A, 色温3000K, 培养7 d."""
    if letter == "A":
        return _AMPERES_BEFORE.search(before) is not None
    if letter == "K":
        return _KELVINS_BEFORE.search(before) is not None
    return letter == "d" and written.startswith(" ") and not _SOLID.match(after)


def _divides(term: Term) -> bool:
    """4.5×10¹²/L and 3.2万/㎡: a slash behind a power or a magnitude is no fraction."""
    return term.magnitude in ("万", "亿", "千", "万亿", "萬", "億") or "次方" in term.number


def _number(match: re.Match[str]) -> tuple[str, str]:
    """A number in words, and as digits where it is no more than digits; ('', '') for what is no number."""
    exact = ""
    if match["ten"]:
        words = _ten(match["ten"])
    elif match["above"]:
        above, below = int(match["above"]), int(match["below"])
        if below < 2 or not (above == 1 or (above < below <= 16)):
            return _slashed(match)
        words = f"{cardinal(below)}分之{cardinal(above)}"
    else:
        exact = re.sub(f"{_SPACE}|,", "", match["plain"])
        if len(exact) > 1 and exact[0] == "0" and exact[1] != ".":
            return "", ""
        words = decimal(exact)
        if match["pi"]:
            words, exact = f"{words}派", ""
        if match["of"]:
            words, exact = f"{words}乘{_ten(match['of'])}", ""
    if match["tolerance"]:
        words, exact = f"{words}正负{decimal(match['tolerance'])}", ""
    return words, exact


def _slashed(match: re.Match[str]) -> tuple[str, str]:
    """50/60Hz and 120/80mmHg are two numbers."""
    if match["above"].startswith("0") or match["below"].startswith("0"):
        return "", ""
    return f"{decimal(match['above'])}，{decimal(match['below'])}", ""


def _ten(written: str) -> str:
    power = int(written[2:].translate(_RAISED).strip("^()") or 1)
    return f"十的{cardinal(power)}次方"
