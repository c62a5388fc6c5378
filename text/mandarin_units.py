"""Mandarin units of measurement: prefixes, powers, products and quotients are put together, not listed.

A unit is a prefix, a base and a power (mm², kPa, μmol); a chain of them is multiplied by a dot and divided by a slash
or by a negative power (kg·m/s², W/(m²·K), mg·kg⁻¹·d⁻¹, 元/㎡/天). `CHAIN` finds one, `chain_words` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from timbre.text.mandarin_numbers import cardinal

_PREFIXES = {
    "f": "飞", "p": "皮", "n": "纳", "μ": "微", "u": "微", "m": "毫", "c": "厘", "d": "分", "h": "百", "k": "千",
    "K": "千",
    "M": "兆", "G": "吉", "T": "太", "P": "拍",
}  # fmt: skip
_BASES = {
    "m": ("米", "nμucdmk"), "g": ("克", "pnμumk"), "L": ("升", "nμumdc"), "l": ("升", "nμumdc"), "s": ("秒", "fpnμm"),
    "Hz": ("赫兹", "mkMGT"), "W": ("瓦", "nμmkMGT"), "V": ("伏", "nμmkM"), "A": ("安", "npμmk"), "J": ("焦", "mkMGT"),
    "N": ("牛", "μmkM"), "Pa": ("帕", "μmhkMG"), "F": ("法", "pnμ"), "H": ("亨", "nμm"), "Ω": ("欧", "mkMG"),
    "S": ("西", "μm"), "T": ("特", "nμm"), "eV": ("电子伏特", "mkMGT"), "Wh": ("瓦时", "mkMGT"), "Ah": ("安时", "mk"),
    "VA": ("伏安", "kM"), "bar": ("巴", "mk"), "mol": ("摩尔", "pnμmk"), "cal": ("卡", "k"), "Sv": ("西弗", "nμm"),
    "Gy": ("戈瑞", "mc"), "Bq": ("贝可", "kMGT"), "t": ("吨", "kM"), "cd": ("坎德拉", "m"), "bit": ("比特", "kM"),
    "bps": ("比特每秒", "kKMGT"), "var": ("乏", "kM"), "rad": ("弧度", "m"), "gf": ("克力", "k"),
    "pc": ("秒差距", "kM"),
}  # fmt: skip
"""Base unit -> its name and the prefixes that go with it (others make words: pm, Pa, cd)."""
_BARE = frozenset({"m", "g", "L", "l", "s", "Hz", "W", "V", "Pa", "Ω", "eV", "Wh", "Ah", "VA", "bar", "mol", "cal",
                   "Sv", "Gy", "Bq", "t", "bps", "rad", "var"})  # fmt: skip
"""Bases that are units of a number without a prefix too; the others are letters or something else then."""
_WHOLE = {
    "J": "焦耳", "min": "分钟", "mins": "分钟", "h": "小时", "hr": "小时", "hrs": "小时", "sec": "秒", "secs": "秒",
    "ha": "公顷", "hm²": "公顷", "hm2": "公顷", "hm^2": "公顷", "hm": "百米", "dB": "分贝", "DB": "分贝", "db": "分贝",
    "dBA": "分贝A", "dB(A)": "分贝A", "rpm": "转每分钟", "bpm": "次每分钟", "fps": "帧每秒",
    "psi": "磅每平方英寸", "mph": "英里每小时", "lb": "磅", "lbs": "磅", "oz": "盎司", "ft": "英尺", "yd": "码",
    "mi": "英里",
    "gal": "加仑", "nmi": "海里", "mmHg": "毫米汞柱", "cmHg": "厘米汞柱", "cmH2O": "厘米水柱", "cmH₂O": "厘米水柱",
    "mmH2O": "毫米水柱", "mmH₂O": "毫米水柱", "cc": "毫升", "atm": "标准大气压", "px": "像素",
    "dpi": "点每英寸", "ppi": "像素每英寸", "ly": "光年", "lm": "流明", "lx": "勒克斯", "klx": "千勒克斯",
    "IU": "国际单位",
    "tex": "特克斯", "dtex": "分特", "mil": "密耳", "㎡": "平方米", "㎥": "立方米",
    "kn": "节", "kph": "千米每小时", "kmh": "千米每小时", "kcals": "千卡", "Nm": "牛米", "kNm": "千牛米",
}  # fmt: skip
_LETTERS = {
    "N": "牛", "A": "安", "F": "法", "C": "库", "H": "亨", "S": "西", "K": "开", "T": "特", "U": "单位", "d": "天",
    "r": "转", "°C": "摄氏度", "°F": "华氏度", "℃": "摄氏度", "℉": "华氏度", "a": "年", "mu": "亩",
    "sq": "方", "MB": "MB",
    "GB": "GB", "KB": "KB", "TB": "TB", "kB": "KB", "Mb": "Mb", "Gb": "Gb", "Mbit": "Mbit", "wk": "周", "yr": "年",
    "px": "像素",
    "Da": "道尔顿", "kDa": "千道尔顿", "CFU": "CFU", "cfu": "CFU", "W": "瓦", "day": "天", "week": "周", "M": "兆",
}  # fmt: skip
"""Letters that are units only where another unit multiplies or divides them."""
_SPELLINGS = (
    "kw Kw KW kwh KWh KWH mw hz HZ KHz KHZ khz Mhz MHZ mhz ghz Ghz GHZ mah MAH Mah mAH KG Kg KM Km CM MM ML Ml "
    "Kcal KCAL "
    "kpa KPA KPa Mpa mpa MPA KJ KV kv Kv KN KVA kva KWp Mbps mbps Gbps gbps"
)
"""Units in capitals and small letters that everybody writes."""
_NO_BASE = {"mw", "mpa", "KWp"}
_POWER = r"(?:\^?[-−]\d(?!\d)|\^[234](?!\d)|⁻[¹²³⁴]|[²³⁴]|(?<=m)[23](?!\d)|(?<=s)2(?!\d))"
_POWERS = {"2": "平方", "3": "立方", "4": "四次方", "1": ""}
_RAISED = str.maketrans("⁻−¹²³⁴", "--1234")


def _composed() -> dict[str, str]:
    """All units that a number alone may have, by their written form."""
    units = dict(_WHOLE)
    for base, (name, prefixes) in _BASES.items():
        if base in _BARE:
            units.setdefault(base, name)
        for prefix in prefixes:
            units.setdefault(prefix + base, _PREFIXES[prefix] + name)
    by_small: dict[str, str] = {}
    for written, name in units.items():
        by_small.setdefault(written.lower(), name)
    for written in _SPELLINGS.split():
        if written not in _NO_BASE:
            units.setdefault(written, by_small[written.lower()])
    return units | {"mw": "毫瓦", "mpa": "兆帕", "MPA": "兆帕", "Mpa": "兆帕", "MJ": "兆焦", "Mbps": "兆比特每秒"}


UNITS = _composed()
"""Written form -> name: km -> 千米."""


def _names(names: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_COUNTERS = (
    "平方公里|平方千米|平方米|立方米|平米|公里|千米|厘米|毫米|公斤|千克|毫克|微克|毫升|小时|分钟|千瓦时|课时|人次|人份|"
    "季度|年度|公顷|时|天|月|年|人|斤|吨|秒|分|米|次|个|箱|件|瓶|盒|股|张|间|套|桶|袋|台|亩|户|位|晚|包|卷|罐|批|车|板|"
    "支|片|粒|对|双|组|捆|棵|头|首|局|场|轮|集|层|栋|座|家|匙|串|枚|根|把|平|克|升|度|节|期|周|日|辆|只|杯|份|条|本|"
    "页|克拉|盎司|桌|字|夜|碗|盘|听|株|穴|颗|拍|转|元|块|单|笔|趟|锅|车次|场次|字节|帧"
)
"""Measure words that may stand above or below a slash."""
_FACTORS = _names({*UNITS, *_LETTERS})
_DIVISORS = "g|mg|kg|m|km|KM|cm|mL|ml|L|l|h|d|min|s|克|公里|千米|米|毫升|升|小时"
"""Units that a number below a slash may have: mg/100mL, g/24h; 220V/50Hz are two quantities."""
_BELOW = (
    rf"(?:(?:(?:10|100|500|1000)\s?(?=(?:{_DIVISORS})(?![A-Za-z]))|\d{{1,2}}\s?(?=(?:h|d|min|小时|天|分钟)(?![A-Za-z])))?"
    rf"(?:(?:{_FACTORS}){_POWER}?(?![A-Za-z])|{_COUNTERS})(?:[·⋅•.*](?:(?:{_FACTORS}){_POWER}?(?![A-Za-z])|{_COUNTERS}))*"
    rf"|百\s?(?:公里|千米|[kK][mM]))(?!\d)"
)
QUOTIENT = rf"(?:\s?/\s?(?:\((?:{_FACTORS}){_POWER}?(?:\s?[·⋅•.*]\s?(?:{_FACTORS}){_POWER}?)*\)|{_BELOW}))"
"""Expression of what a unit or a price is divided by."""
_PRODUCT = rf"(?:[·⋅•]|(?<=[A-Za-zΩ])[.*-](?=[A-Za-zΩ]))(?:{_FACTORS}){_POWER}?"
CHAIN = rf"(?:{_FACTORS}){_POWER}?(?:{_PRODUCT})*{QUOTIENT}*(?![A-Za-z0-9₀-₉⁰⁺⁻²³])"
"""Expression of a chain of units with Latin letters or signs at its head."""
_NAMED = ("拷贝", "细胞", "万元", "亿元", "美元", "欧元", "港元", "日元", "英镑")
COUNTED_CHAIN = rf"(?:(?:{_COUNTERS})|copies|{'|'.join(_NAMED)}){QUOTIENT}+(?![A-Za-z])"
"""A measure word over others: 个/mL, 次/min, 元/kg."""
_HEADS = UNITS | {"copies": "拷贝"} | {name: name for name in _NAMED}
_ONE = re.compile(rf"(?P<number>\d{{1,4}})?\s?(?P<name>{_FACTORS}|{_COUNTERS})(?P<power>{_POWER})?")
_SLASH = re.compile(r"\s?/\s?(?![^(]*\))")


def is_plain_letter(chain: str) -> bool:
    """True for a chain that is one letter which a number alone does not have: 5 K, 3A; not 5 N/m."""
    return chain in _LETTERS and chain not in UNITS


def is_certain(chain: str) -> bool:
    """True for a chain that is a unit without a number before it: km/h, mg/L, g/cm³; not s/t."""
    return (
        "/" in chain
        and not re.match("[KMGT]B/(?!s)", chain)
        and (
            chain in ("m/s", "g/L", "W/m", "V/m", "N/m", "r/s")
            or re.search(r"[²³⁻]|\^|[A-Za-zμ]{2}", chain) is not None
        )
    )


def _power(sign: str | None) -> int:
    return int((sign or "1").lstrip("^").translate(_RAISED))


def _factor(name: str, power: int) -> str:
    words = UNITS.get(name) or _LETTERS.get(name) or name
    return _POWERS.get(str(abs(power)), f"{cardinal(abs(power))}次方") + words


def chain_words(chain: str) -> str:
    """kg·m/s² -> 千克米每平方秒; mg·kg⁻¹·d⁻¹ -> 毫克每千克每天; 元/100m -> 元每一百米."""
    if chain in UNITS:
        return UNITS[chain]
    above, *below = _SLASH.split(chain)
    words = _HEADS.get(above) or _product(above)
    return words + quotient_words(below)


def quotient_words(below: list[str]) -> str:
    """What stands below the slashes: 每平方米每天."""
    words = ""
    for part in below:
        if part.startswith("百"):
            words += "每百公里"
            continue
        for place, factor in enumerate(_ONE.finditer(part)):
            words += "每" * (not place or not (factor["name"] in UNITS or factor["name"] in _LETTERS))
            words += cardinal(int(factor["number"])) if factor["number"] else ""
            words += _factor(factor["name"], _power(factor["power"]))
    return words


def _product(chain: str) -> str:
    """Units one after another; one with a negative power is what the others are divided by."""
    words = ""
    for factor in _ONE.finditer(chain):
        power = _power(factor["power"])
        words += "每" * (power < 0) + _factor(factor["name"], power)
    return re.sub("(?<=[瓦安])小时", "时", words)
