"""Mandarin quantities: a number times a unit, read as one composition.

A quantity is a comparison, a sign, a currency, a number with its magnitude and tolerance, and a unit; several are joined
by a range, a product, a sum or a slash, and share the unit of the last: ≥30%, -10℃~+40℃, (128.4±11.2)g/L, $50~$100,
1.8m×2.0m, 500ml*12瓶/箱, 80W+50W. Only an expression with a unit is read here; its words have no digit left in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from timbre.text.languages import HAN
from timbre.text.mandarin_numbers import cardinal, decimal
from timbre.text.mandarin_units import (
    CHAIN,
    COUNTED_CHAIN,
    QUOTIENT,
    UNITS,
    chain_words,
    is_certain,
    is_plain_letter,
    quotient_words,
)
from timbre.text.patterns import compiled

_MONEY = {
    "$": "美元", "¥": "元", "￥": "元", "€": "欧元", "£": "英镑", "₩": "韩元", "₽": "卢布", "₹": "卢比", "฿": "泰铢",
    "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "HKD": "港元", "KRW": "韩元",
    "TWD": "新台币", "SGD": "新加坡元", "AUD": "澳元", "CAD": "加元", "CHF": "瑞士法郎", "US$": "美元", "HK$": "港元",
    "NT$": "新台币", "A$": "澳元", "C$": "加元", "S$": "新加坡元", "CN¥": "元", "MOP": "澳门元", "MOP$": "澳门元",
    "THB": "泰铢", "RUB": "卢布", "INR": "卢比", "NZD": "新西兰元", "VND": "越南盾",
}  # fmt: skip
_CURRENCY = "|".join(
    sorted((re.escape(one) + r"(?![A-Za-z])" * one.isalpha() for one in _MONEY), key=len, reverse=True)
)
_NAMED = "[美欧港日韩澳加]?元(?![旦件素音月宵宝])|英镑|卢布"
_COMPARED = {
    "<=": "小于等于", ">=": "大于等于", "≤": "小于等于", "≥": "大于等于", "≦": "小于等于", "≧": "大于等于", "<": "小于",
    ">": "大于", "＜": "小于", "＞": "大于", "≈": "约等于", "≠": "不等于", "==": "等于", "=": "等于",
}  # fmt: skip
_COMPARISON = "|".join(sorted(_COMPARED, key=len, reverse=True))
_RAISED = str.maketrans("⁻−⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
_SPACE = "[ \u2009\u202f\xa0]"
_PLAIN = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!\d|\s?[-–~]\s?\d|{_SPACE}\d)|\d+)(?:\.\d+)?"
_TEN = r"10(?:\^\(?[-−]?\d+\)?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
_NUMBER = re.compile(
    rf"(?:(?P<ten>{_TEN})|(?P<above>\d{{1,3}})/(?P<below>\d{{1,4}})(?![\d./])|(?P<plain>{_PLAIN})(?:\s?[×xX*·]\s?(?P<of>{_TEN}))?)"
    rf"(?:\s?(?:±|\+/-|\+-)\s?(?P<tolerance>\d+(?:\.\d+)?))?"
    r"(?:\s?(?P<magnitude>万亿|[千百十]亿|[千百十]万|亿|万|千|百|[kKmMbBwW](?![A-Za-z0-9/²³·⁻])))?"
    r"(?P<more>多|余|来|\+(?=[A-Za-z%°℃]))?"
)
_UNIT = re.compile(
    rf"\s?(?:(?P<percent>%|‰|ppm(?![A-Za-z])|ppb(?![A-Za-z]))(?P<per>/(?:a|年|月|日|天|h|min|d|kg|℃|K|小时)(?![A-Za-z]))?"
    rf"|(?P<chain>{CHAIN})|(?P<over>{QUOTIENT}+)|(?P<degrees>°\s?[CcFf]?(?![A-Za-z])|℃|℉)(?!\s?\d+(?:\.\d+)?\s?['′’])(?!\s?[NSEW](?![A-Za-z]))"
    rf"|(?P<counted>{COUNTED_CHAIN})|(?P<currency>{_CURRENCY}|{_NAMED})(?!\s?\d))"
)
_BEFORE = re.compile(
    rf"(?P<compared>{_COMPARISON})?\s?(?P<sign>[-+−±])?\s?(?P<currency>{_CURRENCY})?\s?(?P<inner>-)?(?P<open>[(（])?$"
)
_JOINT = re.compile(
    rf"\s?(?P<joint>[-–—~～至到]|[×xX*]|\+|/|、|(?={_COMPARISON}))\s?"
    rf"(?P<compared>{_COMPARISON})?\s?(?P<sign>[-+−±])?\s?(?P<currency>{_CURRENCY})?\s?(?=\d)"
)
_START = re.compile(
    r"(?:(?<![\dA-Za-z_])(?<!\d[.,:：])|(?<=(?<![A-Za-z])(?:RMB|CNY|USD|EUR|GBP|JPY|HKD|KRW|SGD|AUD|CAD)))\d"
)
_WRITTEN = re.compile(r"[A-Za-zμµΩ%‰°℃℉㎡㎥㎎㎏㎍¥￥$€£₩₽₹฿/元]")
_FOLDED = str.maketrans({"µ": "μ", "㎎": "mg", "㎏": "kg", "㎍": "μg", "㎜": "mm", "㎝": "cm", "㎞": "km", "㏄": "cc",
                         "⎓": " ", "º": "°", "˚": "°"})  # fmt: skip
_SIGNED_AFTER = re.compile(
    r"(?:[是为约到至达在于从和或与、，：；:,;(（\[/~～ \t|=+×*÷\n]|零上|^|[率值润额比差度温分数幅位降减涨增长变动近拔深底标压势径移程流速存亏])$"
)
_WATTS_BEFORE = re.compile("(?:功率|瓦|灯|充|耗电|输出|快充|电源|适配器|支持|电器|发电)[^，。！？]{0,6}$")
_WATTS_AFTER = re.compile(
    "的?(?:灯|快充|充电|功率|电|适配|闪充|输出|白炽|节能|LED|太阳能|电源|音箱|空调|微波|有线|无线)"
)
_AMPERES_BEFORE = re.compile(r"(?:电流|额定|充电|插座|输出|保险丝|空开|快充|最大|[伏赫兹特瓦]|V|Hz|W)[^。！？]{0,8}$")
_CROWD = re.compile(
    "(?:粉丝|关注|播放|阅读|点赞|浏览|观看|用户|销量|销售额|热度|票房|下载|曝光|转发|评论|收藏)[^，。！？]{0,6}$"
)
_KELVINS_BEFORE = re.compile("(?:色温|开尔文|热力学温度|绝对温度)[^，。！？]{0,12}$")
_SOLID = re.compile("打印|电影|眼镜|模型|动画|效果|游戏")
_FORMULA_BEFORE = re.compile(r"[+−×-]\s?(?:[∠△]|[∠△]?[A-Za-z\d]{1,3}\s?=\s?)$")
_WAVES = re.compile("手机|网络|信号|基站|时代|套餐|流量|通信|网")
_SHARES = {"%": "百分之", "‰": "千分之", "ppm": "百万分之", "ppb": "十亿分之"}
_HUNDRED_KM = re.compile(r"^(L|l|升|kWh|kwh|KWH|度|元|kg|千克|公斤)\s?/\s?(?:100|百)\s?(?:km|KM|公里|千米)$")


@dataclass(frozen=True)
class _Term:
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
            begin, head, first = _head(text, _typed(terms, 0), before)
            if text[begin - 1 : begin] == "@":
                begin, head = begin - 1, "，"
            found += text[position:begin], head, _words([first, *terms[1:]], text, begin, end)
            if closed := _MORE.match(text, end):
                found.append("多")
                end = closed.end()
        else:
            found.append(text[position:end])
        position = end
    return "".join(found).replace("华氏华氏", "华氏") + text[position:]


def _is_angle_sum(text: str, terms: list[_Term], start: int) -> bool:
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


def _expression(text: str, start: int, before: re.Match[str] | None) -> tuple[list[_Term], int]:
    """Terms from a digit on, up to the last with a unit, and where the search goes on; no terms without a unit."""
    terms: list[_Term] = []
    position = start
    joint: re.Match[str] | None = None
    while term := _term(text, position, joint or before, joint is not None):
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
    while terms and not terms[-1].unit and not (terms[-1].joint in _TIMES and any(one.unit for one in terms)):
        terms.pop()
    return (terms, terms[-1].end) if terms else ([], end)


_TIMES = ("×", "x", "X", "*")
_COUNTED_AFTER = re.compile(r"\s?(?:[=家个人位名年月日号条件/]|\d)")


def _goes_on(text: str, term: _Term) -> bool:
    """$1-5: the second number is a price too, unless it counts something."""
    return term.joint in _RANGES and not _COUNTED_AFTER.match(text, term.end)


_SHARED = "shared"
"""Unit of a number that has the currency of the one before it."""
_HYPHENS = ("-", "–", "x", "X")
_MORE = re.compile(rf"\+(?!\s?[\d(A-Za-z])(?![{HAN}]{{1,6}}\s?\d)")
_RANGES = ("-", "–", "—", "~", "～", "至", "到")


def _term(text: str, position: int, before: re.Match[str] | None, joined: bool) -> _Term | None:
    """The quantity whose number is at a position; before: its signs, which its joint holds if it is joined."""
    number = _NUMBER.match(text, position)
    words, exact = _number(number) if number else ("", "")
    if number is None or not words:
        return None
    end = number.end()
    if not joined and before and before["open"] and number["tolerance"] and text[end : end + 1] in (")", "）"):
        end += 1
    currency = _MONEY.get((before["currency"] if before else None) or "", "")
    term = _Term(position, end, words, exact, number["magnitude"] or "", number["more"] or "")
    if joined and before:
        compared = _COMPARED.get(before["compared"] or "", "")
        term = replace(term, joint=before["joint"], sign=before["sign"] or "", compared=compared)
    if term.magnitude.isascii() and term.magnitude and not currency:
        # A letter behind a number without a currency is a unit or nothing that is read here.
        term = replace(term, magnitude="", more="", end=number.start("magnitude"))
    if currency:
        term = replace(term, currency=currency, kind="money", unit=currency, end=_after_price(text, term))
        return _with_quotient(text, term)
    unit = _UNIT.match(text, term.end)
    return _with_unit(text, term, unit) if unit else term


def _after_price(text: str, term: _Term) -> int:
    """¥50元 has its currency twice."""
    twice = compiled("(?:[美欧日韩港]?元|英镑)").match(text, term.end)
    return twice.end() if twice else term.end


def _with_quotient(text: str, term: _Term) -> _Term:
    """¥176/件 is 176元每件."""
    match = compiled(QUOTIENT + "+").match(text, term.end)
    if match is None:
        return term
    return replace(term, per=quotient_words(match[0].split("/")[1:]), end=match.end())


def _with_unit(text: str, term: _Term, unit: re.Match[str]) -> _Term:
    if unit["percent"]:
        return replace(term, unit=unit[0].strip(), kind="percent", end=unit.end())
    if unit["degrees"] or unit["chain"] in ("°C", "℃", "°F", "℉"):
        return replace(term, unit=(unit["degrees"] or unit["chain"]).replace(" ", ""), kind="degrees", end=unit.end())
    if unit["currency"]:
        currency = _MONEY.get(unit["currency"], unit["currency"])
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


def _divides(term: _Term) -> bool:
    """4.5×10¹²/L and 3.2万/㎡: a slash behind a power or a magnitude is no fraction."""
    return term.magnitude in ("万", "亿", "千", "万亿") or "次方" in term.number


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


def _head(text: str, first: _Term, before: re.Match[str] | None) -> tuple[int, str, _Term]:
    """Where an expression begins with its signs, a word before it, and its first term with its signs."""
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
        ahead = text[: before.start("sign") if before["sign"] else before.start("inner")][-3:]
        signed = before["compared"] or (
            not re.search(r"[\dA-Za-z)）]\s?$", ahead)
            if first.kind in ("degrees", "percent", "money")
            else _SIGNED_AFTER.search(ahead)
        )
        if not signed:
            added = sign == "+" and re.search(f"[{HAN}）)]$", ahead) is not None
            return (before.start("sign"), "加", first) if added else (begin, "", first)
        first = replace(first, sign=sign)
        begin = before.start("sign") if before["sign"] else min(begin, before.start("inner"))
    if before["compared"]:
        first = replace(first, compared=_COMPARED[before["compared"]])
        begin = before.start("compared")
    return begin, "", first


def _closed(text: str, first: _Term) -> bool:
    """Whether the bracket before a number with a tolerance ends behind it: (128.4±11.2)g/L."""
    return re.match(r"[^()（）]*[)）]", text[first.start : first.end]) is not None


def _words(terms: list[_Term], text: str, begin: int, end: int) -> str:
    """An expression in words: a unit that stands once at the end of a range belongs to all of it."""
    computed = (
        text[end : end + 2].lstrip().startswith("=")
        or text[:begin].endswith("满")
        or any(term.compared for term in terms[1:])
    )
    spoken = ""
    for index, term in enumerate(terms):
        following = terms[index + 1] if index + 1 < len(terms) else None
        if index:
            spoken += _joint(term, terms[index - 1], computed)
        if computed and term.unit == _SHARED:
            term = replace(term, currency="")
        term = _typed([term, *terms[index + 1 :]], 0)
        spoken += _quantity(term, None if computed else following)
    return spoken


def _typed(terms: list[_Term], index: int) -> _Term:
    """A term without a unit of its own before a range: a share repeats 百分之, degrees know what they are."""
    term = terms[index]
    for later in terms[index + 1 :]:
        if term.unit or later.joint not in (*_RANGES, "、"):
            break
        if later.kind in ("percent", "degrees"):
            return replace(term, unit=later.unit, kind=later.kind)
    return term


def _joint(term: _Term, before: _Term, computed: bool) -> str:
    if term.joint in _RANGES:
        if computed and term.joint == "-":
            return "减"
        if term.joint == "至":
            return "到" if _measures(before) == _measures(term) else "至"
        return "到" if term.joint == "到" or _measures(before) in ("", _measures(term)) else "，"
    if term.joint in _TIMES:
        return "乘"
    return {"+": "加", "/": "，", "、": "，"}.get(term.joint, "")


_TIME = ("秒", "钟", "时", "天")


def _measures(term: _Term) -> str:
    """What a term is an amount of: the end of its unit's name, one for all units of time."""
    if term.kind != "chain":
        return term.kind
    last = chain_words(term.unit)[-1:]
    return "time" if last in _TIME else last


def _quantity(term: _Term, following: _Term | None) -> str:
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
        and term.magnitude in ("", "万", "亿", "千", "万亿")
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


def _sign(term: _Term, below: str, above: str) -> str:
    return {"-": below, "−": below, "+": above, "±": "正负", "": ""}[term.sign]


def _price(term: _Term, number: str, following: _Term | None) -> str:
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
