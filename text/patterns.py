"""Regular expressions by their text, each compiled once: the rules have more of them than `re` keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

Replacement = str | Callable[[re.Match[str]], str]


@cache
def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """The expression; only for patterns that the code writes, never for ones made of a user's words."""
    return re.compile(pattern, flags)


def sub(pattern: str, replacement: Replacement, text: str, flags: int = 0) -> str:
    """As re.sub."""
    return compiled(pattern, flags).sub(replacement, text)


def preceding(match: re.Match[str], width: int = 120) -> str:
    """The characters before a match, at most `width`: as far as a rule looks back, so that long texts stay cheap."""
    return match.string[max(0, match.start() - width) : match.start()]


@dataclass(frozen=True)
class Rule:
    """A replacement by a regular expression."""

    needs: str
    """It is tried only on texts with one of these characters; on all texts if empty."""
    pattern: str
    """Regular expression without flags."""
    replacement: Replacement
    """As re.sub takes it."""


def applied(rules: Sequence[Rule], text: str) -> str:
    """The text after all rules, in order. A rule's characters are looked for in the text before the first rule."""
    characters = frozenset(text)
    for rule in rules:
        if not rule.needs or not characters.isdisjoint(rule.needs):
            text = compiled(rule.pattern).sub(rule.replacement, text)
    return text
