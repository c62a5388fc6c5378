"""English notations that several ways of writing share, as the one that the later steps know.

9h30 and 9.30pm are 9:30, 1_000_000 is 1000000, 10⁻⁹ is 10^-9, 1-1/2 is 1 1/2, sq. ft. is sq ft, 2023-05 is May 2023.
Comes first: digits stay, signs that Unicode would take apart (≠, ⁻, №) are still whole.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_case import fold_case
from timbre.text.english_codes import fold_codes
from timbre.text.english_contexts import fold_contexts
from timbre.text.english_days import fold_days
from timbre.text.english_science import fold_science
from timbre.text.english_spans import fold_spans
from timbre.text.patterns import Rule, applied, preceding, sub

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_WHOLE_SIGNS = str.maketrans({
    "≠": "!=", "№": "No. ", "⅖": " 2/5 ", "⅗": " 3/5 ", "⅘": " 4/5 ", "⅙": " 1/6 ", "⅚": " 5/6 ", "⅐": " 1/7 ",
    "⅑": " 1/9 ", "⅒": " 1/10 ", "∼": "~", "º": "°", "˚": "°", "∙": "·", "⋅": "·", "•": " ", "∠": " angle ",
    "∑": " sum ", "∫": " integral ", "∈": " in ", "∴": " therefore ", "∵": " because ", "∆": " delta ",
    "Δ": " delta ", "⊥": " perpendicular to ", "∥": " parallel to ", "≡": " identical to ", "≅": " congruent to ",
    "∝": " proportional to ", "∛": " cube root of ",
    "∪": " union ", "∗": "*", "≦": "≤", "≧": "≥", "⩽": "≤", "⩾": "≥", "⊂": " subset of ",
    "⊆": " subset of ", "⊃": " superset of ", "⊇": " superset of ", "∉": " not in ", "∅": " the empty set ",
    "∀": " for all ", "∃": " there exists ", "∂": " partial ", "∇": " del ", "∏": " product ", "≪": " much less than ",
    "≫": " much greater than ", "⌘": " command ", "⌥": " option ", "⇧": " shift ", "⌃": " control ", "⏎": " enter ",
    "⟶": " → ", "⇐": " from ", "¬": " not ", "∩": " intersection ",
    "⇔": " if and only if ", "↔": " to and from ", "←": " from ",
})  # fmt: skip
_RARE = re.compile(r"[⁰¹⁴-⁹⁺⁻ⁿ]|[²³][⁰¹²³⁴-⁹⁺⁻]")
_HOUR = r"(?:1[0-2]|0?[1-9])"
_DOTTED_UNITS = (
    "min|mins|hr|hrs|sec|secs|wk|wks|yr|yrs|mo|mos|ft|lb|lbs|oz|mi|gal|qt|pt|tbsp|tsp|yd|yds|km|cm|mm|kg|mg|ml|kt|kts"
)
_DECADE_NOUNS = (
    "music|hits?|kids?|fashions?|rock|pop|songs?|movies?|films?|style|styles|child|babies|baby|party|era|icon|icons|"
    "throwback|nostalgia|band|bands|hair|disco|sitcoms?|television|TV|classics?|playlist|legend|culture|dance|cartoon|"
    "cartoons|star|stars|vibe|vibes|trend|trends|aesthetic|synth|teen|teens|action|were|was|slang|cars?|games?"
)
_TIME_CUE = (
    r"\b(?:by|at|before|after|until|till|from|to|since|around|for|starts?|ends?|leaves?|arrives?|departs?|reports?)"
)
_CENTS_CUE = r"(?i:\b(?:for|save|saved|only|costs?|at|pay|paid|just|or|and|extra|under|about|charges?|is|was|by|to))"


_SECONDS_BEFORE = (
    r"\b(?:for|in|took|takes?|about|around|within|under|over|every|another|last|first|next|after|than|to|of|at|is|was|by|"
    r"only|just|exactly|least|a|an|lasts?|lasted|waits?|waited|ran|rest|up|roughly|nearly|almost|additional|extra|per|"
    r"and|or|plus|minus|through|past|until|between|from)\s$"
)
_LASTING = r"\b(?:[Tt]ook|[Tt]akes?|[Ll]asts?|[Ll]asted|[Rr]an|[Rr]untime|[Dd]uration|[Pp]ace|[Ii]n|[Oo]f|[Aa]fter)"
_APPOINTMENT = (
    "there|here|home|back|meet|meets|meeting|begins?|starts?|ends?|opens?|closes?|leaves?|left|arrives?|arrived|"
    "departs?|departed|train|bus|flight|ferry|class|lesson|lunch|dinner|breakfast|supper|tea|up|bed|alarm|show|film|"
    "movie|match|work|school|called|rang|woke|due|tonight|tomorrow|today|morning|evening|afternoon|"
    "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
)
_TIMETABLE = "(?:train|flight|bus|ferry|service|departure|arrival|meeting|briefing|shift|sailing|coach|tram|boat|roll)"
_SECONDS_AFTER = "later|left|timer|countdown|remaining|rest|break|delay|clip|video|ad|each|of|to"
_SIDES = {"W": "wide", "D": "deep", "H": "high", "L": "long"}
_PER_UNITS = r"(?:sqft|min|sec|bbl|gal|mth|qtr)\b"


def fold_notation(text: str) -> str:
    """The text in the notation of the later steps."""
    text = fold_contexts(fold_days(fold_case(text)))
    text = fold_science(text.translate(_WHOLE_SIGNS) if not text.isascii() else text)
    if _RARE.search(text):
        text = _raised(text)
    text = sub(r"\bC(?:TRL|trl)\b-?", "Control ", text)
    text = sub(r"(?<=\s)&&(?=\s)", "and", sub(r"(?<=\s)\|\|(?=\s)", "or", text))
    text = sub(r"(?<![\w|])\|([-−]?[\w.]{1,6}(?:\s?[-+−]\s?[\w.]{1,6})?)\|(?![\w|])", r"absolute value of \1", text)
    text = sub(r"\b(AB|A|B|O)([+-])(?=\s(?:blood|type|donors?|plasma)\b)", _blood, text)
    text = sub(r"(?<=\b[Tt]ype )(AB|A|B|O)([+-])(?![\w+-])|\b(AB|O)([+-])(?=[.,;!?)]|$)", _blood, text)
    text = sub(
        r"\b([Ll]ast|[Tt]his|[Nn]ext|[Pp]er|[Ee]very|[Ee]ach|a|one|prior|past) (yr|mo|wk|hr)\b\.?(?!\w)", _period, text
    )
    text = sub(r"(?<![\w'’.-])([Aa])-([Zz])(?![\w'’-])", r"\1 to \2", text)
    text = applied(_WORD_RULES, text)
    if not re.search(r"[\d¼-¾⅐-⅞]", text):
        return text
    return fold_codes(_lengths(_clock(_grouped(_signs(fold_spans(text))))))


def _blood(match: re.Match[str]) -> str:
    group, sign = match[1] or match[3], match[2] or match[4]
    return f"{group} {'positive' if sign == '+' else 'negative'}"


_PERIODS = {"h": "hour", "min": "minute", "yr": "year", "mo": "month", "wk": "week", "hr": "hour"}


def _period(match: re.Match[str]) -> str:
    ends = match[0].endswith(".") and not re.match(r"\s[a-z]", match.string[match.end() :])
    return f"{match[1]} {_PERIODS[match[2]]}" + ("." if ends else "")


def _signs(text: str) -> str:
    """$-45 -> -$45; < 5 min -> less than 5 min; -3 x -4 = 12; 50% - 10% = 40%; SO4^2- -> SO4 2 minus."""
    return applied(_SIGN_RULES, text)


def _raised(text: str) -> str:
    """10⁻⁹ -> 10^-9; 2ⁿ -> 2^n; Na⁺ -> Na plus; SO₄²⁻ -> SO4 2 minus; a note's number after a word goes."""

    def power(match: re.Match[str]) -> str:
        number = match[0].translate(_RAISED)
        before = preceding(match)
        if number[-1] in "+-":
            charge = "plus" if number[-1] == "+" else "minus"
            return f" {number[:-1]} {charge} ".replace("  ", " ")
        if re.search(r"[A-Za-z]{4,}$|[.,;:!?\"'’”)]$", before) and not re.search(r"[)\]]$", before):
            return ""
        return f" to the power of negative {number[1:]}" if number[0] == "-" else f"^{number}"

    return sub(r"(?<=\S)[⁰¹²³⁴-⁹⁺⁻ⁿ]+", power, text)


def _grouped(text: str) -> str:
    """1_000_000 -> 1000000; 1,50,000 -> 150000; 1-1/2 -> 1 1/2."""
    return applied(_GROUP_RULES, text)


def _clock(text: str) -> str:
    """9h30 -> 9:30; 6.15pm -> 6:15pm; 5p -> 5pm; by 0800 -> by zero eight hundred; 0900-1700; UTC+8 -> UTC plus 8."""
    return applied(_CLOCK_RULES, text)


def _french(match: re.Match[str]) -> str:
    lasts = r"\b(?:took|takes?|lasts?|lasted|ran|in|of|for|duration|runtime|after|within)(?: \w+)?:? $"
    if re.search(lasts, preceding(match)):
        return f"{int(match[1])}h {int(match[2])}m"
    return f"{int(match[1])}:{match[2]}"


def _stamped(match: re.Match[str]) -> str:
    return numbers.military(match[1], match[2]) + (" hours" if match[0].endswith("h") else "")


def _lengths(text: str) -> str:
    """sq. ft. -> sq ft; 90 min. class -> 90 min class; 6 l/100 km -> 6 l per 100 km; 90° 30' -> minutes of arc."""
    return applied(_LENGTH_RULES, text)


def _decade(match: re.Match[str]) -> str:
    """some 90s cars are of a decade; for, within, about or after 90s are seconds."""
    return match[0] if re.search(_SECONDS_BEFORE, preceding(match)) else f"'{match[1]}s"


_SHORT_SCALES = {"bn": "billion", "mn": "million", "tn": "trillion"}


def _times(match: re.Match[str]) -> str:
    joint = "a" if match[2] == " a " else "per"
    return f"{match[1]} {'time' if match[1] == '1' else 'times'} {joint} {_PERIODS.get(match[3], match[3])}"


_ANIONS = "Cl|Br|F|I|OH|HO|NO|CN|HCO|SO|PO|HSO|MnO|ClO|CO|HS|SCN"
_LIVES = {"b": "born", "d": "died", "r": "reigned", "fl": "flourished", "m": "married"}
_WORD_RULES = (
    Rule(".", r"(?<![\w.])([A-Z])\. (?=[a-z]{3,})", r"\1 "),
    Rule("′'", r"\b([35])[′'’]\s?(?:to|→|-|–)\s?([35])[′'’](?!\w)", r"\1 prime to \2 prime"),
    Rule(
        "′'",
        r"\b([35])[′'’][ -](?=(?:end|UTR|cap|phosphate|untranslated|overhang|exonuclease|splice|flank\w*)\b)",
        r"\1 prime ",
    ),
    Rule("-−", rf"\b((?:{_ANIONS})\d?)[-−](?=[\s.,;)]|$)(?! ?\d)", r"\1 minus"),
    Rule(
        "'’",
        r"\b(yr|mo|hr|wk|min|sec)s['’](?=\s)",
        lambda m: f"{_PERIODS.get(m[1], f'{m[1]}ute' if m[1] == 'min' else 'second')}s'",
    ),
    Rule("bdrm", r"(?<![\w.])(b|d|r|fl|m)\.\s?(?=(?:c\.\s?|ca\.\s?)?1?\d{3}\b|20\d\d\b)", lambda m: f"{_LIVES[m[1]]} "),
    Rule("V", r"\bVit\.?\s(?=[A-EK]\d{0,2}\b)", "Vitamin "),
    Rule("f", r"\bfeat\.(?=\s[A-Z])", "featuring"),
    Rule("P", r"\bPub\.\s?L\.(?=\s(?:No\.\s)?\d)", "Public Law"),
    Rule("C", r"\bCl\.(?=\s\d)", "Clause"),
    Rule("R", r"\bRt\.?(?=\s\d)", "Route"),
    Rule("e", r"\bexc\.(?=\s[a-zA-Z])", "except"),
    Rule("h", r"(?<=[a-z.] )hols\b", "holidays"),
    Rule("–−", r"(?<=[\d)]) [–−] (?=\(?\d[\d.]*\s*[=)])", " minus "),
    Rule("sctl", r"\b(sin|cos|tan|log|ln|lg)(?=\d)", r"\1 "),
)


def _lettered(match: re.Match[str]) -> str:
    return f"{match[1]} {match[2].upper()} to "


def _step(match: re.Match[str]) -> str:
    """Steps 2 A to 2c; not to 5m."""
    lettered = re.search(r"\d [A-O] to $", preceding(match, 12))
    return f"{match[1]} {match[2].upper()}" if lettered else match[0]


def _percentage(match: re.Match[str]) -> str:
    """Inflation of 1.8pc is percent, as British papers write it; a 5pc set is pieces."""
    change = (
        r"\b(?:[Ff]ell|[Rr]ose|[Gg]rew|[Uu]p|[Dd]own|[Bb]y|[Tt]o|[Oo]f|[Aa]t|[Rr]ate|"
        r"[Ii]nflation|[Cc]ut|than|about|some) $"
    )
    sure = "." in match[1] or re.search(change, match.string[max(0, match.start() - 16) : match.start()])
    return f"{match[1]} percent" if sure else match[0]


_SIGN_RULES = (
    Rule("#", r"(?<![\w&#/])#(?=\d{1,4}[A-Za-z]{3,})", "hashtag "),
    Rule("#", r"(?<![\w&#/])(?<!pt )(?<!pt\. )(?<!te )(?<!te\. )(?<!m )(?<!m\. )#\s?(?=\d{1,5}\b(?!\.\d))", "number "),
    Rule("x×·*", r"(?<=[\d)])\s?[x×·*]\s?10(?= to the power)", " times 10"),
    Rule("^", r"(?<![\d.])(?<![x×*·] )(?<![x×*·])(10|[A-Za-z)])\^[-−](\d+)\b", r"\1 to the power of negative \2"),
    Rule("-−", r"(?<![^\s(=:,/])(?<!\d )(?<!\+/)[-−](?=\.?\d[\d,.]*\s?[A-Za-zμµΩ])", "negative "),
    Rule("=", r"(?<=\d) [x×] (?=[-−]\d[\d.]*\s*=)", " times "),
    Rule("%", r"(?<=%) [-−] (?=\d[\d.]*%?\s*=)", " minus "),
    Rule("^", r"\^(\d?)([+-])(?![\d\w])", lambda m: f" {m[1]} {'plus' if m[2] == '+' else 'minus'}"),
    Rule("x", r"(?<=\d)\.x\b", " point x"),
    Rule("abrpd", r"(?<=\d)([-.]?)(alpha|beta|rc|pre|dev|post)\.?(?=\d)", r" \2 "),
)

_GROUP_RULES = (
    Rule("_", r"(?<![\w.,])\d{1,3}(?:_\d{3})+(?![\w])", lambda m: m[0].replace("_", "")),
    Rule(",", r"(?<![\d,.])\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])", lambda m: m[0].replace(",", "")),
    Rule("/", r"(?<![\d/.-])(\d{1,2})\s?-\s?(\d{1,2}/(?:2|3|4|5|6|8|16|32))(?![\d/])", r"\1 \2"),
    Rule("5", r"(?<![\w.,:-])50\s?[-–:]\s?50(?![\w.,-])", "fifty fifty"),
    Rule("s", r"\b(\d+)(?:st|nd|rd|th)s\b", lambda m: f"{numbers.ordinal(int(m[1]))}s"),
    Rule("·", r"(?<=[A-Za-z\d])·(?=\d*[A-Z][a-z]?\d)", " "),
)

_CLOCK_RULES = (
    Rule(":", r"(?<=\d:[0-5]\d)\.(\d{1,3})\b(?!:)", lambda m: f" point {numbers.digits(m[1])}"),
    Rule("h", r"(?<![\w.:,])([01]?\d|2[0-3])h([0-5]\d)(?![\w:])", _french),
    Rule(
        ".",
        rf"(\b(?:{_APPOINTMENT})(?: (?:is|was|are))?(?: (?:at|by|until|till|before|after|from|around|about))+ )"
        r"(2[0-3]|1?\d)\.([0-5]\d)"
        r"(?=[.,;!?)]*$|[.,;!?)]+\s|\s(?:and|or|to|in the|on|tonight|tomorrow|today|for|sharp|with|every|if|when|but|"
        r"am|pm)\b)",
        r"\1\2:\3",
    ),
    Rule(
        ".",
        r"(\b(?:[Aa]rrives?|[Dd]eparts?|[Ll]eaves?|[Ss]tarts?|[Bb]egins?|[Oo]pens?|[Cc]loses?|[Dd]ue|[Mm]eet) )"
        r"(2[0-3]|1?\d)\.([0-5]\d)(?=[.,;!?)]*$|[.,;!?)]+\s|\s(?:and|to|in the|on|tonight|tomorrow|today|sharp)\b)",
        r"\1\2:\3",
    ),
    Rule(
        ".",
        r"(\b(?:[Aa]t|[Bb]y|[Ff]rom|[Uu]ntil|[Tt]ill|[Aa]round|[Bb]efore|[Aa]fter) )(2[0-3]|1?\d)\.([0-5]\d)"
        r"(?= (?:this|in the|on (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|the \d)|tonight|tomorrow|sharp|every|o'clock)\b)",
        r"\1\2:\3",
    ),
    Rule(
        ".",
        r"(\b[Ff]rom )(2[0-3]|1?\d)\.([0-5]0|[0-5]5)(?= (?:to|until|till) (?:1?\d|2[0-3])(?:[.,;]?$|[.,;] | [a-z]))",
        r"\1\2:\3",
    ),
    Rule(".", rf"(?<![\d.:,$£€])({_HOUR})\.([0-5]\d)(?=\s?[AaPp](?:\.\s?[Mm]\b|[Mm]\b))", r"\1:\2"),
    Rule(":", rf"(?<![\d.:,$£€])({_HOUR}:[0-5]\d)([ap])\b(?!\.[Mm])", r"\1\2m"),
    Rule("ap", rf"(?<![\w.:,$£€-])({_HOUR})([ap])\s?[-–]\s?({_HOUR})([ap])\b", r"\1\2m-\3\4m"),
    Rule("ap", rf"(?<=\bat |\bby )({_HOUR})([ap])\b(?![.'])", r"\1\2m"),
    Rule(
        "-–",
        r"(?<![\w.,:-])(0\d|1\d|2[0-3])([0-5]\d)\s?[-–]\s?(0\d|1\d|2[0-4])([0-5]\d)(?:\s?h(?:ou)?rs\b)?(?![\w,:-]|\.\d)",
        lambda m: (
            f"{numbers.military(m[1], m[2])} to {numbers.military(m[3], m[4])}" if "0" in (m[1][0], m[3][0]) else m[0]
        ),
    ),
    Rule(
        "'’′",
        rf"({_LASTING}:? )(\d{{1,2}})\s?['’′]\s?([0-5]\d)\s?(?:[\"”″]|'')",
        r"\1\2 minutes \3 seconds",
    ),
    Rule("'’′", r"(?<![\w'])(\d{1,2})['’′]([0-5]\d)[\"”″]\s?(?:/|per )(km|mi|mile)\b", r"\1 minutes \2 seconds per \3"),
    Rule("0", rf"(?<![\w.,:-])(0\d)([0-5]\d)(?= {_TIMETABLE}\b)", lambda m: numbers.military(m[1], m[2])),
    Rule("0", rf"({_TIME_CUE} )(0\d)([0-5]\d)(?![\w,:/-]|\.\d)", lambda m: m[1] + numbers.military(m[2], m[3])),
    Rule("h", r"(?<![\w.,:-])([01]\d|2[0-3])([0-5]\d)(?=\s?(?:h|hrs|hours)\b)(?:\s?h\b)?", _stamped),
    Rule("UG", r"\b(UTC|GMT)\s?([-+−])\s?(?=\d)", lambda m: f"{m[1]} {'plus' if m[2] == '+' else 'minus'} "),
)

_LENGTH_RULES = (
    Rule("-", r"(?<![\w.])(\d{1,3})-(yr|mo|wk)s?\.?-old", lambda m: f"{m[1]}-{_PERIODS[m[2]]}-old"),
    Rule("x", r"(?<![\w.])(\d{1,2})x(/| per | a )(day|week|month|year|hour|night|wk|mo|yr)\b", _times),
    Rule("/", r"(?<=[a-z]{2}[a-rt-z]s)/(?=(?:m?[Ll]|k?g|[mck]?m|s|sec|min|hr?|ha)\b)", " per "),
    Rule("T", r"(?<![\w.])(\d+\.\d+|[37]) T\b(?= (?:MRI|magnets?|scanners?|fields?|[a-z]))", r"\1 tesla"),
    Rule("/", r"([a-z]{3,}s)/(day|week|month|year|hour|minute|second|night|person|game|player|capita)\b", r"\1 per \2"),
    Rule("bmt", r"(?<![\w.,$£€¥])(\d[\d,.]*)\s?(bn|mn|tn)\b", lambda m: f"{m[1]} {_SHORT_SCALES[m[2]]}"),
    Rule("M", r"(?<![\w.,$£€¥])(\d[\d,.]*)M (?=(?:km|mi|kg|miles|tons?|tonnes|barrels)\b)", r"\1 million "),
    Rule('"”″', r"(\d)\s?[\"”″]\s?([WDHL])\b(?!['’])", lambda m: f"{m[1]} inches {_SIDES[m[2]]}"),
    Rule(
        "x×",
        r"\b(?:[WDHL]|[Ww]idth|[Hh]eight|[Dd]epth|[Ll]ength)\s?[x×]\s?(?=[WDHLwdhl])",
        lambda m: f"{m[0].rstrip(' x×')} by ",
    ),
    Rule("x×", r"\b([WDHL])(\d[\d.]*)\s?[x×]\s?(?=[WDHL]\d)", r"\1 \2 by "),
    Rule("x×", r"(?<![\w.])(\d[\d.]*)([WDHL])\s?[x×]\s?(?=\d[\d.]*[WDHL]?\b)", r"\1 \2 by "),
    Rule("WDHL", r"(?<=by )([WDHL])(\d[\d.]*)\b", r"\1 \2"),
    Rule("WDHL", r"(?<=by )(\d[\d.]*)([WDHL])\b", r"\1 \2"),
    Rule("x×", r"(\d ?(?:cm|mm|m|in|ft)?) ?[x×] ?(?=(?:[WDHL]|diameter) ?\d)", r"\1 by "),
    Rule("WDHL", r"(?<= inches )(wide|deep|high|long) [x×] (?=\d)", r"\1 by "),
    Rule("qul", r"\b(sq|cu|fl)\.?\s?(ft|in|mi|m|yd|km|cm|oz)\b(?:\.(?=\s[a-z]|,))?", r"\1 \2"),
    Rule(".", rf"(\d[\s-]?)({_DOTTED_UNITS})\.(?=\s[a-z(=×]|\s[NSEW]{{1,2}} of\b|[,;:)/-])", r"\1\2"),
    Rule("/", r"(\d\s?(?:l|L|kWh|gal))/(?=100\s?(?:km|mi)\b)", r"\1 per "),
    Rule("'’′", r"(\d)['’′]\s?[x×]\s?(\d+(?:\.\d+)?)['’′](?!\d)", r"\1 foot by \2 foot"),
    Rule("N", r"(\d\s?N)[·.]?m\b(?![\^/·])", r"\1m"),
    Rule("/", r"/ea\b\.?", " each"),
    Rule("/", r"(/(?:mo|yr|hr|wk|min|sec|gal|mi|qtr))\.(?=\s*[^A-Z\s])", r"\1"),
    Rule("/", rf"([$£€¥]\d[\d,.]*(?:[kKMB]|bn)?)/(?=[a-z]{{3,}}\b)(?!{_PER_UNITS})", r"\1 per "),
    Rule(
        "/",
        r"(\d\s?(?:mg|g|kg|mcg|ml|mL|L|l|km|mi|lbs?|oz|MB|GB|TB|kWh|cal|kcal|m|mm|cm|in|ft))/(?=[a-z]{3,}\b)(?!(?:min|sec|hrs)\b)",
        r"\1 per ",
    ),
    Rule("Mm", r"(?<!\d )(?<!\d)\b([Mm])(in|ax)\.? (?=\d)", lambda m: f"{m[1]}{m[2]}imum "),
    Rule("pc", r"(?<![\w,:£.])(\d+(?:\.\d+)?)p/(?=[A-Za-z\d])", r"\1 pence per "),
    Rule(
        "/",
        r"([$£€¥₹]\s?\d[\d.,]*|\d ?(?:pence|¢|cents?|%|(?:[km]?m|[mc]?[lL]|[kmμ]?g|kWh|kcal|cal)))/"
        r"(?=\d+ ?(?:g|kg|ml|mL|l|L|cl|oz|lb|km|mi|m|kWh|min|h)\b)",
        r"\1 per ",
    ),
    Rule("/", r"(?<=[A-Za-z])/(?=\d[\d.]* ?(?:[km]?V|[kMG]?Hz|[kM]?W)\b)", ", "),
    Rule("/", r"(?<=\d)/(?=\d+ ?°)", ", "),
    Rule("/", r"(?<=[a-z]{3})/(?=\d[\d.]* ?(?:mpg|mph|km|kg|lbs?|oz|g|ml|min|hrs?|[GT]B|fps|psi|cm|mm)\b)", ", "),
    Rule(".,", r"(?<=\d)[.,][-–—]{1,2}(?=\s|$|[;)])", ""),
    Rule("%", r"%\s?/\s?(yr|mo|wk|day|hr|h|min|year|month|week|hour)\b", lambda m: f"% per {_PERIODS.get(m[1], m[1])}"),
    Rule("/", r"(?<=[a-zA-Z])/(?=(?:person|head|capita|user|student|patient)/[a-z])", " per "),
    Rule("/", r"(?<= per )(person|head|capita|user|student|patient)/(?=[a-z])", r"\1 per "),
    Rule(
        "b",
        r"(?<![\w.,])(\d+(?:\.\d+)?)\s?bps?\b(?=[.,;)]|$|\s(?:to|in|on|from|and|or|higher|lower|rise|cut|hike|at|this|by|since|increase|move))",
        r"\1 basis points",
    ),
    Rule("¢", r"¢\s?/\s?(?=[A-Za-z])", "¢ per "),
    Rule("-–", r"(?<![\w.])(\d{1,2})([a-o])\s?[-–]\s?(?=\d{1,2}[b-o]\b)", _lettered),
    Rule(" ", r"(?<= to )(\d{1,2})([b-o])\b(?!['’-])", _step),
    Rule("p", r"(?<![\w,:£])(\d+\.\d+)p\b(?!['’])", r"\1 pence"),
    Rule(
        "p",
        r"(\b(?:for|to|from|of|only|costs?|just|than|charged?|and|or|fell|rose|down|up|a) )(\d{1,3})p\b(?![-'’.]\w)",
        r"\1\2 pence",
    ),
    Rule("p", r"(?<![\w.,])(\d+(?:\.\d+)?)pc\b(?! (?:set|of)\b)", _percentage),
    Rule("p", r"(?<![\w.,])(\d+\.\d+) pc\b(?! (?:set|of)\b)", r"\1 parsecs"),
    Rule("c", rf"({_CENTS_CUE} \d{{1,2}})c\b(?![-'])", r"\1¢"),
    Rule("p", r"(?<![\w.,:£])(\d{1,3})p(?=\s(?:coins?|piece|each|off|stamps?|per|extra)\b)", r"\1 pence"),
    Rule("0", r"(?<![\d.,:'’–-])(?:['’]?00['’]?s|['’]00s)\b", "2000s"),
    Rule(
        "s",
        rf"^['’]?([2-9]0)s\b(?=$| (?!{_SECONDS_AFTER})[a-z])",
        r"'\1s",
    ),
    Rule("s", r"\b([2-9]0)s['’](?=\s)", r"'\1s"),
    Rule("s", r"\b(low|high|upper|lower|mid|early|late)([ -])([2-9]0)s\b", r"\1\2'\3s"),
    Rule("s", r"((?:1[0-9]|20)\d0)s\s?[-–]\s?(?=(?:1[0-9]|20)\d0s\b)", r"\1s to "),
    Rule("/", r"(\d\s?(?:GB|TB|MB|[MGk]bps|W|V|A|Hz|kg|lbs?|cm|in|ft|mi|km))/(?=\d[\d.]*\s?[A-Za-z])", r"\1, "),
    Rule(
        "A",
        r"(?<![\w.])(\d{1,3})\s?A(?= (?:fuse|circuit|breaker|charger|plug|current|socket|outlet|supply)s?\b)",
        r"\1 amp",
    ),
    Rule("s", r"(?<![\w.,:$-])['’]?([1-9]0)['’]s\b(?! (?:a|the|not|too|enough)\b)", r"'\1s"),
    Rule("s", rf"(?<![\w.,:$'’-])([2-9]0)s(?=[ -](?:{_DECADE_NOUNS})\b)", r"'\1s"),
    Rule("s", r"(?<=[a-z] )([2-9]0)s(?= [a-z])", _decade),
    Rule("x", r"(?<=\d)x(?= (?:the|as)\b)", " times"),
    Rule("x×", r"(?<![\w.,])(\d{1,3})[x×](\d{1,2})s\b", lambda m: f"{m[1]} by {numbers.plural(int(m[2]))}"),
    Rule(":", r"(?<![\d:.,])(\d{1,3}):(?=\d{1,3}(?:,\d{3})+(?![\d,]))", r"\1 to "),
)
