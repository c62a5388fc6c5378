"""The part of SSML 1.1 that this engine can do -> a script. What is not listed is refused by name.

break, say-as, phoneme, sub, lang, voice, prosody (rate), p, s; emphasis and mark are taken and have no effect.

There is no document type, no entity but XML's own, and a limit on depth and number of elements, so that a small text
never becomes a large one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.text import lexicon, say_as
from timbre.text.ipa import from_arpabet, from_ipa
from timbre.text.marks import Foreign, Pause, Reading, Sounds
from timbre.text.sentences import split, weight
from timbre.text.turns import Builder, Script, Turn

SUPPORTED = ("break", "say-as", "phoneme", "sub", "lang", "voice", "prosody", "p", "s", "w", "token")
UNHEARD = ("emphasis", "mark", "metadata", "meta", "desc")
"""Taken, since documents of other engines have them; they change nothing, and the answer says so."""

_SSML = "http://www.w3.org/2001/10/synthesis"
_XML_LANG = "http://www.w3.org/XML/1998/namespace lang"
_BEGINS = re.compile(r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:speak[\s>/]|!DOCTYPE\b(?=.*<speak[\s>/]))", re.DOTALL)
_DEEPEST, _MOST_ELEMENTS = 20, 2_000
_TIME = re.compile(r"\+?([0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(ms|s)")
_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.8, "x-strong": 1.2}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_LANGUAGES = {"cmn": "zh", "zh-hk": "yue", "zh-mo": "yue", "zh-yue": "yue"}
_WITHIN_SENTENCE = 60
"""Letters' worth of a foreign phrase that stays inside its sentence; a longer one is a turn of its own."""


@dataclass
class _Element:
    name: str
    given: dict[str, str]
    line: int
    inside: list[_Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text alone."""
        return " ".join("".join(item for item in self.inside if isinstance(item, str)).split())


def is_ssml(text: str) -> bool:
    """Whether a text is meant as SSML: its root is <speak>."""
    return _BEGINS.match(text) is not None


def read_ssml(text: str) -> Script:
    """Raises InputError that names the element and its line."""
    root = _parsed(text)
    builder = Builder()
    _walk(root, Turn(""), builder)
    return replace(builder.script(), language=_language(root) or "")


def _parsed(text: str) -> _Element:
    parser = expat.ParserCreate(namespace_separator=" ")
    open_elements: list[_Element] = []
    roots: list[_Element] = []
    count = 0

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal count
        count += 1
        line = parser.CurrentLineNumber
        if count > _MOST_ELEMENTS or len(open_elements) >= _DEEPEST:
            raise InputError(
                f"ssml, line {line}: more than {_MOST_ELEMENTS} elements, or deeper than {_DEEPEST}",
                "send it in several requests",
            )
        space, _, local = name.rpartition(" ")
        element = _Element(local if space in ("", _SSML) else name, given, line)
        (open_elements[-1].inside if open_elements else roots).append(element)
        open_elements.append(element)

    def document_type(*_: object) -> None:
        raise InputError("ssml: it has a document type", "leave <!DOCTYPE ...> out; entities are not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = lambda data: open_elements[-1].inside.append(data)
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL).strip(), True)
    except expat.ExpatError as error:
        raise InputError(
            f"ssml, line {error.lineno}: {expat.ErrorString(error.code)}",
            "close every element, and write &amp; and &lt; for & and <",
        ) from None
    except UnicodeEncodeError:
        raise InputError("ssml: it holds characters that no text may have", "remove lone surrogates") from None
    return roots[0]


def _walk(element: _Element, like: Turn, builder: Builder) -> None:
    for item in element.inside:
        if isinstance(item, str):
            builder.say(re.sub(r"\s+", " ", item), like)
        else:
            _say(item, like, builder)


def _say(element: _Element, like: Turn, builder: Builder) -> None:
    name = element.name
    if name == "break":
        builder.mark(Pause(_pause_s(element)), like)
    elif name in ("p", "s"):
        builder.say("\n", like)
        _walk(element, replace(like, language=_language(element) or like.language), builder)
        builder.say("\n", like)
    elif name == "say-as":
        builder.mark(_reading(element), like)
    elif name == "phoneme":
        builder.mark(_sounds(element), like)
    elif name == "sub":
        _text_only(element)
        builder.say(_needed(element, "alias"), like)
    elif name == "lang":
        _foreign(element, like, builder)
    elif name == "voice":
        language = _language(element) or like.language
        _walk(element, replace(like, voice=_needed(element, "name"), language=language), builder)
    elif name == "prosody":
        _walk(element, replace(like, rate=like.rate * _rate(element)), builder)
    elif name in ("w", "token"):
        _walk(element, like, builder)
    elif name in UNHEARD:
        if element.given.get("level") != "none":
            builder.unheard.append(name)
        if name == "emphasis":
            _walk(element, like, builder)
    else:
        shown = name.rpartition(" ")[2][:40]
        raise _wrong(element, f"<{shown}> is not supported", f"leave it out; there are {', '.join(SUPPORTED)}")


def _pause_s(element: _Element) -> float:
    given = element.given.get("time")
    if given is None:
        strength = element.given.get("strength", "medium")
        if strength not in _STRENGTHS:
            raise _wrong(element, f"strength {strength[:40]!r}", f"write one of {', '.join(_STRENGTHS)}")
        return _STRENGTHS[strength]
    match = _TIME.fullmatch(given.strip())
    if match is None:
        raise _wrong(element, f"time {given[:40]!r} is no time", 'write for example time="500ms" or time="1.5s"')
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _reading(element: _Element) -> Reading:
    kind = _needed(element, "interpret-as").lower()
    text = _text_only(element)
    if kind not in say_as.KINDS:
        raise _wrong(element, f"interpret-as {kind[:40]!r} is not supported", f"there are {', '.join(say_as.KINDS)}")
    if len(text) > say_as.MOST_CHARACTERS:
        raise _wrong(element, f"{len(text)} characters, the limit is {say_as.MOST_CHARACTERS}", "mark less at a time")
    return Reading(text, kind, element.given.get("format", ""))


def _sounds(element: _Element) -> Sounds:
    given, text = _needed(element, "ph"), _text_only(element)
    alphabet = element.given.get("alphabet", "ipa").lower().removeprefix("x-")
    if alphabet == "ipa":
        return Sounds(text, from_ipa(given), "en")
    if alphabet in ("arpabet", "cmu-arpabet", "cmu"):
        return Sounds(text, from_arpabet(given), "en")
    if alphabet in ("pinyin", "jyutping"):
        word = text if alphabet == "pinyin" else f"yue:{text}"
        entries, problems = lexicon.read(f"{word} {given}".replace("#", " "))
        if problems or text not in entries:
            what = problems[0][1] if problems else f"{text[:40]!r} is no run of Chinese characters"
            raise _wrong(element, what, "write one syllable with its tone for each character, as ph='chong2 qing4'")
        return Sounds(text, entries[text], "zh" if alphabet == "pinyin" else "yue")
    raise _wrong(
        element, f"alphabet {alphabet[:40]!r} is not supported", "there are ipa, cmu-arpabet, pinyin, jyutping"
    )


def _foreign(element: _Element, like: Turn, builder: Builder) -> None:
    language = _language(element)
    if language is None:
        raise _wrong(element, "xml:lang is missing", 'write for example <lang xml:lang="zh-CN">')
    text = element.text
    only_text = all(isinstance(item, str) for item in element.inside)
    if (
        only_text
        and any(map(str.isalnum, text))
        and weight(text) <= _WITHIN_SENTENCE
        and len(split(text, 10_000, 1)) == 1
    ):
        builder.mark(Foreign(text, language), like)
    else:
        _walk(element, replace(like, language=language), builder)


def _rate(element: _Element) -> float:
    if other := sorted(element.given.keys() - {"rate"}):
        raise _wrong(element, f"{', '.join(other)[:60]} is not supported", "leave it out; there is rate alone")
    given = element.given.get("rate", "default").strip()
    if given in _RATES:
        return _RATES[given]
    match = re.fullmatch(r"([+-]?)([0-9]{1,3}(?:\.[0-9]{1,4})?)(%?)", given)
    if match is None:
        raise _wrong(element, f"rate {given[:40]!r} is no rate", 'write for example rate="90%" or rate="slow"')
    value = float(match[2]) / (100 if match[3] else 1)
    rate = value if not match[1] else 1 + value if match[1] == "+" else 1 - value
    if not 0.25 <= rate <= 4:
        raise _wrong(element, f"rate {given[:40]!r} is outside 25 % to 400 %", "choose a rate inside these limits")
    return rate


def _language(element: _Element) -> str | None:
    given = element.given.get(_XML_LANG)
    if given is None:
        return None
    code = given.lower().replace("_", "-")
    code = _LANGUAGES.get(code) or _LANGUAGES.get(code.split("-")[0]) or code.split("-")[0]
    if code not in LANGUAGES:
        raise _wrong(element, f"language {given[:40]!r} is not supported", f"there are {', '.join(LANGUAGES)}")
    return code


def _needed(element: _Element, attribute: str) -> str:
    value = element.given.get(attribute, "").strip()
    if not value:
        raise _wrong(element, f"{attribute} is missing", f'write <{element.name} {attribute}="...">')
    return value


def _text_only(element: _Element) -> str:
    if not all(isinstance(item, str) for item in element.inside):
        raise _wrong(element, "other elements are inside", "let it hold text alone")
    if not element.text and element.name != "sub":
        raise _wrong(element, "it is empty", "put the text inside that is spoken")
    return element.text


def _wrong(element: _Element, what: str, remedy: str) -> InputError:
    name = element.name.rpartition(" ")[2][:40]
    return InputError(f"ssml, line {element.line}, <{name}>: {what}", remedy)
