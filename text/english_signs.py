"""English signs that several characters make (<=, +/-, ->, 1.5E-4, C#), grouped digits and codes.

They come before every other expansion: what they are made of (dashes, slashes, blanks, quotes) means something else
alone.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.cues import cue_words
from timbre.text.patterns import preceding, sub

_FOLDED = (
    (re.compile(r"\+\s?/\s?[-−–]|\+-(?=\s?\d)"), "±"),
    (re.compile(r"<=(?!>)|=<"), "≤"),
    (re.compile(r">="), "≥"),
    (re.compile(r"!==?|<>(?=\s?[\w.])|=/="), "≠"),
    (re.compile(r"(?<![=<>!])={2,3}(?!=)"), "="),
    (re.compile(r"\s*(?:-{1,2}>|=>|⇒|➔|➜)\s*"), " → "),
    (re.compile(r"~="), "≈"),
)
_SCIENTIFIC = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?:[eE]|\s?[x×*·]\s?10\^)([-+−]?)(\d{1,3})(?![\d.]*[A-Za-z]{2}|\d)")
_GROUP_BLANKS = " \u00a0\u2009\u202f"
_GROUPED = re.compile(
    rf"(?<![\d.,+-])(?<!\d[{_GROUP_BLANKS}])([1-9]\d{{0,2}})((?:[{_GROUP_BLANKS}]\d{{3}})+)(?![\d]|[{_GROUP_BLANKS}-]\d)"
)
_COUNTED_AFTER = re.compile(
    r"(?:[.,]\d+)?\s?(?:[\u3400-\u9fff]|[€£$¥₹%]|(?:[kcmn]?m|nmi|mi|ft|[km]?g|lbs?|oz|t|m?[lL]|ha|rpm|hp|[kMG]?Wh?|"
    r"[kMG]?Hz|k?cal|people|men|women|children|feet|yen|yuan|won|rand|baht|kron[eo]r|USD|EUR|GBP|CHF|SEK|NOK|DKK|PLN|"
    r"(?:nautical |square |cubic |metric |light )?(?!is\b|was\b|has\b|as\b|this\b)[a-z]{3,}s)\b)"
)


def fold_signs(text: str) -> str:
    """<= -> ≤; +/- -> ±; -> -> →; 1.5E-4 -> 1.5 times ten to the minus 4; C# -> C sharp; -$5 -> minus $5."""
    for pattern, sign in _FOLDED:
        text = pattern.sub(sign, text)
    text = _SCIENTIFIC.sub(
        lambda m: f"{m[1]} times ten to the {'minus ' if m[2] in ('-', '−') and m[2] else ''}{m[3]}", text
    )
    text = sub(r"\b([A-G])#(?![\w#])", r"\1 sharp", text)
    text = sub(r"(?<=\d) [x×] (?=\d[\d.,]*\s*=)", " times ", text)
    text = sub(r"(?<=\d)x(?=\d[\d.,]*\s*=)", " times ", text)
    text = sub(r"(?<=[\d)])\s/\s(?=[\d(])", " divided by ", text)
    return sub(r"(?<=[=+(] )(?!sin|cos|tan|log|exp|sec|cot|csc|ln)([a-z]{2,3})(?=\^\d)", lambda m: " ".join(m[1]), text)


def join_groups(text: str) -> str:
    """1 000 000 -> 1000000; 25 000 km -> 25000 km; 12'500 -> 12500. One group alone needs a sign that it is one."""

    def joined(match: re.Match[str]) -> str:
        groups = re.findall(r"\d{3}", match[2])
        alone = len(groups) == 1 and match[2][0] == " "
        after = match.string[match.end() :]
        priced = preceding(match).rstrip().endswith(("$", "€", "£", "¥", "₹"))
        if alone and groups[0] != "000" and not priced and not _COUNTED_AFTER.match(after):
            return match[1] + groups[0] if beside and groups[0][2] == "0" else match[0]
        return match[1] + "".join(groups)

    # Who writes 9 000 km writes 2 500 so too.
    beside = re.search(r"(?<![\d.,])[1-9]\d{0,2}(?: \d{3})* 000(?! ?\d)", text) is not None
    text = _GROUPED.sub(joined, text)
    return sub(r"(?<![\d.,'])(\d{1,3})((?:['’]\d{3})+)(?!\d)", lambda m: sub(r"\D", "", m[0]), text)


_CODE_CUE = (
    r"(?:zip(?: code)?|post(?:al)? ?code|(?:area |country |dial(?:ing)? |access |door |security |verification |"
    r"product |promo |booking |pass)?code|pin(?: number| code)?|password|passcode|extension|ext\.?|"
    r"account(?: number| no\.?)?|"
    r"serial(?: number| no\.?)?|tracking(?: number)?|licen[cs]e(?: number| plate)?|id(?: number)?|badge(?: number)?|"
    r"confirmation(?: number)?|reference(?: number)?|(?:phone|mobile|cell|fax|telephone|card|hotline)(?: number)?)"
)
_CODE = re.compile(
    rf"\b({_CODE_CUE}(?: is| was|:|,| of| #)?(?: now)?\s)(\d{{3,}})\b(?![.,:/]\d|-\d|\s?%)", re.IGNORECASE
)
_CODE_OTHER = re.compile(
    rf"\b({_CODE_CUE})((?: is| was|:|,| of| #)?(?: now)?\s|"
    r"(?: has| had| was| just){0,2} (?:changed|switched|moved) from )"
    r"(\d{3,}(?:,? (?:but )?not |,? or | instead of | to )\d{3,})\b"
    r"(?![,:/-]?\d|\.\d|\s?%| [a-z]+s\b)",
    re.IGNORECASE,
)
_ZIP_LATER = re.compile(
    r"\b((?:zip|ZIP|Zip|postal)(?: [Cc]ode)?s?\b[^.!?\d]{1,30}?)(\d{5})\b(?=[,;:!?)\"]|\.(?!\d)|$| (?:and|or|is|in)\b)"
    r"(?!,\d{3}\b)"
)
_CODE_LIST = re.compile(
    r"\b((?:zip|postal|post|area|access|door|security|verification|promo|booking)? ?codes|(?:account|serial|tracking|"
    r"confirmation|reference|phone|badge) numbers|passcodes|pins|zips)((?: are| were|:| of|,)?(?: now)? )"
    r"(\d{3,}(?:(?:, | and | or |, and |, or )\d{3,})+)\b(?![,:/-]?\d|\.\d|\s?%)",
    re.IGNORECASE,
)
_PAIRED = re.compile(
    r"\b((?:[Rr]oom|[Ff]light|[Ss]uite|[Aa]partment|Apt\.?|Boeing|Airbus|"
    r"A(?= 3[1-8]0\b(?! ?[a-z]))|[Hh]ighway|[Rr]oute|[Ii]nterstate|[Bb]us|"
    r"[Tt]rain|[Gg]ate|[Uu]nit|[Ll]ocker|[Ff]orm|[Aa]rea) |(?:Boeing|Airbus)(?=\d))"
    r"(\d{3,4})\b(?![.,:/-]\d|\s?%| [a-z]+s\b)"
)


def expand_codes(text: str) -> str:
    """zip code 90210 -> nine zero two one zero; Room 305 -> three oh five; Boeing 747 -> seven forty-seven."""
    text = _CODE_LIST.sub(_listed, text)
    text = _CODE_OTHER.sub(_listed, text)
    text = _CODE.sub(lambda m: m[1] + numbers.digits(m[2]), text)
    text = _ZIP_LATER.sub(lambda m: m[1] + numbers.digits(m[2]), text)
    text = sub(
        r"(?<![\d.,$£€-])(\d{5})(?=(?: is| was)? (?:an?|the|my|your|our|his|her|their) (?:\w+ )?(?:zip|ZIP|postal)\b)",
        lambda m: numbers.digits(m[1]),
        text,
    )
    text = sub(r"\b([A-Z])\.(\d{3})\b(?!\.?\d)", lambda m: f"{m[1]} {numbers.digits(m[2])}", text)
    text = sub(
        r"\b(SSN|[Ss]ocial [Ss]ecurity(?: [Nn]umber| no\.)?)((?: is|:)? )(\d{3})-(\d\d)-(\d{4})\b",
        lambda m: f"{m[1]}{m[2]}{', '.join(numbers.digits(m[i]) for i in (3, 4, 5))}",
        text,
    )
    text = sub(r"\b((?:ending|ends)(?: (?:in|with))? )(\d{4})\b(?!,)", lambda m: m[1] + numbers.digits(m[2]), text)
    text = sub(
        r"\b(I|US|SR|CA|NY|Rte|Hwy)-(\d{3})\b(?!-)|\b(Blink)-(182)\b",
        lambda m: f"{m[1] or m[3]} {paired(m[2] or m[4])}",
        text,
    )
    text = sub(
        r"\b(Xbox|Peugeot|Porsche|Fiat|Volvo|Lotus|Leica|Atari|TI|"
        r"RTX|GTX|RX|Radeon|GeForce|Ryzen \d|Core i\d|Pentium|Xperia|PowerBook|Nokia) (\d{3,4})\b",
        lambda m: f"{m[1]} {paired(m[2])}",
        text,
    )
    text = sub(r"(?<![\d.,-])(7[0-9]7|A3\d0)-(\d{3})\b(?!-)", lambda m: f"{_jet(m[1])} {paired(m[2])}", text)
    text = sub(r"(?<=\b[A-Z])-(\d{2})s\b", lambda m: f" {numbers.cardinal(int(m[1]))}s", text)
    text = sub(r"\b([Ff]lights? )?([A-Z]{2}) ?(\d{3,4})(?![\w.,:-]*\d)", _flight, text)
    text = sub(
        r"\b((?:HTTP|[Ee]rror|[Ss]tatus(?: code)?|[Rr]eturn(?:s|ed)?(?: a| an)?|[Gg]ot an?|[Rr]esponse(?: code)?) )"
        r"([1-5]\d\d)(?![\d.,:%]*\d|[ -]?[a-z]+s\b(?<!errors)(?<!responses))",
        lambda m: m[1] + paired(m[2]),
        text,
    )
    text = sub(r"(?<![\w.,])([45]0\d)(?= (?:error|page|response|not found))", lambda m: paired(m[1]), text)
    text = sub(r"\b((?:[Aa]n?|[Gg]rades?|got|and|or|of) )([A-F])-(?=[\s.,;!?)]|$)", r"\1\2 minus", text)
    return _PAIRED.sub(lambda m: f"{m[1].rstrip()} {paired(m[2])}", text)


def _listed(match: re.Match[str]) -> str:
    """zip codes 02139 and 33101 are digits; numbers of several lengths are codes no more."""
    if len({len(number) for number in re.findall(r"\d+", match[3])}) > 1:
        return match[0]
    return match[1] + match[2] + sub(r"\d+", lambda m: numbers.digits(m[0]), match[3])


def _jet(name: str) -> str:
    return paired(name) if name.isdigit() else f"A {paired(name[1:])}"


def _flight(match: re.Match[str]) -> str:
    """Flight UA 328 and, for airlines that everybody knows, BA2490 alone, where a flight or a gate is spoken of."""
    near = match.string[max(0, match.start() - 40) : match.end() + 40].lower()
    if not match[1] and not (
        match[2] in cue_words("airlines") and re.search(r"\b(?:flight|gate|board|land|depart|fly|flew)", near)
    ):
        return match[0]
    return f"{match[1] or ''}{match[2]} {paired(match[3])}"


def paired(number: str) -> str:
    """305 -> three oh five; 747 -> seven forty-seven; 1549 -> fifteen forty-nine; 200 -> two hundred."""
    head, tail = number[:-2], number[-2:]
    if number[0] == "0":
        return numbers.digits(number)
    if tail == "00":
        return numbers.cardinal(int(number)) if int(head) % 10 == 0 else f"{numbers.cardinal(int(head))} hundred"
    last = f"oh {numbers.cardinal(int(tail))}" if tail[0] == "0" else numbers.cardinal(int(tail))
    return f"{numbers.cardinal(int(head))} {last}"
