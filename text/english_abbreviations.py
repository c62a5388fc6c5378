"""English abbreviations with a dot that stand before another word: reg. price, furn. apt. in town, encl. 2 copies.

A stop before a small letter or a number ends no sentence: an abbreviation that no list has loses it, so that no pause
parts it from its word.
"""

from __future__ import annotations

import re

from timbre.text.english_words import listed

_BEFORE_WORD = {
    "abbr": "abbreviated", "adj": "adjective", "alt": "alternate", "anniv": "anniversary", "anon": "anonymous",
    "att": "attached", "bal": "balance", "bef": "before", "bet": "between", "cap": "capacity", "cert": "certified",
    "circ": "circulation", "coll": "college", "comm": "committee", "comp": "complimentary", "cond": "condition",
    "conf": "conference", "cons": "consolidated", "constr": "construction", "conv": "convention", "corr": "corrected",
    "del": "delivery", "dep": "deposit", "diam": "diameter", "disc": "discount", "div": "division", "dom": "domestic",
    "econ": "economic", "educ": "education", "elec": "electric", "elev": "elevation", "encl": "enclosed",
    "eval": "evaluation", "exec": "executive", "fed": "federal", "fem": "feminine", "furn": "furnished",
    "gen": "general", "grad": "graduate", "hist": "historical", "ht": "height", "illus": "illustrated",
    "immed": "immediate", "ind": "independent", "indiv": "individual", "ins": "insurance", "instr": "instructor",
    "inv": "invoice", "lang": "language", "lic": "license", "lit": "literally", "loc": "location", "lrg": "large",
    "lge": "large", "mech": "mechanical", "med": "medium", "mem": "memorial", "mid": "middle", "mil": "military",
    "mod": "modified",
    "mun": "municipal", "neg": "negative", "nr": "near", "obs": "obsolete", "occ": "occasional", "opp": "opposite",
    "orch": "orchestra", "pat": "patent", "perm": "permanent", "pkwy": "parkway", "pl": "plural", "pos": "positive",
    "poss": "possibly", "prelim": "preliminary", "prob": "probably", "prof": "professional", "prop": "property",
    "prov": "province", "publ": "published", "pwr": "power", "rec": "recommended", "reg": "regular", "rel": "relative",
    "req": "required", "resp": "respectively", "ret": "retired", "rev": "revised", "sci": "science", "sep": "separate",
    "ver": "version", "exh": "exhibit", "const": "constant", "sing": "singular", "sml": "small", "spec": "special",
    "sta": "station", "subj": "subject", "supp": "supplement",
    "surg": "surgical", "syn": "synonym", "tech": "technical", "temp": "temporary", "terr": "territory",
    "trans": "translated", "treas": "treasurer", "unfurn": "unfurnished", "util": "utilities", "var": "variety",
    "veg": "vegetable", "wkly": "weekly", "mos": "months",
}  # fmt: skip
"""Only with their dot, before a small letter or a number; without it most are words or something else."""
_KNOWN = re.compile(
    rf"(?<![\w.])({'|'.join(_BEFORE_WORD)})\.(?= [a-z\d(])(?! (?:and|but|or|so|then|he|she|it|we|they|i)\b)"
)
_CAPITAL = re.compile(
    rf"(?<![\w.] )(?<![\w.])({'|'.join(name.capitalize() for name in _BEFORE_WORD)})\.(?= (?:[a-z\d(]|[A-Z]-?\d))"
)
_UNKNOWN = re.compile(r"(?<![\w.'’])([a-z]{2,7})\.(?= [a-z\d(])")


def expand_before_words(text: str) -> str:
    """reg. price -> regular price; an unknown abbreviation before a small letter has no stop."""
    if "." not in text:
        return text
    text = _KNOWN.sub(lambda m: _BEFORE_WORD[m[1]], text)
    text = _CAPITAL.sub(lambda m: _BEFORE_WORD[m[1].lower()].capitalize(), text)
    return _UNKNOWN.sub(_without_stop, text)


def _without_stop(match: re.Match[str]) -> str:
    return match[0] if listed(match[1]) else match[1]
