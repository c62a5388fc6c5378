"""Cantonese: text -> characters and marks -> Jyutping (ToJyutping, by phrase) -> phones of the v2 table, led by Y."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.text.jyutping import syllable
from timbre.text.languages import IDEOGRAPHS as HAN
from timbre.text.mandarin_normalize import normalize, simplify
from timbre.text.mandarin_numbers import digits
from timbre.text.phonemes import Segment

_PIECE = re.compile(rf"[{HAN}]+|[,.?!…]")


@lru_cache(maxsize=20_000)
def _jyutping(clause: str) -> tuple[tuple[str, str | None], ...]:
    """(character, its syllables) of a clause. Raises ConfigurationError if ToJyutping is not installed."""
    try:
        import ToJyutping
    except ImportError as error:
        raise ConfigurationError(
            "Cantonese needs the Python package ToJyutping, which is not installed",
            remedy="pip install 'timbre[asia]'",
        ) from error
    library: Any = ToJyutping
    return tuple(library.get_jyutping_list(clause))


def _normalize(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with numbers and signs in words by Mandarin's rules, its own characters as they were written.

    The rules know simplified characters, the readings differ between the two writings: the text is simplified for the
    rules, and what they left alone is put back.
    """
    text = re.sub(r"(?<![\d.,$-])[2-9]\d{3}[ -]?\d{4}(?![\d.,]*\d|[元蚊個个人万萬])", lambda m: digits(m[0]), text)
    simple = simplify(text)
    normalized, unknown = normalize(simple, simple=False)
    if simple == text or len(simple) != len(text):
        return normalized, unknown
    result = list(normalized)
    for block in SequenceMatcher(None, simple, normalized, autojunk=False).get_matching_blocks():
        result[block.b : block.b + block.size] = text[block.a : block.a + block.size]
    return "".join(result), unknown


def convert(text: str, lexicon: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Segment, tuple[str, ...]]:
    """Phones of a Cantonese text, two for each syllable, and the characters that could not be spoken.

    lexicon: word of Han characters -> phones (of the v2 table's Cantonese part), asked before every dictionary.
    """
    normalized, unknown = _normalize(text)
    own = {
        word: phones for word, phones in (lexicon or {}).items() if phones and phones[0][:1] == "Y" and len(phones) > 1
    }
    pattern = re.compile("(" + "|".join(map(re.escape, sorted(own, key=len, reverse=True))) + ")") if own else None
    phones: list[str] = []
    counts: list[int] = []
    spoken: list[str] = []
    lost: list[str] = []
    for piece in _PIECE.findall(normalized):
        if piece in ",.?!…":
            phones.append(piece)
            counts.append(1)
            spoken.append(piece)
            continue
        for part in pattern.split(piece) if pattern else (piece,):
            for character, found in _own(part, own[part]) if part in own else _read(part):
                if not found:
                    lost.append(character)
                    continue
                phones.extend(found)
                counts.append(len(found))
                spoken.append(character)
    segment = Segment("yue", text, "".join(spoken), tuple(phones), tuple(counts))
    return segment, tuple(dict.fromkeys([*unknown, *lost]))


def _own(word: str, phones: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    each = len(phones) // len(word)
    return [(character, phones[each * i : each * (i + 1)]) for i, character in enumerate(word)]


def _read(clause: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each character of a clause with its phones: two, four where it stands for two syllables (卅), none if unknown."""
    result = []
    for character, reading in _jyutping(clause) if clause else ():
        found = [syllable(part) for part in (reading or "").split()]
        known = bool(found) and all(found)
        result.append((character, tuple(phone for part in found if part for phone in part) if known else ()))
    return result
