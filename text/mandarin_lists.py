"""Mandarin scores, spans of money, keys of a telephone, and numbers that go on from the one before them.

中国1-2 is a score, $1-5 is 一到五美元, 按#键 is 井号键, a second telephone number is read as the first one.
"""

from __future__ import annotations

import re

from timbre.text.languages import HAN
from timbre.text.mandarin_numbers import cardinal, decimal, digits
from timbre.text.patterns import Rule, sub

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SIDES = (
    "中国|日本|韩国|朝鲜|伊朗|沙特|泰国|越南|澳大利亚|德国|法国|英格兰|巴西|阿根廷|西班牙|意大利|葡萄牙|荷兰|比利时|克罗地亚|美国|墨西哥|"
    "国足|女足|男足|国奥|国安|申花|泰山|海港|国际|三镇|蓉城|湖人|勇士|火箭|热火|皇马|巴萨|马竞|曼联|曼城|利物浦|切尔西|阿森纳|热刺|拜仁|"
    "多特|尤文|国米|米兰|拉齐奥|罗马|那不勒斯|巴黎|里昂|[男女]排|[主客]队|[主客]场|[半全]场|爆冷|首回合|次回合|加时|点球|完场|终场|比分|"
    "抢[七十]|[首次][盘局]|决胜[盘局]|第[一二三四五六七][盘局]|"
    "联队|[^部军团]队|俱乐部"
)
_KEYS = {"*": "星号", "＊": "星号", "#": "井号", "＃": "井号"}
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖"
    "贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_REIGNS = (
    "康熙|乾隆|雍正|嘉庆|道光|咸丰|同治|光绪|宣统|顺治|崇祯|万历|嘉靖|正德|弘治|成化|洪武|建文|永乐|宣德|贞观|开元|天宝|建安|元丰|熙宁|庆历|"
    "绍兴|淳熙|至元|至正|民国|昭和|平成|令和|明治|大正|永徽|武德|泰始|太和|景德|崇宁|靖康|隆庆|天启|洪熙|景泰|天顺|泰昌|建炎|"
    "大中祥符|元和|会昌|大历|太康|元嘉"
)
_VIDEO = re.compile(
    "编码|分辨率|电视|屏|画质|视频|高清|fps|帧|显示器|电影|投影|蓝光|Hz|拍摄|录制|直播|摄像|相机|镜头|HDR|画面|码率"
)
_CALCULUS = {"∑": "求和", "∫": "积分", "∂": "偏", "∏": "连乘"}
_MENU = re.compile("设置|打开|点击|文件|菜单|进入|选择|步骤|流程")
_COMPUTED = re.compile("算|等于|得数|口算|差|减|公式|题")


def _more_telephones(match: re.Match[str]) -> str:
    first, rest = match.groups()
    return first + sub(r"\d+(?:-\d+)?", lambda m: "，".join(digits(g, one="幺") for g in m[0].split("-")), rest)


def _masked(match: re.Match[str]) -> str:
    """189****5678: its stars are spoken one by one."""
    first, stars, last = match.groups()
    return f"{digits(first, one='幺')}{'星' * len(stars)}{digits(last, one='幺')}"


def _abroad(match: re.Match[str]) -> str:
    """(+852)2345 6789: the code of the country, then the groups."""
    return "，".join(digits(group, one="幺") for group in re.findall(r"\d+", match[0]))


def _arrow(match: re.Match[str]) -> str:
    """北京南→上海虹桥 goes to the other; the steps of a menu are listed."""
    return "，" if _MENU.search(match.string[: match.start()]) else "到"


def _clocked(match: re.Match[str]) -> str:
    """7:40.33 and 2:03:23.15 are the times of a race."""
    hours, minutes, seconds, parts = match.groups()
    spoken = f"{'两' if hours == '2' else cardinal(int(hours))}小时" if hours else ""
    return f"{spoken}{cardinal(int(minutes))}分{'零' * (seconds[0] == '0')}{cardinal(int(seconds))}秒{digits(parts)}"


def _sets(match: re.Match[str]) -> str:
    """比分18：25、21：25: every pair of the clause is a score."""
    return sub(r"(?<![\d:：])(\d{1,3})\s?[:：-]\s?(\d{1,3})(?![\d:：])", r"\1比\2", match[0])


def _left_open(match: re.Match[str]) -> str:
    """一般3-5 without a noun behind it: from the lower to the higher number, unless something is computed."""
    if _COMPUTED.search(match.string[: match.start()]) or not int(match[1]) < int(match[2]):
        return match[0]
    return f"{match[1]}到{match[2]}"


_SPORT = re.compile(
    "晋级|夺冠|选手|球员|主队|客队|比分|攻势|决赛|联赛|锦标赛|世锦赛|公开赛|世界杯|英超|西甲|德甲|意甲|法甲|中超|[CN]BA|WTT|进球|破门|"
    "帽子戏法|大胜|险胜|完胜|击败|战胜|爆冷|胜局|首局|次局|盘点|赛点|局点|连追|扳平|绝杀|乒乓|羽毛球|网球|排球|男足|女足|女排|男篮"
)


def _score(match: re.Match[str]) -> str:
    """12-10锁定胜局: two numbers with nothing counted behind them, and sport spoken of nearby."""
    near = match.string[max(0, match.start() - 60) : match.end() + 60]
    return f"{match[1]}比{match[2]}" if _SPORT.search(near) else match[0]


LIST_RULES = (
    Rule(
        "-–",
        r"(?<![A-Za-z\d第.:/-])(\d{1,3})[-–](\d{1,3})(?![\d.:%/-]|\s?(?:[年月日号时点岁米公千厘分秒人名个元万亿轮场次届张天周级℃°度名位页章节场楼]|[A-Za-z]))",
        _score,
    ),
    Rule(
        ":：∶",
        r"(?<![A-Za-z\d:：/])[a-z](?:\s?[:：∶]\s?[a-z])+(?![A-Za-z:/\\])",
        lambda m: re.sub(r"\s?[:：∶]\s?", " 比 ", m[0]),
    ),
    Rule("-–", r"(?:(?<=^)|(?<=[，。；！]))\s?(\d{1,2})[-–](\d{1,2})(?=[！!])", r"\1比\2"),
    Rule(
        "~～-–,，",
        r"(?<![A-Za-z])([A-Z]{2,5})\s?[:：=]?\s?[(（\[]?(-?\d+\.\d+)\s?[-–~～,，]\s?(-?\d+\.\d+)[)）\]]?(?![\d.A-Za-z%])",
        lambda m: f"{m[1]} {decimal(m[2])}到{decimal(m[3])}",
    ),
    Rule("代", r"(?<=[A-Za-z])\s?2(?=代)", "二"),
    Rule("”", r"“([A-Za-z][A-Za-z .-]{0,20}\d+)”", r" \1 "),
    Rule(
        "SMLX",
        r"(?<![A-Za-z\d-])([SML]|\d?X{1,4}[SL])\s?[-–~～至到]\s?(\d?X{0,4}[SML])(?![A-Za-z\d-])",
        lambda m: " 到 ".join(re.sub(r"\d", lambda n: digits(n[0]), m[i]) for i in (1, 2)),
    ),
    Rule("W", r"(?<![A-Za-z\d.])(\d{1,2})W-(\d{2})(?!\d)", lambda m: f"{cardinal(int(m[1]))}W，{cardinal(int(m[2]))}"),
    Rule("8", r"(?<![\d.])802\.(\d{1,2})(?!\d)", lambda m: f"八零二点{digits(m[1])}"),
    Rule("+", r"(第\d{2,3})\+(\d{1,2})(?=分)", lambda m: f"{m[1]}加{cardinal(int(m[2]))}"),
    Rule(
        ":",
        r"(?<![\d:.-])(?:(\d{1,2}):)?([0-5]?\d):([0-5]\d)\.(\d{1,3})(?![\d:])",
        _clocked,
    ),
    Rule(
        "./",
        r"((?:周|星期|礼拜)[一二三四五六日天]\s?[（(])(1[0-2]|0?[1-9])[./](3[01]|[12]\d|0?[1-9])(?=[)）])",
        r"\1\2月\3日",
    ),
    Rule(">", rf"(?<=[{HAN}”」\])])\s+>\s+(?=[{HAN}“「\[(A-Za-z])", "，"),
    Rule("-–:：", r"比分[^。！？]*[、，和][^。！？]*", _sets),
    Rule(
        "-–", rf"((?:{_SIDES})\s?)(\d{{1,2}})\s?[-–]\s?(\d{{1,2}})(?![\d.%-]|\s?[{HAN}]?[年月日号人个名])", r"\1\2比\3"
    ),
    Rule("减-", r"满([¥￥]?)(\d{2,5})[-－](\d{1,4})(?![\d.%])", r"满\1\2减\3"),
    Rule("/", r"(?<![\d/.第])(?<!第\s)(\d{1,3})\s/\s(\d{1,3})(?![\d/.]|\s?[页步关集章轮])", r"\1/\2"),
    Rule(
        "*＊#＃",
        r"(?<=按)\s?([*＊#＃])(?:号?键)?|([*＊#＃])(?=号?键)",
        lambda m: f"{_KEYS[m[1] or m[2]]}{'键' if m[1] else ''}",
    ),
    Rule("号", r"(?<![\d.A-Za-z备])[“\"]?(\d{5,12})[”\"]?(?=号(?![楼线院段]))", lambda m: digits(m[1], one="幺")),
    Rule(
        "×xX", rf"(?:(?<![{HAN}A-Za-z\d])|(?<=[和与及、诉告对给被让人某]))([{_SURNAMES}])[×Xx](?![×\dA-Za-z=])", r"\1某"
    ),
    Rule("+＋", r"[（(]\s?[+＋](\d{1,3})\s?[)）]\s?(\d[\d -]{5,12}\d)(?!\d)", _abroad),
    Rule(
        "0147",
        r"((?<!\d)0\d{2,3}[- ]?\d{7,8}|(?<!\d)1[3-9]\d{9})((?:[或、/和,，](?:0\d{2,3}-)?\d{7,8}(?!\d|[元人个万]))+)",
        _more_telephones,
    ),
    Rule("新法惨", r"(?<![\d.])(\d{3})(?=新政|新规|法案|惨案)(?<!\d{4})", lambda m: digits(m[1])),
    Rule(
        "-–",
        rf"(?<=[{HAN}])(?<![第章图表式例款条号牌位])([1-9]\d?)[-–]([1-9]\d?)(?=$|[，。！？、；,;!?）)]|[（(](?!\d))",
        _left_open,
    ),
    Rule(
        "/",
        r"第\s?0*(\d{1,3})\s?/\s?(\d{1,3})\s?([页步关集章轮])",
        lambda m: f"第{cardinal(int(m[1]))}{m[3]}，共{cardinal(int(m[2]))}{m[3]}",
    ),
    Rule(
        "ABCD",
        r"(?<![\d.A-Za-z+-])(?!\d+0[A-D])(\d{3,4})(?=[A-D](?![A-Za-z\d])(?!\s?(?:参数|模型|大模型)))",
        lambda m: digits(m[1], one="幺"),
    ),
    Rule("*", r"(?<!\d)(\d{3,6})\s?(\*{3,12})\s?(\d{2,4})(?!\d)", _masked),
    Rule("/", r"(?<=[A-Za-z]{3})/(?=\d{4,12}(?![\d.]))(\d+)", lambda m: f"，{digits(m[1])}"),
    Rule("〔[【", r"(?<=[〔\[【])((?:19|20)\d\d)(?=[〕\]】]\s?\d+号)", lambda m: digits(m[1])),
    Rule("年", rf"({_REIGNS})(\d{{1,2}})(?=年)", lambda m: m[1] + cardinal(int(m[2]))),
    Rule("s", r"(?<![\d.])(1[5-9]\d0|20[0-2]0)s(?![A-Za-z])年?代?", lambda m: f"{digits(m[1])}年代"),
    Rule("hHx", r"(?<![A-Za-z])([hHxX])\.?(26[3-6])(?!\d)", lambda m: m[1].upper() + digits(m[2])),
    Rule(
        "Kk",
        r"(?<![\d.A-Za-z])([24568])[kK](?:(?=\s?[，、。；;和/]|$)|\s?@?\s?(?=\d{2,3}\s?(?:fps|帧|Hz)))",
        lambda m: f"{digits(m[1])}K，" if _VIDEO.search(m.string) else m[0],
    ),
    Rule(
        "/",
        r"((?:GPA|绩点|均分)[是为:：]?\s?)(\d\.\d{1,2})\s?/\s?([45](?:\.0)?)(?![\d.])",
        lambda m: f"{m[1]}{decimal(m[2])}，{decimal(m[3])}",
    ),
    Rule("附", r"(附[录表件图]\s?[A-Z])\s?[-–.]\s?(\d{1,2})(?![\d.])", lambda m: f"{m[1]}杠{cardinal(int(m[2]))}"),
    Rule(
        "@",
        rf"((?:微博|评论区?|群里?|朋友圈|留言|请|快|记得|可以|忘了|麻烦|有事|随时|直接|私信|弹幕)[上里下]?)@(?=[{HAN}A-Za-z])",
        r"\1艾特",
    ),
    Rule("→➡⇒", rf"(?<=[{HAN}A-Za-z\d])\s?[→➡⇒]\s?(?=[{HAN}A-Za-z\d])", _arrow),
    Rule(
        "/",
        r"(?<![\d/.])([1-9])/([1-9])(?=定律|法则|原则|开|分成|分账)",
        lambda m: digits(m[1] + m[2]) if int(m[1]) + int(m[2]) == 10 else m[0],
    ),
    Rule("℃℉", r"(?<![\d°\s.])[℃℉]", lambda m: "摄氏度" if m[0] == "℃" else "华氏度"),
    Rule(
        ".·",
        r"(?<![\d.])([1-9])[.·]([1-9])(?=(?:女神|女生|妇女|劳动|青年|儿童|建军|教师|国庆|母亲|购物|情人|植树|护士|记者)节)",
        lambda m: digits(m[1] + m[2]),
    ),
    Rule(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        rf"(?<![A-Za-z])([A-Z]{{2,5}}) (\d{{1,3}}(?:\.\d+)?)(?=\s?[/，。、；！？）]|$|[{HAN}])(?![{HAN}]{{1,2}}\s?/)",
        lambda m: f"{m[1]} {decimal(m[2])}",
    ),
    Rule("Qq", r"(?<![\d.,])((?:19|20)\d\d)\s(?=Q[1-4](?!\d))", lambda m: digits(m[1])),
    Rule("uU", r"(?<![A-Za-z\d])[uU]1[sS]1(?![A-Za-z\d])", "有一说一"),
    Rule(
        ":：",
        r"(?<=[A-Za-z])\s?(?<!\d)(\d{1,2})\s?[:：]\s?(\d{1,2})\s?(?=[A-Z][A-Za-z0-9])(?![AP]M)",
        lambda m: f" {cardinal(int(m[1]))}比{cardinal(int(m[2]))} ",
    ),
    Rule("=", r"(?<![\d:])(\d+):(\d+)\s?=\s?(\d+):(\d+)(?![\d:])", r"\1比\2=\3比\4"),
    Rule("@", r"(?<![\dA-Za-z.])(\d{5,12})@(?=[A-Za-z])", lambda m: f"{digits(m[1], one='幺')} at "),
    Rule("5", r"(?<![\d.])5{4,6}(?=[好太我呜不真，！。])", lambda m: digits(m[0])),
    Rule("+", r"(?:(?<=^)|(?<=[，。！,\s]))\+1(?:\+1)+(?!\d)", lambda m: "加一" * (len(m[0]) // 2)),
    Rule(
        "备",
        r"备\s?(\d{6,14})号(?:-(\d{1,2}))?",
        lambda m: f"备{digits(m[1])}号" + (f"杠{cardinal(int(m[2]))}" if m[2] else ""),
    ),
    Rule(
        "-—–",
        r"(?<![A-Za-z])(GB|JGJ|HJ|YY|QB|DB\d{2}|JJG|GBZ|ISO)\s?(\d{2,6})(\.\d{1,3})?[-—–]((?:19|20)\d\d)(?!\d)",
        lambda m: f"{m[1]} {digits(m[2])}{'点' + digits(m[3]) if m[3] else ''}，{digits(m[4])}",
    ),
    Rule(
        "-",
        r"(?<![A-Za-z\d-])([A-Z]{1,4})(\d{2,})((?:-\d{2,}){2,})(?![A-Za-z\d-])",
        lambda m: f"{m[1]} {digits(m[2])}，" + "，".join(digits(one) for one in m[3][1:].split("-")),
    ),
    Rule(
        "-–/",
        r"(?<![\d.])((?:19|20)\d\d)[-–/](\d\d)(?=赛季|学年|财年|年度|跨年)",
        lambda m: f"{digits(m[1])}到{digits(m[2])}",
    ),
    Rule("∑∫∂∏", "[∑∫∂∏]", lambda m: _CALCULUS[m[0]]),
    Rule(
        "-",
        r"((?:门牌|门牌号|楼号|室号|单元|铺位|摊位|车位)[是为:：]?\s?)(\d{1,4})-(\d{1,4})(?![\d.-])",
        lambda m: f"{m[1]}{cardinal(int(m[2]))}杠{cardinal(int(m[3]))}",
    ),
    Rule(
        "K",
        r"(?<![A-Za-z])(D?K)(\d{1,4})\+(\d{3})(?!\d)",
        lambda m: f"{m[1]}{cardinal(int(m[2]))}加{cardinal(int(m[3]))}",
    ),
    Rule("ΓΔΘΛΞΠΣΦΨΩ", "[ΓΔΘΛΞΠΣΦΨ]|(?<!\\d)(?<![kM])Ω", lambda m: m[0].lower()),
)
