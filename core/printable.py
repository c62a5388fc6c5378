"""Text from outside (file names, authors, branches) as it may stand in a line of a log, a report or a YAML file."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with line breaks, control and direction characters, and bytes that were no UTF-8, written as escapes.

    A name with a line break could forge a line of a log; one with undecodable bytes could be written nowhere.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    # Python stands for an undecodable byte with a lone surrogate.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode("ascii")
