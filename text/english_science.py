"""English notations of music, physics, chemistry and geography, as words or as the form that the later steps know.

C♯ is C sharp, Cmaj7 is C major 7, ¹⁴C is carbon 14, lb·ft is lb ft, 5 mg/kg/day is 5 mg/kg per day, 51°30'N is 51° 30
minutes north. Comes first, before Unicode's compatible forms take these signs apart.
"""

from __future__ import annotations

import re

from timbre.text.patterns import Rule, applied

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_ELEMENTS = {
    "H": "hydrogen", "He": "helium", "Li": "lithium", "C": "carbon", "N": "nitrogen", "O": "oxygen", "F": "fluorine",
    "P": "phosphorus", "S": "sulfur", "Cl": "chlorine", "K": "potassium", "Ca": "calcium", "Fe": "iron",
    "Co": "cobalt", "Ni": "nickel", "Kr": "krypton", "Sr": "strontium", "Tc": "technetium", "Mo": "molybdenum",
    "I": "iodine", "Xe": "xenon", "Cs": "cesium", "Ir": "iridium", "Pb": "lead", "Po": "polonium", "Rn": "radon",
    "Ra": "radium", "Th": "thorium", "U": "uranium", "Np": "neptunium", "Pu": "plutonium", "Am": "americium",
}  # fmt: skip
_QUALITIES = {
    "maj": "major", "min": "minor", "dim": "diminished", "aug": "augmented", "sus": "suspended", "add": "add",
    "m": "minor", "M": "major",
}  # fmt: skip
_ACCIDENTALS = {"♯": " sharp", "#": " sharp", "♭": " flat", "b": " flat", "": ""}
_COMPASS = {
    "N": "north", "S": "south", "E": "east", "W": "west", "NE": "northeast", "NW": "northwest", "SE": "southeast",
    "SW": "southwest",
}  # fmt: skip
_PER = {
    "d": "day", "day": "day", "h": "hour", "hr": "hour", "hour": "hour", "min": "minute", "wk": "week", "week": "week",
    "dose": "dose", "yr": "year", "year": "year", "mo": "month", "month": "month", "s": "second", "sec": "second",
}  # fmt: skip
_PRODUCTS = {
    ("lb", "ft"): "lb ft", ("lbf", "ft"): "lb ft", ("ft", "lb"): "ft lb", ("ft", "lbf"): "ft lb", ("N", "m"): "Nm",
    ("kN", "m"): "kNm", ("kW", "h"): "kWh", ("W", "h"): "Wh", ("MW", "h"): "MWh", ("mA", "h"): "mAh", ("A", "h"): "Ah",
    ("Pa", "s"): "Pa s", ("N", "s"): "N s", ("J", "s"): "J s", ("W", "s"): "W s",
}  # fmt: skip
_FACTORS = "|".join(sorted({one for one, _ in _PRODUCTS}, key=len, reverse=True))


def fold_science(text: str) -> str:
    """The text with these as words, or in the notation of the later steps."""
    return applied(_RULES, text)


def _chord(match: re.Match[str]) -> str:
    """Dm7 -> D minor 7; Gsus4 and the Cmaj chord too; Am and Dmin alone are words."""
    root, accidental, quality, number = match.groups()
    if not number and not re.match(r"\s(?:chord|triad|scale|key)s?\b", match.string[match.end() :]):
        return match[0]
    return f"{root}{_ACCIDENTALS[accidental]} {_QUALITIES[quality]}" + (f" {number}" if number else "")


def _isotope(match: re.Match[str]) -> str:
    number, element = match[1].translate(_RAISED), match[2]
    return f"{_ELEMENTS.get(element, element)} {number}"


def _product(match: re.Match[str]) -> str:
    return match[1] + _PRODUCTS.get((match[2].rstrip("s") if match[2] == "lbs" else match[2], match[3]), match[0])


def _twice_per(match: re.Match[str]) -> str:
    return f"{match[1]} per {_PER[match[2]]}"


_RULES = (
    Rule("maMd", r"\b([A-G])([♯♭#b]?)(maj|min|dim|aug|sus|add|m|M)(\d{1,2})?\b(?![-'’])", _chord),
    Rule("#", r"\b([A-G])#m\b", r"\1 sharp minor"),
    Rule("♯", r"(?<=\w)\s?♯", " sharp"),
    Rule("♭", r"(?<=\w)\s?♭", " flat"),
    Rule("♮", r"(?<=\w)\s?♮", " natural"),
    Rule("♯", "♯", "sharp "),
    Rule("♭", "♭", "flat "),
    Rule("⁰¹²³⁴⁵⁶⁷⁸⁹", r"(?<![\w)\]^])([⁰¹²³⁴-⁹]+)([A-Z][a-z]?)(?![A-Za-z])", _isotope),
    Rule("·⋅∙-", rf"(\d\s?)({_FACTORS}|lbs)[·⋅∙-](ft|lbf|lb|h|m|s)\b(?![²³^/])", _product),
    Rule(
        "/",
        rf"(\d\s?(?:[a-zA-Zµμ]+)/(?:[a-zA-Z]+(?:\^?[23]|[²³])?))/({'|'.join(sorted(_PER, key=len, reverse=True))})\b",
        _twice_per,
    ),
    Rule(
        "°",
        r"(\d°)\s?(\d{1,2}(?:\.\d+)?)\s?['’′](?:\s?(\d{1,2}(?:\.\d+)?)\s?(?:[\"”″]|''))?(?:\s?([NSEW])\b)?",
        lambda m: (
            f"{m[1]} {m[2]} minutes" + (f" {m[3]} seconds" if m[3] else "") + (f" {_COMPASS[m[4]]}" if m[4] else "")
        ),
    ),
    Rule("°", r"(?<=\d°)\s?([NS][EW]|[NSEW])\b(?!['’])", lambda m: f" {_COMPASS[m[1]]}"),
)
