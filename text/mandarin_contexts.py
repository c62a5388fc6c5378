"""Mandarin notations that only their neighbours explain: durations, formations, standards, figures, squares of letters.

Comes before every other step. What is read digit by digit becomes characters here; all else becomes the form that the
later steps know.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text.languages import HAN
from timbre.text.mandarin_dates import DATE_RULES
from timbre.text.mandarin_formulae import FORMULA_RULES
from timbre.text.mandarin_lists import LIST_RULES
from timbre.text.mandarin_numbers import cardinal, digits
from timbre.text.patterns import Rule, applied

_LASTS: Final = (
    r"(?:用时|耗时|历时|时长|片长|全长|成绩|跑了|跑出|完赛|纪录|记录|计时|录音|播放|倒计时|剩余|还剩|持续|配速|总时间|净成绩|通话)"
    r"[是为:：了到]?\s?"
)
_STANDARDS: Final = "GB|JB|HG|YY|DB|QB|GA|JG|JT|SL|DL|NB|WS|SJ|YD|TB|CJ|HJ|NY|SB|YS|MT|Q|T"
_YEAR_NOUNS: Final = (
    r"Q[1-4]|[一二三四1-4]季度|[上下]半年|财报|年报|年?初(?!中)|底|末|春节|春晚|夏天|秋天|冬天|款|毕业|高考|届|世界杯|"
    r"欧洲杯|奥运|冬奥|亚运|国庆|中秋|五一|双十一|春招|秋招|新款|应届|考研"
)
_EVENTS: Final = "地震|事件|惨案|事变|空难|特大|恐怖"
_DAYS: Final = "愚人节|情人节|圣诞|元旦|植树节|清明|当天|当晚|上线|开售|发布|截止|生效"
_FIGURES: Final = "图|表|式|附表|附图|续表|例"
_SURELY_WORDS: Final = re.compile(
    r"(?<![A-Za-z])(?:sin|cos|tan|cot|log|lim)(?=[\d(（ ₀-₉²³α-ω])"
    r"|(?<=\d)\s?(?:min|km|kg|cm|mm|mol|MPa|kPa|kcal|mAh|kWh|rpm|bpm|fps|ppm|GHz|MHz|kHz|Hz)\b"
)
"""Functions, and units after a number: no English words."""


def without_units(text: str) -> str:
    """The text without the units that follow its numbers."""
    return _SURELY_WORDS.sub("", text)


def fold_contexts(text: str) -> str:
    """The text with these notations as Chinese words, or in the form of the later steps."""
    if not _WRITTEN.search(text) or _KANA.search(text):
        return text
    for rules in (DATE_RULES, LIST_RULES, FORMULA_RULES, _RULES):
        text = applied(rules, text)
    return text


def _lasting(match: re.Match[str]) -> str:
    """用时1:02:33 is 一小时零二分三十三秒, 用时3:25 is 三分二十五秒."""
    cue, hours, minutes, seconds = match.groups()
    words = f"{'两' if int(hours) == 2 else cardinal(int(hours))}小时" if hours else ""
    below = f"零{cardinal(int(minutes))}" if hours and minutes[0] == "0" and int(minutes) else cardinal(int(minutes))
    words += f"{below}分" if int(minutes) or not hours else ""
    tail = f"零{cardinal(int(seconds))}" if seconds[0] == "0" and int(seconds) else cardinal(int(seconds))
    return f"{cue}{words}" + (f"{tail}秒" if int(seconds) else "钟" * (not hours))


def _standard(match: re.Match[str]) -> str:
    """GB/T 7714-2015 -> GB T 七七幺四，二零一五."""
    year = f"，{digits(match[4])}" if match[4] else ""
    return f"{match[1]} {match[2]} {digits(match[3], one='幺')}{year}"


def _listed(match: re.Match[str]) -> str:
    return digits(match[0])


def _named(match: re.Match[str]) -> str:
    """An account abc_123 within Chinese: 下划线, then its digits one by one."""
    head, tail = match.groups()
    return f"{head}下划线{digits(tail) if tail.isdigit() else tail}"


def _thousands(match: re.Match[str]) -> str:
    return f"{match[1]}{round(float(match[2]) * 1000)}"


def _room(match: re.Match[str]) -> str:
    """3-2-501 is 三杠二杠五零幺; after 码 and 号 the groups of a code are read by another rule."""
    if _CODE_BEFORE.search(match.string[: match.start()]):
        return match[0]
    return f"{cardinal(int(match[1]))}杠{cardinal(int(match[2]))}杠{digits(match[3], one='幺')}"


def _decimal_thousands(match: re.Match[str]) -> str:
    return str(round(float(match[1]) * 1000))


_PARTS: Final = {"½": "二分之一", "⅓": "三分之一", "⅔": "三分之二", "¼": "四分之一", "¾": "四分之三"}
_WRITTEN: Final = re.compile(rf"[^{HAN}\s，。！？、；：…“”《》（）]")
"""Anything but characters and their marks: a text without it has none of these notations."""
_KANA: Final = re.compile("[\u3040-\u30ff]")
"""Japanese, whose signs have readings of their own."""
_CODE_BEFORE: Final = re.compile(r"[码号][是为:：]?\s?$")
_RULES: Final = (
    Rule(
        "位",
        r"((?:前|后|末|尾|最后|头)[一二两三四五六七八\d]位(?:数字?)?[是为:：]?\s?)(\d{3,8})(?![\d.,]|[元块万亿个人名位])",
        lambda m: m[1] + digits(m[2], one="幺"),
    ),
    Rule(
        "vV",
        rf"(?<![A-Za-z\d])[vV](\d+(?:\.\d+)+)(?=[{HAN}])",
        lambda m: f"V{'点'.join(cardinal(int(part)) for part in m[1].split('.'))}",
    ),
    Rule(":：", rf"({_LASTS})(?:(\d{{1,2}})[:：])?([0-5]?\d)[:：]([0-5]\d)(?![\d:：.])", _lasting),
    Rule(
        ":：",
        r"(以)(\d)[:：]([0-5]\d)[:：]([0-5]\d)(?=(?:\.\d+)?的(?:总?成绩|时间|净成绩|用时)|完赛|夺冠|撞线|率先)",
        _lasting,
    ),
    Rule(
        "年",
        r"((?:距今|约)(?:[约已有]+)?\s?)(\d{3,6})\s?[-–—~～至到]\s?(\d{3,6})(?=年)",
        lambda m: f"{m[1]}{cardinal(int(m[2]))}到{cardinal(int(m[3]))}" if int(m[2]) > int(m[3]) else m[0],
    ),
    Rule(
        "wW",
        r"(?<![\d.A-Za-z])(\d{1,3})[wW](\d)(?![\d.A-Za-z])",
        lambda m: f"{'两' if m[1] == '2' else cardinal(int(m[1]))}万{cardinal(int(m[2]))}",
    ),
    Rule("①②③④⑤⑥⑦⑧⑨⑩", "(?<=[①-⑳])\\s?[~～–-]\\s?(?=[①-⑳])", "到"),
    Rule("'’‘", rf"['’‘](\d\d)年(?=[{HAN}]|$|[，。])", lambda m: f"{digits(m[1])}年"),
    Rule("年", rf"(?<![\d.,])([0-4]\d)年(?=(?:{_YEAR_NOUNS}))", lambda m: f"{digits(m[1])}年"),
    Rule(
        "/",
        rf"(?<![A-Za-z])((?:{_STANDARDS})\d{{0,2}})/(T|Z)\s?(\d{{2,6}})(?:[-—–](\d{{4}}))?(?![\d.])",
        _standard,
    ),
    Rule("-", r"(?<![\d-])\d(?:-\d){2,3}(?=[的]?(?:阵|站位|体系|战术))", _listed),
    Rule("123456789", r"(?<![\d.])(?:4[2-5][1-4]|3[345][2-4]|5[34]1|532)(?=阵型|阵容|站位)", _listed),
    Rule(
        "-",
        r"(?<![\d.-])(\d{1,2})-(\d{1,2})-(\d{3,4})(?![\d-]|\.\d)(?!\s?=)",
        _room,
    ),
    Rule(
        "-–",
        rf"(?<![试意地企蓝])({_FIGURES})\s?(\d{{1,2}})[-–](\d{{1,2}})(?![\d.%-]|[页题个章节])",
        lambda m: f"{m[1]}{cardinal(int(m[2]))}杠{cardinal(int(m[3]))}",
    ),
    Rule("/", r"(?<![\d/.])(\d{3})/(\d{2,3})(?=[ABCY](?![A-Za-z]))", lambda m: f"{digits(m[1])}，{digits(m[2])}"),
    Rule(
        "-",
        r"((?:编号|单号|号码|文号|批号|证号|订单|合同|卡号|工号|学号|货号|序列号|案号|票号|编码)[是为:：]?\s?[A-Z]{1,6})"
        r"-?(\d+(?:-\d+)+)(?![\d.A-Za-z-])",
        lambda m: f"{m[1]}，{'，'.join(digits(group, one='幺') for group in m[2].split('-'))}",
    ),
    Rule("½⅓⅔¼¾", r"(?<!\d)[½⅓⅔¼¾](?=[A-Za-z(（])", lambda m: _PARTS[m[0]]),
    Rule(
        "·•",
        rf"(?<![\d.·•])(\d{{1,2}})[·•](\d{{1,2}})(?=[”\"]?[{HAN}])",
        lambda m: f"{digits(m[1])}{digits(m[2])}",
    ),
    Rule(
        ".",
        rf"(?<![\d.])(\d{{1,2}})\.(\d{{1,2}})(?=[{HAN}]{{2,4}}(?:大?地震|特大|事件|惨案|空难|事故|火灾))",
        lambda m: f"{digits(m[1])}{digits(m[2])}",
    ),
    Rule("2", r"(?:(?<=真是)|(?<=笑死)|(?<=哈))\s?23{2,}(?!\d)", _listed),
    Rule("+", r"(?:(?<=^)|(?<=[，。！？、,!?\s]))\+\s?(?=[vVqQ](?:[xX信群我]|(?![A-Za-z]))|微信|我|好友|群)", "加"),
    Rule("+", r"(?<=[是为至到])\+(?=\d+(?:\.\d+)?(?![\d.]|[-+]))", "正"),
    Rule(
        "kK",
        r"((?:月入|年入|日入|起薪|到手|工资|月薪|赚|挣|涨到|收入|破|突破|超过|粉丝|点赞|赞|[Ss]tar数?)[了是为约近]?\s?)(\d{1,3}(?:\.\d)?)[kK](?![A-Za-z0-9])",
        _thousands,
    ),
    Rule("kK", r"(?<![\d.A-Za-z])(\d{1,2}\.\d)[kK](?=$|[，。！？、的多个人次粉赞阅米块元步])", _decimal_thousands),
    Rule(
        "/",
        r"(?<![\d/.])(\d+)/1(0{2,4})(?![\d/]|\.\d)",
        lambda m: f"{ {2: '百', 3: '千', 4: '万'}[len(m[2])] }分之{cardinal(int(m[1]))}",
    ),
    Rule("/", rf"(?<![\d/.])(\d{{1,2}})/(\d{{1,2}})(?=[“”\"]?(?:{_EVENTS}))", lambda m: digits(m[1]) + digits(m[2])),
    Rule("/", rf"(?<![\d/.])(1[0-2]|[1-9])/(3[01]|[12]\d|[1-9])(?=(?:{_DAYS}))", r"\1月\2日"),
    Rule(
        "/",
        r"(?<![\d/.])([12]\d)/(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)",
        lambda m: f"{digits(m[1])}年{int(m[2])}月{int(m[3])}日",
    ),
    Rule(
        "·•",
        r"(?<=[一二三四五六七八九十])[·•](?=[一二三四五六七八九十]+[”\"]?(?:事变|惨案|运动|事件|讲话|起义))",
        "",
    ),
    Rule(
        "235689",
        r"(?:(?<=^)|(?<=[，。！？,\s])(?<!\d\s))(?:23{2,}|6{3,}|5{3,6}|8{3,6}|9{3,6}|886)(?=[，。！,!~～？哈啊…啦]|$)",
        _listed,
    ),
    Rule("!！", r"(?<![A-Za-z\d])(?:(\d{1,2})[!！](?=\s?[=＝÷×/])|([a-z])[!！](?=\s?[÷×/]|\s=))", r"\1\2的阶乘"),
    Rule("!", r"(?<![A-Za-z\d])([kmnN])!(?![!=])|(?<=[\dkmnN])[)]!(?!!)", lambda m: f"{m[1] or ')'}的阶乘"),
    Rule("+", r"(?<![A-Za-z])(\d*[A-Z]B?)\+(?=\d)", r"\1加"),
    Rule("+", rf"(?<=\d[GK])\+(?=[{HAN}]|$)", "加"),
    Rule("+", rf"(?<![A-Za-z+])([ABCS])\+(?=[{HAN}，。、]|$)", r"\1加"),
    Rule("-", r"(?<![A-Za-z-])([ABC])-(?=[，。、的和]|$)", r"\1减"),
    Rule("Ll", r"(?<![A-Za-z])[Ll][Vv]\.?\s?(\d{1,3})(?![\d.])", lambda m: f"LV{cardinal(int(m[1]))}"),
    Rule("Tt", r"(?<![A-Za-z])([Tt][Oo][Pp])\s?(\d{1,4})(?![\d.])", lambda m: f"{m[1]}{cardinal(int(m[2]))}"),
    Rule("½⅓⅔¼¾", r"(?<=[A-Za-z])\s?=\s?(?=[二三四]分之)", "等于"),
    Rule("∞", r"[-−]\s?∞", "负无穷大"),
    Rule("×", r"(?<![\d×])×{2,3}(?![\d×])", "某某"),
    Rule(
        ":：",
        r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})[:：](\d{2,5})(?!\d)",
        lambda m: f"{m[1]}端口{digits(m[2])}",
    ),
    Rule("_", r"(?<![A-Za-z0-9_.@/\\-])([A-Za-z]+)_([A-Za-z]+|\d+)(?![A-Za-z0-9_.@/(-])", _named),
    Rule("ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹ", "[ⅰ-ⅹ]", lambda m: cardinal(ord(m[0]) - 0x216F)),
)
