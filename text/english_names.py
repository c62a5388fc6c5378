"""English abbreviations, initials, roman numerals, addresses of mail and web, telephone numbers."""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_calendar import begins
from timbre.text.english_streets import STREETS, expand_streets
from timbre.text.patterns import Rule, applied, preceding, sub

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Mx": "Mix", "Dr": "Doctor", "Prof": "Professor", "Gen": "General",
    "Col": "Colonel", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Rev": "Reverend", "Hon": "Honorable",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Mt": "Mount", "Ft": "Fort",
    "Adm": "Admiral", "Cpl": "Corporal", "Pvt": "Private", "Assoc": "Associate", "Asst": "Assistant",
    "Atty": "Attorney", "Amb": "Ambassador", "Fr": "Father", "Msgr": "Monsignor", "Insp": "Inspector",
    "Det": "Detective", "Cdr": "Commander", "Brig": "Brigadier",
    "Messrs": "Messers", "Maj": "Major", "Cmdr": "Commander", "Supt": "Superintendent",
}  # fmt: skip
_MIDDLE = {
    "vs": "versus", "approx": "approximately", "dept": "department", "Dept": "Department", "est": "established",
    "Vol": "Volume", "vol": "volume", "Fig": "Figure", "fig": "figure", "Ch": "Chapter", "ch": "chapter",
    "Sec": "Section", "Eq": "Equation", "ca": "circa", "cf": "compare", "incl": "including", "misc": "miscellaneous",
    "tel": "telephone", "Tel": "Telephone", "ext": "extension", "temp": "temperature", "max": "maximum",
    "num": "number", "avg": "average", "min": "minimum", "prev": "previous", "orig": "original", "ref": "reference",
    "pop": "population", "wt": "weight", "def": "definition", "ed": "edition",
    "Chap": "Chapter", "chap": "chapter", "Cat": "Catalog",
    "Op": "Opus", "op": "opus", "Para": "Paragraph", "para": "paragraph", "Art": "Article", "Vols": "Volumes",
    "vols": "volumes", "Figs": "Figures", "figs": "figures", "Eds": "Editors", "Ser": "Serial", "Ex": "Exercise",
    "std": "standard", "sq": "square",
}  # fmt: skip
_ANYWHERE = {
    "avg": "average", "mgr": "manager", "qty": "quantity", "acct": "account", "asst": "assistant", "pkg": "package",
    "pkgs": "packages", "mgmt": "management", "natl": "national", "intl": "international", "govt": "government",
    "dept": "department", "depts": "departments", "appt": "appointment", "appts": "appointments", "assn": "association",
    "bldg": "building", "blvd": "boulevard", "univ": "university", "approx": "approximately", "misc": "miscellaneous",
    "mktg": "marketing", "tbsp": "tablespoon", "tsp": "teaspoon", "yrs": "years", "hrs": "hours", "mins": "minutes",
    "wks": "weeks", "ctr": "center", "hwy": "highway", "pkwy": "parkway", "amt": "amount", "ea": "each",
    "bros": "brothers", "mfg": "manufacturing", "dist": "district", "elem": "elementary", "thru": "through",
    "tel": "telephone", "msg": "message", "pls": "please", "ppl": "people", "attn": "attention", "addl": "additional",
    "plz": "please", "thx": "thanks", "mtg": "meeting", "mtgs": "meetings", "wknd": "weekend", "bday": "birthday",
    "esp": "especially", "incl": "including", "excl": "excluding", "contd": "continued", "fwd": "forward",
    "pkt": "packet", "pmt": "payment", "sched": "schedule", "mkt": "market", "qtr": "quarter", "qtrs": "quarters",
    "doz": "dozen", "reqd": "required", "recd": "received", "mtn": "mountain", "mtns": "mountains", "jct": "junction",
    "twp": "township", "viz": "namely", "hdqrs": "headquarters", "lvl": "level", "grp": "group", "ctrl": "control",
    "nbr": "number", "assoc": "associate", "admins": "admins", "acad": "academy", "inst": "institute",
    "pres": "president", "wkly": "weekly", "qtrly": "quarterly", "tix": "tickets", "vols": "volumes",
    "hosp": "hospital", "eqpt": "equipment", "mfr": "manufacturer", "maint": "maintenance", "resv": "reservation",
    "anniv": "anniversary", "equiv": "equivalent", "wkt": "wicket", "wkts": "wickets",
    "addr": "address", "coord": "coordinator", "ctrs": "centers", "descr": "description",
    "engr": "engineer", "extn": "extension", "frt": "freight", "hx": "history", "reqs": "requirements",
    "retd": "retired", "secy": "secretary", "dbl": "double", "sgl": "single", "stmt": "statement", "subj": "subject",
    "supvr": "supervisor", "svgs": "savings", "transp": "transportation", "treas": "treasurer", "ttl": "total",
    "unk": "unknown", "veh": "vehicle", "whse": "warehouse", "xfer": "transfer", "xing": "crossing", "yrly": "yearly",
    "mthly": "monthly", "mth": "month", "mths": "months", "nxt": "next", "abt": "about", "bldgs": "buildings",
    "confs": "conferences", "hvy": "heavy", "lrg": "large", "recs": "recommendations", "sml": "small",
    "rcvd": "received", "bdrm": "bedroom", "bdrms": "bedrooms", "apts": "apartments", "svc": "service",
    "svcs": "services", "mgrs": "managers", "accts": "accounts", "freq": "frequency", "tmrw": "tomorrow",
    "wkday": "weekday", "wkdays": "weekdays", "shpg": "shipping", "hdwe": "hardware", "bkfst": "breakfast",
}  # fmt: skip
"""No words by themselves: with or without a dot, at any place."""
_UNMARKED_NAMES = sorted((*_ANYWHERE, *(name.capitalize() for name in _ANYWHERE)), key=len, reverse=True)
_UNMARKED = re.compile(rf"(?<![\w.@/-])(?<!\d )({'|'.join(_UNMARKED_NAMES)})\b(?![@/-]|['’](?!s\b))(\.?)(?!\w)")
_COUNTED = re.compile(
    r"(?<=\d )(ppl|tix|pkgs|mtgs|appts|accts|apts|bdrms?|depts|mgrs|svcs|pls|plz|thx|mths?|ctrs|wkts?)\b(?!['’])"
)
"""Those that stand after a number too; the others are units there."""
_FINAL = {
    "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company", "Bros": "Brothers", "Jr": "Junior",
    "Sr": "Senior", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Hwy": "Highway",
    "etc": "etc", "Esq": "Esquire", "Dept": "Department", "Univ": "University",
}  # fmt: skip
_ALWAYS = {
    r"\be\.\s?g\.,?": "for example", r"\bi\.\s?e\.,?": "that is", r"\bw/o\b": "without", r"\bw/(?=\s)": "with",
    r"\bc/o\b": "care of", r"\b24/7\b": "twenty-four seven", r"\b9/11\b": "nine eleven", r"\ba\.k\.a\.": "A K A",
    r"\bet al\.": "et al", r"\bPh\.?D\b\.?": "P H D", r"\bNo\.\s?(?=\d)": "Number ", r"\bno\.\s?(?=\d)": "number ",
    r"\bNos\.\s?(?=\d)": "Numbers ", r"\bpp\.\s?(?=\d)": "pages ", r"\bp\.\s?(?=\d)": "page ", r"№\s?": "number ",
    r"\bWWII\b": "World War two", r"\bWWI\b": "World War one", r"\b50/50\b": "fifty fifty",
    r"\b20/20\b": "twenty twenty", r"\b24x7\b|\b24-7\b": "twenty-four seven", r"\b401\(k\)": "four oh one K",
    r"\b403\(b\)": "four oh three B", r"\b[Ee]st\.(?= (?:time|cost|arrival|delivery|value|total|date)\b)": "estimated",
    r"\bK\.\s?(?=\d{2,3}\b)": "K ", r"\bNo\.\s?(?=[IVX]+\b)": "Number ",
    r"\bvs\b(?!\.)": "versus", r"(?<=[a-zA-Z.] )v\.(?=\s[A-Z])": "versus",
    r"\bAppt\.?(?=\s)": "Appointment",
    r"\bApt\.?(?=\s#?\d)": "Apartment", r"\bSte\.?(?=\s#?\d)": "Suite", r"\bBldg\.?(?=\s)": "Building",
    r"\bFl\.(?=\s?\d)": "Floor", r"\bLat\.?(?=:?\s\d)": "Latitude", r"\blat\.?(?=:?\s\d)": "latitude",
    r"\b[Ll]ong?\.?(?=:?\s\d+(?:\.\d+)?°)": "longitude", r"\b[Ll]on(?:\.|\b)(?=:?\s-?\d)": "longitude",
    r"\bLong\.(?=\s-?\d)": "longitude", r"\b[Ee]tc\.(?=[,;:)])": "etc", r"\bpp\.\s?(?=[ivxl]+\b)": "pages ",
    r"\bp\.\s?(?=[ivxl]+\b)": "page ",
}  # fmt: skip
_NUMBERED = {
    r"\bRm\.?(?=\s?#?\d)": "Room", r"\brm\.?(?=\s?#?\d)": "room", r"\bRte\.?(?=\s\d)": "Route",
    r"\bPg\.?(?=\s\d)": "Page", r"\bpg\.?(?=\s\d)": "page", r"\bpgs?\.?(?=\s\d)": "pages",
    r"\bCh\.?(?=\s[\dIVX]+\b)": "Chapter", r"\bVol\.?(?=\s[\dIVX]+\b)": "Volume",
    r"\bvol\.?(?=\s\d)": "volume", r"\bFig\.?(?=\s\d)": "Figure", r"\bfig\.?(?=\s\d)": "figure",
    r"\bSect\.?(?=\s\d)": "Section", r"\b[Ww]k\.?(?=\s\d)": "Week", r"\bPos\.(?=\s\d)": "Position",
    r"\b([Aa])lt\.(?=:?\s\d[\d,.]* ?(?:m|ft|km)\b)": r"\1ltitude", r"(?<=[\dm] )dia\.?(?!\w)": "diameter",
    r"(?:(?<=my )|(?<=our )|(?<=her )|(?<=his )|(?<=the ))no\.(?= is\b)": "number",
    r"\bPt\.?(?=\s[\dIVX]+\b)": "Part", r"\bpt\.(?=\s[\divx]+\b)": "part", r"\bSec\.?(?=\s\d)": "Section",
    r"\bEq\.?(?=\s\d)": "Equation",
    r"\bEx\.?(?=\s\d)": "Exercise", r"(?<=[a-z] )No(?=\s\d)": "Number",
    r"\bNo(?=\s\d+ (?:Down|pick|seed|hit)\w*)": "Number",
    r"\bExp\.?(?=:? \d)": "Expires", r"\bexp\.?(?=:? \d)": "expires", r"§§\s?": "sections ",
    r"¶¶\s?": "paragraphs ", r"\bN\.B\.(?=\s|:)": "N B", r"\bq\.\s?v\.": "Q V",
}  # fmt: skip
_NUMBERED_HINT = re.compile(
    r"\b(?:[Rr]m|Rte|[Pp]gs?|Ch|[Vv]ol|[Ff]ig|[Pp]t|Sec|Eq|Ex|No|Sect|Pos|[Aa]lt|[Ww]k|dia|no|[Ee]xp|N\.B|q\.\s?v)\b|§§|¶¶"
)
_FORMS = "Ltd|Inc|Corp|Co|Limited|Incorporated|Corporation|Company|LLC|LLP|PLC|KG|AG|SA|NV"
_SENTENCE_END = rf"(?!\s*(?:{_FORMS})\b)(?=[\"')\]]*\s*(?:$|\s[\"'(]*[A-Z]))"


def expand_abbreviations(text: str) -> str:
    """Dr. Brown -> Doctor Brown; Elm St. -> Elm Street; e.g. -> for example; U.S. -> U S. Final stops stay."""
    for pattern, words in _ALWAYS.items():
        text = sub(pattern, words, text)
    if _NUMBERED_HINT.search(text):
        for pattern, words in _NUMBERED.items():
            text = sub(pattern, words, text)
    text = _undotted(text)
    text = _dotted(text) if "." in text else text
    text = _COUNTED.sub(lambda m: _ANYWHERE[m[1]], text)
    return _UNMARKED.sub(_anywhere, text)


def _dotted(text: str) -> str:
    for short, words in _TITLES.items():
        text = sub(rf"\b{short}\.\s+(?=[A-Z\"']|and\b)", f"{words} ", text)
    text = sub(r"(?<=[a-z] )St\.(?=\s[A-Z])|^St\.(?=\s[A-Z])", "Saint", text)
    text = sub(r"(?<=[a-zA-Z0-9] )St\.", lambda m: "Street" + _kept_stop(m), text)
    text = sub(r"\bSt\.(?=\s)", "Saint", text)
    for short, words in _MIDDLE.items():
        text = sub(rf"\b{short}\.(?=\s*[\w(,$£€¥#+~-])", words, text)
        if short.islower():
            text = sub(rf"\b{short.capitalize()}\.(?=\s*[\w(,])", words.capitalize(), text)
    text = _UNMARKED.sub(_anywhere, text)
    text = sub(r"(?<!\d )\bsec\.\s?(?=\d)", "section ", text)
    text = sub(r"(?<![A-Z]\w )\b([JS])r\.(?= [A-Z][a-z])", _rank, text)
    for short, words in _FINAL.items():
        text = sub(rf"\b{short}\.", lambda m, words=words: words + _kept_stop(m), text)  # type: ignore[misc]
    text = sub(r"\b(?:[A-Za-z]\.){2,}(?![A-Za-z])|\b(?:[A-Za-z]\.)+[A-Za-z]\b(?!\.?\w)", _initials, text)
    return sub(r"(?<![\w.])(?<![AP] (?=M))([A-Z])\.(?= [A-Z])", _initial, text)


def _anywhere(match: re.Match[str]) -> str:
    words = _ANYWHERE[match[1].lower()]
    return (words.capitalize() if match[1][0].isupper() else words) + (_kept_stop(match) if match[2] else "")


def _rank(match: re.Match[str]) -> str:
    """Sr. Vice President is senior; after a name it stays for the rule of names (Martin Luther King Jr.)."""
    before = re.search(r"(\S+) $", preceding(match))
    named = before and before[1][0].isupper() and before[1][-1] not in ".:" and not re.search("['’]s$", before[1])
    if named:
        return match[0]
    return "Junior" if match[1] == "J" else "Senior"


_SHORT_TITLES = (
    "Rep|Insp|Det|Amb|Fr|Pvt|Cpl|Adm|Msgr|Cmdr|Cdr|Supt|Hon|Mr|Mrs|Ms|Mx|Dr|Prof|Capt|Lt|Sgt|Rev|Gov|Sen|Gen|Col|Maj|Mt"
)
_NO_STREETS = "The|A|My|Our|His|Her|This|Dear|Hello|Hi|Yes|No|And|But|Thanks|Hey|When|If|As|So"
_NAME = r"(?=[A-Z][a-z'’]+)"


_SHORT_RULES = (
    Rule("I", r"(?<=[a-z] )Inc\b(?!\.)", "Incorporated"),
    Rule("C", r"(?<=[a-z] )Corp\b(?!\.)", "Corporation"),
    Rule("123456789", r"\b([Vv]olume \d+,? )no\.? (?=\d)", r"\1number "),
    Rule("123456789", r"\bpp\s(?=\d)", "pages "),
    Rule("123456789", r"\bp\s(?=\d{1,3}\b(?! ?%))", "page "),
)


def _undotted(text: str) -> str:
    """Abbreviations without their dot: met Dr Jones -> Doctor Jones; Elm Dr. and Elm Dr -> Elm Drive; St Paul."""
    streets = "|".join(STREETS)
    text = expand_streets(text)
    text = applied(_SHORT_RULES, text)
    text = sub(
        rf"\b(?!(?:{_NO_STREETS}) )((?:\d+(?:st|nd|rd|th)?|[A-Z][a-z]+(?:['’]s)?) )({streets})\b"
        r"(?=$|[,;:!?)]|\.(?:\s|$)|\s+(?:[a-z&]|[A-Z]{2}\b))(\.?)",
        lambda m: f"{m[1]}{STREETS[m[2]]}" + (_kept_stop(m) if m[3] else ""),
        text,
    )
    text = sub(rf"\b({_SHORT_TITLES})\s+{_NAME}", lambda m: f"{_TITLES[m[1]]} ", text)
    text = sub(
        r"\b(Mr|Mrs|Ms|Dr|Prof)\.? (?=and (?:Mr|Mrs|Ms|Dr|Prof|Mister|Missus|Miz|Doctor|Professor)\b)",
        lambda m: f"{_TITLES[m[1]]} ",
        text,
    )
    text = sub(rf"(?<![A-Za-z] )\bSt\s+{_NAME}|(?<=[a-z] )(?<![A-Z][a-z] )\bSt\s+{_NAME}", "Saint ", text)
    text = sub(rf"(?<=\b(?:Is|At|In|On|To|Of|By|We|He|As|If|Or|So|Do|My|No) )St\s+{_NAME}", "Saint ", text)
    text = sub(r"(?<=[a-z] )\b([JS])r\b(?!\.)", lambda m: "Junior" if m[1] == "J" else "Senior", text)
    text = sub(r"\bPt\.?\s+(?=[A-Z][a-z]{2,})", "Point ", text)
    return sub(r"\bFt\s+(?=[A-Z][a-z])", "Fort ", text)


def _kept_stop(match: re.Match[str]) -> str:
    """'.' if the abbreviation ends its sentence: at the end of the text or before a capital."""
    return "." if re.match(_SENTENCE_END, match.string[match.end() :]) else ""


def _initials(match: re.Match[str]) -> str:
    letters = " ".join(re.findall("[A-Za-z]", match[0])).upper()
    return letters + ("." if match[0].endswith(".") and begins(match.string[match.end() :]) else "")


def _initial(match: re.Match[str]) -> str:
    """The dot of an initial ('John F. Kennedy') is no stop, unless a sentence begins after it ('vitamin C. The')."""
    return match[0] if begins(match.string[match.end() :]) else match[1]


_MAIL = re.compile(r"\b\w[\w.+&%'~!#$*=-]{0,63}@[\w-]+(?:\.[\w-]+)*\.[A-Za-z][\w-]*")
_DOMAINS = "com|org|net|io|edu|gov|mil|info|dev|app|co|ai|cn|uk|de|fr|jp|kr|ru|eu|us|ca|au|in|tv|me|xyz|tech|cloud"
_TAIL = r"(?:[/?][\w./?=&%#~+:-]*[\w/=])?"
_WEB = re.compile(
    rf"(?:\b(?:https?|ftp)://|\bwww\.)[\w-]+(?:\.[\w-]+)*(?::\d+)?{_TAIL}"
    rf"|\b(?:[a-zA-Z0-9-]{{1,63}}\.){{1,10}}(?:{_DOMAINS})\b{_TAIL}(?!\.\w)|\bfile://[\w./%~+:-]*\w"
)
_ADDRESS_SIGNS = {
    ".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", "%": "percent", "~": "tilde", "+": "plus", ":": "colon", "'": "apostrophe",
    "!": "exclamation mark", "$": "dollar", "*": "star",
}  # fmt: skip


def _address(text: str) -> str:
    text = sub(r"^(?:https?|ftp|file)://", "", text).rstrip("/")
    words: list[str] = []
    for part in re.findall(r"[A-Za-z]+|\d+|.", text):
        if part in _ADDRESS_SIGNS:
            words.append(_ADDRESS_SIGNS[part])
        elif part.isdigit():
            short = len(part) <= 2 and part[0] != "0"
            words.append(numbers.cardinal(int(part)) if short else numbers.digits(part))
        else:
            words.append(part)
    return " ".join(words)


def expand_addresses(text: str) -> str:
    """bob_smith@example.com -> bob underscore smith at example dot com; https://example.com -> example dot com."""
    return _WEB.sub(lambda m: f" {_address(m[0])} ", _MAIL.sub(lambda m: _address(m[0]), text))


def expand_dots(text: str) -> str:
    """README.md -> README dot md; .NET -> dot NET. After `expand_abbreviations`, which has the other inner dots."""
    text = sub(r"(?<!\S)\.(?=[A-Za-z])", "dot ", text)
    return sub(r"(?<=[A-Za-z0-9])\.(?=[a-z]+\d?\b)|(?<=[a-z])\.(?=[A-Z]{2,}\b)", " dot ", text)


_PHONE = re.compile(
    r"(?<![\w.-])(?:\+[1-9]\d{0,2}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){1,4}\d{2,4}"
    r"|(?:1[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|0\d(?: \d\d){4}|\(?0\d\)?(?: \d{4}){2}|0\d{2,4} \d{3,4} \d{3,4}"
    r"|\d{3}-\d{4}|\d{2,4}-\d{3,4}-\d{3,4}|0\d{2,4}[ -]\d{5,8}"
    r"|\d{4} \d{4} \d{4} \d{4})(?![\w-]|[.,:]\d)"
)


_DIALLED = (
    r"\b(?:[Cc]all(?:ed|ing)?|[Dd]ial(?:l?ed|l?ing)?|[Rr]ing|[Rr]ang|[Pp]hone[ds]?|[Tt]ext(?:ed)?|[Ff]ax|[Tt]el(?:ephone)?|"
    r"[Mm]obile|[Cc]ell|[Hh]otline|[Ww]hats[Aa]pp|[Ll]andline|[Pp]ager|[Bb]eeper)(?: (?:number|no|line))?"
    r"(?: (?:is|was|us|me|him|her|them|at|on|to|the|my|our|now))*[.:]? "
)


def _grouped(number: str) -> str:
    """5550199 -> 555, 0199; ten digits as three, three and four; others in threes and a rest of four at most."""
    groups = {7: (3, 4), 8: (4, 4), 10: (3, 3, 4), 11: (1, 3, 3, 4) if number[0] == "1" else (5, 3, 3)}
    parts, start = [], 0
    for size in groups.get(len(number), (3, 3, 3)):
        parts.append(numbers.digits(number[start : start + size]))
        start += size
    return ", ".join(parts)


def expand_telephones(text: str) -> str:
    """555-0199 -> five five five, zero one nine nine; card numbers, post codes and emergency calls too."""

    def spoken(match: re.Match[str]) -> str:
        groups = ", ".join(numbers.digits(group) for group in re.findall(r"\d+", match[0]))
        return ("plus " if match[0].startswith("+") else "") + groups

    text = sub(
        r"\b([Cc]all|[Dd]ial|[Pp]hone|[Rr]ing)((?: \d{3},?)*(?: (?:or|and))?) (\d{3})\b(?![-.,]?\d| \d{3})",
        lambda m: m[1] + sub(r"\d{3}", lambda n: numbers.digits(n[0]), m[2]) + f" {numbers.digits(m[3])}",
        text,
    )
    text = sub(rf"({_DIALLED})(\d{{7,11}})(?![\d-]|[.,:]\d|\s?%)", lambda m: m[1] + _grouped(m[2]), text)
    text = sub(r"(?<=\d) x(\d{3,5})\b(?! ?[=x×])", lambda m: f" extension {numbers.digits(m[1])}", text)
    text = sub(
        r"\b([Ee]xt(?:ension|\.)?(?: number| no\.)?(?: is|:)? )x?(\d{2,5})\b",
        lambda m: m[1] + numbers.digits(m[2]),
        text,
    )
    text = sub(r"\b([Tt]ext \w+ to )(\d{5,6})\b", lambda m: m[1] + numbers.digits(m[2]), text)
    text = sub(r"(?<=\b[A-Z]{2} )\d{5}(?![\d,]|\.\d)", lambda m: numbers.digits(m[0]), text)
    return _PHONE.sub(spoken, text)
