"""Moves of chess as they are spoken: Nf3 is knight F three, Qxe7# queen takes E seven mate, O-O castles kingside."""

from __future__ import annotations

import re
from typing import Final

from timbre.text import english_numbers as numbers
from timbre.text.patterns import compiled, sub

_PIECES: Final = {"K": "king", "Q": "queen", "R": "rook", "B": "bishop", "N": "knight"}
_ENDS: Final = {"+": " check", "#": " mate", "": ""}
_MOVE: Final = (
    r"(?<![\w.-])(\d{1,2}\.(?:\.\.)?\s?)?(?:([KQRBN])([a-h]|[1-8])?(x)?([a-h])([1-8])|([a-h])(x)([a-h])([1-8])"
    r"|([a-h])([1-8])|(O-O-O|O-O|0-0-0|0-0))(=[QRBN])?([+#]?)(?![\w=-])"
)
_CUE: Final = (
    r"\b(?:White|Black|[Cc]hess|[Oo]pening|[Gg]ambit|[Cc]heckmate|[Cc]astl\w+|[Pp]awns?|[Bb]ishops?|[Kk]nights?|"
    r"[Gg]randmaster)\b"
)
_SURE: Final = r"(?<![\w-])(?:[KQRBN][a-h]?x?[a-h][1-8]|[a-h]x[a-h][1-8]|O-O(?:-O)?)[+#]?(?![\w-])"

_REPLY: Final = r"(?<![\w-])[KQRBN][a-h][1-8][^.?!]{0,30}(?<![\w-])[a-h][1-8](?![\w-])"
"""A piece's move and a square beside it."""
_TAKES: Final = r"(?<![\w-])(?:[KQRBN][a-h1-8]?x[a-h][1-8]|[a-h][18]=[QRBN])(?![\w-])"


def fold_chess(text: str) -> str:
    """The text with its moves as words, where it speaks of chess or has two moves that are nothing else."""
    if not compiled(_MOVE).search(text):
        return text
    if (
        not re.search(_CUE, text)
        and not re.search(_REPLY, text)
        and len(re.findall(_SURE, text)) < 2
        and not re.search(_TAKES, text)
    ):
        return text
    return sub(_MOVE, _spoken, text)


def _spoken(match: re.Match[str]) -> str:
    place, piece, start, takes, file, rank, pawn, captures, to_file, to_rank, e, four, castles, promoted, end = (
        match.groups()
    )
    number = f"{numbers.cardinal(int(place.rstrip('. ')))}, " if place else ""
    if castles:
        words = "castles queenside" if len(castles) == 5 else "castles kingside"
    elif piece:
        origin = f" {start.upper() if start.isalpha() else numbers.cardinal(int(start))}" if start else ""
        words = f"{_PIECES[piece]}{origin}{' takes' if takes else ''} {_square(file, rank)}"
    elif captures:
        words = f"{pawn.upper()} takes {_square(to_file, to_rank)}"
    else:
        words = _square(e, four)
    if promoted:
        words += f" {_PIECES[promoted[1]]}"
    return number + words + _ENDS[end]


def _square(file: str, rank: str) -> str:
    return f"{file.upper()} {numbers.cardinal(int(rank))}"
