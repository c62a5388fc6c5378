"""English quantities in digits: percent, temperatures, units of measure, ratios, arithmetic signs.

Each function takes and returns text; numbers may carry thousands commas and a fraction. What is left in digits
afterwards is read by `english_normalize`.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_amounts import (
    NUMBER,
    SCALE_WORDS,
    counts_plural,
    is_attribute,
    is_multipack,
    plain,
    stands_before_noun,
)
from timbre.text.english_money import CURRENCIES
from timbre.text.english_units import CHAIN, UNIT_NAMES, UNITS, chain_words, is_plain_letter
from timbre.text.patterns import preceding, sub

_GLUED_ONLY = frozenset({"in", "L", "cl"})
"""Units that are common words or letters: after a blank they are something else ('5 in the box', 'Gate 5 B')."""
_MEASURE = re.compile(rf"(?<![\w./])({NUMBER})(\s?)({CHAIN})(?:\.(?=\s[a-z]))?")
_HYPHENATED = re.compile(rf"(?<![\w./-])({NUMBER})-({UNIT_NAMES})\b\.?(?=\)?\s[A-Za-z])")
_SCALED_UNIT = re.compile(
    rf"\b((?:m|b|tr)illion |thousand )((?!(?:in|s|h|m|l|L|g|V|W|min|pt)\b(?![/^·]))(?!mo\b)(?:{CHAIN}))"
)
_UNIT_PER = re.compile(rf"(\bper )((?!in\b)(?:{UNIT_NAMES}))\b(?!['’/])(?!\.\w)")
_RATE_ALONE = re.compile(
    r"(?<![\w/.])(?!W/L|L/m)((?:km|cm|mm|m|mi|ft|[kmnμ]?g|mcg|[mμ]?[lL]|m?mol|kWh|[kM]?W|k?J|k?N|kcal|[MG][Bb])"
    r"/(?:h|s|min|hr|d?l|m?L|ml|kg|lb|mol|m[23²³]|m\^[23]|s\^2|K)(?:/(?:h|s|min|d))?)(?![\w/^'])"
)


_SIZES = frozenset({"m", "km", "mm", "V", "kV", "W", "kW", "Hz", "MHz", "GHz", "mAh"})
"""Units that tell what size a noun is where they stand before it: 10 m air rifle; 2 oz cheese is an amount."""


def _measure(match: re.Match[str]) -> str:
    number, blank, chain = match.groups()
    unit = re.split(r"[\^/·⋅²³]|(?<=m)[23]", chain, maxsplit=1)[0]
    if is_plain_letter(chain):
        return match[0]
    if blank and unit in "VW" and not re.match(r"[.,;)]|$|\s[a-z@×+=<>(]", match.string[match.end() :]):
        return match[0]
    by = re.search(r"\bby\s$", preceding(match))
    if (
        blank
        and unit == "L"
        and _LITERS_AFTER.match(match.string, match.end())
        and not _PLACE_BEFORE.search(preceding(match))
    ):
        blank = ""
    if (blank and unit in _GLUED_ONLY and chain == unit and not by) or (unit == "s" and _is_decade(number)):
        return match[0]
    attributive = is_attribute(match.string, match.start(), match.end()) or (chain in _SIZES and _heads_noun(match))
    attributive = attributive or _STORED.match(match.string, match.end()) is not None
    attributive = attributive or is_multipack(match.string, match.start(), match.end())
    if not blank and not attributive:
        attributive = _SOLD.match(match.string, match.end()) is not None or (
            chain in ("hr", "min") and _HOURLY.match(match.string, match.end()) is not None
        )
    return f"{numbers.decimal(plain(number))} {chain_words(chain, plain(number) != '1' and not attributive)} "


def expand_hyphenated(text: str) -> str:
    """A 12-oz can is a twelve ounce can, whatever stands before and after."""
    return _HYPHENATED.sub(lambda m: f"{m[1]} {UNITS[m[2]][0]} ", text)


def _is_decade(number: str) -> bool:
    return len(number) == 4 and number.endswith("0") and number[:2] in {"17", "18", "19", "20"}


_LITERS_AFTER = re.compile(r"[,;)]|\.?$|\.\s|\s[a-z]|\sV\d")
"""What follows an L that is liters, unless a place has that letter (Gate 5 L)."""
_AFTER_LENGTH = re.compile(
    r"\s*(?:$|[.,;:!?)])|\s(?:off|of|from|to|on|at|in|by|and|or|per|than|with|for|too|apart|below|above|wide|thick|deep|"
    r"long|tall|high|short|is|was)\b"
)
"""What follows a length that stands for itself; before a noun 3/4" is an attribute."""


_SOLD = re.compile(
    r"\s(?:cans|tins|packs|packets|bags|boxes|bottles|jars|cartons|tubs|blocks|bars|sachets|pouches|tubes)\b"
)
"""What a quantity without a blank is the size of: 500g packs."""
_STORED = re.compile(r"\s(?:SSDs?|HDDs?|NVMe|flash drive|memory card|SD card|hard drive|USB)\b")
_HOURLY = re.compile(
    r"\s(?:gym|shift|shifts|parking|service|day|drive|flight|walk|break|wait|delay|access|support|notice|store|shop|clinic|"
    r"meeting|call|video|workout|timer|window|cycle|format|clock|delivery|session|class|nap|read|film|movie|warranty)\b"
)
"""What a length of time without a blank is an attribute of: a 24hr gym."""
_SIZED = re.compile(
    r"\s(?!fell|came|went|were|was|ran|grew|rose|sank|lay|stood|[a-z]+ed\b|[a-z]+ing\b)"
    r"(?:[a-z]{3,}|[48] ?K|U?HD|QLED|TVs?|OLED|LEDs?|LCD|USB|AC|DC|PSUs?|SSD|HDD|MacBook|iPad)\b"
)


def _heads_noun(match: re.Match[str]) -> bool:
    """True without a determiner too, where a sentence or an item of a list begins: 14" laptops and 17" screens."""
    before, rest = preceding(match), match.string[match.end() :]
    starts = re.search(r'(?:^|[.!?,;:("]\s?|\b(?:and|or|with)\s)$', before)
    return starts is not None and _SIZED.match(rest) is not None and stands_before_noun(rest, 0)


def _inches(match: re.Match[str]) -> str:
    """27" is inches, unless the mark closes a quotation."""
    if match[2] == '"' and len(re.findall(r'(?<!\d)"', match.string[: match.start()])) % 2:
        return match[0]
    attribute = is_attribute(match.string, match.start(), match.end()) or _heads_noun(match)
    attribute = attribute or counts_plural(match.string, match.end())
    whole = re.search(r"\d $", preceding(match))
    if "/" in match[1] and not attribute and not whole and _AFTER_LENGTH.match(match.string, match.end()):
        return f"{match[1]}{'' if match[1][:2] == '1/' else ' of an'} inch"
    singular = match[1] == "1" or attribute or ("/" in match[1] and not whole)
    return f"{match[1]} {'inch' if singular else 'inches'}"


def _feet(match: re.Match[str]) -> str:
    singular = match[1] == "1" or is_attribute(match.string, match.start(), match.end())
    return f"{match[1]} {'foot' if singular else 'feet'}"


def _height(match: re.Match[str]) -> str:
    """6 ft 5 in -> 6 feet 5 inches; the 6ft 5in forward is six foot five inch."""
    if is_attribute(match.string, match.start(), match.end()):
        return f"{match[1]} foot {match[2]} inch"
    return f"{match[1]} {'foot' if match[1] == '1' else 'feet'} {match[2]} {'inch' if match[2] == '1' else 'inches'}"


_LETTER_SCALES = re.compile(rf"(?<![\w.$£€])({NUMBER})([kKMBT])\b(?!-)(?=(\+?)(?:[,.;:!?)]|$|\s([A-Za-z]+)))(?!\.\d)")
_RESOLUTIONS = ("2", "4", "5", "8")
_SCREENS = r"(?:TVs?|UHD|HDR|video|footage|screen|monitor|display|resolution|camera|movie|stream|content|projector)"
_PLACE_BEFORE = re.compile(
    r"(?:\b(?:[Aa]partment|[Aa]pt|[Uu]nit|[Ss]uite|[Rr]oom|[Gg]ate|[Ss]eat|[Rr]ow|[Ff]lat|[Ss]ection|[Bb]lock|[Bb]uilding"
    r"|[Pp]latform|[Tt]rack|[Ee]xhibit|[Tt]erminal|[Bb]ooth|[Ll]ot|[Bb]us|[Ll]ine|[Ff]orm|[Cc]lass|[Gg]rade|[Pp]art|[Ss]tep"
    r"|[Ee]xit|[Dd]oor|[Pp]ier|[Dd]ock|[Cc]hapter|[Ss]chedule|[Aa]rticle|[Pp]aragraph|[Pp]ara|[Ll]evel"
    r"|[Ff]loor|[Ll]ane|[Ll]ocker|[Rr]ule|[Rr]egulation|[Aa]nnex|[Aa]ppendix|[Bb]ox|[Bb]ay|[Ss]tall|[Cc]abin|[Bb]erth"
    r"|[Cc]oach|[Cc]arriage|[Hh]angar|[Ss]lide|[Pp]roblem|[Ii]tem|[Ww]ard|[Ss]tudio|[Tt]ype|[Pp]anel|[Ss]tand|[Zz]one"
    r"|[Pp]lot|[Aa]isle"
    r"|[Hh]ighway|[Rr]oute|[Mm]odel|[Tt]able|[Ff]igure|[Qq]uestion|[Ee]xercise|[Pp]age|[Nn]umber)s?\.?|#)\s?$"
)


def expand_scales(text: str) -> str:
    """2.5k likes -> 2.5 thousand likes; 3M people -> 3 million people; a 4K screen and a 10k race keep their letter."""

    def spoken(match: re.Match[str]) -> str:
        number, letter, _, following = match.groups()
        many = bool(following) and (following.endswith("s") or following in ("people", "men", "women", "children"))
        attribute = bool(re.search(r"\ban?\s$", preceding(match)))
        race = number in _RESOLUTIONS or attribute or following in ("race", "run", "walk")
        if letter == "K" and re.match(_SCREENS, following or ""):
            return f"{number} K"
        if match[0] == "3M" and not re.match(r"\s[a-z]", match.string[match.end() :]):
            return f"{number} M"
        if letter in "MB" and _PLACE_BEFORE.search(preceding(match)):
            return f"{number} {letter}"
        if letter == "T" and not many:
            return match[0]
        if letter in "kK" and not many and race:
            return f"{number} K"
        if letter in "MB" and following and following[0].isupper():
            return match[0]
        return f"{number} {SCALE_WORDS[letter.lower()]}"

    return _LETTER_SCALES.sub(spoken, text)


def expand_units(text: str) -> str:
    """10km -> ten kilometers; a 10km walk -> a ten kilometer walk; 120 km/h -> ... kilometers per hour."""
    text = sub(
        r"(?<![\w'])(\d+)'\s?(\d{1,2})(?:\"|'')?(?![\w'])",
        lambda m: f"{m[1]} {'foot' if m[1] == '1' or is_attribute(m.string, m.start(), m.end()) else 'feet'} {m[2]}",
        text,
    )
    text = sub(r"(?<![\w'])(\d+(?:\.\d+)?|\d+/\d+)(\"|'')(?![\w\"'])", _inches, text)
    text = sub(r"(?<![\w'])(\d+)'(?=\s[a-z]|[,.]|$)", _feet, text)
    text = sub(r"(?<![\d.])(\d+) ?ft\.?,? (\d+) ?in\b(?:\.(?=\s[a-z]))?", _height, text)
    text = sub(
        r"(\d)\s?in(?:\.(?=\s[a-z(])|(?=\.[\"')]*$|\s?=|\s?[x×]\s?\d|,\s\d))",
        r"\1 inches",
        text,
    )
    text = sub(rf"(\d(?:\s?(?:{UNIT_NAMES}|inch(?:es)?|feet|foot))?)\s?[x×]\s?(?=\d)", r"\1 by ", text)
    text = sub(r"(?<=\d)(\s?(?:ft|lb|lbs|oz|yd|mi|hr|hrs|min|sec|qt|gal))\.(?=[\"')]*$)", r"\1 .", text)
    text = sub(
        rf"(\d\s{{1,2}})?(\d/\d+)\s*({UNIT_NAMES})\b(?!/)(?:\.(?=\s[a-z]))?",
        lambda m: f"{m[1] or ''}{m[2]} {UNITS[m[3]][bool(m[1])]}",
        text,
    )
    text = _MEASURE.sub(_measure, text.replace("µ", "μ"))
    text = sub(rf"(?<=\d)\+ ?((?!in\b)(?:{UNIT_NAMES}))(?![\w/'])", lambda m: f" plus {UNITS[m[1]][1]}", text)
    text = _SCALED_UNIT.sub(lambda m: m[1] + chain_words(m[2], True), text)
    text = _UNIT_PER.sub(lambda m: m[1] + UNITS[m[2]][0], text)
    return _RATE_ALONE.sub(lambda m: chain_words(m[1], True), text)


def expand_degrees(text: str) -> str:
    """21°C -> twenty-one degrees celsius; 45% -> forty-five percent; -5° -> negative five degrees."""
    scales = {"C": " celsius", "F": " fahrenheit", "": ""}

    def degrees(match: re.Match[str]) -> str:
        sign = "negative " if match[1] else ""
        one = plain(match[2]) == "1" or is_attribute(match.string, match.start(), match.end())
        noun = "degree" if one else "degrees"
        return f"{sign}{numbers.decimal(plain(match[2]))} {noun}{scales[(match[3] or '').upper()]} "

    text = sub(rf"(?:(?<![\w.])(-))?({NUMBER})\s?°\s?([CcFf]\b)?", degrees, text)
    text = sub(rf"({NUMBER})\s?%", r"\1 percent ", text)
    return sub(rf"({NUMBER})\s?‰", r"\1 per mille ", text)


_BINARY = {
    "+": "plus", "-": "minus", "×": "times", "*": "times", "·": "times", "÷": "divided by", "/": "divided by",
    "=": "equals", "<": "less than", ">": "greater than", "≤": "less than or equal to",
    "≥": "greater than or equal to", "≠": "not equal to", "≈": "about", "±": "plus or minus",
}  # fmt: skip
_ALONE = {
    "=": "equals", "≈": "about", "±": "plus or minus", "≤": "less than or equal to", "≥": "greater than or equal to",
    "≠": "not equal to", "√": "square root of", "∞": "infinity", "×": "times", "÷": "divided by", "°": "degrees",
    "%": "percent",
    "+": "plus", "©": "copyright", "§": "section", "¶": "paragraph", "&": "and", "@": "at", "#": "hash",
    "¢": "cents", "‰": "per mille", "→": "to", "µ": "micro",
} | {sign: names[1] for sign, names in CURRENCIES.items() if len(sign) == 1}  # fmt: skip


def _binary(match: re.Match[str]) -> str:
    """A slash between blanks divides numbers and letters; after a word it parts: 100 down / 20 up."""
    sign = match[1].strip()
    if sign == "/" and re.search(r"[A-Za-z]{2,}$", preceding(match)):
        return ", "
    return f" {_BINARY[sign]} "


def expand_arithmetic(text: str) -> str:
    """7 + 5 -> 7 plus 5; ~50 -> about 50; 30+ -> 30 plus; x^2 -> x squared; a lone sign is read by its name."""
    text = sub(r"(?<=\d)!(?=\s?[=+×*/÷-])", " factorial", text)
    text = sub(r"(?<=\d)-(?=\d[\d,.]*\s*=)", " minus ", text)
    text = sub(r"(?<=[A-Za-z\d)]) < (?=[A-Za-z]{2})", " less than ", text)
    text = sub(r"(?<=[\w)])\s*[²]|(?<=[\w)])\^2(?!\d|\.\d)", " squared ", text)
    text = sub(r"(?<=[\w)])\s*[³]|(?<=[\w)])\^3(?!\d|\.\d)", " cubed ", text)
    text = sub(r"(?<=[\w)])\^(-?\w+)", r" to the power of \1 ", text)
    if "=" in text:
        text = sub(r"(?<![\w-])([a-z]|\d+)-([a-z]|\d+)(?![\w-])", r"\1 minus \2", text)
    text = sub(r"(?<= squared) +-\s?(?=[a-z\d(])|(?<= cubed) +-\s?(?=[a-z\d(])", " minus ", text)
    signs = "".join(re.escape(sign) for sign in _BINARY)
    for _ in range(2):  # neighbours share an operand: 1 + 2 + 3
        text = sub(
            rf"(?<=[\w.)])( [{signs}] |[+×÷=≤≥≠≈±·*<>]|\s[+×÷=≤≥≠≈±]|[+×÷=≤≥≠≈±]\s)(?=[-(√]?[\d.]|[a-zA-Z]\b)",
            _binary,
            text,
        )
    text = sub(
        r"(?<=\d)x (?=faster|slower|more|less|larger|bigger|smaller|higher|lower|better|cheaper|longer)",
        " times ",
        text,
    )
    text = sub(r"#\s?(?=\d)", "number ", text)
    text = sub(r"#(?=[A-Za-z])", "hashtag ", text)
    alone = "".join(re.escape(sign) for sign in _ALONE)
    return sub(rf"[{alone}]", lambda m: f" {_ALONE[m[0]]} ", text)
