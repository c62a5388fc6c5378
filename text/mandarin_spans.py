"""Mandarin spans of dates and days, scores, dates of events, and numbers of services (110, 10086)."""

from __future__ import annotations

import re
from functools import cache

from timbre.text.cues import cue_words
from timbre.text.mandarin_numbers import DIGITS, digits
from timbre.text.patterns import sub


@cache
def measure_words() -> str:
    """Measure words as alternatives of a regular expression, long ones first."""
    return "|".join(sorted(cue_words("measures", "mandarin"), key=len, reverse=True))


@cache
def _digit_names() -> re.Pattern[str]:
    names = "|".join(sorted(cue_words("digit_names", "mandarin"), key=len, reverse=True))
    counted = rf"(?!\s?(?:{measure_words()}|[元块米年月日号度分角折路平％%‰°]|[A-Za-z]|[.,:：-]?\d|\s?[-+×÷*/=<>~～]))"
    return re.compile(rf"(?<![\d.,:：+×÷*/=<>~～科考绩-])({names}){counted}")


_PERIOD = r"[年月日号时点分秒天周岁元块米次个度届级]"


def expand_spans(text: str) -> str:
    """5月1日-5月7日 -> 5月1日到5月7日; 周一-周五 -> 周一到周五; 以3-0获胜 -> 3比0; 02-29 -> 2月29."""
    text = sub(rf"(?<={_PERIOD})\s?[-–—~]+\s?(?=\d{{1,4}}{_PERIOD})", "到", text)
    text = sub(
        r"((?:周|星期|礼拜)[一二三四五六日天末])\s?[-–—~]+\s?(?=(?:周|星期|礼拜)?[一二三四五六日天末])", r"\1到", text
    )
    text = sub(r"(?<=[一二三四五六七八九十][月日号])\s?[-–—~]+\s?(?=[一二三四五六七八九十]+[月日号])", "到", text)
    text = sub(
        r"(?:局|决赛|单打|双打|男单|女单|男双|女双|混双|乒乓|羽毛球|比赛|比分|排球|网球|先后|连胜)[^。！？]*",
        lambda m: sub(
            r"(?<![\d:.])(\d{1,3})[:-](\d{1,3})(?![\d:.]|[年月日号点]|[-:]\d)(?=[、，,；;。和]|$|\s)", r"\1比\2", m[0]
        ),
        text,
    )
    text = sub(r"(?<!\d)([1-9])([1-9])([1-9])(?=月(?!\d)|月份)", _months, text)
    text = sub(r"(?<![\d.-])(\d{2,3})-(\d{2,3})-(\d{2,3})(?![\d.-])", r"\1,\2,\3 ", text)
    wins = (
        "晋级|淘汰|出局|过关|绝杀|力克|轻取|反超|夺冠|卫冕|止步|拿下|带走|获胜|取胜|战胜|击败|领先|落后|战平|完胜|大胜|小胜|惜败|告负|逆转|"
        "占优|横扫|不敌|负于|险胜|打平|赢|输|胜|平|击溃"
    )
    text = sub(rf"(?<!\d)(\d{{1,3}})\s?[-–—:]\s?(\d{{1,3}})(?=\s?(?:的比分)?(?:{wins}))", r"\1比\2", text)
    text = sub(r"(比分[是为以]?\D{0,3})(\d{1,3})\s?[-–—]\s?(\d{1,3})(?!\d)", r"\1\2比\3", text)
    text = sub(
        rf"(?<![\d.,/-])(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?![\d.,/-]|{_PERIOD}|%)",
        lambda m: f"{int(m[1])}月{int(m[2])}" if "0" in (m[1][0], m[2][0]) else m[0],
        text,
    )
    text = sub(
        r"(?<![\d.,/-])(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])(?=\s?[是为]?(?:元旦|圣诞|平安夜|情人节|妇女节|劳动节|五一|青年节|"
        r"儿童节|建党|建军|教师节|国庆|光棍节|植树节|愚人节|万圣))",
        lambda m: f"{int(m[1])}月{int(m[2])}日",
        text,
    )
    text = sub(r"(?<![\d.,第:])2分(?=\d{1,2}秒)", "两分", text)
    events = (
        "案件|大案|事件|晚会|地震|大促|购物节|特大|恐怖|起义|惨案|行动|运动|讲话|大地震|维权|活动|狂欢|空难|"
        "专案|爆炸|矿难"
    )
    text = sub(
        rf"(?<![\d.])(\d{{1,2}})[.·•](\d{{1,2}})(?=[“”\s]?(?:{events}))", lambda m: digits(m[1]) + digits(m[2]), text
    )
    text = sub(
        r"(?<![\d.])(\d{1,2})[.·•/](\d{1,2})(?=[“”]?(?:劳动节|国庆|儿童节|妇女节|青年节|建军节|建党节|教师节|黄金周|小?长假|放假|假期))",
        lambda m: _holiday(m[1]) + _holiday(m[2]),
        text,
    )
    text = sub(r"(?<!\d)(\d{3,4})(?=大促|晚会|购物节|事件|大地震)", lambda m: digits(m[1]), text)
    text = sub(r"(?<![\d.])([1-9])([1-9])(?=折(?![叠断返线中]))", lambda m: digits(m[0]), text)
    text = _digit_names().sub(lambda m: digits(m[1]), text)
    text = sub(
        r"(?<![\d.])((?:19|20)\d0)后(?=出生|的孩子|的人|一代|群体|[，。！？、]|$)", lambda m: f"{digits(m[1])}后", text
    )
    text = sub(r"^(1[0-2])-(1[3-9]|2\d|3[01])$", lambda m: f"{m[1]}月{m[2]}", text.strip())
    text = _years(text)
    text = sub(r"(?<!\d)(\d\d)/(\d\d)(?=届|级|赛季|财年|学年|年度)", lambda m: digits(m[1]) + digits(m[2]), text)
    text = sub(
        r"(?<!\d)([6-9]\d|[0-2]\d)级(?=校友|学生|新生|同学|毕业|本科|研究生|硕士|学长|学姐|学弟|学妹)",
        lambda m: f"{digits(m[1])}级",
        text,
    )
    return sub(r"(?<![\d.:])(\d\d)后(?![面天来悔续果方勤排边者卫背年台]|退(?!休))", lambda m: f"{digits(m[1])}后", text)


def _months(match: re.Match[str]) -> str:
    one, two, three = (int(match[i]) for i in (1, 2, 3))
    return digits(match[0]) if one + 1 == two and two + 1 == three else match[0]


def _holiday(number: str) -> str:
    """5.1 is 五一, 10.1 is 十一."""
    return "十" * (number == "10") or digits(number)


_OCCASION = (
    "届|级|款|版|赛季|学年|财年|年度|春晚|世界杯|奥运|欧洲杯|亚运|世博|春季|秋季|夏季|冬季|财报|新年|跨年|春节|高考|"
    "考研|毕业"
)
_YEAR = r"(?:1[5-9]|20)\d\d"


def _years(text: str) -> str:
    """生于1990, 2025届, 去年是2024: four digits that are a year without 年 behind them."""
    text = sub(rf"(?<![\d.,~–—至到-])({_YEAR})(?={_OCCASION})", lambda m: digits(m[1]), text)
    text = sub(
        rf"((?:(?<![低高大小少多等优弱强次])于|自|(?:[今去明前后]年|年份|那年|这年)[是为叫:：]?|始自|截至|(?<=[从在自])|©)\s?)"
        rf"({_YEAR})(?=[，。！？、；,!?;）)]|$|[前以之]|[-–—~～至到]{_YEAR})",
        lambda m: m[1] + digits(m[2]),
        text,
    )
    return sub(rf"(?<=[{DIGITS}])[-–—~～至到]({_YEAR})(?=[，。！？、；,!?;）)]|$)", lambda m: f"到{digits(m[1])}", text)


_COUNTED = "个人名位只条张米公次件本台辆户家斤吨克升平页字步分秒年月天"
_SERVICE = re.compile(
    r"(?<![\d.,-])(?:11[0-9]|12[0-3]|100\d\d|9[56]\d{3}|12[13]\d\d|1[26]\d{3})(?![\d%]|[.,:-]\d|[万亿千百])"
)
_KNOWN_SERVICES = frozenset({"10000", "10010", "10086", "12306", "12315", "12345", "12123", "12348"})
_FAMOUS = re.compile(
    r"(?<![\d.,:+×*/=<>~～¥￥$-])(?:10086|10010|12306|12315|12123|12348|12333|12366|12320|12328|12329|12369|95588|95533|95599|95566|95555|95306)"
    rf"(?![\d%℃°]|[.,:-]\d|[万亿千百元块]|\s?[-+×÷*/=<>~～A-Za-z]|[{_COUNTED}])"
)
"""Numbers of services that are read digit by digit in every sentence, unless they count."""
_SERVICE_LIST = re.compile(
    r"(?<![\d.,、-])(?<!\d[和或及])(?:11[09]|12[02])(?:[、，,和或及](?:11[09]|12[02]))+(?![\d%元块米个人分度]|[、，,.和或及]\d)"
)
"""Of the numbers that everybody knows."""
_SERVICE_CUES = re.compile(
    "喂[，,！!]|紧急|救命|急救|报警|火警|匪警|求救|救护|消防|客服|热线|电话|拨|打|专线|致电|呼叫|投诉|订票|查号|短信|交通事故|求助|咨询|详询|回复|发送|退订|举报|有困难|遇险|(?:找|联系|报|叫)(?:11[09]|12[02])"
)


def _listed(match: re.Match[str]) -> str:
    """110、119、120 without a word about calls; two round numbers alone may be any others."""
    known = re.findall(r"\d+", match[0])
    return sub(r"\d+", lambda m: digits(m[0], one="幺"), match[0]) if len(known) > 2 or "119" in known else match[0]


def expand_services(text: str) -> str:
    """110, 119, 10086 in a sentence about calls -> 幺幺零; 110米 and 打了110个 stay numbers."""
    measures = measure_words()

    def clause(match: re.Match[str]) -> str:
        if not _SERVICE_CUES.search(match[0]):
            return match[0]
        counted = rf"(?!\s?(?!帮[忙助我你他])(?:{measures}|[元块米年月日号度分角折路平]))"
        return sub(rf"({_SERVICE.pattern}){counted}", lambda m: digits(m[1], one="幺"), match[0])

    text = _SERVICE_LIST.sub(_listed, _FAMOUS.sub(lambda m: digits(m[0], one="幺"), text))
    if text.strip(" 。，!！") in _KNOWN_SERVICES:
        return sub(r"\d+", lambda m: digits(m[0], one="幺"), text)
    return sub(r"[^。！？!?]+", clause, text)
