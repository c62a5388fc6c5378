"""Did you mean ...? The known names that resemble one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LIKENESS = 0.5


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that resembles `name` most, or "" when none is near."""
    found = nearest_few(name, known, 1)
    return found[0] if found else ""


def nearest_few(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Up to `most` known names that resemble `name`, the nearest first."""
    return difflib.get_close_matches(name, sorted(set(known)), n=most, cutoff=_LIKENESS)
