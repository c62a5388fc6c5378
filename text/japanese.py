"""Japanese: text -> readings and pitch of Open JTalk -> phones of the v2 table.

The phones carry the pitch as the v2 checkpoints were trained with it: `[` before a rise, `]` before a fall, `UNK` at
the border of two accent phrases (the table has no symbol of its own for it), `_` for a pause that Open JTalk sets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.text.japanese_normalize import CHARACTERS, QUOTES, normalize
from timbre.text.phonemes import Segment
from timbre.text.symbols import is_symbol

_PIECE = re.compile(rf"(?:[{CHARACTERS}]|(?<=\d)\.(?=\d))+|[,.?!…-]|[{re.escape(QUOTES)}]")
_BORDER = "UNK"
_NEAR = {"v": "b", "ty": "ch", "kw": "k", "gw": "g"}
"""Sounds of loan words that the checkpoints were not trained with -> the nearest one that they were."""


def convert(text: str, lexicon: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Segment, tuple[str, ...]]:
    """Phones of a Japanese text, and the characters that could not be spoken.

    lexicon: word -> phones, asked before Open JTalk. Raises ConfigurationError if Open JTalk is not installed.
    """
    normalized, unknown = normalize(text)
    own = sorted((word for word in lexicon or {} if re.fullmatch(f"[{CHARACTERS}]+", word)), key=len, reverse=True)
    pattern = re.compile("(" + "|".join(map(re.escape, own)) + ")") if own else None
    phones: list[str] = []
    for piece in _PIECE.findall(normalized):
        if len(piece) == 1 and piece in ",.?!…-":
            phones.append(piece)
            continue
        if piece in QUOTES:
            phones.append(_BORDER)
            continue
        for part in pattern.split(piece) if pattern else (piece,):
            phones.extend(lexicon[part] if lexicon and part in own else _prosody(part))
    return Segment("ja", text, normalized, tuple(phones)), unknown


def _labels(text: str) -> list[str]:
    """Full-context labels of a text, one for each phone, pauses and the silence at both ends among them."""
    try:
        import pyopenjtalk
    except ImportError as error:
        raise ConfigurationError(
            "Japanese needs the Python package pyopenjtalk-plus, which is not installed",
            remedy="pip install 'timbre[asia]'",
        ) from error
    openjtalk: Any = pyopenjtalk
    return list(openjtalk.extract_fullcontext(text))


def _field(pattern: str, label: str) -> int:
    """A number of a full-context label; -50, which is none of its values, where the label has no number there."""
    match = re.search(pattern, label)
    return int(match[1]) if match else -50


def _prosody(text: str) -> list[str]:
    """Phones of a clause with `[`, `]` and borders, from its full-context labels.

    A1 of a label is the mora's distance from the accent, A2 its place from the front and A3 from the end of the accent
    phrase, F1 the number of the phrase's moras.
    """
    if not text:
        return []
    labels = _labels(text)
    phones: list[str] = []
    for index, label in enumerate(labels):
        phone = re.search(r"-(.*?)\+", label)[1]  # type: ignore[index]
        if phone == "sil":
            continue
        if phone == "pau":
            phones.append("_")
            continue
        phone = phone.lower() if phone in "AEIOU" else phone
        phones.append(_NEAR.get(phone, phone if is_symbol(phone) else _BORDER))
        distance, place = _field(r"/A:([0-9-]+)\+", label), _field(r"\+(\d+)\+", label)
        place_from_end, moras = _field(r"\+(\d+)/", label), _field(r"/F:(\d+)_", label)
        next_place = _field(r"\+(\d+)\+", labels[index + 1])
        if place_from_end == 1 and next_place == 1 and phone in ("a", "e", "i", "o", "u", "N", "cl"):
            phones.append(_BORDER)
        elif distance == 0 and next_place == place + 1 and place != moras:
            phones.append("]")
        elif place == 1 and next_place == 2:
            phones.append("[")
    return phones
