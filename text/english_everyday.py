"""English numbers of everyday life that only their neighbours explain: ages, gold, weather, houses, negative powers.

Of english_contexts.py, after its numbers of things.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text import english_numbers as numbers
from timbre.text.english_calendar import MONTHS
from timbre.text.english_context_words import COMPASS
from timbre.text.english_signs import paired
from timbre.text.english_units import UNIT_NAMES
from timbre.text.patterns import Rule, preceding

_STREETS: Final = (
    "Street|St|Avenue|Ave|Road|Rd|Drive|Dr|Lane|Ln|Boulevard|Blvd|Court|Ct|Place|Pl|Way|Parkway|Pkwy|Highway|Hwy|"
    "Terrace|Circle|Cir|Trail|Square|Expy|Expressway"
)
_LASTING: Final = (
    r"\b(?:[Tt]ime|[Pp]rep|[Cc]ook|[Bb]ake|[Ww]ait|[Dd]elay|[Dd]uration|[Rr]untime|[Tt]imer|[Ee]very|[Tt]ook)"
)
_PSALMS: Final = {"Ps": "Psalm", "Pss": "Psalms"}
_PACKS: Final = (
    r"cans?|pkgs?|packages?|packets?|jars?|bottles?|box|boxes|bags?|"
    r"cartons?|containers?|tubs?|tins?|steaks?|fillets?|filets?|blocks?|bars?|sticks?|pouch|loaf"
)
_SIZES: Final = {
    "bdrm": "bedroom", "br": "bedroom", "pc": "piece", "pk": "pack", "ct": "count", "pkg": "package", "rm": "room",
    "yr": "year", "hr": "hour", "wk": "week", "gal": "gallon", "qt": "quart",
}  # fmt: skip
_ISOTOPES: Final = {
    "Pu": "plutonium", "Cs": "cesium", "Co": "cobalt", "Sr": "strontium", "Am": "americium", "Po": "polonium",
    "Rn": "radon", "Ra": "radium", "Th": "thorium", "Tc": "technetium", "Kr": "krypton", "Xe": "xenon", "Ir": "iridium",
}  # fmt: skip
_JEWELS: Final = (
    r"gold|white|yellow|rose|solid|ring|rings|necklace|chain|bracelet|jewelry|jewellery|earrings|hoops|plated"
)
_WEATHER: Final = (
    r"\b(?:oven|bake|baked|preheat\w*|heat|heated|temp|temps|temperatures?|highs?|lows?|hit|reached|weather|outside|"
    r"sunny|cloudy|rain|snow|clear|forecast|fever|thermostat|freezing|cool|cold|warm|hot|boils?|roast|roasted|grill)\b"
)
_WEATHER_AFTER: Final = (
    r"\s(?:outside|today|tonight|oven|water|weather|tomorrow|inside|heat|day|morning|fever|with|and sunny)\b"
)
_ODD_PARTS: Final = frozenset({13, 14, 15, 17, 18, 19, 21, 22, 23, 26, 27, 28, 29, 30, 31})
"""Days that are seldom the lower half of a fraction."""
_DAY_NEAR: Final = (
    r"\b(?:Mon|Tue|Tues|Wed|Weds|Thu|Thur|Thurs|Fri|Sat|Sun|Tu|Th|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|"
    r"from|sale|ends?|starts?|begins?|opens?|closes?|date|class|game|meeting|appointment|deadline|rescheduled to|"
    r"moved to|"
    r"postponed to|received|sent|posted|updated|birthday|exam|quiz|test|practice|shipped|delivered|today|tomorrow|"
    r"between|until|till|by|on|due|expires?|valid (?:to|until|from)|before|after|since)"
    r"[,:]? \(?$"
)
_DATED_NOUN: Final = (
    r" (?:e-?mail|letter|meeting|memo|call|invoice|"
    r"deadline|thread|article|hearing|ruling|episode|"
    r"release|report|update|post|appointment|session|newsletter)\b"
)


def _aged(match: re.Match[str]) -> str:
    """a 5yo -> a five-year-old; she is 5yo -> she is 5 years old."""
    before = preceding(match)
    noun = re.search(r"\b(?:an?|the|my|our|his|her|their|your|this|that|one|two|three|and|old|with)\s$", before)
    after = re.match(
        r"s?\s(?:[FM]\b|son|daughter|boy|girl|kid|child|male|female|man|woman|dog|cat|age|nephew|niece|patient)",
        match.string[match.end() :],
    )
    if noun or after or match[2]:
        return f"{match[1]} year-old{match[2]}"
    return f"{match[1]} {'year' if match[1] == '1' else 'years'} old"


def _degrees(match: re.Match[str]) -> str:
    """High of 72F, preheat to 350 F: degrees; Section 5 C and 4 C's are not."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    if not (re.search(_WEATHER, before, re.IGNORECASE) or re.match(_WEATHER_AFTER, match.string[match.end() :])):
        return match[0]
    return f"{match[1]}°{match[2]}"


def _date(match: re.Match[str]) -> str:
    """Tu (2/22) is a date; 2/3 of it is a fraction."""
    month, day = int(match[1]), int(match[2])
    if not (1 <= month <= 12 and 1 <= day <= 31) or re.match(
        r"\s?(?:of|inch|mile|cup|full|%)", match.string[match.end() :]
    ):
        return match[0]
    cued = re.search(_DAY_NEAR, preceding(match), re.IGNORECASE) is not None
    timed = re.match(r"\)?,? (?:at|@) ?\d", match.string[match.end() :]) is not None
    alone = len(
        re.findall(r"\d/\d", match.string[max(0, match.start() - 120) : match.end() + 120])
    ) == 1 and not re.search(r"(?:\d|\bis|=|\bby) $", preceding(match))
    odd = day in _ODD_PARTS and month > 1 and alone
    feast = (month, day) in {(12, 24), (12, 25), (10, 31)} and alone
    named = re.match(_DATED_NOUN, match.string[match.end() :])
    if not (timed or (cued and day > 12) or odd or feast or named):
        return match[0]
    return f"{MONTHS[month - 1]} {numbers.ordinal(day)}"


def _day_month(match: re.Match[str]) -> str:
    """Ends 31/10 is a date, day first; 24/7 and 21/9 are none."""
    if not re.search(_DAY_NEAR, preceding(match), re.IGNORECASE):
        return match[0]
    return f"the {numbers.ordinal(int(match[1]))} of {MONTHS[int(match[2]) - 1]}"


def _house(match: re.Match[str]) -> str:
    return paired(match[1])


def _per_one(match: re.Match[str]) -> str:
    """6 × 10²³ mol⁻¹ -> per mol."""
    return f" per {'' if match[2] == '¹' else 'square ' if match[2] == '²' else 'cubic '}{match[1]}"


def _below(match: re.Match[str]) -> str:
    """5 m s⁻¹ -> 5 m/s; 3 W m⁻² K⁻¹ -> 3 W/m²/K."""
    return re.sub(r"[ ·⋅]?([A-Za-zμµΩ]+)⁻([¹²³])", lambda m: f"/{m[1]}{'' if m[2] == '¹' else m[2]}", match[0])


_FOODS: Final = (
    "butter|oil|olive|sugar|flour|honey|milk|vinegar|soy|lemon|lime|water|salt|cream|cornstarch|mustard|mayo|ketchup|wine|"
    "chopped|minced|fresh|ground|brown|melted|tomato|maple|peanut|vegetable|lard|shortening|cocoa|yeast|capers|parsley"
)
EVERYDAY_RULES: Final = (
    Rule("T", rf"(?<![\w./])1 T\b\.?(?= (?:{_FOODS})\b)", "1 tablespoon"),
    Rule("T", rf"(?<=\d) T\b\.?(?= (?:{_FOODS})\b)", " tablespoons"),
    Rule("s", r"(?<=, )(\d{1,2})s(?=,? [$£€])", lambda m: numbers.plural(int(m[1]))),
    Rule("⁻", r"(?<=[\d⁰¹²³⁴-⁹])\s?[·⋅]?(?=(?:[A-Za-zμµΩ]+⁻[¹²³]))([A-Za-zμµΩ]+)⁻([¹²³])", _per_one),
    Rule("'’′", r"(?<![\w.])(\d{2,3}\+\d{1,2})['’′](?!\w)", r"\1 minutes"),
    Rule("W", r"(?<![\w.])(0|5|10|15|20)W-?(\d\d)\b", r"\1 W \2"),
    Rule(
        "NSEW",
        r"(\d (?:mi|km|miles?|kilometers?|kilometres?)\.?) ([NS][EW]|[NSEW]) of\b",
        lambda m: f"{m[1].rstrip('.')} {COMPASS[m[2]]} of",
    ),
    Rule("-", rf"(?<=\d)-({'|'.join(_SIZES)})\b\.?", lambda m: f" {_SIZES[m[1]]}"),
    Rule("Bb", r"(?<![\w.])(\d)\s?(?:BR|BD|br|bd)(?=\b|/)", r"\1 bedroom"),
    Rule("Bb", r"(?<= bedroom)([/, ]+)(\d(?:\.\d)?)\s?(?:BA|ba)\b", r"\1\2 bath"),
    Rule(
        "-",
        rf"\b({'|'.join(_ISOTOPES)})-(\d{{2,3}})\b",
        lambda m: f"{_ISOTOPES[m[1]]} {paired(m[2]) if len(m[2]) == 3 else m[2]}",
    ),
    Rule(
        "/",
        r"(\d\+?(?:\s?[A-Za-z%]{1,12})?)/(?=(?:day|week|month|year|hour|night|person|capita|serving|dose|student|household)\b)",
        r"\1 per ",
    ),
    Rule("⁻", rf"(?<=\d)\s?(?:{UNIT_NAMES}|[NAJCK])(?:[ ·⋅][A-Za-zμµΩ]+[²³]?)*(?:[ ·⋅]?[A-Za-zμµΩ]+⁻[¹²³])+", _below),
    Rule(
        "s",
        r"(?<![\w.])(\d{1,3})s (?=(?:intervals?|clips?|timers?|videos?|breaks?|ads?|delays?|exposures?|loops?)\b)",
        r"\1 second ",
    ),
    Rule("y", r"(?<![\w.-])(\d{1,3})\s?-?(?:yo|y/o|y\.o\.|yr old)(s?)(?![\w/])", _aged),
    Rule("kKc", rf"(?<![\w.])(\d{{1,2}})[- ]?(?:kt|k|K|ct)(?= (?:{_JEWELS})\b)", r"\1 karat"),
    Rule(
        "(",
        rf"\((\d[\d.]*|\d+ \d/\d|\d?[½¼¾⅓⅔])[- ]?(oz|ounce|lb|pound|g|kg|ml|mL|l|L|fl oz|qt|"
        rf"gal)\.?\)(?= (?:{_PACKS})\b)",
        r"(\1-\2)",
    ),
    Rule(
        "/",
        r"(?<![\d/.,])(\d{2,3})/(10|\d)(?= (?:\(\d|declared|dec\b|after \d+|in \d+(?:\.\d)? overs|at (?:stumps|lunch|"
        r"tea)))",
        r"\1 for \2",
    ),
    Rule("o", r"(?<=\d )ov\b\.?", "overs"),
    Rule("d", r"\b(\d{1,2})(?:st|nd|rd|th|d) Cir\.(?= )", lambda m: f"{numbers.ordinal(int(m[1]))} Circuit"),
    Rule("'’", rf"(['’]\d\d)\s?[-–]\s?(?=(?:{'|'.join(name[:3] for name in MONTHS)})[a-z]*\.? ['’]\d\d)", r"\1 to "),
    Rule("F", r"\bFY ?['’]?(\d\d)/(\d\d)\b", r"FY \1 \2"),
    Rule("/", r"(?<=\d )(\d{1,2}/\d{1,3})(?:th|rd|nd)s?\b", r"\1"),
    Rule("-−", r"(?<![\d.)½¼¾] )(?<![\w.)½¼¾])[-−](?=[½⅓⅔¼¾⅛⅜⅝⅞])", "negative "),
    Rule(":", r"\b((?:[Ll]ines?|[Rr]ow|[Cc]ol(?:umn)?) \d+):(?=\d+\b)", r"\1, "),
    Rule("m", rf"({_LASTING}:? )(\d{{1,3}})\s?m\b(?![/²³^'’])", r"\1\2 min"),
    Rule(
        "m",
        r"(?<![\w.,$£€])(\d{1,3})m(?= (?:read|nap|break|delay|left|timer|ago|late|late[r.]|wait|video|episode|call)\b)",
        r"\1 min",
    ),
    Rule(
        "p",
        r"(?<![\w.])(\d{1,3})[- ]?pt\b\.?(?= (?:font|type|text|size|Times|Arial|Helvetica|Calibri|bold|margin))",
        r"\1 point",
    ),
    Rule("p", r"(\b(?:font|dpi|type|typeface|margins?)\b[^.?!\d]{0,20})(\d{1,3}) ?pt\b", r"\1\2 points"),
    Rule("a", r"\barr\.(?=:? ?\d)", "arrives"),
    Rule("dD", r"\b([Dd])ep\.(?=:? ?\d{1,2}[:.]\d)", r"\1eparts"),
    Rule("f", r"(?<=\d(?:st|nd|rd|th) )fl\.(?=\s[A-Z]|$)", "floor."),
    Rule("f", r"(?<=\d(?:st|nd|rd|th) )fl\b\.?", "floor"),
    Rule("P", rf"\b({'|'.join(_PSALMS)})\.? (?=\d)", lambda m: f"{_PSALMS[m[1]]} "),
    Rule(
        "/",
        r"(\b(?i:play|played|song|piece|waltz|written|march|jig|tune|music|movement|count|beat)\b[^.?!]{0,20} in )"
        r"(\d{1,2})/(2|4|8|16)(?![\d/])(?! of)",
        lambda m: f"{m[1]}{numbers.cardinal(int(m[2]))} {numbers.cardinal(int(m[3]))}",
    ),
    Rule(
        "c",
        r"(?<![\w.])(\d*\.?\d+)[- ]?ct\.?(?= (?:diamonds?|sapphires?|ruby|rubies|emeralds?|stones?|gems?))",
        r"\1 carat",
    ),
    Rule("FC", r"(?<![\w.$#])(-?\d{1,3}) ?([FC])\b(?![-'’\w#+])", _degrees),
    Rule("/", r"(?<![\w/.,$-])(1[0-2]|[1-9])/(3[01]|[12]\d|[1-9])(?![\w/\"”″'-]|[.,]\d)", _date),
    Rule("/", r"(?<![\w/.,$£€-])(?!24/7)(1[3-9]|2\d|3[01])/(0?[1-9]|1[0-2])(?![\w/\"”″'-]|[.,]\d|\s?%)", _day_month),
    Rule(
        "SARDLBCPWHTE",
        rf"(?<![\w.,$£€#/-])([1-9]\d{{3}})(?= (?:[NSEW]\.? )?(?:[A-Z][a-z]+ ){{1,3}}(?:{_STREETS})\b)",
        _house,
    ),
    Rule("s", r"(?<=\d(?:st|nd|rd|th) )st\b(?!\.?\w)", "street"),
    Rule("a", r"(?<=\d(?:st|nd|rd|th) )ave\b", "avenue"),
    Rule(
        "s",
        r"\b([1-9]0)s (and|or|to) ([1-9]0)s\b(?! (?:timers?|intervals?|rest|clips?|videos?))",
        lambda m: f"{numbers.decade(int(m[1]))} {m[2]} {numbers.decade(int(m[3]))}",
    ),
    Rule("-−", r"(?<![\w.])(\d[\d.]*)[-−] (?=\d[\d.]*\s?=)", r"\1 minus "),
    Rule(
        "/",
        r"(?<![\w/.,$£€])(\d[\d,.]*)/(?=(?:kg|lb|oz|km|mile|hr|hour|day|week|month|year|min|minute|person|dozen|box|pack|group|team|"
        r"cell|well|plate|sample|site|node|core|user|room|class|game|match|arm|head|student|bag)\b)",
        r"\1 per ",
    ),
    Rule(
        "0123456789",
        r"\b((?:OTP|otp|PNR|pnr|code|PIN|pin|password|passcode|ref|ID|id|coupon)(?: (?:is|was|code|number)|"
        r":)* )([A-Za-z]{1,6})(\d{3,8})\b",
        lambda m: f"{m[1]}{m[2] if len(m[2]) > 3 else ' '.join(m[2].upper())} {numbers.digits(m[3])}",
    ),
)
