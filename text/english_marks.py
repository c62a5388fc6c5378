"""English short writing whose sign stands for a word: a slash for or, per or out of, a colon for to, letters of states.

Each function takes and returns text and leaves digits to the later steps.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_calendar import MONTHS
from timbre.text.patterns import preceding, sub

_EITHER = (
    r"s/he|he/she|she/he|him/her|her/him|his/her|her/his|hers/his|his/hers|himself/herself|yes/no|true/false|either/or"
)
_PER = {
    "h": "hour", "hr": "hour", "hour": "hour", "d": "day", "day": "day", "wk": "week", "week": "week",
    "qtr": "quarter", "mo": "month",
    "mth": "month", "month": "month", "y": "year", "yr": "year", "year": "year", "min": "minute", "minute": "minute",
    "s": "second", "sec": "second", "second": "second", "night": "night", "person": "person", "user": "user",
    "seat": "seat", "page": "page", "unit": "unit", "item": "item", "lb": "pound", "kg": "kilogram", "g": "gram",
    "oz": "ounce", "gal": "gallon", "gallon": "gallon", "mile": "mile", "mi": "mile", "km": "kilometer",
    "ton": "ton", "sqft": "square foot", "sq ft": "square foot", "m^2": "square meter", "m2": "square meter",
    "ticket": "ticket", "head": "head", "share": "share", "barrel": "barrel", "bbl": "barrel", "capita": "capita",
    "word": "word", "game": "game", "pack": "pack", "box": "box", "bottle": "bottle", "l": "liter", "L": "liter",
    "liter": "liter", "kWh": "kilowatt hour", "GB": "gigabyte", "class": "class", "visit": "visit", "dozen": "dozen",
    "student": "student", "child": "child", "room": "room", "piece": "piece", "serving": "serving", "dose": "dose",
}  # fmt: skip
_PERS = "|".join(re.escape(name) for name in sorted(_PER, key=len, reverse=True))
_AMOUNT = r"[$£€¥₹]\s?\d[\d,.]*\d?(?:\s?(?:[kKmMbB]|[mbt]n|million|billion|trillion|thousand))?|\d[\d,.]*\s?¢"
_SPAN = r"[$£€]\s?\d[\d,.]*\s?[-–]\s?[$£€]?\d[\d,.]*[kKmMbB]?"
_RATE = re.compile(rf"({_SPAN}|{_AMOUNT}|\b\d[\d,.]*(?:\+|[kKMB])? [A-Za-z]{{3,}})\s?/\s?({_PERS})(?![\w/])")
_SCORE_CUE = (
    r"\b(?:scor\w*|got|gets?|rat(?:e[sd]?|ing)s?|earn\w*|gave|gives?|grades?d?|marks?|marked|stars?|review\w*|pain|level"
    r"|reached|received|solid|perfect|a strong|exam|quiz|test)\b[^.!?]{0,25}$"
)
_OUT_OF = re.compile(
    r"(?<![\d/.,$])(\d{1,3}(?:\.\d+)?)/(\d{1,3})(?![\d/]|\.\d|"
    r"\s?(?:\"|''|″|of an? |-in(?:ch)?\b|inch|in\.|(?:[GMk]?Hz|[GT]B|[kM]?W|k?V)\b))"
)
_OVER = re.compile(r"(?<![\d/.,$])(\d{2,3})/(\d{2,3})(?![\d/]|\.\d|\s?(?:\"|''))")
_MEASURED = re.compile(r"-?\s?(?:cup|inch|mile|tsp|tbsp|teaspoon|tablespoon|pint|pound|lb|oz|yard|full|empty|of)")
_DATE = re.compile(r"(?<![\d/.,$])(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?![\d/]|\.\d|\s?(?:\"|''|″|%))")
_DATE_CUE = re.compile(
    r"\b(?:on|due|(?:due|pay|paid|reply|rsvp|return|returned|ship|arrives?|done|submit\w*|finish\w*|back|ready) by|"
    r"until|till|(?:COB|EOD|EOB|noon|midnight)|since|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?|"
    r"thru|through|week of|before|after|as of|dated?|starting|ending|beginning|effective|dob|"
    r"expir\w+|arriv\w+|ships?|shipped|deliver\w+|postmarked|received)[: ]\s?$",
    re.I,
)
_PARTED = re.compile(
    r"(?<![\w.:])(?=\d+\s?(?:days?|d|hrs?|h|mins?|m)\s?\d)(?:(\d+)\s?d(?:ays?)?\s?)?(?:(\d+)\s?(?:h|hrs?)\s?)?"
    r"(?:(\d+)\s?(?:m|mins?)\s?)?(?:(\d+(?:\.\d+)?)\s?(?:s|secs?))?(?![\w/²³^])"
)
_LASTS = (
    r"\b(?:took|takes?|lasts?|lasted|ran|finish\w*|marathon|race|record|runtime|running time|duration|elapsed|timer|"
    r"timed?|clocked|in|of|after|completed)\b(?: (?:at|is|was|of|in|a|an|the))*:? $"
)
_STOPWATCH = re.compile(r"(?<![\d:.])(\d{1,2}):([0-5]\d):([0-5]\d)(?:\.(\d+))?(?![\d:]|\s?[AaPp]\.?\s?[Mm])")
_RATIO_BEFORE = re.compile(
    r"\b(?:ratios?|odds|scales?|mix(?:ed|ture)?|dilut\w*|proportions?|aspect|score[sd]?|won|win|lost|lose|beat|led|lead|drew|"
    r"draw|split|outnumber\w*)\b[^.!?:,]{0,16}$", re.IGNORECASE
)  # fmt: skip
_RATIO_AFTER = re.compile(
    r"\s(?:dilution|ratio|scale|odds|mix|mixture|aspect|split|solution|win|loss|lead|victory|draw|defeat|screen|display|"
    r"monitor|model|replica|favou?rites?|underdogs?|outsiders?)\b"
)
_VERSE = re.compile(
    r"\b(Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job"
    r"|Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah|Lamentations|Ezekiel|Daniel|Hosea|Joel|Amos|Jonah|Micah|Matthew|Mark"
    r"|Luke|John|Acts|Romans|Corinthians|Galatians|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Hebrews"
    r"|James|Peter|Jude|Revelation|Quran|Qur['’]an|Koran|Surah?|[Vv]erse) (\d{1,3}):(\d{1,3})\b"
)
_STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho",
    "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine",
    "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi", "MO": "Missouri",
    "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico",
    "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon",
    "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee",
    "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington", "WV": "West Virginia",
    "WI": "Wisconsin", "WY": "Wyoming", "DC": "D C",
}  # fmt: skip
_NEED_ZIP = frozenset({"OK", "HI", "IN", "LA", "ID", "DE", "AL", "DC"})
_STATE = re.compile(
    rf"(?<=[a-z])(,?) ({'|'.join(_STATES)})\b(?:,? (\d{{5}}(?:-\d{{4}})?)\b(?!-\d|,\d)|(?=[.,;)]|$| [a-z]))"
)
_COMPASS = {"N": "north", "S": "south", "E": "east", "W": "west"}


def expand_marks(text: str) -> str:
    """he/she -> he or she; $25/hr -> $25 per hour; 4.5/5 -> 4.5 out of 5; 1:10 dilution -> 1 to 10; MO 63101."""
    if "/" in text:
        text = sub(rf"\b(?:{_EITHER})\b", _either, text, re.IGNORECASE)
        text = sub(r"\b[Nn]/[Aa]\b", "N A", text)
        text = sub(r"\bb/c\b", "because", text)
        text = _RATE.sub(lambda m: f"{m[1]} per {_PER[m[2]]}", text)
        text = _OVER.sub(_pair, text)
        text = _DATE.sub(_day, text)
        text = _OUT_OF.sub(_score, text)
    if ":" in text:
        text = _VERSE.sub(lambda m: f"{m[1]} {numbers.cardinal(int(m[2]))} {numbers.cardinal(int(m[3]))}", text)
        text = _STOPWATCH.sub(_stopwatch, text)
        text = sub(r"(?<![\d:.])(?!0\d)(\d{1,3}):(\d{1,3})(?![\d:]|\s?[AaPp]\.?[Mm])", _ratio, text)
    text = _PARTED.sub(_duration, text)
    if "°" in text:
        text = sub(r"(?<=[°′'″\"]) ?([NSEW])\b", lambda m: f" {_COMPASS[m[1]]}", text)
    text = sub(r"\b([YQMWD])o\1\b|\b([yqmwd])-?o-?\2\b", _over, text)
    return _STATE.sub(_state, text)


def _either(match: re.Match[str]) -> str:
    whole = match[0].lower()
    words = ("she/he" if whole == "s/he" else whole).split("/")
    joined = " or ".join(words)
    return joined.capitalize() if match[0][0].isupper() else joined


def _over(match: re.Match[str]) -> str:
    unit = {"Y": "year", "Q": "quarter", "M": "month", "W": "week", "D": "day"}[(match[1] or match[2]).upper()]
    return f"{unit} over {unit}"


def _state(match: re.Match[str]) -> str:
    comma, short, code = match.groups()
    if not code and (not comma or short in _NEED_ZIP or not re.search(r"\b[A-Z][a-z]+$", preceding(match))):
        return match[0]
    return f"{comma} {_STATES[short]}" + (
        f" {', '.join(numbers.digits(part) for part in code.split('-'))}" if code else ""
    )


def _pair(match: re.Match[str]) -> str:
    """120/80 of a blood pressure is over; parts of a hundred (the 80/20 rule) and eyesight are two numbers."""
    around = match.string[max(0, match.start() - 40) : match.end() + 12]
    if re.search(r"\b(?:pressure|BP|systolic)\b|mmHg", around):
        return f"{match[1]} over {match[2]}"
    if int(match[1]) + int(match[2]) == 100 or re.search(r"\b(?:vision|eyesight)\b", around):
        return f"{match[1]} {match[2]}"
    return match[0]


def _day(match: re.Match[str]) -> str:
    padded = "0" in (match[1][0], match[2][0])
    cued = _DATE_CUE.search(preceding(match))
    rest = match.string[match.end() :]
    if not padded and (not cued or _MEASURED.match(rest) or re.match(r"\s?(?:mile|inch|hour|cup)", rest)):
        return match[0]
    return f"{MONTHS[int(match[1]) - 1]} {numbers.ordinal(int(match[2]))}"


def _score(match: re.Match[str]) -> str:
    top, bottom = float(match[1]), int(match[2])
    before, rest = preceding(match), match.string[match.end() :]
    if re.search(r"\d $", before) or _MEASURED.match(rest):
        return match[0]
    cued = re.search(_SCORE_CUE, before, re.IGNORECASE)
    decimal = "." in match[1] and bottom >= 4
    usual = bottom in (10, 100) and top > 1
    if (top <= bottom or (bottom == 10 and top in (11, 12))) and (decimal or usual or (cued and bottom >= 4)):
        return f"{match[1]} out of {match[2]}"
    return match[0]


def _counted(number: str, unit: str) -> str:
    return f"{numbers.decimal(number)} {unit}{'' if number == '1' else 's'}"


def _duration(match: re.Match[str]) -> str:
    parts = [
        (number, unit)
        for number, unit in zip(match.groups(), ("day", "hour", "minute", "second"), strict=True)
        if number
    ]
    if len(parts) < 2:
        return match[0]
    return " ".join(_counted(number, unit) for number, unit in parts) + (" " if match[0].endswith(" ") else "")


def _stopwatch(match: re.Match[str]) -> str:
    if not re.search(_LASTS, preceding(match), re.IGNORECASE):
        return match[0]
    seconds = str(int(match[3])) + (f".{match[4]}" if match[4] else "")
    parts = [(str(int(match[1])), "hour"), (str(int(match[2])), "minute"), (seconds, "second")]
    return ", ".join(_counted(number, unit) for number, unit in parts if float(number))


def _ratio(match: re.Match[str]) -> str:
    before, after = preceding(match), match.string[match.end() :]
    if _RATIO_BEFORE.search(before) or _RATIO_AFTER.match(after):
        return f"{match[1]} to {match[2]}"
    return match[0]
