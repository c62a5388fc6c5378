"""English notations that only their neighbours explain: codes after their name, courses, verses, calibres, recipes.

Comes before every other step, on the text as it was written. What is read digit by digit or in pairs becomes words
here; all else becomes the form that the later steps know.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text.english_chess import fold_chess
from timbre.text.english_context_words import COMPASS, COUNTRY_STREETS, spelled
from timbre.text.english_everyday import EVERYDAY_RULES
from timbre.text.english_later_contexts import LATER_RULES
from timbre.text.english_number_contexts import NUMBER_RULES
from timbre.text.english_trades import TRADE_RULES
from timbre.text.patterns import Rule, applied

_SALT: Final = r"\b(?:Na|K|Li|Ca|Mg|Zn|Ag|Cu|Fe|Al|Si|Pb|H|Ba|Ni|Ti)(?:Cl|OH|Br|F|I|O|S|H)\b"
"""Two elements without a number, one of two letters: NaCl, HCl, NaOH, CaO."""
_STREET_NAMES: Final = {
    "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Dr": "Drive", "Pl": "Place",
    "Ct": "Court", "Sq": "Square", "Pkwy": "Parkway", "Ter": "Terrace",
}  # fmt: skip
_INSTRUMENTS: Final = (
    r"clarinets?|trumpets?|horns?|sax\w*|tubas?|cornets?|flutes?|bass|instruments?|major|minor|maj|min|scales?|chords?|"
    r"keys?|blues|notes?|flat|tuning"
)
_FORENAMES: Final = {
    "Wm": "William", "Geo": "George", "Chas": "Charles", "Thos": "Thomas", "Robt": "Robert", "Jas": "James",
    "Benj": "Benjamin", "Edw": "Edward", "Danl": "Daniel", "Saml": "Samuel",
}  # fmt: skip
_TICKER: Final = r"(?<![\w$])\$(?!(?:HOME|PATH|USER|PWD|SHELL|ENV|TERM|HOST|LANG)\b)([A-Z]{1,5})\b(?![\d{(=])"


_CONTRACTED = {
    "gov't": "government", "govt's": "government's", "int'l": "international", "nat'l": "national",
    "cont'd": "continued",
    "dep't": "department", "ass'n": "association", "sec'y": "secretary", "comm'n": "commission", "m'gmt": "management",
    "b'day": "birthday", "rec'd": "received", "req'd": "required", "gen'l": "general", "ack'd": "acknowledged",
}  # fmt: skip
_CONTRACTED |= {name.capitalize(): words.capitalize() for name, words in _CONTRACTED.items()}
_CONTRACTED |= {name.replace("'", "’"): words for name, words in _CONTRACTED.items()}


def _contracted(match: re.Match[str]) -> str:
    return _CONTRACTED[match[0]]


def fold_contexts(text: str) -> str:
    """The text with these notations as words, or in the form of the later steps."""
    text = applied(_WORD_RULES, text)
    if not re.search(r"[\d₀-₉½⅓⅔¼¾⅛⅜⅝⅞]", text):
        return text
    return fold_chess(applied(LATER_RULES, applied(TRADE_RULES, applied(EVERYDAY_RULES, applied(NUMBER_RULES, text)))))


def _salt(match: re.Match[str]) -> str:
    """NaCl -> N A C L; KH and HI are capitals alone, which are spelled anyway."""
    return match[0] if match[0].isupper() else spelled([match[0]])


def _side(match: re.Match[str]) -> str:
    street, letter = match[1], match[2]
    stop = "." if match[3] and re.match(r"\s+[A-Z]", match.string[match.end() :]) else ""
    return f"{_STREET_NAMES.get(street, street)} {COMPASS[letter]}{stop}"


_ASSIGNED: Final = {"-": "minus", "−": "minus", "+": "plus", "*": "times", "/": "divide"}


def _factorial(match: re.Match[str]) -> str:
    return f"{match[1]} {'plus' if match[2] == '+' else 'minus'} {match[3]} factorial"


_IONS: Final = "Na|Ca|Mg|Fe|Cu|Zn|Al|Li|Ag|Pb|Ba|Mn|Ni|Hg|Sn|Cr"
_WORD_RULES: Final = (
    Rule(
        "'’′",
        r"(?<![\w'’])([fgh])['’′](?:(['’′])|)\((?=[a-z]\))",
        lambda m: f"{m[1]} {'double ' * bool(m[2])}prime of (",
    ),
    Rule("!", r"\(([a-z\d])\s?([-+−])\s?([a-z\d])\)!", _factorial),
    Rule("+-*/−", r"(?<![\w.])([a-z]\w*) ([-+*/−])= (?=[\w(])", lambda m: f"{m[1]} {_ASSIGNED[m[2]]} equals "),
    Rule(
        "+",
        rf"(?<![\w-])({_IONS})(\d?)\+(?=[\s,.;)]|$)",
        lambda m: f"{spelled([m[1]])} {m[2]} plus",
    ),
    Rule("-−", r"(?<![\w-])(Cl|Br)[-−](?=[\s,.;)]|$)", lambda m: f"{spelled([m[1]])} minus"),
    Rule("/", r"(?<![\w/.])([ru])/(?=[A-Za-z]\w{2,})", r"\1 slash "),
    Rule(
        "(",
        r"(?<![\w'’])([fghuFGHP])\(([a-zA-Z]|\d{1,3}|[a-z]\s?[-+]\s?[a-z\d])\)(?=\s?[=<>+*/²³^≥≤≈-]|\s[a-z]|[.,;?!]|$)",
        r"\1 of \2",
    ),
    Rule("(", r"(?<![\w'’])O\((?=(?:1|n|m|k|log|N|V|E)\b)([^()]{1,16})\)", r"O of \1"),
    Rule("$", r"(?:^|(?<=\n))\$ (?=[a-z])", ""),
    Rule("Ø⌀", r"[Ø⌀]\s?(?=\d)", "diameter "),
    Rule("(", r"(?<=[a-z] )\([-−–]\)", "minus"),
    Rule("|", r"(?<![\w'’])P\(([A-Z]\w?)\s?\|\s?([A-Z]\w?)\)", r"P of \1 given \2"),
    Rule(
        "c",
        r"\bc/o (?=(?:pain|chest|headaches?|nausea|back|fever|cough|fatigue|dizziness|shortness|abdominal)\b)",
        "complains of ",
    ),
    Rule("P", r"\bPt\.? (?=(?:c/o|complains|denies|is|has|was|reports|states)\b)", "Patient "),
    Rule("A", r"\b(AAA?) (?=batter(?:y|ies)\b|cells?\b)", lambda m: f"{'triple' if len(m[1]) == 3 else 'double'} A "),
    Rule("c", r"\bcl\.(?=\s\d)", "clause"),
    Rule("s", r"\bsc\.(?=\s[ivx\d]+\b)", "scene"),
    Rule("&", r"\b(Mr|Dr|Prof)\.? & (?=(?:Mrs|Ms|Dr|Mr|Prof)\b)", r"\1. and "),
    Rule("'’", rf"\b({'|'.join(_CONTRACTED)})\b", _contracted),
    Rule("/", r"\bb/w (?=\S+ (?:and|&) )", "between "),
    Rule("-", r"(?<![\w.])([A-F])-(?= (?:grades?|averages?|students?|ratings?)\b)", r"\1 minus"),
    Rule("N n", r"\b([Nn])o\.\s?(?=[A-Z]{1,4}[- ]?\d)", r"\1umber "),
    Rule("v", r"(?<=, )v\. ?(?=\d{1,3}\b)", "verse "),
    Rule("v", r"\bvv\. ?(?=\d)", "verses "),
    Rule("-", r"\b([Gg]rades?|[Ss]core|[Ss]cored|[Mm]ark|[Gg]ot|[Ee]arned):? ([A-F])-(?=\s?[(,;.]|$)", r"\1 \2 minus"),
    Rule(".", r"\b((?:[A-Z]\.){2,12})s\b", lambda m: " ".join(re.findall("[A-Z]", m[1])) + "s"),
    Rule("♩♪", r"[♩♪] ?(?==)", lambda m: "quarter note " if m[0][0] == "♩" else "eighth note "),
    Rule("$", _TICKER, lambda m: " ".join(m[1])),
    Rule("", _SALT, _salt),
    Rule(
        ".",
        rf"\b({'|'.join(_FORENAMES)})\.(?=\s[A-Z])",
        lambda m: _FORENAMES[m[1]],
    ),
    Rule(".", r"\bSr\.(?=\s(?:VP|SVP|EVP|[A-Z][a-z]+ (?:Manager|Director|Engineer|Editor|Analyst)\b))", "Senior"),
    Rule("<", r"\s<3+(?=\s*(?:$|[!.,?]))", " heart"),
    Rule("/", r"(?<=!)\s?/\s?(?=[\w(])", " divided by "),
    Rule(
        "!",
        r"(?<![\w'])([nkmr])!(?=\sdivided|\s*[=+/*×÷)-]|\s(?:is|grows|equals|ways|counts|means|denotes))",
        r"\1 factorial",
    ),
    Rule("b", rf"(?<![\w.])([ABDEG])b(?=[ -](?:{_INSTRUMENTS})\b)", r"\1 flat"),
    Rule("b", r"(?<=\b[Ii]n )([ABDEG])b\b(?![.\w])", r"\1 flat"),
    Rule("m", r"\b([A-G](?:#|♯|♭| flat| sharp)?) (maj|min)\b\.?", lambda m: f"{m[1]} {m[2]}or"),
    Rule(
        ".", r"(?<=\b[Aa]n )apt\.(?=\s)|(?<=\b[Tt]he )apt\.(?=\s)|(?<=\bmy )apt\.(?=\s)|\bapt\.(?=\s#?\d)", "apartment"
    ),
    Rule("¹²³", r"(?<=[.,!?;:\"'”’])[¹²³](?=\s|$)", ""),
    Rule("NSEW", rf"\b({COUNTRY_STREETS})\.? ([NS][EW]|[NSEW])(\.|\b)(?![\w'’&/-]|\s[A-Z][a-z]+ (?:St|Ave))", _side),
)
