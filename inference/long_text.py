"""A text of any length in parts that are spoken one after the other: memory and first sound depend on no length."""

from __future__ import annotations

from collections.abc import Iterator

from timbre.text.sentences import split

PART_CHARACTERS = 2_000


def parts_of(text: str, longest: int = PART_CHARACTERS) -> Iterator[str]:
    """Parts of at most `longest` characters, cut at paragraphs, else at sentences, else at blanks; joined they are
    `text` but for blanks at their ends. Parts without letters and digits are left out.
    """
    start = 0
    while start < len(text):
        window = text[start : start + longest]
        end = len(window) if start + longest >= len(text) else _end(window)
        part = window[:end].strip()
        if any(map(str.isalnum, part)):
            yield part
        start += end


def _end(window: str) -> int:
    paragraph = window.rfind("\n\n")
    if paragraph > len(window) // 4:
        return paragraph + 2
    pieces = split(window, 10 * len(window), 1)
    if len(pieces) > 1 and (last := window.rfind(pieces[-1].split("\n")[0])) > 0:
        return last
    blank = max(window.rfind(" "), window.rfind("\n"))
    return blank + 1 if blank > 0 else len(window)
