"""The one entry of this room: text of a language -> phones of the v2 table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.text import mixed, say_as
from timbre.text.languages import HAN, check_language
from timbre.text.marks import Foreign, Mark, Pause, Sounds, cut, is_mark, shown
from timbre.text.markup import plain
from timbre.text.phonemes import Phonemes, Segment
from timbre.text.symbols import is_speech

__all__ = ["check_language", "phonemize", "unspoken"]

_MARKS = " \n,.?!;:，。？！；：、…"


_NAMED_LETTERS = {"a": ("EY1",)}
_CHINESE = re.compile(f"[{HAN}]")
_LEADING_MARKS = re.compile(r"\s*([,.?!;:…，。？！；：、])[,.?!;:…，。？！；：、]*")
_AS_MARK = {";": ",", ":": ",", "，": ",", "、": ",", "；": ",", "：": ",", "。": ".", "？": "?", "！": "!"}


@dataclass(frozen=True)
class _Piece:
    """A run of one language."""

    language: str
    text: str
    given: tuple[str, ...] = ()
    """Its phones, where a mark gives them."""
    lexicon: Mapping[str, tuple[str, ...]] | None = None
    """Entries beside the voice's own."""


def phonemize(
    text: str,
    language: str,
    lexicon: Mapping[str, tuple[str, ...]] | None = None,
    speaks: Collection[str] = tuple(LANGUAGES),
    marks: Sequence[Mark] = (),
) -> Phonemes:
    """Phones of a text.

    text: anything printable. Latin words are read as English, kana as Japanese and Hangul as Korean, whatever
    `language` says; it decides what the script leaves open (Chinese characters, digits, marks). lexicon: the voice's
    own readings, word -> phones (text/lexicon.py). speaks: languages that Chinese characters may be taken for, those
    of the base. marks: what private characters of the text stand for (text/marks.py).
    Raises InputError for a language without front end, for text without anything to speak, and for a mark whose text
    is not what it says.
    """
    check_language(language)
    text = _folded(plain(text), language)
    segments: list[Segment] = []
    unknown: list[str] = []
    before = ""
    pieces = list(_pieces(text, language, speaks, marks))
    for index, piece in enumerate(pieces):
        if piece.given:
            segment = _as_given(piece)
        else:
            words = {**(lexicon or {}), **piece.lexicon} if piece.lexicon else lexicon
            segment, lost = _convert(piece.text, piece.language, words, before, index == len(pieces) - 1)
            unknown.extend(lost)
        before = piece.text[-1:]
        if segment.phones:
            segments.append(segment)
    if not any(is_speech(phone) for segment in segments for phone in segment.phones):
        written = shown(text, marks)[:60]
        raise InputError(f"text {written!r} has nothing that can be spoken", remedy="write words, numbers or letters")
    return Phonemes(tuple(segments), tuple(dict.fromkeys(unknown)))


def _folded(text: str, language: str) -> str:
    """Signs of Chinese writing that Latin letters take part in, as words; another text as it is."""
    chinese = language in ("zh", "yue") or _CHINESE.search(text)
    if not chinese or all(is_mark(character) or character in _MARKS for character in text):
        return text
    from timbre.text import mandarin

    return mandarin.folded(text, language)


def _pieces(text: str, language: str, speaks: Collection[str], marks: Sequence[Mark]) -> Iterator[_Piece]:
    def plain_pieces(run: str, of: str, lexicon: Mapping[str, tuple[str, ...]] | None = None) -> Iterator[_Piece]:
        return (_Piece(found, piece, lexicon=lexicon) for found, piece in mixed.split(run, of, speaks))

    items = list(cut(text, marks)) if marks else [text]
    for place, item in enumerate(items):
        if isinstance(item, str):
            after_mark = place and not isinstance(items[place - 1], Pause | str)
            run = _LEADING_MARKS.sub("", item, count=1) if after_mark and _LEADING_MARKS.match(item) else item
            if run.strip() or not marks:
                yield from plain_pieces(run, language)
            continue
        if isinstance(item, Pause):
            continue
        # A mark of punctuation belongs to the words before it.
        following = items[place + 1] if place + 1 < len(items) else ""
        match = _LEADING_MARKS.match(following) if isinstance(following, str) else None
        closed = match[1] if match else ""
        if isinstance(item, Sounds):
            end = (_AS_MARK.get(closed, closed),) if closed else ()
            yield _Piece(item.language, item.text, (*item.phones, *end))
        elif isinstance(item, Foreign):
            yield from plain_pieces(f"{item.text}{closed}", item.language)
        else:
            of = "en" if _beside_latin(items, place) else language
            words = say_as.words(item.text, item.kind, item.form, of)
            named = _NAMED_LETTERS if say_as.letters_are_named(item.kind) else None
            yield from plain_pieces(f"{words}{closed}", of, named)


def _beside_latin(items: Sequence[str | Mark], place: int) -> bool:
    """Whether the letter before a mark, else the one after it, is Latin."""
    before = "".join(item for item in items[:place] if isinstance(item, str))
    after = "".join(item for item in items[place + 1 :] if isinstance(item, str))
    letters = [letter for letter in (*reversed(before), *after) if letter.isalpha()]
    return bool(letters) and letters[0].isascii()


def _as_given(piece: _Piece) -> Segment:
    """Phones that a mark says; Chinese characters with two each keep their vectors."""
    phones, text = piece.given, piece.text
    closed = phones[-1] if not is_speech(phones[-1]) else ""
    sounding = len(phones) - bool(closed)
    characters = piece.language == "zh" and sounding == 2 * len(text)
    return Segment(
        piece.language,
        text,
        text + closed,
        phones,
        (*(2,) * len(text), *(1,) * bool(closed)) if characters else None,
        () if characters else ((text, sounding), *(((closed, 1),) if closed else ())),
    )


def _convert(
    piece: str, language: str, lexicon: Mapping[str, tuple[str, ...]] | None, before: str, last: bool
) -> tuple[Segment, tuple[str, ...]]:
    # The rules, dictionaries and networks of a language load with its first text, not with every command that speaks.
    if language == "en":
        from timbre.text import english

        return english.convert(piece, lexicon)
    if language == "zh":
        from timbre.text import mandarin

        return mandarin.convert(piece, lexicon, after_letter=before.isascii() and before.isalpha())
    from timbre.text import cantonese, japanese, korean

    if language == "ko":
        return korean.convert(piece, lexicon, last)
    return {"ja": japanese, "yue": cantonese}[language].convert(piece, lexicon)


def unspoken(phonemes: Phonemes, speaks: Collection[str]) -> str:
    """Words of a text in languages that are not in `speaks`, with these languages, for a message; '' if there are none.

    E.g. "'おにぎり' is Japanese (ja)".
    """
    return "; ".join(
        f"{segment.text.strip(_MARKS)[:40]!r} is {LANGUAGES[segment.language]} ({segment.language})"
        for segment in phonemes.segments
        if segment.language not in speaks
    )
