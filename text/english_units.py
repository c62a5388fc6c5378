"""English units of measurement: prefixes, powers, products and quotients are put together, not listed.

A unit is a prefix, a base and a power (mm², kPa, μmol); a chain of them is multiplied by a dot and divided by a slash
(kg·m/s², W/(m²·K), mg/kg/day). `CHAIN` finds one after a number, `chain_words` reads it.
"""

from __future__ import annotations

import re

_PREFIXES = {
    "f": "femto", "p": "pico", "n": "nano", "μ": "micro", "m": "milli", "c": "centi", "d": "deci", "h": "hecto",
    "k": "kilo", "K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "E": "exa", "Z": "zetta",
}  # fmt: skip
_BASES = {
    "m": ("meter", "meters", "nμmcdk"), "g": ("gram", "grams", "pnμmk"), "l": ("liter", "liters", "μmcd"),
    "L": ("liter", "liters", "μmd"), "s": ("second", "seconds", "fpnμm"), "Hz": ("hertz", "hertz", "mkMGT"),
    "W": ("watt", "watts", "nμmkMGT"), "V": ("volt", "volts", "nμmkM"), "A": ("amp", "amps", "npμmk"),
    "J": ("joule", "joules", "mkMGT"), "N": ("newton", "newtons", "μmkM"), "Pa": ("pascal", "pascals", "nμmhkMG"),
    "B": ("byte", "bytes", "kKMGTPEZ"), "b": ("bit", "bits", "MG"), "bit": ("bit", "bits", "kKMGT"),
    "bps": ("bit per second", "bits per second", "kKMGT"), "F": ("farad", "farads", "pnμm"),
    "H": ("henry", "henries", "nμm"), "Ω": ("ohm", "ohms", "mkMG"), "S": ("siemens", "siemens", "μm"),
    "T": ("tesla", "teslas", "nμm"), "eV": ("electron volt", "electron volts", "mkMGT"),
    "Wh": ("watt hour", "watt hours", "mkMGT"), "Ah": ("amp hour", "amp hours", "mk"),
    "VA": ("volt amp", "volt amps", "kM"), "bar": ("bar", "bar", "m"), "mol": ("mole", "moles", "pnμmk"),
    "cal": ("calorie", "calories", "k"), "Sv": ("sievert", "sieverts", "μm"), "Gy": ("gray", "grays", "m"),
    "Bq": ("becquerel", "becquerels", "kMGT"), "M": ("molar", "molar", "nμm"), "cd": ("candela", "candelas", "mk"),
    "pc": ("parsec", "parsecs", "kMG"), "t": ("ton", "tons", "kMG"),
}  # fmt: skip
"""Base unit -> one, several, and the prefixes that go with it (others make words: pm, fm, PA)."""
_BARE = frozenset({"m", "g", "l", "L", "s", "Hz", "W", "V", "Pa", "Ω", "eV", "Wh", "Ah", "bar", "mol", "cal", "Sv",
                   "Gy", "Bq"})  # fmt: skip
"""Bases that are units without a prefix too; the others are letters or something else then."""
_NO_SPELLING = {"kΩ": "kilohm", "MΩ": "megohm"}
_WHOLE = {
    "mi": ("mile", "miles"), "ft": ("foot", "feet"), "yd": ("yard", "yards"), "in": ("inch", "inches"),
    "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "gal": ("gallon", "gallons"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "sec": ("second", "seconds"), "secs": ("second", "seconds"),
    "yr": ("year", "years"), "yrs": ("year", "years"), "wk": ("week", "weeks"), "wks": ("week", "weeks"),
    "mo": ("month", "months"), "mos": ("month", "months"), "MiB": ("mebibyte", "mebibytes"),
    "GiB": ("gibibyte", "gibibytes"), "TiB": ("tebibyte", "tebibytes"), "KiB": ("kibibyte", "kibibytes"),
    "dB": ("decibel", "decibels"), "dBA": ("decibel A", "decibels A"), "dBm": ("D B M", "D B M"),
    "psi": ("pound per square inch", "pounds per square inch"), "ha": ("hectare", "hectares"),
    "mph": ("mile per hour", "miles per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"), "rpm": ("revolution per minute", "revolutions per minute"),
    "fps": ("frame per second", "frames per second"), "px": ("pixel", "pixels"),
    "dpi": ("dot per inch", "dots per inch"),
    "ppi": ("pixel per inch", "pixels per inch"), "ppm": ("part per million", "parts per million"),
    "ppb": ("part per billion", "parts per billion"), "bpm": ("beat per minute", "beats per minute"),
    "wpm": ("word per minute", "words per minute"), "mpg": ("mile per gallon", "miles per gallon"),
    "mcg": ("microgram", "micrograms"), "mmHg": ("millimeter of mercury", "millimeters of mercury"),
    "Nm": ("newton meter", "newton meters"), "kNm": ("kilonewton meter", "kilonewton meters"),
    "lm": ("lumen", "lumens"), "lx": ("lux", "lux"), "cc": ("C C", "C C"), "qt": ("quart", "quarts"),
    "qts": ("quart", "quarts"), "gals": ("gallon", "gallons"), "pt": ("pint", "pints"), "kn": ("knot", "knots"),
    "kt": ("knot", "knots"), "kts": ("knot", "knots"), "MP": ("megapixel", "megapixels"),
    "kgf": ("kilogram force", "kilograms force"), "BTU": ("B T U", "B T U"), "pcs": ("piece", "pieces"),
    "pc": ("piece", "pieces"), "atm": ("atmosphere", "atmospheres"), "pts": ("point", "points"),
    "yds": ("yard", "yards"), "cu ft": ("cubic foot", "cubic feet"), "cu in": ("cubic inch", "cubic inches"),
    "cu m": ("cubic meter", "cubic meters"), "cu yd": ("cubic yard", "cubic yards"),
    "sq ft": ("square foot", "square feet"), "sqft": ("square foot", "square feet"),
    "sq m": ("square meter", "square meters"),
    "sqm": ("square meter", "square meters"), "sq mi": ("square mile", "square miles"),
    "sq in": ("square inch", "square inches"),
    "sq km": ("square kilometer", "square kilometers"), "sq yd": ("square yard", "square yards"),
    "sq cm": ("square centimeter", "square centimeters"), "lb ft": ("pound foot", "pound feet"),
    "ft lb": ("foot pound", "foot pounds"), "nmi": ("nautical mile", "nautical miles"),
    "Pa s": ("pascal second", "pascal seconds"), "N s": ("newton second", "newton seconds"),
    "J s": ("joule second", "joule seconds"), "W s": ("watt second", "watt seconds"), "bbl": ("barrel", "barrels"),
    "VAC": ("volt A C", "volts A C"), "VDC": ("volt D C", "volts D C"), "tonnes": ("tonne", "tonnes"),
    "ly": ("light year", "light years"),
    "kgs": ("kilogram", "kilograms"),
    "kms": ("kilometer", "kilometers"), "gm": ("gram", "grams"), "gms": ("gram", "grams"),
    "hp": ("horsepower", "horsepower"),
    "tbsp": ("tablespoon", "tablespoons"), "tsp": ("teaspoon", "teaspoons"), "fl oz": ("fluid ounce", "fluid ounces"),
}  # fmt: skip
_LETTERS = {
    "N": ("newton", "newtons"), "A": ("amp", "amps"), "F": ("farad", "farads"), "J": ("joule", "joules"),
    "C": ("coulomb", "coulombs"), "H": ("henry", "henries"), "S": ("siemens", "siemens"), "K": ("kelvin", "kelvin"),
}  # fmt: skip
"""Letters that are units only where another unit multiplies or divides them."""
_CAPITALS = (
    "kg km cm ml lb lbs oz ft yd yds mph kph kmh psi rpm kwh mwh hrs min mins gal hz khz mhz ghz dpi fps mpg kms "
    "kgs ppm db kw"
)
_SMALL = "GB MB TB KB Mbps Gbps Kbps GHz MHz kHz kW kWh MWh mAh dB MP Wh BTU"


def _composed() -> dict[str, tuple[str, str]]:
    """All units by their written form."""
    units = dict(_WHOLE)
    for base, (one, many, prefixes) in _BASES.items():
        if base in _BARE:
            units.setdefault(base, (one, many))
        for prefix in prefixes:
            name = _PREFIXES[prefix]
            short = _NO_SPELLING.get(prefix + base)
            units.setdefault(prefix + base, (short, f"{short}s") if short else (name + one, name + many))
    by_small = {name.lower(): words for name, words in units.items() if len(name) > 1}
    for name in _CAPITALS.split():
        units.setdefault(name.upper(), by_small[name])
    for name in _SMALL.split():
        units.setdefault(name.lower(), units[name])
    return units | {"Kg": units["kg"], "Km": units["km"], "KHz": units["kHz"]}


UNITS = _composed()
"""Written form -> one, several: km -> kilometer, kilometers."""
UNIT_NAMES = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
"""Expression of one unit, the longest first."""
_FACTOR_NAMES = "|".join(re.escape(unit) for unit in sorted({*UNITS, *_LETTERS}, key=len, reverse=True))
_PERIODS = {
    name: (name, f"{name}s") for name in ("year", "month", "week", "day", "hour", "minute", "second", "person", "dose")
}
_PERIOD_NAMES = "|".join(_PERIODS)
_POWER = r"(?:[²³⁴]|\^[234]|(?<=m)[23](?!\d))"
_FACTOR = rf"(?:°[CF]|{_FACTOR_NAMES}){_POWER}?"
CHAIN = (
    rf"{_FACTOR}(?:[·⋅]{_FACTOR})*"
    rf"(?:/(?:\({_FACTOR}(?:\s?[·⋅*]\s?{_FACTOR})*\)|{_FACTOR}(?:[·⋅]{_FACTOR})*K?|(?:{_PERIOD_NAMES})\b))*(?![\w²³'·])"
)
"""Expression of a chain of units."""
_POWERS = {"2": "square", "3": "cubic"}
_TIMES = {"s", "sec", "min", "h", "hr"}
_ONE_FACTOR = re.compile(rf"(°[CF]|{_PERIOD_NAMES}|{_FACTOR_NAMES})({_POWER})?")


def _power(sign: str | None) -> str:
    return (sign or "").lstrip("^").translate({ord("²"): "2", ord("³"): "3", ord("⁴"): "4"})


def _factor(name: str, power: str, many: bool) -> str:
    """square meters; seconds squared; meters to the fourth."""
    scales = {"°C": "degree celsius", "°F": "degree fahrenheit"}
    words = scales[name] if name in scales else (UNITS.get(name) or _LETTERS.get(name) or _PERIODS[name])[many]
    if not power:
        return words
    if name in _TIMES or (name in _LETTERS and power in _POWERS):
        return f"{words} {'squared' if power == '2' else 'cubed'}"
    return f"{_POWERS[power]} {words}" if power in _POWERS else f"{words} to the fourth"


def is_plain_letter(chain: str) -> bool:
    """True for a chain that begins with a letter that is a unit only within one: 5 N, 5 A/B; not 5 N/m."""
    letter = re.match(r"[NAFJCHSK](?![A-Za-z ])", chain)
    return letter is not None and not re.match(
        r".(?:\^?[23²³])?(?:[·⋅]\w|/\(?(?:[kcm]?m|k?g|s|mol|K)(?![A-Za-z]))", chain
    )


def chain_words(chain: str, many: bool) -> str:
    """kg·m/s² -> kilogram meters per second squared; only the last factor above the slash has its plural."""
    above, *below = re.split(r"/(?![^(]*\))", chain)
    factors = _ONE_FACTOR.findall(above)
    words = [
        _factor(name, _power(power), many and index == len(factors) - 1) for index, (name, power) in enumerate(factors)
    ]
    for part in below:
        words.append("per")
        words.extend(_factor(name, _power(power), False) for name, power in _ONE_FACTOR.findall(part))
    return " ".join(words)
