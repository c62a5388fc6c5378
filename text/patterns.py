"""Regular expressions by their text, each compiled once: the rules have more of them than `re` keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

Replacement = str | Callable[[re.Match[str]], str]


@cache
def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """The expression; only for patterns that the code writes, never for ones made of a user's words."""
    return re.compile(pattern, flags)


def sub(pattern: str, replacement: Replacement, text: str, flags: int = 0) -> str:
    """As re.sub."""
    return compiled(pattern, flags).sub(replacement, text)
