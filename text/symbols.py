"""The phoneme table of the v2 checkpoints: 732 symbols, the index of a symbol is its id.

The order is part of every checkpoint (row i of the phoneme embedding is symbol i), so `data/symbols_v2.txt` is never
sorted or extended. The first 322 rows are the v1 table: marks, English ARPAbet with stress, Mandarin initials and
finals with tone, Japanese; then come Korean and Cantonese.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from timbre.core.errors import InputError

MARKS: tuple[str, ...] = ("!", ",", "-", ".", "?", "…")
"""Symbols of the table that are punctuation: heard as prosody and pauses, not as speech sounds."""

SILENT: tuple[str, ...] = ("_", "SP", "SP2", "SP3", "UNK")
"""Symbols of the table that are padding, explicit pauses and the unknown symbol."""


SHAPES: tuple[str, ...] = ("[", "]", "空", "停")
"""Symbols of the table that shape the sounds beside them: Japanese pitch, Korean blanks and marks."""


@cache
def symbols() -> tuple[str, ...]:
    """All 732 symbols in table order."""
    return tuple((files("timbre.text") / "data" / "symbols_v2.txt").read_text(encoding="utf-8").split("\n")[:-1])


@cache
def _index() -> dict[str, int]:
    return {symbol: index for index, symbol in enumerate(symbols())}


def is_symbol(symbol: str) -> bool:
    """True if the table has `symbol`."""
    return symbol in _index()


def is_speech(symbol: str) -> bool:
    """True if a symbol of the table stands for a sound, not for a mark, a pause, a pitch or padding."""
    return symbol not in MARKS and symbol not in SILENT and symbol not in SHAPES


def ids_of(phones: Iterable[str]) -> tuple[int, ...]:
    """Ids (0..731) of phones. Raises InputError that names the first symbol the table lacks."""
    index = _index()
    result = []
    for position, phone in enumerate(phones):
        if phone not in index:
            raise InputError(
                f"phone {position}: {phone!r} is not one of the {len(index)} symbols of the v2 table",
                remedy="write ARPAbet with stress (AH0) or Mandarin initials and finals with tone (zh, ong1)",
            )
        result.append(index[phone])
    return tuple(result)


def phones_of(ids: Iterable[int]) -> tuple[str, ...]:
    """Symbols of ids; the inverse of `ids_of`. Raises InputError for an id outside 0..731."""
    table = symbols()
    result = []
    for identifier in ids:
        if not 0 <= identifier < len(table):
            raise InputError(f"phone id {identifier} is outside 0..{len(table) - 1}", remedy="re-extract the features")
        result.append(table[identifier])
    return tuple(result)
