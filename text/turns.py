"""A text as turns: who says what, in which language, how fast, with marks for pauses and sounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from timbre.core.errors import InputError
from timbre.text.marks import MOST, Mark, Pause, character, cut, is_mark, without_characters

LONGEST_PAUSE_S, MOST_PAUSE_S = 10.0, 300.0
"""Of one pause, and of all of a text together."""
MOST_TURNS = 200


@dataclass(frozen=True)
class Turn:
    """What one voice says."""

    text: str
    """With a private character for each mark."""
    voice: str = ""
    """"" for the request's voice."""
    language: str = ""
    """"" for the request's language."""
    rate: float = 1.0
    """Times the request's speed."""


@dataclass(frozen=True)
class Script:
    """A text as turns of voices."""

    turns: tuple[Turn, ...]
    """At least one."""
    marks: tuple[Mark, ...] = ()
    """What the private characters in the texts stand for."""
    unheard: tuple[str, ...] = ()
    """Elements that have no effect."""
    language: str = ""
    """Of the document, "" where it gives none."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the voices that are called for, in order, without repeats; "" for that of the request."""
        return tuple(dict.fromkeys(turn.voice for turn in self.turns))


@dataclass
class Builder:
    """Collects a script; a turn ends where voice, language or rate change."""

    turns: list[Turn] = field(default_factory=list)
    """So far, those without a word included."""
    marks: list[Mark] = field(default_factory=list)
    """At most MOST; the n-th private character stands for the n-th."""
    unheard: list[str] = field(default_factory=list)
    """Elements without effect, in order, perhaps more than once."""
    pause_s: float = 0.0
    """All pauses so far, at most MOST_PAUSE_S."""

    def say(self, text: str, like: Turn) -> None:
        """Plain text in the manner of a turn."""
        self._add(without_characters(text), like)

    def mark(self, mark: Mark, like: Turn) -> None:
        """A mark, in the manner of a turn. Raises InputError for one too many, or too long a pause."""
        if len(self.marks) == MOST:
            raise InputError(f"text: more than {MOST} marks", "send it in several requests")
        if isinstance(mark, Pause):
            self.pause_s += mark.seconds
            if mark.seconds > LONGEST_PAUSE_S:
                raise InputError(f"pause: {mark.seconds:g} s, the limit is {LONGEST_PAUSE_S:g} s", "shorten it")
            if self.pause_s > MOST_PAUSE_S:
                raise InputError(
                    f"pauses: more than {MOST_PAUSE_S:g} s in one text", "shorten them, or send several requests"
                )
        self.marks.append(mark)
        # Blanks: a mark beside a stop must not hide that a sentence ends there.
        blank = " " if isinstance(mark, Pause) else ""
        self._add(f"{blank}{character(len(self.marks) - 1)}{blank}", like)

    def script(self) -> Script:
        """Turns that say something; pauses at the end of one stand before the next."""
        marks = tuple(self.marks)
        found: list[Turn] = []
        waiting = ""
        for turn in self.turns:
            if not _says_something(turn.text, marks):
                waiting += "".join(letter for letter in turn.text if is_mark(letter))
                continue
            said = turn.text.rstrip()
            kept = said.rstrip("".join(_pauses(marks)) + " \n")
            waiting, before = "".join(letter for letter in said[len(kept) :] if is_mark(letter)), waiting
            found.append(replace(turn, text=f"{before} {kept}" if before else kept))
        if not found:
            found = [Turn("".join(turn.text for turn in self.turns))]
        elif waiting:
            found[-1] = replace(found[-1], text=f"{found[-1].text} {waiting}")
        if len(found) > MOST_TURNS:
            raise InputError(f"text: {len(found)} turns, the limit is {MOST_TURNS}", "send it in several requests")
        return Script(tuple(found), marks, tuple(dict.fromkeys(self.unheard)))

    def _add(self, text: str, like: Turn) -> None:
        if self.turns and replace(self.turns[-1], text="") == replace(like, text=""):
            self.turns[-1] = replace(self.turns[-1], text=self.turns[-1].text + text)
        else:
            self.turns.append(replace(like, text=text))


def _says_something(text: str, marks: Sequence[Mark]) -> bool:
    return any(
        any(map(str.isalnum, item)) if isinstance(item, str) else not isinstance(item, Pause)
        for item in cut(text, marks)
    )


def _pauses(marks: Sequence[Mark]) -> Iterator[str]:
    return (character(index) for index, mark in enumerate(marks) if isinstance(mark, Pause))
