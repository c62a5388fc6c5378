"""English codes: telephone numbers with words, keys of a telephone, postal codes, processors, numbers of standards.

What is read by its characters; before every rule that would read the digits as a number.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_signs import paired
from timbre.text.patterns import Rule, applied

_PHONE_CUE = (
    r"(?:[Cc]all(?: me| us)?(?: at| on)?|[Dd]ial|[Pp]hone|[Tt]el|[Tt]elephone|[Rr]ing|[Ff]ax|"
    r"[Mm]obile|[Cc]ell|[Oo]ffice)"
)
_CALLED = r"(?=[.,;!?)]|$| (?:and|or|if|for|from|call\w*|now|dispatch\w*|operators?)\b)"


def fold_codes(text: str) -> str:
    """Telephone numbers with words, keys of a telephone, postal codes, processors: what is read by its characters."""
    return applied(_CODE_RULES, text)


def _called(match: re.Match[str]) -> str:
    return numbers.digits(match[1])


def _part(number: str) -> str:
    """Part of a code: 2024 -> twenty twenty-four; 0091 and 27001 by their digits."""
    return paired(number) if len(number) in (3, 4) and number[0] != "0" else numbers.digits(number)


def _extended(match: re.Match[str]) -> str:
    return f"{match[1]} extension {numbers.digits(match[2])}"


def _processor(head: str, tail: str) -> str:
    """9700 -> ninety-seven hundred; 13900 -> thirteen nine hundred; 5600 -> fifty-six hundred."""
    if len(head) == 2:
        return f"{numbers.cardinal(int(head))} {numbers.cardinal(int(tail))}"
    first, last = int(head + tail[0]), int(tail[1:])
    return f"{numbers.cardinal(first)} {numbers.cardinal(last) if last else 'hundred'}"


def _words(letters: str) -> str:
    return " ".join(part.capitalize() for part in letters.split("-"))


def _spoken(part: str) -> str:
    return paired(part) if len(part) == 3 else numbers.cardinal(int(part))


def _hyphened(match: re.Match[str]) -> str:
    """112-4455667-8899 -> digits, group by group; dates and telephone numbers have rules of their own."""
    groups = re.findall(r"\d+", match[0])
    sizes = [len(group) for group in groups]
    if sizes in ([4, 2, 2], [2, 2, 4], [2, 2, 2], [3, 3, 4], [3, 2, 4]) or max(sizes) < 3:
        return match[0]
    sign = "number " if match[0][0] == "#" else ""
    return sign + ", ".join(numbers.digits(group) for group in groups)


def _named(match: re.Match[str]) -> str:
    """1-888-Comcast, 1-800-ski-green, 1-800-4MY-HOME: the digits, then the words."""
    words = " ".join(
        part if not part.isdigit() else numbers.digits(part) for part in re.findall(r"\d+|[A-Za-z]+", match[3])
    )
    return f"one, {numbers.digits(match[2])}, {_shown(words)}"


def _shown(words: str) -> str:
    return " ".join(part.capitalize() if len(part) > 2 and part.isupper() else part for part in words.split())


def _free(match: re.Match[str]) -> str:
    """18005551234 -> one, eight zero zero, five five five, one two three four."""
    number = match[0]
    head = "one, " if len(number) == 11 else ""
    number = number[-10:]
    return head + ", ".join(numbers.digits(part) for part in (number[:3], number[3:6], number[6:]))


def _key(match: re.Match[str]) -> str:
    return f"star {numbers.digits(match[1])}" + (" pound" if match[2] else "")


def _by_character(text: str) -> str:
    return " ".join(numbers.digits(c) if c.isdigit() else c for c in text if c.isalnum())


def _bank(match: re.Match[str]) -> str:
    """An account by its groups: DE89 3704 -> D E eight nine, three seven zero four."""
    return f"{match[1]}{', '.join(_by_character(group) for group in match[2].split())}"


_CODE_RULES = (
    Rule("*•", r"[*•·]{2,}[ -]?(\d{3,4})\b(?![.,]\d)", _called),
    Rule("I", r"\b(IBAN:? )([A-Z]{2}\d\d(?: [A-Z0-9]{1,4}\b)*)", _bank),
    Rule("N", r"\b(Nos?\.? \d{1,2})-(\d{3,5})\b", r"\1, \2"),
    Rule("R", r"\b(\d{3})/(\d\d)\s?(Z?R)\s?(\d\d)\b", lambda m: f"{paired(m[1])}, {m[2]} {' '.join(m[3])} {m[4]}"),
    Rule("/", r"\b(\d{1,2}/\d{1,2})-(\d\d)(?= (?:bolt|screw|thread|nut|tap|stud|UNC|UNF)s?\b)", r"\1 \2"),
    Rule("/", r"(?<![\d/.-])((?:19|20)\d\d)/(\d{3,5})(?![\d/]|\.\d)", r"\1, \2"),
    Rule(
        "89",
        r"(?<![\w-])(?:(1)[-. ])?(8\d\d|900)[-. ]([A-Z]{2,}(?:-[A-Z]{2,})*)\b",
        lambda m: f"{numbers.digits(m[1]) + ', ' if m[1] else ''}{numbers.digits(m[2])}, {_words(m[3])}",
    ),
    Rule(
        "89",
        r"(?<![\w-])\+?(1)[-. ]?(?:(?<=[-. ])|(?=\())\(?(8(?:00|33|44|55|66|77|88)|"
        r"900)\)?[-. ](?=[\w-]*[A-Za-z]{2})(\w+(?:-\w+)*)",
        _named,
    ),
    Rule("8", r"(?<![\w.,$£€-])1?8(?:00|33|44|55|66|77|88)\d{7}(?![\w.,-]*\d)", _free),
    Rule("(", r"\((\d{3})\) ?(\d{3})(\d{4})\b", r"\1-\2-\3"),
    Rule("-", r"(?<![\w.,$£€/-])#?\d{2,}(?:-\d{2,}){2,}(?![\w-])", _hyphened),
    Rule(
        "P",
        r"\b(Public Law (?:No\. |Number )?)(\d{2,3})-(\d{1,3})\b",
        lambda m: f"{m[1].replace('No.', 'Number')}{_spoken(m[2])}, {_spoken(m[3])}",
    ),
    Rule(
        "0123456789",
        r"\b((?:ID|PIN|[Cc]ode|[Nn]umber|[Aa]ccount|[Cc]ard|[Mm]eeting|[Rr]ef|[Rr]eference|[Pp]asscode)(?: (?:is|no\.|"
        r"number))?:? #?)"
        r"(\d{2,5}(?: \d{2,5}){2,})(?![\d-]|[.,]\d)",
        lambda m: m[1].replace("no.", "number") + ", ".join(numbers.digits(group) for group in m[2].split()),
    ),
    Rule("-", r"(?<![\w-])(\d{3})-([A-Z]{4})\b", lambda m: f"{numbers.digits(m[1])}, {_words(m[2])}"),
    Rule(
        "-",
        r"(?<![\w-])(?:(1)-)?(\d{3})-(\d{3})-([A-Z]{4})\b",
        lambda m: f"{'one, ' if m[1] else ''}{numbers.digits(m[2])}, {numbers.digits(m[3])}, {_words(m[4])}",
    ),
    Rule("x", r"(\d{3}[-. ]\d{4})\s?(?:x|ext\.?\s?)(\d{1,5})\b", _extended),
    Rule("(", r"\((\d{3})\)(?=\d{3}[-.]\d{4})", r"\1-"),
    Rule(
        "1",
        r"(?<![\w.,$£€#-])(?<!Porsche )(911|411)" + _CALLED,
        _called,
    ),
    Rule("x", r"\b0x([0-9A-Fa-f]{1,8})\b", lambda m: f"zero x {_by_character(m[1].upper())}"),
    Rule("#", r"(?<![\w&])#([A-Z]{1,4})-?(\d{2,})\b", lambda m: f"number {m[1]} {numbers.digits(m[2])}"),
    Rule("-", r"\b([A-Z]{2,})-(\d{2,})-(\d{2,})\b", lambda m: f"{m[1]} {_part(m[2])}, {_part(m[3])}"),
    Rule("pi", r"(?<![\w.])(480|720|1080|1440|2160)([pi])\b", lambda m: f"{paired(m[1])} {m[2]}"),
    Rule("IRDASPp", r"\b(ISO|RFC|IEEE|DIN|ASTM|[Pp]ort) (\d{3,5})\b(?![.,:]\d)", lambda m: f"{m[1]} {_part(m[2])}"),
    Rule("*", r"(?<![\w*])\*(\d{2,3})(#?)(?![\d*])", _key),
    Rule(
        "(CcDdPpTtRrFfMmOo",
        rf"\b({_PHONE_CUE}:? (?:\S+ (?:or|and) )?)\(?(\d{{3}})\)?[. ](\d{{4}})\b(?![\d,.-]\d| \d{{3,4}}\b)",
        lambda m: f"{m[1]}{m[2]}-{m[3]}",
    ),
    Rule("(", r"\((\d{3})\) ?(\d{4})\b(?!-)", r"\1-\2"),
    Rule("Tt", r"\b([Tt]ext(?: us| me)?(?: at)? )(\d{5,6})\b(?!,)", lambda m: m[1] + numbers.digits(m[2])),
    Rule(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        r"\b([A-Z]\d[A-Z]) (\d[A-Z]\d)\b|\b([A-Z]{1,2}\d[A-Z\d]?) (\d[A-Z]{2})\b",
        lambda m: _by_character(m[0]),
    ),
    Rule(
        "-",
        r"(?<![\w-])(?<! [A-Z]{2} )(\d{5})-(\d{4})(?![\w-])",
        lambda m: f"{numbers.digits(m[1])}, {numbers.digits(m[2])}",
    ),
    Rule(
        "iRr",
        r"\b(i[3579]|[Rr]yzen \d)[- ](\d{1,2})(\d{3})([A-Z]{0,2})\b",
        lambda m: f"{m[1]} {_processor(m[2], m[3])} {' '.join(m[4])}".rstrip(),
    ),
)
