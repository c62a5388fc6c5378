"""English technical writing in words: file paths, hosts with ports, numbers of books, colours, names with underscores.

It comes before dates, times and fractions, which would read the slashes, colons and dashes of these otherwise.
"""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_signs import paired
from timbre.text.patterns import preceding, sub

_UNIX = re.compile(
    r"(?<![\w/.:<)%'’-])(?:(?:~|\.{1,2})?/(?:[\w.-]+/)+[\w.-]*\w/?(?:\?[\w=&%.+-]*\w)?|~/[\w.-]*\w|\.{1,2}/[\w.-]*\w)(?![\w/])"
)
_ROOT = re.compile(r"(?<![^\s(\"'])/(?=[a-z]{2,}\b(?!/))")
_RELATIVE = re.compile(r"(?<![\w/.:@~-])[A-Za-z][\w-]*(?:/[\w.-]+)*/[\w-]+\.[a-z]{1,5}\d?(?![\w/])")
_WINDOWS = re.compile(r"(?<!\w)(?:([A-Za-z]):)?(\\{1,2}[^\s\\\"'<>|,;]+)+\\?")
_PORT = re.compile(
    r"(?:\b(?:https?|ftp|wss?)://)?\b(localhost|(?:\d{1,3}\.){3}\d{1,3}|[a-z][\w-]*(?:\.[\w-]+)*\.[a-z]{2,}):(\d{2,5})\b(?!:)"
    r"((?:[/?][\w./?=&%#~+-]*[\w/=])?)"
)
_IMAGE = re.compile(r"(?<![\w/.:@-])([a-z][\w-]*(?:/[a-z][\w.-]*)+):(?=(?:\d+(?:\.\d+)*|latest)\b)")
_MAPPED = re.compile(r"(?<=-p )(\d{2,5}):(\d{2,5})\b")
_BOOK = re.compile(r"\b(IS[BS]N(?:-1[03])?)(:| is| number|)\s?([\d][\d -]{6,16}[\dX])\b")
_COLOUR = re.compile(r"(?<![\w&])#(?=[0-9A-Fa-f]*\d)(?=\d*[A-Fa-f]|\d{6}\b)([0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})\b")
_UNDERSCORED = re.compile(r"(?<![\w@.])(?=\w*[A-Za-z])[A-Za-z0-9]+(?:_+[A-Za-z0-9]+)+(?![\w@])")
_HANDLE = re.compile(r"(?<![\w.@])@([A-Za-z0-9]+(?:_+[A-Za-z0-9]+)+)(?![\w@]|\.\w)")
_SIGNS = {
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "%": "percent",
    "+": "plus",
    "/": "slash",
    ".": "dot",
    "-": "dash",
    "_": "underscore",
    "~": "tilde",
    "\\": "backslash",
    ":": "colon",
}


def spelt(text: str) -> str:
    """Words and the names of signs: /usr/bin -> slash usr slash bin; three digits and more one by one."""
    words = []
    for part in re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d\s]+", text):
        if part.isdigit():
            as_number = len(part) <= 2 and part[0] != "0"
            words.append(numbers.cardinal(int(part)) if as_number else numbers.digits(part))
        elif part.isalpha():
            words.append(part)
        else:
            words.extend(_SIGNS[sign] for sign in part if sign in _SIGNS)
    return " ".join(words)


def _symbols(text: str) -> str:
    return " ".join(numbers.digits(c) if c.isdigit() else c.upper() for c in text if c.isalnum())


def expand_paths(text: str) -> str:
    r"""/usr/local/bin -> slash usr slash local slash bin; C:\Users -> C colon backslash Users; localhost:8080."""
    if "/" in text:
        text = _UNIX.sub(lambda m: f" {spelt(m[0].rstrip('/'))} ", text)
        text = _RELATIVE.sub(lambda m: f" {spelt(m[0])} ", text)
        text = _ROOT.sub("slash ", text)
    if "\\" in text:
        text = _WINDOWS.sub(lambda m: f" {spelt(m[0].rstrip('.!?'))} {m[0][len(m[0].rstrip('.!?')) :]}", text).replace(
            "\\", " backslash "
        )
    if ":" in text:
        text = _MAPPED.sub(lambda m: f"{_port(m[1])} colon {_port(m[2])}", text)
        text = _IMAGE.sub(lambda m: f"{spelt(m[1])} colon ", text)
    text = _PORT.sub(_host, text)
    text = _BOOK.sub(_book, text)
    if "#" in text:
        text = sub(r"\b([Hh]ashtags?:?) #(?=[A-Za-z])", r"\1 ", text)
        text = _COLOUR.sub(lambda m: f"hash {_symbols(m[1])}", text)
    if "_" not in text:
        return text
    text = _HANDLE.sub(lambda m: f"at {spelt(m[1])}", text)
    return _UNDERSCORED.sub(_underscored, text)


def _host(match: re.Match[str]) -> str:
    """localhost:8080/api; the host stays for the rule of addresses unless it is a number."""
    host = " dot ".join(_byte(part) for part in match[1].split(".")) if match[1][0].isdigit() else match[1]
    return f"{host} colon {numbers.digits(match[2])} {spelt(match[3])}"


def _port(number: str) -> str:
    return numbers.digits(number) if len(number) > 2 else numbers.cardinal(int(number))


def _byte(part: str) -> str:
    return paired(part) if len(part) == 3 else numbers.cardinal(int(part))


def _underscored(match: re.Match[str]) -> str:
    """Part of an address of the web stays for the rule of addresses."""
    before = preceding(match).rsplit(maxsplit=1)[-1:] if preceding(match).strip() else []
    web = before and not match.string[match.start() - 1].isspace() and re.search(r"://|^www\.", before[0])
    return match[0] if web else spelt(match[0])


def _book(match: re.Match[str]) -> str:
    if len(re.sub(r"\D", "", match[3])) < 7:
        return match[0]
    groups = [_symbols(group) for group in re.split(r"[ -]+", match[3])]
    return f"{match[1].replace('-1', ' 1')}{match[2]} {', '.join(groups)}"
