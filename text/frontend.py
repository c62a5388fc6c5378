"""The one entry of this room: text of a language -> phones of the v2 table."""

from __future__ import annotations

from collections.abc import Mapping

from timbre.core.errors import InputError
from timbre.text.phonemes import Phonemes, Segment
from timbre.text.symbols import is_speech

LANGUAGES: dict[str, str] = {"en": "English", "zh": "Mandarin"}
"""Languages that have a front end."""

_PLANNED: dict[str, str] = {"ja": "Japanese", "ko": "Korean", "yue": "Cantonese"}


def check_language(language: str) -> None:
    """Raise InputError, which names the language, unless there is a front end for it."""
    if language in LANGUAGES:
        return
    name = f"{_PLANNED[language]} ({language})" if language in _PLANNED else repr(language)
    raise InputError(
        f"language {name} has no front end; there are "
        + ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items()),
        remedy="set `language` to one of these",
    )


def phonemize(text: str, language: str, lexicon: Mapping[str, tuple[str, ...]] | None = None) -> Phonemes:
    """Phones of a text.

    text: anything printable; Han characters are read as Mandarin and Latin words as English, whatever `language` says.
    language: 'en' or 'zh', decides what the script leaves open (digits, marks). lexicon: the voice's own readings,
    word -> phones (text/lexicon.py). Raises InputError for a language without front end and for text without anything
    to speak.
    """
    check_language(language)
    from timbre.text import english, mandarin, mixed

    segments: list[Segment] = []
    unknown: list[str] = []
    before = ""
    for piece_language, piece in mixed.split(text, language):
        if piece_language == "en":
            segment, lost = english.convert(piece, lexicon)
        else:
            segment, lost = mandarin.convert(piece, lexicon, after_letter=before.isascii() and before.isalpha())
        before = piece[-1:]
        unknown.extend(lost)
        if segment.phones:
            segments.append(segment)
    if not any(is_speech(phone) for segment in segments for phone in segment.phones):
        raise InputError(f"text {text[:60]!r} has nothing that can be spoken", remedy="write words, numbers or letters")
    return Phonemes(tuple(segments), tuple(dict.fromkeys(unknown)))
