"""English addresses of streets: 83rd St Apt 6, 4 W 23rd St, N Main St, head N on I-5."""

from __future__ import annotations

from timbre.text.patterns import Rule, applied

STREETS = {
    "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Dr": "Drive", "Hwy": "Highway",
    "Pl": "Place", "Ct": "Court", "Sq": "Square", "Pkwy": "Parkway", "Ter": "Terrace", "Cir": "Circle", "Trl": "Trail",
    "Expy": "Expressway", "Fwy": "Freeway", "Tpke": "Turnpike", "Cres": "Crescent", "Hts": "Heights",
}  # fmt: skip
_TURNS = {"L": "left", "R": "right"}
_COMPASS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_NAMES = "|".join(STREETS)
_WITHIN = r"(?:Apt|Apartment|Ste|Suite|Unit|Fl|Floor|Room|Rm|Bldg|#|[NSEW]{1,2}\b)"
_GOES = r"(?:[Gg]o|[Hh]ead|[Tt]urn|[Dd]rive|[Ww]alk|[Hh]eading|[Dd]riving|bound)"
_RULES = (
    Rule(
        "NSEW",
        r"(?:(?<=\d )|(?<=on )|(?<=at )|(?<=of )|(?<=to )|(?<=& )|(?<=and )|(?<=from )|(?<=along )|^)"
        r"([NSEW])\.?(?= (?:\d+(?:st|nd|rd|th)\b|[A-Z][a-z]+ "
        rf"(?:{_NAMES}|Street|Avenue|Road|Drive|Lane|Boulevard)\b))",
        lambda m: _COMPASS[m[1]],
    ),
    Rule("NSEW", rf"\b({_GOES} )([NSEW])(?= (?:on|along|to|for|at|from)\b)", lambda m: m[1] + _COMPASS[m[2]]),
    Rule(
        "LR",
        r"\b([Tt]urn |[Mm]ake an? |[Tt]ake an? )([LR])(?= (?:at|on|onto|turn|in|after)\b)",
        lambda m: m[1] + _TURNS[m[2]],
    ),
    Rule(
        "ABCDEHLPRST",
        rf"\b(\d+(?:st|nd|rd|th)|[A-Z][a-z]+) ({_NAMES})\.?(?= {_WITHIN})",
        lambda m: f"{m[1]} {STREETS[m[2]]}",
    ),
)


def expand_streets(text: str) -> str:
    """Names of streets and compass letters that a number, a name or a verb beside them gives away."""
    return applied(_RULES, text)
