"""Text that arrives in pieces -> clauses that can be spoken while the rest is being written.

A clause ends at a sentence mark, or at a comma once enough stands before it. What a mark means shows only in the
character after it ("3.5", "Dr. Ada"), so a mark at the end of the text waits for one, or for `flush`.
"""

from __future__ import annotations

import re

from timbre.text.inline_marks import has_words
from timbre.text.sentences import split, weight
from timbre.text.ssml import is_ssml

_WIDE = "\u3041-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_STRONG = re.compile(rf"(?:[.!?]+[\"'”’)\]]*(?=\s|[{_WIDE}])|[。！？…]+[\"'”’）」』】》]*(?=.)|\n+)\s*", re.DOTALL)
_WEAK = re.compile(r"(?:[,;:](?=\s)|[，；：](?=.)|\s[-–—](?=\s))\s*", re.DOTALL)
_ENDED = re.compile(r"[.!?。！？…\n][\"'”’)\]）」』】》]*\s*$")

FIRST_WEIGHT, NEXT_WEIGHT = 10, 40
"""Letters' worth that a clause before a comma needs: less for the first one, since somebody waits for a sound."""
_DOCUMENT_END = "</speak>"
_LONGEST_WEIGHT = 180
_WINDOW = 200
"""Characters."""
_LEAST_SENTENCE = 8
"""A lighter sentence ("No.") waits for the next one: alone it would be spoken badly."""


class Clauses:
    """Collects deltas; `add` and `flush` give what can be spoken now. Not thread-safe."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    @property
    def waiting(self) -> str:
        """What was not given out yet."""
        return self._text

    @property
    def ended(self) -> bool:
        """Whether what waits ends like a sentence."""
        return bool(_ENDED.search(self._text)) and not is_ssml(self._text)

    def add(self, delta: str) -> list[str]:
        """Clauses that are complete with this delta, in order."""
        self._text += delta
        found: list[str] = []
        while (end := self._end()) is not None:
            clause, self._text = self._text[:end], self._text[end:]
            self._take(found, clause)
        return found

    def settle(self) -> list[str]:
        """All that waits, since nothing followed it for a while; what follows goes on with the same text."""
        found: list[str] = []
        self._take(found, self._text)
        self._text = ""
        return found

    def flush(self) -> list[str]:
        """All that is left; the next delta begins a new text."""
        found = self.settle()
        self._first = True
        return found

    def clear(self) -> None:
        """Forgets what waits."""
        self._text, self._first = "", True

    def _take(self, found: list[str], clause: str) -> None:
        if has_words(clause):
            found.append(clause.strip())
            self._first = False

    def _end(self) -> int | None:
        if is_ssml(self._text):
            # A document is one clause: what its elements mean shows at its end.
            end = self._text.find(_DOCUMENT_END)
            return None if end < 0 else end + len(_DOCUMENT_END)
        least = FIRST_WEIGHT if self._first else NEXT_WEIGHT
        # No clause is longer than this, so marks behind it are looked at when their turn comes.
        text = self._text[:_WINDOW]
        for mark in _STRONG.finditer(text):
            before = text[: mark.end()]
            # The rules for abbreviations are those of whole texts: a stop that they do not take for an end is none.
            if weight(before.strip()) >= _LEAST_SENTENCE and len(split(f"{before.rstrip()} Xx", 10_000, 1)) > 1:
                return mark.end()
        for mark in _WEAK.finditer(text):
            if weight(text[: mark.end()]) >= least:
                return mark.end()
        if weight(text) > _LONGEST_WEIGHT:
            blank = text.rfind(" ", 1, len(text) - 1)
            return blank + 1 if blank > 0 else len(text)
        return None
