"""Marks inside a text that say how a part of it is spoken: a pause, given sounds, another language, a way to read.

In the text each mark is one private character, the first that of the first mark; so a marked text can be cut into
sentences and parts like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FIRST = 0xF0000
"""Supplementary Private Use Area A: no text means anything by it."""
MOST = 4_000
"""Marks of a text."""


@dataclass(frozen=True)
class Pause:
    """Silence in the place of the usual one between sentences."""

    seconds: float
    """At most turns.LONGEST_PAUSE_S."""


@dataclass(frozen=True)
class Sounds:
    """A word with phones of its own."""

    text: str
    """The word as it was written; shown in captions."""
    phones: tuple[str, ...]
    """Names of the v2 table."""
    language: str
    """Whose phones they are: "en", "zh" or "yue"."""


@dataclass(frozen=True)
class Foreign:
    """A few words of another language."""

    text: str
    """Read by the front end of `language`, whatever surrounds it."""
    language: str
    """Code of that language."""


@dataclass(frozen=True)
class Reading:
    """A text that is read in a certain way (text/say_as.py)."""

    text: str
    """As it was written: digits, a date, letters."""
    kind: str
    """One of say_as.KINDS."""
    form: str = ""
    """For example "mdy" for a date."""


Mark = Pause | Sounds | Foreign | Reading


def character(index: int) -> str:
    """What stands for the mark of an index."""
    return chr(_FIRST + index)


def is_mark(letter: str) -> bool:
    """Whether a character may stand for a mark."""
    return _FIRST <= ord(letter) < _FIRST + MOST


def without_characters(text: str) -> str:
    """`text` with a blank for every character that would be taken for a mark."""
    return "".join(" " if is_mark(letter) else letter for letter in text)


def cut(text: str, marks: Sequence[Mark]) -> Iterator[str | Mark]:
    """Runs of plain text and marks, in order."""
    start = 0
    for place, letter in enumerate(text):
        index = ord(letter) - _FIRST
        if 0 <= index < len(marks):
            if place > start:
                yield text[start:place]
            yield marks[index]
            start = place + 1
    if start < len(text):
        yield text[start:]


def shown(text: str, marks: Sequence[Mark]) -> str:
    """The text as people read it: words in the place of marks, pauses left out."""
    if not marks:
        return text
    parts = [
        item if isinstance(item, str) else "" if isinstance(item, Pause) else item.text for item in cut(text, marks)
    ]
    return " ".join("".join(parts).split())
