"""English notations that only their neighbours explain: codes after their name, courses, verses, calibres, recipes.

Comes before every other step, on the text as it was written. What is read digit by digit or in pairs becomes words
here; all else becomes the form that the later steps know.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text import english_numbers as numbers
from timbre.text.cues import cue_words
from timbre.text.english_calendar import MONTHS
from timbre.text.english_chess import fold_chess
from timbre.text.english_signs import paired
from timbre.text.patterns import Rule, applied, sub

_ELEMENTS: Final = frozenset(
    re.findall(
        "[A-Z][a-z]?",
        "HHeLiBeBCNOFNeNaMgAlSiPSClArKCaTiVCrMnFeCoNiCuZnAsSeBrKrRbSrAgCdSnSbIXeCsBaWPtAuHgPbBiRaU",
    )
)
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SALT: Final = r"\b(?:Na|K|Li|Ca|Mg|Zn|Ag|Cu|Fe|Al|Si|Pb|H|Ba|Ni|Ti)(?:Cl|OH|Br|F|I|O|S|H)\b"
"""Two elements without a number, one of two letters: NaCl, HCl, NaOH, CaO."""
_BOOKS: Final = {
    "Gen": "Genesis", "Exod": "Exodus", "Ex": "Exodus", "Lev": "Leviticus", "Num": "Numbers", "Deut": "Deuteronomy",
    "Josh": "Joshua", "Judg": "Judges", "Sam": "Samuel", "Chr": "Chronicles", "Chron": "Chronicles", "Neh": "Nehemiah",
    "Ps": "Psalm", "Pss": "Psalms", "Prov": "Proverbs", "Eccl": "Ecclesiastes", "Isa": "Isaiah", "Jer": "Jeremiah",
    "Ezek": "Ezekiel", "Dan": "Daniel", "Hos": "Hosea", "Matt": "Matthew", "Mt": "Matthew", "Mk": "Mark", "Lk": "Luke",
    "Jn": "John", "Rom": "Romans", "Cor": "Corinthians", "Gal": "Galatians", "Eph": "Ephesians", "Phil": "Philippians",
    "Col": "Colossians", "Thess": "Thessalonians", "Tim": "Timothy", "Heb": "Hebrews", "Jas": "James", "Pet": "Peter",
    "Rev": "Revelation",
}  # fmt: skip
_PARTED_BOOKS: Final = "Samuel|Kings|Chronicles|Corinthians|Thessalonians|Timothy|Peter|John|Maccabees"
_COURSES: Final = (
    "PSYC|BIOL|ENGR|COMP|ACCT|MGMT|MKTG|NURS|POLS|ANTH|GEOG|GEOL|MUSC|KINE|EDUC|COMM|CSCI|EECS|ASTR|LING|"
    "CS|EE|ME|CE|MATH|Math|Maths|BIO|Bio|Biology|CHEM|Chem|Chemistry|PHYS|Phys|Physics|ECON|Econ|Economics|PSYCH|Psych|"
    "PSY|Psychology|ENG|ENGL|English|HIST|History|STAT|STATS|Stats|Statistics|SOC|Sociology|PHIL|Philosophy|Spanish|"
    "French|German|Calculus|Accounting|Marketing|Finance|Nursing|Politics"
)
_CODE_NAMES: Final = (
    r"order|code|serial|part|item|SKU|ref|reference|tracking|confirmation|booking|plate|licen[cs]e(?: plate)?|VIN|case|"
    r"ticket|invoice|policy|locator|coupon|batch|lot|passport|promo(?: code)?|voucher|model|member(?:ship)?|product|"
    r"key|registration|permit|ID|part number|serial number|P/N|S/N|p/n|s/n"
)
_MIXED_CODE: Final = (
    rf"\b((?i:{_CODE_NAMES})(?: (?:number|no\.|No\.|code|ID|id|key))?(?: is| was| says| reads|:| =)? ?#? ?)"
    r"((?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*[A-Z]-?\d[A-Z0-9-]*[A-Z-]|[A-Z0-9-]*\d-?[A-Z]|[A-Z]{1,4}-?\d{4,})"
    r"[A-Z0-9]{2,}(?:-[A-Z0-9]+)*)(?![\w.-]*\w)"
)
_CALLS: Final = (
    r"\b(?:[Cc]all(?:ed|ing)?|[Dd]ial(?:l?ed|l?ing)?|[Rr]ing|[Pp]hone[ds]?|[Rr]ang|[Tt]ext(?:ed)?|[Pp]ress|hotline)\b"
    r"[^.?!;]*"
)
_SHORT_NUMBER: Final = r"(?<![\d.,$£€#-])(?:[2-9]11|988|999|112|101|111)(?![\d.,:%-]*\d|\s?%| [a-z]+s\b| people)"
_COUNTRY_STREETS: Final = (
    "St|Ave|Blvd|Rd|Ln|Dr|Pl|Ct|Sq|Pkwy|Ter|Street|Avenue|Boulevard|Road|Lane|Drive|Place|Court|Square|Way|Terrace|Row"
)
_STREET_NAMES: Final = {
    "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Dr": "Drive", "Pl": "Place",
    "Ct": "Court", "Sq": "Square", "Pkwy": "Parkway", "Ter": "Terrace",
}  # fmt: skip
_COMPASS: Final = {
    "N": "North", "S": "South", "E": "East", "W": "West", "NW": "Northwest", "NE": "Northeast", "SW": "Southwest",
    "SE": "Southeast",
}  # fmt: skip
_INSTRUMENTS: Final = (
    r"clarinets?|trumpets?|horns?|sax\w*|tubas?|cornets?|flutes?|bass|instruments?|major|minor|maj|min|scales?|chords?|"
    r"keys?|blues|notes?|flat|tuning"
)
_FORENAMES: Final = {
    "Wm": "William", "Geo": "George", "Chas": "Charles", "Thos": "Thomas", "Robt": "Robert", "Jas": "James",
    "Benj": "Benjamin", "Edw": "Edward", "Danl": "Daniel", "Saml": "Samuel",
}  # fmt: skip
_SHORT_MONTHS: Final = {name[:3]: name for name in MONTHS if name != "May"} | {"Sept": "September"}
_FRACTIONS: Final = "½⅓⅔¼¾⅛⅜⅝⅞"
_SPOONS: Final = {"c": "cup", "T": "tablespoon", "t": "teaspoon", "pkg": "package", "doz": "dozen", "env": "envelope"}
_ATTRIBUTES: Final = (
    r"pizzas?|screens?|monitors?|TVs?|displays?|pipes?|rulers?|skillets?|pans?|laptops?|records?|subs?|blades?|cakes?|"
    r"tablets?|wheels?|nails?|boards?|vinyl|tiles?|plates?|barrels?|bolts?|sandwich(?:es)?|tortillas?|speakers?"
)
_COUNTED: Final = (
    "people|users|customers|followers|viewers|jobs|homes|households|voters|tonnes|tons|barrels|subscribers|visitors|"
    "passengers|workers|children|cases|copies|votes|residents|refugees|sales|units|views|men|women|families|downloads|"
    "members|patients|students|pounds|dollars|euros|acres|hectares|cars|streams|hits|fans|species|vehicles"
)
_CHAT: Final = {
    "gr8": "great", "l8r": "later", "h8": "hate", "m8": "mate", "w8": "wait", "2nite": "tonight", "2night": "tonight",
    "2day": "today", "2moro": "tomorrow", "2morrow": "tomorrow", "4ever": "forever", "4u": "for you",
    "some1": "someone", "any1": "anyone", "every1": "everyone",
}  # fmt: skip
_NO_NOUN: Final = r"(?:of|at|from|for|in|on|and|or|to|when|while|with|per|is|was|through|max|flows?|current)\b"
_CURRENT_CUE: Final = (
    r"\b(?:draws?|drew|drawing|carry|carries|currents? of|rated (?:at|for)|supplies|delivers?|pulls?|maximum of|max of|"
    r"limited to|limit of|passes|output of|amperage of|current is|current was)"
)
_TICKER: Final = r"(?<![\w$])\$(?!(?:HOME|PATH|USER|PWD|SHELL|ENV|TERM|HOST|LANG)\b)([A-Z]{1,5})\b(?![\d{(=])"


def fold_contexts(text: str) -> str:
    """The text with these notations as words, or in the form of the later steps."""
    text = applied(_WORD_RULES, text)
    if not re.search(r"[\d₀-₉½⅓⅔¼¾⅛⅜⅝⅞]", text):
        return text
    return fold_chess(applied(_NUMBER_RULES, text))


def _formula(match: re.Match[str]) -> str:
    """Fe2O3 -> F E 2 O 3: elements only, two of them at least, spelled."""
    parts = re.findall(r"[A-Z][a-z]?|\d+", match[0].translate(_SUBSCRIPTS))
    elements = [part for part in parts if not part.isdigit()]
    if len(elements) < 2 or not _ELEMENTS.issuperset(elements):
        return match[0]
    if all(len(element) == 1 for element in elements):
        # Capitals are spelled anyway, unless they are a word: the SO of H2SO4.
        return sub("[A-Z]{2,}", _unless_word, match[0])
    return _spelled(parts)


def _unless_word(match: re.Match[str]) -> str:
    return " ".join(match[0]) if match[0].lower() in cue_words("emphasis") else match[0]


def _spelled(parts: list[str]) -> str:
    return " ".join(" ".join(part.upper()) if part.isalpha() else part for part in parts)


def _salt(match: re.Match[str]) -> str:
    """NaCl -> N A C L; KH and HI are capitals alone, which are spelled anyway."""
    return match[0] if match[0].isupper() else _spelled([match[0]])


def _mixed_code(match: re.Match[str]) -> str:
    """A7-2291B -> A seven, two two nine one B."""
    groups = (
        " ".join(
            numbers.digits(part) if part.isdigit() else " ".join(part) for part in re.findall(r"\d+|[A-Z]+", group)
        )
        for group in match[2].split("-")
    )
    cue = sub(r"\b([Nn])o\.", r"\1umber", match[1].replace("#", "number "))
    return f"{cue}{', '.join(groups)}"


def _short_numbers(match: re.Match[str]) -> str:
    return sub(_SHORT_NUMBER, lambda m: numbers.digits(m[0]), match[0])


def _verses(match: re.Match[str]) -> str:
    """Gen. 1:1-3 -> Genesis one, one to three."""
    book, chapter, first, last = match.groups()
    book = _BOOKS.get(book.rstrip("."), book)
    words = f"{book} {numbers.cardinal(int(chapter))}, {numbers.cardinal(int(first))}"
    return words + (f" to {numbers.cardinal(int(last))}" if last else "")


def _address(match: re.Match[str]) -> str:
    """192.168.0.1 -> one ninety-two dot one sixty-eight dot zero dot one; a part above 255 makes it no address."""
    parts = match[0].split(".")
    if any(int(part) > 255 for part in parts) or all(int(part) < 20 for part in parts):
        return match[0]
    if re.search(r"(?:[Vv]ersion|[Rr]elease|[Bb]uild|[Uu]pdate|\bv\.?)\s?$", match.string[: match.start()]):
        return match[0]
    return " dot ".join(paired(part) if len(part) == 3 else numbers.cardinal(int(part)) for part in parts)


def _dotted_date(match: re.Match[str]) -> str:
    """12.31.2023 and 31.12.2023 are dates; the month is the first unless it cannot be."""
    first, second, year = int(match[1]), int(match[2]), match[3]
    month, day = (first, second) if first <= 12 else (second, first)
    return f"{month}/{day}/{year}" if month <= 12 and day <= 31 else match[0]


def _side(match: re.Match[str]) -> str:
    street, letter = match[1], match[2]
    stop = "." if match[3] and re.match(r"\s+[A-Z]", match.string[match.end() :]) else ""
    return f"{_STREET_NAMES.get(street, street)} {_COMPASS[letter]}{stop}"


def _spoon(match: re.Match[str]) -> str:
    """1½ c. flour -> 1½ cups flour; ½ c. and 1 c. are one cup."""
    number, short = match[1], match[2]
    noun = _SPOONS[short]
    one = number.strip() == "1" or re.fullmatch(rf"[{_FRACTIONS}]|\d/\d", number.strip()) or short == "doz"
    return f"{number.rstrip()} {noun}{'' if one else 's'}"


def _average(match: re.Match[str]) -> str:
    return f"{match[1]}{paired(match[2])}"


def _calibre(match: re.Match[str]) -> str:
    return paired(match[1]) if len(match[1]) == 3 else numbers.cardinal(int(match[1]))


_ASSIGNED: Final = {"-": "minus", "−": "minus", "+": "plus", "*": "times", "/": "divide"}


def _factorial(match: re.Match[str]) -> str:
    return f"{match[1]} {'plus' if match[2] == '+' else 'minus'} {match[3]} factorial"


def _doi(match: re.Match[str]) -> str:
    """doi:10.1000/182 -> D O I, ten dot one zero zero zero slash one eight two."""
    prefix = numbers.digits(match[1].partition(".")[2])
    signs = {".": "dot", "/": "slash", "-": "dash"}
    parts = (
        numbers.digits(part) if part.isdigit() else signs.get(part, part)
        for part in re.findall(r"\d+|[A-Za-z]+|[./-]", match[2])
    )
    return f"D O I, ten dot {prefix} slash {' '.join(parts)}"


def _proportion(match: re.Match[str]) -> str:
    """1:2:3 -> 1 to 2 to 3; two digits in every later part are a time."""
    parts = match[0].split(":")
    return match[0] if len(parts) == 3 and all(len(part) == 2 for part in parts[1:]) else " to ".join(parts)


_THOUSANDS: Final = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}
_CONTAINERS: Final = (
    "can|jug|bottle|bag|box|jar|steak|glass|cup|mug|pack|tub|package|drink|soda|burger|patty|serving|pour|carton|tin|"
    "tube|pot|beer|latte|coffee|filet|ribeye|sirloin|bar|block"
)
_DISTANCES: Final = {"mi": "mile", "km": "kilometer"}
_SEVERAL: Final = (
    "two|three|four|five|six|seven|eight|nine|ten|several|all|straight|these|those|double|triple|pair of|rolled"
)
_IONS: Final = "Na|Ca|Mg|Fe|Cu|Zn|Al|Li|Ag|Pb|Ba|Mn|Ni|Hg|Sn|Cr"
_WORD_RULES: Final = (
    Rule(
        "'’′",
        r"(?<![\w'’])([fgh])['’′](?:(['’′])|)\((?=[a-z]\)\s?=)",
        lambda m: f"{m[1]} {'double ' * bool(m[2])}prime of (",
    ),
    Rule("!", r"\(([a-z\d])\s?([-+−])\s?([a-z\d])\)!", _factorial),
    Rule("+-*/−", r"(?<![\w.])([a-z]\w*) ([-+*/−])= (?=[\w(])", lambda m: f"{m[1]} {_ASSIGNED[m[2]]} equals "),
    Rule(
        "+",
        rf"(?<![\w-])({_IONS})(\d?)\+(?=[\s,.;)]|$)",
        lambda m: f"{_spelled([m[1]])} {m[2]} plus",
    ),
    Rule("-−", r"(?<![\w-])(Cl|Br)[-−](?=[\s,.;)]|$)", lambda m: f"{_spelled([m[1]])} minus"),
    Rule("/", r"(?<![\w/.])([ru])/(?=[A-Za-z]\w{2,})", r"\1 slash "),
    Rule(
        "(",
        r"(?<![\w'’])([fghuFGHP])\(([a-zA-Z]|\d{1,3}|[a-z]\s?[-+]\s?[a-z\d])\)(?=\s?[=<>+*/²³^≥≤≈-]|\s[a-z]|[.,;?!]|$)",
        r"\1 of \2",
    ),
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
    Rule("NSEW", rf"\b({_COUNTRY_STREETS})\.? ([NS][EW]|[NSEW])(\.|\b)(?![\w'’&/-]|\s[A-Z][a-z]+ (?:St|Ave))", _side),
)

_NUMBER_RULES: Final = (
    Rule("CHNOSFKALMBPITZUWV", r"(?<![\w-])(?=[A-Za-z]+[\d₀-₉])(?:[A-Z][a-z]?[\d₀-₉]{0,2}){2,}(?![\w-])", _formula),
    Rule("123456789", _MIXED_CODE, _mixed_code),
    Rule("1289", _CALLS, _short_numbers),
    Rule("x", r"(?<=\b(?:at|on|or) )x(\d{3,5})\b(?! ?[=x×])", lambda m: f"extension {numbers.digits(m[1])}"),
    Rule("x", r"(?<=\b(?:dial|call) )x(\d{3,5})\b(?! ?[=x×])", lambda m: f"extension {numbers.digits(m[1])}"),
    Rule("-", r"(?<![\w.-])([A-Z]{1,4})-(\d{3})(?![\w.,-]*\d|-)", lambda m: f"{m[1]} {paired(m[2])}"),
    Rule(
        "123456789",
        rf"\b({_COURSES})[ -]?([1-6]\d\d)(?!\d|[.,:]\d|[%-]|\s?%| (?:people|(?!is\b|was\b|has\b)[a-z]+s)\b)",
        lambda m: f"{m[1]} {paired(m[2])}",
    ),
    Rule(
        "123456789",
        rf"(?<![\w.])(\d{{1,4}})([A-Z]) (?=(?:[A-Z][a-z]+ ){{1,2}}(?:{_COUNTRY_STREETS})\b)",
        lambda m: f"{paired(m[1]) if len(m[1]) > 2 else m[1]} {m[2]} ",
    ),
    Rule(
        "123",
        rf"(?<![\w.])([123]) (?=(?:{_PARTED_BOOKS}) \d)",
        lambda m: f"{('First', 'Second', 'Third')[int(m[1]) - 1]} ",
    ),
    Rule(
        "123",
        r"(?<![\w.])([123]) (Sam|Kgs|Chr|Chron|Cor|Thess|Tim|Pet|Jn)\.? (?=\w+[,:] ?\w)",
        lambda m: f"{('First', 'Second', 'Third')[int(m[1]) - 1]} {_BOOKS.get(m[2], 'Kings')} ",
    ),
    Rule(
        ":",
        rf"\b({'|'.join(_BOOKS)})\.? (\d{{1,3}}):(\d{{1,3}})(?:[-–—](\d{{1,3}}))?(?![\d:])",
        _verses,
    ),
    Rule(
        ":",
        r"\b(Genesis|Exodus|Leviticus|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job"
        r"|Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah|Ezekiel|Daniel|Matthew|Mark|Luke|John|Acts|Romans|Corinthians"
        r"|Galatians|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Hebrews|James|Peter|Jude|Revelation"
        r"|Quran|Surah|[Vv]erses?) (\d{1,3}):(\d{1,3})[-–—](\d{1,3})(?![\d:])",
        _verses,
    ),
    Rule(
        "/",
        r"(?<![\d/.,$])(\d{2,3})/(\d{2,3})(?=\s?(?:Hz|V|W|GB|TB|MHz|GHz|kg|lb|ml|rpm|Mbps)\b)",
        lambda m: f"{m[1]} slash {m[2]}" if int(m[1]) < int(m[2]) else m[0],
    ),
    Rule(":", r"(?<![\d:.])\d{1,3}(?::\d{1,3}){2,}(?![\d:.])", _proportion),
    Rule("3", r"\b(Office|Microsoft|Dynamics|Outlook|Canvas) 365\b", r"\1 three sixty-five"),
    Rule(
        "s",
        rf"(\b(?i:{_SEVERAL}) )(\d{{1,2}})s\b(?!\s?(?:\d|timer|later|delay|long))",
        lambda m: m[1] + numbers.plural(int(m[2])),
    ),
    Rule(
        ":", r"(?<![\d:.-])(\d{1,2}:[0-5]\d)\s?[-–—]\s?(?=(?:1[0-2]|[1-9])(?:[,.;)]+(?:\s|$)|$|\s[a-zA-Z]))", r"\1 to "
    ),
    Rule(",", r"(?<=[€£$])(\d{1,3}),(\d)(?=\s?(?:million|billion|trillion|[mM]io|[mb]n|[kKmMbB])\b)", r"\1.\2"),
    Rule(
        "kKMB",
        r"(?<![\w.$£€])(\d+(?:\.\d+)?)([kKMB])-(?=(?!run|race|walk)[a-z]{3,})",
        lambda m: f"{m[1]} {_THOUSANDS[m[2]]} ",
    ),
    Rule("s", r"(?<![\d/.])(\d{1,2}/\d{1,2})['’]?s\b", r"\1"),
    Rule(
        "ogqpm",
        rf"(?<![\w.])(\d+(?:\.\d+)?|\d+/\d+)\s?(oz|gal|lb|qt|pt|ml|fl oz)\.? (?=(?:{_CONTAINERS})\b)",
        lambda m: f"{m[1]}-{m[2]} ",
    ),
    Rule("T", r"(?<=[\d½⅓⅔¼¾⅛⅜⅝⅞])(\s?)(?:Tbsp?|Tbs)\b\.?(?=\s[a-z])", r"\1tbsp"),
    Rule("t", r"(?<=[\d½⅓⅔¼¾⅛⅜⅝⅞])(\s?)tbs\b\.?(?=\s[a-z])", r"\1tbsp"),
    Rule("d", r"\b(?:doi|DOI):?\s?(10\.\d{4,9})/([\w.()/-]*\w)", _doi),
    Rule("/", r"\b([A-Z]{3})/([A-Z]{3})(?= -?\d)", r"\1, \2, "),
    Rule("$€£", r"(?<![\d/.,$€£])(\d{1,2})/(?=[$€£]\d)", r"\1 for "),
    Rule(
        '"”″',
        r"(?<![\w.])(\d+(?:\.\d+)?)\s?[\"”″]\s?[x×]\s?(\d+(?:\.\d+)?)\s?[\"”″](\s[a-z]{3,})?",
        lambda m: f"{m[1]} inch{'' if m[3] else 'es'} by {m[2]} inch{'' if m[3] else 'es'}{m[3] or ''}",
    ),
    Rule("F", r"(?<=\d(?:st|nd|rd|th) )Fl\b\.?(?=\s[a-z]|,)", "Floor"),
    Rule("F", r"(?<=\d(?:st|nd|rd|th) )Fl\b(\.?)$", r"Floor\1"),
    Rule(
        "NSEW",
        r"\b((?:Highway|Hwy\.?|Route|Rte\.?|Interstate|I-|US-?|US |SR-?) ?\d{1,3}) ([NSEW])\b"
        r"(?=[,;)]|\.?$| (?:to|towards?|at|near|exit|and|from|past|until)\b)",
        lambda m: f"{m[1]} {_COMPASS[m[2]]}",
    ),
    Rule("/", r"(?<=\d:[0-5]\d)\s?/\s?(mi|km|mile|kilometer)\b", lambda m: f" per {_DISTANCES.get(m[1], m[1])}"),
    Rule("s", r"(?<![\w,.])((?:1[5-9]|20)\d0)s\s?[-–—]\s?['’]?([1-9]0)s\b", r"\1s to '\2s"),
    Rule(
        "45",
        r"(?<![\w.,])([45]\d\d)"
        r"(?= (?:Not Found|Forbidden|Unauthorized|Bad Request|Bad Gateway|Internal|Service|Gone|Gateway)\b)",
        lambda m: paired(m[1]),
    ),
    Rule("-–", r"(?<![\w:.,/$£€-])(1[0-2]|[1-9])\s?[-–]\s?(?=(?:1[0-2]|[1-9]):[0-5]\d(?![\d:]))", r"\1 to "),
    Rule(
        "x×",
        r"(?<![\w.])\d[\d.,]*(?:\s?[x×]\s?\d[\d.,]*){2,}(?=\s?=)",
        lambda m: sub(r"\s?[x×]\s?", " times ", m[0]),
    ),
    Rule("26", r"\b([xXhH])(26[1-6])\b", lambda m: f"{m[1]} {numbers.digits(m[2])}"),
    Rule(
        "0123456789",
        r"\b(SMS|[Tt]ext|[Tt]xt|[Ss]hort ?code:?) (\d{5,6})(?= (?:to|for|now|and)\b|[.,;!?]|$)",
        lambda m: f"{m[1]} {numbers.digits(m[2])}",
    ),
    Rule("mhs", r"(?<![\w.])(\d[\d.,]*\s?(?:mins?|secs?|hrs?))\.(?=\s+[A-Z\"'])", r"\1 ."),
    Rule(".", r"(?<![\w.])(\d[\d./]*)\s?in\.(?=\s+[A-Z])", r"\1 inches ."),
    Rule("x×", r"(?<=\d)\s?[x×]\s?(?=[$£€]\d)|(?<=(?:mi|bi)llion) [x×] (?=\d)|(?<=thousand) [x×] (?=\d)", " times "),
    Rule(
        "3",
        r"\b3M(?= (?:sticky|tape|notes?|products?|masks?|respirators?|adhesives?|stock|shares|company|filters?)\b)",
        "three M",
    ),
    Rule("/", r"\b([Oo]dds\b[^.?!/,]{0,24}?)(\d{1,3})/(\d{1,2})(?![\d/])", r"\1\2 to \3"),
    Rule("/", r"(?<![\d/.])(\d{1,3})/(\d{1,2})(?= (?:odds|favou?rites?|outsiders?|shot)\b)", r"\1 to \2"),
    Rule(
        "/",
        r"(?<![\d/.])(\d{1,2})/(2|4|8|16)(?= (?:time|meter|metre|beats?|rhythms?|signatures?|waltz)\b)",
        lambda m: f"{numbers.cardinal(int(m[1]))} {numbers.cardinal(int(m[2]))}",
    ),
    Rule(
        "/",
        r"(\bsignatures? (?:of|is|was) )(\d{1,2})/(2|4|8|16)(?![\d/])",
        lambda m: f"{m[1]}{numbers.cardinal(int(m[2]))} {numbers.cardinal(int(m[3]))}",
    ),
    Rule("A", rf"(?<![\w.])(\d+\.\d+)\s?A\b(?![\w-])(?= (?!{_NO_NOUN})[a-z])", r"\1 amp"),
    Rule("A", r"(?<![\w.])(\d*\.\d+)\s?A\b(?![\w-])", r"\1 amps"),
    Rule("A", rf"({_CURRENT_CUE} )(\d+)\s?A\b(?![\w-])", r"\1\2 amps"),
    Rule(
        "A",
        rf"(?<![\w.])(\d+)\s?V,? ?[/-]? ?(\d+(?:\.\d+)?)\s?A\b(?![\w-])(?= (?!{_NO_NOUN})[a-z])",
        r"\1 volt \2 amp",
    ),
    Rule("A", r"(\d\s?V,? ?[/-]? ?)(\d+(?:\.\d+)?)\s?A\b(?!\w)(?= [a-z])", r"\1\2 amp"),
    Rule("A", r"(\d\s?V,? ?[/-]? ?)(\d+(?:\.\d+)?)\s?A\b(?!\w)", r"\1\2 amps"),
    Rule(
        ".",
        r"(\d\s?(?:lbs?|ft|hrs?|min|yds?|gal|qts?|wks?|yrs?|mi))\.(?=,?\s\d+\s?(?:oz|in|mins?|secs?|ft|qt|pt|mo|days?)\b)",
        r"\1",
    ),
    Rule(".", r"(?<![\d.,/])(?<![\d½⅓⅔¼¾⅛⅜⅝⅞] )1\s?in\.(?=\s(?:of|wide|long|tall|high|deep|thick)\b)", "1 inch"),
    Rule(
        ".",
        rf"((?<![\w.])(?:\d+(?:\s?[{_FRACTIONS}]|(?: \d)?/\d)?|[{_FRACTIONS}])\s?)(c|T|t|pkg|doz|env)\."
        r"(?=,?\s(?:\(|[a-z]))",
        _spoon,
    ),
    Rule(".", r"(?<=\d )(lg|med|sm)\.(?=\s[a-z])", lambda m: {"lg": "large", "med": "medium", "sm": "small"}[m[1]]),
    Rule("×x", r"(?<=[\d)])\s?[×x]\s?(?=\d[\d.,]*\s*÷)", " times "),
    Rule("×", r"(÷\s?\d[\d.]*)\s?×\s?(?=\d)", r"\1 times "),
    Rule("×", r"(?<=[\d)])\s?×\s?(?=\d[\d.,]*\s?(?:[<>≤≥≈≠+÷]|[-−]\s))", " times "),
    Rule("x×", rf"(?<=[{_FRACTIONS}])\s?[x×]\s?(?=\d)", " by "),
    Rule(".", r"(?<![\d.,/-])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)", _address),
    Rule(",", r"(?<![\d.,$£¥€])(\d{1,3}),(\d\d)\s?(?:EUR|[Ee]uros?)\b", r"€\1.\2"),
    Rule(",", r"(?<![\d.,$£¥])(\d{1,3}),(\d\d)(?=\s?(?:PLN|SEK|NOK|DKK|CHF|kron[eo]r|zł)\b)", r"\1.\2"),
    Rule(".,", r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d\d)(?![\d,])", lambda m: f"{m[1].replace('.', '')}.{m[2]}"),
    Rule("E", r"(?<=EUR )(\d+),(\d\d)(?![\d,])", r"\1.\2"),
    Rule(".", r"(?<![\d.])([0-3]?\d)\.([0-3]?\d)\.((?:19|20)\d\d)(?![\d.]*\d)", _dotted_date),
    Rule(".", r"((?:\b(?:batt(?:ing|ed)|hit(?:s|ting)?|average of|averaged|batted)) )\.(\d{3})(?!\d)", _average),
    Rule(
        ".", r"()(?<![\w.])\.(\d{3})(?= (?:hitter|batting|average|hitting|percentage|season|winning|team)\b)", _average
    ),
    Rule(
        ".",
        r"(?<![\w.])\.(\d{2,3})"
        r"(?=[ -](?:cal(?:iber|ibre)?\b|[Mm]agnum|rifle|pistol|revolver|handgun|Special|rounds?|gun|bullet))",
        _calibre,
    ),
    Rule("'’", r"\b([QH][1-4])\s?['’](\d\d)\b", r"\1 \2"),
    Rule(
        "'’",
        rf"\b({'|'.join(_SHORT_MONTHS)})\.? ['’](\d\d)\b",
        lambda m: f"{_SHORT_MONTHS[m[1]]} '{m[2]}",
    ),
    Rule(":", r"(?<![\d:.-])(1[0-2]|[1-9])\s?[-–]\s?(?=(?:1[0-2]|[1-9]):[0-5]\d\s?[AaPp]\.?[Mm]\b)", r"\1 to "),
    Rule(":", r"(?<![\d:.-])(1[0-2]|[1-9]):00\s?[-–]\s?(?=(?:1[0-2]|[1-9])(?::[0-5]\d)?\s?[AaPp]\.?[Mm]\b)", r"\1 to "),
    Rule("-–", rf"(?<=[{_FRACTIONS}])\s?[-–—]\s?(?=\d|[{_FRACTIONS}])", " to "),
    Rule("-–", r"(?<=\d/\d)\s?[-–]\s?(?=(?:1[0-2]|[1-9])(?![\d/-]))", " to "),
    Rule("e", r"(?<=\d) ea\b\.?", " each"),
    Rule("p", r"([$£€]\d[\d,.]*) ?(?:pp|p\.p|p/p)\b\.?", r"\1 per person"),
    Rule("ap", r"(?<=\b(?:at|by) )(1[0-2]|[1-9])([ap])\.(?=\s|$)", r"\1\2m."),
    Rule("p", r"\b([Pp])lat\.(?=\s\d)", r"\1latform"),
    Rule("l", r"\blong\.(?=:?\s[-−]?\d)", "longitude"),
    Rule("q", r"\bq\.?\s?(?=\d+(?:\s?[-–]\s?\d+)?\s?(?:h|hrs?|hours?|d|days?|min|wks?)\b)", "every "),
    Rule("s", r"(?<=[a-z]-)(\d)s\b", lambda m: numbers.plural(int(m[1]))),
    Rule("/", r"(?<![\d/.,$])20/(15|25|30|40|50|60|70|80|100|200|400)(?![\d/]|\.\d)", r"twenty \1"),
    Rule("m", rf"(?<=\d)m(?= (?:{_COUNTED})\b)", " million"),
    Rule("'’", r"['’](\d\d)\s?[-–]\s?['’]?(\d\d)(?!\d|s)", r"'\1 to '\2"),
    Rule(".", r"(?<=\d )(sq|cu)\.? (ft|in|yd|mi|m)\.?/", r"\1 \2/"),
    Rule("123456789", rf"\b({'|'.join(_CHAT)})\b", lambda m: _CHAT[m[1]]),
    Rule("c", r"\bc\. ?(?=1\d\d0s|20\d0s)", "circa "),
    Rule(
        "8",
        r"\b802\.11([a-z]{1,2})?\b",
        lambda m: "eight oh two dot eleven" + (f" {' '.join(m[1].upper())}" if m[1] else ""),
    ),
    Rule("s", r"(?<=[A-Z])(\d)s\b", lambda m: f" {numbers.plural(int(m[1]))}"),
    Rule("p", r"(?<![\w.,:£])(\d{1,3})p(?= (?:a|an) [a-z])", r"\1 pence"),
    Rule("c", r"(?<![\w.,:$])(\d{1,2})c(?= (?:coins?|stamps?|piece)\b)", r"\1 cent"),
    Rule('"”″', rf"(?<![\w.])(\d{{1,3}}(?:\.\d)?)[\"”″](?= (?:{_ATTRIBUTES})\b)", r"\1-inch"),
    Rule(
        "x", r"(?<![\w.])(\d)\s?[x×]\s?(\d{2,4})\s?m\b(?= (?:relay|medley|freestyle|race|hurdles))", r"\1 by \2 meter"
    ),
    Rule("U", r"(?<![\w.])(\d{3}) U\.S\. (\d{3})\b(?![.,]?\d)", lambda m: f"{paired(m[1])} U S {paired(m[2])}"),
    Rule("(", r"\b(501|401|403|457)(?=\([a-z]\))", lambda m: paired(m[1])),
    Rule("(", r"(?<=[\w)])\(([a-e])\)(?=[\s(.,;)]|$)", lambda m: f" {m[1].upper()} "),
    Rule("#", r"#(?=[0-9A-Fa-f]{6}\b)(?=\d*[A-Fa-f])([0-9A-Fa-f]{6})\b", lambda m: f"hash {_hex(m[1])}"),
    Rule(
        "ab",
        r"\b((?:[Ff]ig(?:ure|s|\.)?|[Tt]able|[Ss]ection|[Qq]uestion|[Pp]art|[Ss]tep|[Ee]xercise|[Ee]q\.|[Pp]anel|[Aa]ppendix)"
        r"\.? \d{1,3})([a-f])\b",
        lambda m: f"{m[1]} {m[2].upper()}",
    ),
)


def _hex(code: str) -> str:
    return " ".join(numbers.digits(one) if one.isdigit() else one.upper() for one in code)
