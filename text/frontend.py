"""The one entry of this room: text of a language -> phones of the v2 table."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import InputError
from text.phonemes import Phonemes

LANGUAGES: dict[str, str] = {"en": "English", "zh": "Mandarin"}
"""Languages that have a front end."""

_PLANNED: dict[str, str] = {"ja": "Japanese", "ko": "Korean", "yue": "Cantonese"}


def check_language(language: str) -> None:
    """Raise InputError, which names the language, unless there is a front end for it."""
    if language in LANGUAGES:
        return
    name = f"{_PLANNED[language]} ({language})" if language in _PLANNED else repr(language)
    raise InputError(
        f"language {name} has no front end; there are " + ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items()),
        remedy="set `language` to one of these",
    )


def phonemize(text: str, language: str, lexicon: Mapping[str, tuple[str, ...]] | None = None) -> Phonemes:
    """Phones of a text.

    text: anything printable. language: 'en' or 'zh'. lexicon: the voice's own readings, word -> phones (text/lexicon.py).
    Raises InputError for a language without front end and for text without anything to speak.
    """
    check_language(language)
    from text import english

    segment, unknown = english.convert(text, lexicon)
    if not segment.phones:
        raise InputError(f"text {text[:60]!r} has nothing that can be spoken", remedy="write words, numbers or letters")
    return Phonemes((segment,), unknown)
