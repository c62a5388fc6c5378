"""Jyutping: a syllable -> phones of the v2 table, led by Y."""

from __future__ import annotations

import re

from timbre.text.symbols import is_symbol

_INITIALS = (
    "aa", "ai", "au", "ak", "a", "p", "b", "e", "t", "d", "kw", "k", "gw", "g", "f", "h", "l", "m", "ng", "n", "s", "w",
    "c", "z", "j", "on", "ou", "oi", "ok", "o", "uk",
)  # fmt: skip
"""Openings of syllables as the v2 table has them; a vowel without a consonant before it opens by itself."""


def syllable(jyutping: str) -> tuple[str, str] | None:
    """Two phones of one syllable of Jyutping ('nei5' -> Yn Yei5, 'aa3' -> Yaa Ya3); None if the table lacks it."""
    match = re.fullmatch(r"([a-z]+)([1-6])", jyutping)
    if match is None:
        return None
    letters, tone = match.groups()
    for initial in _INITIALS:
        if letters.startswith(initial):
            rest = letters[len(initial) :] or initial[-1]
            endings = (rest, "g") if rest == "ng" else (rest,)
            pairs = ((f"Y{initial}", f"Y{ending}{tone}") for ending in endings)
            return next((pair for pair in pairs if all(map(is_symbol, pair))), None)
    return None
