"""The one entry of this room: text of a language -> phones of the v2 table."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.text.languages import check_language
from timbre.text.phonemes import Phonemes, Segment
from timbre.text.symbols import is_speech

__all__ = ["check_language", "phonemize", "unspoken"]

_MARKS = " \n,.?!;:，。？！；：、…"


def phonemize(
    text: str,
    language: str,
    lexicon: Mapping[str, tuple[str, ...]] | None = None,
    speaks: Collection[str] = tuple(LANGUAGES),
) -> Phonemes:
    """Phones of a text.

    text: anything printable. Latin words are read as English, kana as Japanese and Hangul as Korean, whatever
    `language` says; it decides what the script leaves open (Chinese characters, digits, marks). lexicon: the voice's
    own readings, word -> phones (text/lexicon.py). speaks: languages that Chinese characters may be taken for, those
    of the base.
    Raises InputError for a language without front end and for text without anything to speak.
    """
    check_language(language)
    from timbre.text import mandarin_signs, mixed
    from timbre.text.markup import plain

    text = plain(text)
    if mandarin_signs.concerns(text, language):
        text = mandarin_signs.fold_signs(text)
    segments: list[Segment] = []
    unknown: list[str] = []
    before = ""
    pieces = mixed.split(text, language, speaks)
    for index, (piece_language, piece) in enumerate(pieces):
        segment, lost = _convert(piece, piece_language, lexicon, before, index == len(pieces) - 1)
        before = piece[-1:]
        unknown.extend(lost)
        if segment.phones:
            segments.append(segment)
    if not any(is_speech(phone) for segment in segments for phone in segment.phones):
        raise InputError(f"text {text[:60]!r} has nothing that can be spoken", remedy="write words, numbers or letters")
    return Phonemes(tuple(segments), tuple(dict.fromkeys(unknown)))


def _convert(
    piece: str, language: str, lexicon: Mapping[str, tuple[str, ...]] | None, before: str, last: bool
) -> tuple[Segment, tuple[str, ...]]:
    from timbre.text import cantonese, english, japanese, korean, mandarin

    if language == "zh":
        return mandarin.convert(piece, lexicon, after_letter=before.isascii() and before.isalpha())
    if language == "ko":
        return korean.convert(piece, lexicon, last)
    return {"en": english, "ja": japanese, "yue": cantonese}[language].convert(piece, lexicon)


def unspoken(phonemes: Phonemes, speaks: Collection[str]) -> str:
    """Words of a text in languages that are not in `speaks`, with these languages, for a message; '' if there are none.

    E.g. "'おにぎり' is Japanese (ja)".
    """
    return "; ".join(
        f"{segment.text.strip(_MARKS)[:40]!r} is {LANGUAGES[segment.language]} ({segment.language})"
        for segment in phonemes.segments
        if segment.language not in speaks
    )
