"""Mandarin notations that several ways of writing share, as the one that the later steps know.

上午 for am, 年月 for 2023.9, plates of cars and names of planes by their characters, 负 for a sign that is no dash.
Comes first, before a text is cut by script: digits stay unless they are read one by one.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers
from timbre.text.languages import HAN
from timbre.text.mandarin_numbers import cardinal, decimal, digits
from timbre.text.mandarin_units import UNITS
from timbre.text.patterns import Rule, applied, sub

_GEOMETRY = str.maketrans({
    "₀": "0", "₁": "1", "₂": "2", "₃": "3", "₄": "4", "₅": "5", "₆": "6", "₇": "7", "₈": "8", "₉": "9",
    "ₙ": "n", "ₖ": "k", "ₘ": "m", "ᵢ": "i", "ⱼ": "j", "ₓ": "x", "∠": "角",
    "△": "三角形", "⊙": "圆", "⊥": "垂直于", "∥": "平行于", "∵": "因为", "∴": "所以", "∈": "属于", "∞": "无穷大",
    "≡": "恒等于", "≌": "全等于", "∽": "相似于", "º": "°", "˚": "°", "∶": ":",
})  # fmt: skip
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_ELEMENTS = frozenset(
    re.findall("[A-Z][a-z]?", "HHeLiBeBCNOFNeNaMgAlSiPSClArKCaTiCrMnFeCoNiCuZnAsSeBrAgCdSnIBaWPtAuHgPbU")
)
_FORMULA = r"(?<![A-Za-z0-9-])(?=[A-Za-z]*\d)(?:[A-Z][a-z]?(?:\d{1,2})?){2,}(?![A-Za-z0-9-]|\.\d)"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE = (
    rf"(?<![{HAN}])([{_PROVINCES}])\s?([A-Z])\s?[·.•-]?\s?([A-Z0-9]{{4,6}})([警学挂港澳领]?)(?![A-Za-z0-9])"
    rf"|(?<=[{HAN}])([{_PROVINCES}])\s?([A-Z])\s?[·.•-]?\s?(?=[A-Z]*\d)([A-Z0-9]{{5,6}})([警学挂港澳领]?)(?![A-Za-z0-9])"
)
_NAMED = (
    "歼|轰|运|直|教|强|苏|米格|图|雅克|伊尔|安|东风|长征|神舟|嫦娥|天宫|天问|天舟|鹰击|红旗|巨浪|霹雳|海鹰|空警|快舟|实践|风云|北斗|"
    "玉兔|联盟|阿波罗|旅行者|新一代|翼龙|彩虹|猎鹰|毅力|高分|资源|海洋|吉林|卡|幻影|先驱者|新冠|武直|蛟龙|雪龙|向阳红|探索"
)
_HALVES = {"a": "上午", "p": "下午"}
_PART_OF_DAY = re.compile(r"(?:早|晚|上午|下午|中午|凌晨|清晨|傍晚|夜|深夜|午后|午间)[上间里]?\s?$")
_RULERS = (
    "拿破仑|路易|亨利|伊丽莎白|查理|查尔斯|乔治|爱德华|威廉|詹姆斯|理查|腓力|腓特烈|亚历山大|尼古拉|弗朗茨|约翰|保罗|"
    "庇护|本笃"
)
_YEAR = r"((?:1[5-9]|20)\d\d)"
_YEAR_MONTH = r"((?:19|20)\d\d)[./](0?[1-9]|1[0-2])"
_DECADE = r"\d[05]"
_DAY_PART = r"(3[01]|[12]\d|0?[1-9])"
_MONTH_PART = r"(1[0-2]|0?[1-9])"


def _festival(match: re.Match[str]) -> str:
    """5.1节 -> 五一节; 3.15晚会 -> 三一五晚会; 10.1 is 十一."""
    return f"{'十' * (match[1] == '10') or digits(match[1])}{digits(match[2])}"


_MONTH_DAY = rf"{_MONTH_PART}([./]){_DAY_PART}"
_FULL_SPAN = (
    rf"(?<![\d./-])(\d{{4}})([./-]){_MONTH_PART}\2{_DAY_PART}\s?([-–—~～至到]+)\s?"
    rf"(?:(\d{{4}})\2)?{_MONTH_PART}\2{_DAY_PART}(?![\d./-])"
)
_SPAN_CUE = re.compile(
    "放假|预售|定金|尾款|付款|开抢|秒杀|预约|国庆|假期|期间|活动|休|出差|旅|展|营业|停|有效|日期|时间|档期|打折|优惠|报名|考试|比赛|培训|促销|黄金周|春节|五一|元旦|端午|中秋"
)
_CODE_BEFORE = re.compile(r"(?:码|号|账户|密|QQ|ID|微信|单|编|证|卡)[为是:：]?\s?$", re.IGNORECASE)


def fold_notation(text: str) -> str:
    """The text in the notation of the later steps."""
    text = applied(_FIRST_RULES, text.translate(_GEOMETRY))
    if re.search("[IVX]", text):
        text = sub(rf"({_RULERS})\s?([IVX]{{1,5}})(?![A-Za-z])世?", _ruler, text)
        text = sub(
            rf"(?<=[{HAN}])(I{{2,3}}|IV|VI{{1,3}}|IX)(?=[》”。，！？、\s]|$)",
            lambda m: cardinal(english_numbers.roman(m[1]) or 0),
            text,
        )
    if "&" in text:
        text = sub(r"(?<=\d)\s?&\s?(?=\d)", "和", text)
    if "^" in text and re.search(f"[{HAN}]", text):
        text = sub(r"(?<=[A-Za-z)）])\^([23])(?!\d)", lambda m: "的平方" if m[1] == "2" else "的立方", text)
        text = sub(r"(?<=[A-Za-z)）])\^(\d+|[a-z](?![a-z]))", r"的\1次方", text)
    if "+" in text:
        text = sub(r"\+\s?(?:…+|\.{3,}|⋯+)\s?\+", "加…加", text)
    if re.search(r"\d", text):
        text = applied(_UNIT_RULES, _codes(_days(text)))
    return text


def _ruler(match: re.Match[str]) -> str:
    value = english_numbers.roman(match[2])
    return match[0] if value is None else f"{match[1]}{cardinal(value)}世"


def _days(text: str) -> str:
    """am9:00 -> 上午9:00; 11:45PM after 晚上 -> 11:45; 2023.9-2024.6 -> 年月; 20241225 -> 2024年12月25日."""
    return applied(_DAY_RULES, text)


def _full_span(match: re.Match[str]) -> str:
    year, _, month, day, joint, other, last_month, last_day = match.groups()
    end = ("至" if "至" in joint else "到") + (f"{other}年" if other else "")
    return f"{year}年{int(month)}月{int(day)}日{end}{int(last_month)}月{int(last_day)}日"


def _is_span(match: re.Match[str]) -> bool:
    """5/1-5/7 are days; 5.1-5.7 only where days are spoken of."""
    near = match.string[max(0, match.start() - 8) : match.end() + 8]
    return match[2] == match[5] == "/" or (match[2] == match[5] and _SPAN_CUE.search(near) is not None)


def _half_before(match: re.Match[str]) -> str:
    named = _PART_OF_DAY.search(match.string[: match.start()])
    return "" if named else _HALVES[match[1].lower()]


def _half_after(match: re.Match[str]) -> str:
    hour = match[1] if ":" in match[1] or "：" in match[1] else f"{match[1]}点"
    if _PART_OF_DAY.search(match.string[: match.start()]):
        return hour
    return _HALVES[match[2].lower()] + hour


def _codes(text: str) -> str:
    """沪A·8B1K2 and telephone numbers by their characters; 737-800, A320neo, 东风-41, DDR5-6000."""
    return applied(_CODE_RULES, text)


def _formula(match: re.Match[str]) -> str:
    """NH4Cl -> NH四Cl: only elements, of two kinds at least."""
    elements = re.findall("[A-Z][a-z]?", match[0])
    if len(set(elements)) < 2 or not _ELEMENTS.issuperset(elements):
        return match[0]
    return re.sub(r"\d+", lambda m: cardinal(int(m[0])), match[0])


def _plate(match: re.Match[str]) -> str:
    province, letter, rest, last = match.groups()[:4] if match[1] else match.groups()[4:]
    return f"{province}{letter}{''.join(digits(c, one='幺') if c.isdigit() else c for c in rest)}{last}"


_DEGREES = r"(\d+(?:\.\d+)?)\s?°\s?(\d{1,2}(?:\.\d+)?)\s?['’′](?:\s?(\d{1,2}(?:\.\d+)?)\s?(?:[\"”″]|''|′′))?"
_SIDES = {"N": "北纬", "S": "南纬", "E": "东经", "W": "西经"}
_SIDED = rf"(?<![经纬])(?<![经纬]\s)(?:{_DEGREES}|(\d+(?:\.\d+)?)\s?°)\s?([NSEW])(?![A-Za-z])"
_EVENTS = "事变|惨案|运动|事件|讲话|抗战|起义|大地震|地震|决议|抗洪|空难|革命|政变|学潮|战役"
_FESTIVALS = "节|晚会|假期|黄金周|小长假|国际|大促"


def _minutes(match: re.Match[str]) -> str:
    return f"{match[1]}度{match[2]}分" + (f"{match[3]}秒" if match[3] else "")


def _sided(match: re.Match[str]) -> str:
    """39°54′N -> 北纬39度54分; 116.4°E -> 东经116.4度."""
    whole = _minutes(match) if match[1] else f"{match[4]}度"
    return _SIDES[match[5]] + whole


def _charge(match: re.Match[str]) -> str:
    return f"{match[1]}{'正' if match[2] == '+' else '负'}"


def _scores(match: re.Match[str]) -> str:
    return sub(r"(\d)\s?[-–:：]\s?(?=\d)", r"\1比", match[0]).replace("/", "，")


_FIRST_RULES = (
    Rule("-–:", r"(?<![\d.:-])(\d{1,2})[-–:](\d{1,2})(?=\s?[（(]\s?\d{1,2}[-–:]\d{1,2}(?![\d.:%-]))", r"\1比\2"),
    Rule(
        "-–",
        rf"(?<![\d.:：/-])\d{{1,2}}[-–]\d{{1,2}}(?:[、,，/／;；]\s?\d{{1,2}}[-–]\d{{1,2}})+(?![\d.:：/%-]|[{HAN}])",
        _scores,
    ),
    Rule(
        "秒米",
        r"(?<=\d)([秒米])(\d{2})(?![\d.:]|[秒分米厘个%元年月多岁次人]|\s?[a-zA-Z%])",
        lambda m: m[1] + digits(m[2]),
    ),
    Rule(
        "+",
        rf"(?<=[{HAN}])(?<![是为约到至达在于从和或与正负])\+(?=\d[\d.]*(?![\d.]*\s?(?:[%％°℃℉度元]|[-/+]|[a-zA-Zμ])))",
        "加",
    ),
    Rule("(", r"(?<![A-Za-z\d'’])O\(([A-Za-z ]{1,16})\)", r"O \1"),
    Rule("+", r"^\+(?=\d)", "加"),
    Rule("+", rf"(?<=[{HAN}])\+(?=\d{{1,2}}/\d{{1,2}}[{HAN}])", "加"),
    Rule(
        ".",
        r"(?<![\d.])(1[0-2]|[1-9])\.(3[01]|[12]\d|[1-9])(?=\s?(?:早|晚|上午|下午|中午|凌晨)?\s?\d{1,2}(?:[:：]\d\d|[点时])(?!\d))",
        r"\1月\2日",
    ),
    Rule("+", rf"(?<=[{HAN}”）)])(?<![万亿千百多])\s?\+\s?(?=[{HAN}“（])", "加"),
    Rule(
        "gL",
        rf"(?<=[{HAN}])([A-Z])(\d+(?:\.\d+)?)\s?(mg|g|kg|mL|ml|μg)(?![A-Za-z])",
        lambda m: f"{m[1]}{decimal(m[2])}{UNITS[m[3]]}",
    ),
    Rule("±", r"(?<=[A-Za-z\d])\s?=\s?(?=±)", "等于"),
    Rule("x*", r"(?<=\d)\s?[xX]\s?(?=\d)", "×"),
    Rule("-–~～", r"(?<![A-Za-z])([A-Z])(\d{1,2})\s?[-–~～]\s?\1(\d{1,2})(?!\d)", r"\1\2到\1\3"),
    Rule("29", r"(?<!\d)(985|211)/(985|211)(?!\d)", lambda m: f"{digits(m[1])}，{digits(m[2])}"),
    Rule("骁天麒酷锐联", r"(骁龙|天玑|麒麟|酷睿|锐龙|联发科)\s?(\d{3,4})(?![\d.])", lambda m: m[1] + digits(m[2])),
    Rule(
        "R",
        r"(?<![\d/])(\d{3})/(\d\d)\s?(Z?R)(\d\d)(?!\d)",
        lambda m: f"{digits(m[1])}，{cardinal(int(m[2]))}{m[3]}{cardinal(int(m[4]))}",
    ),
    Rule("《", r"(?<=《)(1\d{3}|20\d\d)(?=》)", lambda m: digits(m[1])),
    Rule("H", r"(?<![A-Za-z])(HTTP)\s?([1-5]\d\d)(?!\d)", lambda m: m[1] + digits(m[2])),
    Rule("NSEW", _SIDED, _sided),
    Rule("°", _DEGREES, _minutes),
    Rule("@", rf"(?:(?<=^)|(?<=[\s，。！？、：])|(?<=关注)|(?<=提醒)|(?<=联系)|(?<=回复))@(?=[{HAN}])", "艾特"),
    Rule("+-", r"(?<=[A-Za-z])(\d?)([+-])(?=离子|价|阳离子|阴离子)", _charge),
    Rule(
        "·.•・",
        rf"(?<![\d.·•・])(\d{{1,2}})\s?[·.•・]\s?(\d{{1,2}})(?=[”\"]?(?:{_EVENTS}))",
        lambda m: f"{digits(m[1])}{digits(m[2])}",
    ),
    Rule(".·", rf"(?<![\d.·])(5|6|10|3|7|8|11|12)[.·](1|15|8)(?=(?:{_FESTIVALS})(?![{HAN}]?[省能约气]))", _festival),
    Rule("UG", r"(?<![A-Za-z])(UTC|GMT)\s?([+-])\s?(?=\d)", lambda m: f"{m[1]}{'加' if m[2] == '+' else '减'}"),
    Rule(
        "万亿千百",
        r"(?<=\d)([万亿千百]+)\s?[-–—~～]\s?(?=\d+(?:\.\d+)?[万亿千百])",
        r"\1到",
    ),
    Rule("vV", r"(?<![A-Za-z\d])(\d)\s?[vV][sS]?\s?(\d)(?![A-Za-z\d.])", r"\1对\2"),
    Rule(
        "vV",
        rf"(?<=[{HAN}])([vV])(\d+(?:\.\d+)+)(?![A-Za-z\d])",
        lambda m: f"V{'点'.join(cardinal(int(part)) for part in m[2].split('.'))}",
    ),
    Rule("0", r"(?<![\d.-])(0\d)-(\d{7,8})(?![\d-])", lambda m: f"{digits(m[1], one='幺')}，{digits(m[2], one='幺')}"),
    Rule("29", r"(?<!\d)(985|211)(?=大学|高校|院校|工程|学校|毕业)", lambda m: digits(m[1])),
    Rule(
        "9", r"(?<![\d.])(\d\d)(?=[A-Z]?(?:式|主战|坦克|步枪|手枪|自行火炮)|[AB](?:式|型|坦克))", lambda m: digits(m[1])
    ),
    Rule("8", r"^88(?=[啦咯了~～!！。，,]|$)", "八八"),
)


_DAY_RULES = (
    Rule("aApP", r"(?<![A-Za-z])([aApP])\.?[mM]\.?\s?(?=\d{1,2}(?:[:：][0-5]\d|[点时]))", _half_before),
    Rule("aApP", r"(?<![\d:.])(\d{1,2}(?:[:：][0-5]\d)?)\s?([aApP])\.?[mM]\.?(?![A-Za-z])", _half_after),
    Rule("/.-", _FULL_SPAN, _full_span),
    Rule(
        "/.",
        rf"(?<![\d./-]){_MONTH_DAY}\s?[-–—~～]\s?{_MONTH_DAY}(?![\d./-])",
        lambda m: f"{int(m[1])}月{int(m[3])}日到{int(m[4])}月{int(m[6])}日" if _is_span(m) else m[0],
    ),
    Rule(
        "-–—~～",
        rf"(?<![\d.,/-]){_YEAR}\s?[-–—~～]\s?{_YEAR}(?![\d.,/年元块人个米万亿-]|\s?=)",
        lambda m: f"{digits(m[1])}到{digits(m[2])}" if m[1] < m[2] else m[0],
    ),
    Rule(
        "-–—~～至到",
        rf"(?<![\d./]){_YEAR_MONTH}\s?[-–—~～至到]\s?{_YEAR_MONTH}(?![\d./])",
        lambda m: f"{m[1]}年{int(m[2])}月到{m[3]}年{int(m[4])}月",
    ),
    Rule(
        "./",
        rf"(?<![\d./]){_YEAR_MONTH}(?=\s?(?:[-–—~～]?\s?至今|入学|毕业|起|出生|加入|入职|离职|开始|发布|上市|版))",
        lambda m: f"{m[1]}年{int(m[2])}月",
    ),
    Rule("-", r"(?<![\d/.,–-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\d/:–-]|[.,]\d)", lambda m: f"{m[1]}年{int(m[2])}月"),
    Rule(
        "12",
        r"(?<![\d.,A-Za-z:：_-])((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?![\d.,:A-Za-z_-]|[元块万亿个人])",
        lambda m: m[0] if _CODE_BEFORE.search(m.string[: m.start()]) else f"{m[1]}年{int(m[2])}月{int(m[3])}日",
    ),
    Rule("-–—~～", r"(?<=[点时半分])\s?[-–—~～]\s?(?=(?:早|晚|上午|下午|中午|凌晨|次日|第二天)[上]?\d)", "到"),
    Rule("-–—~～", r"(?<=\d)\s?[-–—~～]\s?(?=(?:早|晚|上午|下午|中午|凌晨|次日|第二天)[上]?\d{1,2}[:：点时])", "到"),
    Rule(
        "后",
        rf"(?<!\d)(?:{_DECADE}后?[、和与/，])+(?={_DECADE}后)",
        lambda m: sub(r"\d\d", lambda n: digits(n[0]), m[0]).replace("/", "、"),
    ),
)

_CODE_RULES = (
    Rule("ABCDEFGHJKLMNPQRSTUVWXYZ", _PLATE, _plate),
    Rule("CHNOSFKALMBPISZTUW", _FORMULA, _formula),
    Rule(
        "/",
        r"(?<![A-Za-z\d])([A-Z]{2}|[GDCKTZ])(\d{3,4})/(\d{1,4})(?![\d/.])",
        lambda m: f"{m[1]}{digits(m[2], one='幺')}，{digits(m[3], one='幺')}",
    ),
    Rule("寄", r"(寄[^。，！？\d]{0,8})(\d{6})(?![\d.])", lambda m: m[1] + digits(m[2], one="幺")),
    Rule(
        "网站台服Ap线",
        r"(?<![\d.])(\d{4,6})(?=(?:官网|网站|平台|客服|APP|App|热线|专线))",
        lambda m: digits(m[1], one="幺"),
    ),
    Rule("座元", r"(座|单元)(\d{3,4})(?![\d.,元平米人个万])", lambda m: m[1] + digits(m[2], one="幺")),
    Rule(
        "-",
        r"(?<![\d.-])\d{2,3}-\d{2,3}-\d{7,8}(?![\d-])"
        r"|(?<![\d.-])00?\d{2,3}[- ]\d{2,4}[- ]\d{7,8}(?![\d-])|(?<![\d.-])0\d{2,3}-\d{5,6}(?![\d-]|\.\d)"
        r"|(?<![\d.-])\d{3,4}-\d{3,4}-\d{3,5}(?![\d-]|\.\d)",
        lambda m: "，".join(digits(group, one="幺") for group in re.findall(r"\d+", m[0])),
    ),
    Rule(
        "7",
        r"(?<![\d.,-])(7[0-9]7)(?:-(\d)00)?(?=[^\d.,:%元块米个人]|$)(?<!\d{4})",
        lambda m: (
            f"{digits(m[1])}{cardinal(int(m[2]) * 100) if m[2] else ''}"
            if m[2] or m.string[max(0, m.start() - 2) : m.start()] == "波音"
            else m[0]
        ),
    ),
    Rule(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        r"(?<![A-Za-z\d])([A-Z]{1,3})(\d{3,4})(?=[a-z])(?!(?:mg|g|kg|ml|mL|mm|cm|km|m|kcal|min|s|h)(?![A-Za-z]))",
        lambda m: f"{m[1]}{digits(m[2])}",
    ),
    Rule("-–—", rf"({_NAMED})[-–—](\d{{1,3}})(?![\d.%℃°])", lambda m: f"{m[1]}{cardinal(int(m[2]))}"),
    Rule("D", r"(?<![A-Za-z\d])(DDR\d|LPDDR\d)-(\d{4})(?!\d)", r"\1，\2"),
)

_UNIT_RULES = (
    Rule(
        "-–",
        r"(?<![\d.+×÷=-])(\d+\.\d+)\s?[-–]\s?(\d+\.\d+)(?![\d.-]|\s?[=+×÷])",
        lambda m: f"{m[1]}到{m[2]}" if float(m[1]) < float(m[2]) else m[0],
    ),
    Rule("/", r"(血压[^，。！？\d]{0,4}\d{2,3})/(?=\d{2,3}(?!\d))", r"\1，"),
    Rule("/", r"(?<![\d/])24/7(?![\d/])", "7乘24小时"),
    Rule("M", r"(?<=\d)\s?M(?=宽带|光纤|网络|网速|带宽)", "兆"),
    Rule("*", r"(?<=[\da-zA-Z)）])\s?\*\s?(?=\d)", "×"),
    Rule("V", r"(?<![A-Za-z\d.])(\d+)\s?V\s?(\d+(?:\.\d+)?)\s?A(?![A-Za-z\d])", r"\1伏\2安"),
    Rule("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", r"(?<=10)[⁻⁰¹²³⁴-⁹]+", lambda m: "^" + m[0].translate(_RAISED)),
    Rule("^⁻⁰¹²³⁴⁵⁶⁷⁸⁹", r"10\^(-?)(\d+)(?!\d)", lambda m: f"10的{'负' * bool(m[1])}{m[2]}次方"),
)
