"""English numbers that only their neighbours explain, first half: numbers of things with a name of their own.

Of english_contexts.py, after its words.
"""

from __future__ import annotations

import re
from typing import Final

from timbre.text import english_numbers as numbers
from timbre.text.cues import cue_words
from timbre.text.english_context_words import COMPASS, COUNTRY_STREETS, spelled
from timbre.text.english_signs import paired
from timbre.text.english_units import UNIT_NAMES
from timbre.text.patterns import Rule, sub

_ELEMENTS: Final = frozenset(
    re.findall(
        "[A-Z][a-z]?",
        "HHeLiBeBCNOFNeNaMgAlSiPSClArKCaTiVCrMnFeCoNiCuZnAsSeBrKrRbSrAgCdSnSbIXeCsBaWPtAuHgPbBiRaU",
    )
)
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
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
_NO_NOUN: Final = r"(?:of|at|from|for|in|on|and|or|to|when|while|with|per|is|was|through|max|flows?|current)\b"
_CURRENT_CUE: Final = (
    r"\b(?:draws?|drew|drawing|carry|carries|currents? of|rated (?:at|for)|supplies|delivers?|pulls?|maximum of|max of|"
    r"limited to|limit of|passes|output of|amperage of|current is|current was)"
)


def _formula(match: re.Match[str]) -> str:
    """Fe2O3 -> F E 2 O 3: elements only, two of them at least, spelled."""
    parts = re.findall(r"[A-Z][a-z]?|\d+", match[0].translate(_SUBSCRIPTS))
    elements = [part for part in parts if not part.isdigit()]
    if len(elements) < 2 or not _ELEMENTS.issuperset(elements):
        return match[0]
    if all(len(element) == 1 for element in elements):
        # Capitals are spelled anyway, unless they are a word: the SO of H2SO4.
        return sub("[A-Z]{2,}", _unless_word, match[0])
    return spelled(parts)


def _unless_word(match: re.Match[str]) -> str:
    return " ".join(match[0]) if match[0].lower() in cue_words("emphasis") else match[0]


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


def _inverse(match: re.Match[str]) -> str:
    """1650 cm-1 is per centimeter."""
    return f"{match[1]}{'⁻¹⁻²⁻³'[2 * int(match[2]) - 2 : 2 * int(match[2])]}"


_SIGN_NAMES: Final = {"-": "minus", "–": "minus", "−": "minus", "+": "plus", "×": "times", "÷": "divided by"}
_ORDERED: Final = {
    "min": "minute", "hr": "hour", "sec": "second", "wk": "week", "yr": "year", "qtr": "quarter", "mo": "month",
}  # fmt: skip


def _neighbours(match: re.Match[str]) -> str:
    """Windows 10/11 are two versions; Route 3/4 mile is none."""
    first, second = int(match[2]), int(match[3])
    return f"{match[1]}{first} slash {second}" if second == first + 1 and first > 4 else match[0]


_THOUSANDS: Final = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}
_CONTAINERS: Final = (
    "can|jug|bottle|bag|box|jar|steak|glass|cup|mug|pack|tub|package|drink|soda|burger|patty|serving|pour|carton|tin|"
    "tube|pot|beer|latte|coffee|filet|ribeye|sirloin|bar|block"
)
_DISTANCES: Final = {"mi": "mile", "km": "kilometer"}
_SEVERAL: Final = (
    "two|three|four|five|six|seven|eight|nine|ten|several|all|straight|these|those|double|triple|pair of|rolled"
)

NUMBER_RULES: Final = (
    Rule(
        "-−",
        rf"(?<=\d )((?:(?:{UNIT_NAMES}) )*(?:{UNIT_NAMES}))[-−]([123])(?![\w-]|[.,]\d| ?(?:{UNIT_NAMES})\b)",
        _inverse,
    ),
    Rule(
        "CHNOSFKALMBPITZUWV",
        r"(?<![\w-])(?=[A-Za-z]+[\d₀-₉])(?:[A-Z][a-z]?[\d₀-₉]{0,2}){2,}(?![A-Za-z0-9_₀-₉-])",
        _formula,
    ),
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
        rf"(?<![\w.])(\d{{1,4}})([A-Z]) (?=(?:[A-Z][a-z]+ ){{1,2}}(?:{COUNTRY_STREETS})\b)",
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
        r"|Quran|Qur['’]an|Koran|Surah|[Vv]erses?) (\d{1,3}):(\d{1,3})[-–—](\d{1,3})(?![\d:])",
        _verses,
    ),
    Rule(
        "/",
        r"(?<![\d/.,$])(\d{2,3})/(\d{2,3})(?=\s?(?:Hz|V|W|GB|TB|MHz|GHz|kg|lb|ml|nm|rpm|Mbps)\b)",
        lambda m: f"{m[1]} slash {m[2]}" if int(m[1]) < int(m[2]) else m[0],
    ),
    Rule("/", r"(?<![\w/.,$])(\d+\.\d+)/(\d+(?:\.\d+)?)(?=\s?(?:[GMk]?Hz|[kM]?W|k?V|[GT]B)\b)", r"\1 slash \2"),
    Rule(
        ".",
        r"\b((?:Tables?|Figures?|Figs?\.|Sections?|Appendix|Annex|Eqs?\.|Equations?|Lemma|Box) [A-Z])\.(\d{1,2})\b",
        r"\1 point \2",
    ),
    Rule("\"'“”‘’", r"(?<!\w)[\"'“‘]([-–−+×÷])[\"'”’](?!\w)", lambda m: _SIGN_NAMES[m[1]]),
    Rule("/", r"\b([A-Z]\w+ )(\d{1,2})/(\d{1,2})(?![\w/%]|\.\d)", _neighbours),
    Rule(
        "K", r"(?:\bΔ?T\b|[Tt]emperatur)[^.?!]{0,24}?\d[\d⁰-⁹]* K\b(?! [A-Z])(?![-'’])", lambda m: f"{m[0][:-1]}kelvin"
    ),
    Rule("K", r"(?<=10[⁰¹²³⁴-⁹]) K\b|(?<=10[⁰¹²³⁴-⁹][⁰¹²³⁴-⁹]) K\b", " kelvin"),
    Rule(
        "nrt",
        r"(?<=\d(?:st|nd|rd|th) )(min|hr|sec|wk|yr|qtr|mo)\b(\.(?=\s[a-z,])|)",
        lambda m: f"{_ORDERED[m[1]]}",
    ),
    Rule(":", r"(?<![\d:.])\d{1,3}(?::\d{1,3}){2,}(?![\d:.])", _proportion),
    Rule("3", r"\b(Office|Microsoft|Dynamics|Outlook|Canvas) 365\b", r"\1 three sixty-five"),
    Rule(
        "s",
        rf"(\b(?i:{_SEVERAL}) )(\d{{1,2}})s\b(?!\s?(?:\d|timer|later|delay|long))",
        lambda m: m[1] + numbers.plural(int(m[2])),
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
        lambda m: f"{m[1]} {COMPASS[m[2]]}",
    ),
    Rule("/", r"(?<=\d:[0-5]\d)\s?/\s?(mi|km|mile|kilometer)\b", lambda m: f" per {_DISTANCES.get(m[1], m[1])}"),
    Rule("s", r"(?<![\w,.])((?:1[5-9]|20)\d0)s\s?[-–—]\s?['’]?([1-9]0)s\b", r"\1s to '\2s"),
    Rule(
        "45",
        r"(?<![\w.,])([45]\d\d)"
        r"(?= (?:Not Found|Forbidden|Unauthorized|Bad Request|Bad Gateway|Internal|Service|Gone|Gateway)\b)",
        lambda m: paired(m[1]),
    ),
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
    Rule(
        "/",
        r"\b[Oo]dds\b[^.?!,]{0,60}",
        lambda m: sub(r"(?<![\d/.])(\d{1,3})/(\d{1,2})(?![\d/])", r"\1 to \2", m[0]),
    ),
    Rule(
        "/",
        r"(?<![\d/.])(\d{1,3})/(\d{1,2})(?=,? to (?:win|reach|score|finish|make|land|take|beat|be|lift|get)\b)",
        r"\1 to \2",
    ),
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
)
