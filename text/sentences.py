"""Cuts a text into the pieces that are synthesised one at a time: at sentence ends, then at commas, then at blanks.

A stop inside a number, an abbreviation, an initial or an address is no sentence end. Pieces that are too short to be
spoken well join a neighbour if the limit allows.
"""

from __future__ import annotations

import re

from timbre.text.cues import cue_words

# Chinese characters, kana and Hangul: each a syllable or so, and no blank between words to go by.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f\u3041-\u30fa\u30fc-\u30ff\uac00-\ud7a3"
_CLOSERS = "\"'”’）)」』】》\\]"
_STRONG = re.compile(rf"(?:[.!?]+[{_CLOSERS}]*(?=\s|$)|[.!?]+(?=[{_HAN}])|[。！？…]+[{_CLOSERS}]*|\n+)\s*")
_WEAK = re.compile(rf"(?:[,;:](?=\s)|[，、；：]|\s[-–—]+(?=\s)|—+|[)）](?=[\s{_HAN}]))\s*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:Mr|Mrs|Ms|Mx|Dr|Prof|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|Pres|Messrs|vs|approx|"
    r"No|no|Vol|Fig|Ch|pp?|cf|e\.g|i\.e|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|al)\.$"
)
_MAYBE_FINAL = re.compile(
    r"(?:^|[\s(\"'])(?:etc|Inc|Ltd|Corp|Co|Bros|Jr|Sr|Ave|Blvd|Rd|a\.m|p\.m|(?:[A-Za-z]\.)*[A-Za-z])\.$"
)
_WRAPPED = re.compile(r"(?<=[A-Za-z0-9,;'’])[ \t]*\r?\n[ \t]*(?=[a-z])")


def weight(text: str) -> int:
    """Length of a text in letters' worth of speech: a Han character takes about as long as three Latin letters."""
    return sum(3 if re.match(f"[{_HAN}]", character) else 1 for character in text)


def unwrapped(text: str) -> str:
    """Lines that only a page's width broke, joined: no mark ends the line, and the next begins in lower case."""
    return _WRAPPED.sub(" ", text)


def split(text: str, longest: int = 180, shortest: int = 18) -> list[str]:
    """Pieces of `text` in order, without blanks at their ends; joined they hold every character but blanks.

    longest: a piece weighs no more, unless a single word does. shortest: a lighter piece joins its neighbour if it can.
    Both in letters' worth (see `weight`).
    """
    if longest < 1:
        raise ValueError(f"longest must be 1 or more, not {longest}")
    pieces: list[str] = []
    for sentence in _cut(unwrapped(text), _STRONG):
        if weight(sentence) <= longest:
            pieces.append(sentence)
        else:
            pieces.extend(_fit(sentence, longest))
    return [piece.strip() for piece in _join(pieces, longest, shortest) if piece.strip()]


def _cut(text: str, border: re.Pattern[str]) -> list[str]:
    pieces: list[str] = []
    start = 0
    for match in border.finditer(text):
        if border is _WEAK or _is_end(text, match):
            pieces.append(text[start : match.end()])
            start = match.end()
    return [*pieces, text[start:]] if start < len(text) else pieces


def _is_end(text: str, mark: re.Match[str]) -> bool:
    """False for the stop of an abbreviation, of an initial, or of a list number ('3. Add')."""
    if not mark[0].startswith("."):
        return True
    before = text[max(0, mark.start() - 12) : mark.start() + 1]
    following = re.match(r"[\"'(]*(\w[\w']*)", text[mark.end() :])
    if _ABBREVIATION.search(before) or re.search(r"(?:^|[\n.!?]\s)\d{1,3}\.$", before):
        return False
    if _MAYBE_FINAL.search(before):
        return following is None or (following[1][0].isupper() and following[1].lower() in cue_words("openers"))
    return following is None or not following[1][0].islower() or len(mark[0].rstrip()) > 1


def _fit(sentence: str, longest: int) -> list[str]:
    """Clauses of a long sentence packed up to the limit; clauses that are too long are cut at blanks, then anywhere."""
    parts: list[str] = []
    for clause in _cut(sentence, _WEAK):
        if weight(clause) <= longest:
            parts.append(clause)
            continue
        for word in re.findall(r"\S+\s*|\s+", clause):
            parts.extend(_letters(word, longest))
    packed: list[str] = []
    for part in parts:
        if packed and weight(packed[-1]) + weight(part) <= longest:
            packed[-1] += part
        else:
            packed.append(part)
    return packed


def _letters(word: str, longest: int) -> list[str]:
    """A word above the limit (Chinese without marks) in pieces; runs of Latin letters and digits stay whole."""
    if weight(word) <= longest:
        return [word]
    return re.findall(r"[A-Za-z0-9.,'%$€£@:/_+-]+\s*|.", word, re.DOTALL)


def _join(pieces: list[str], longest: int, shortest: int) -> list[str]:
    """Light pieces joined to the one before, or to the one after."""
    result: list[str] = []
    for piece in pieces:
        light = bool(result) and (weight(result[-1].strip()) < shortest or weight(piece.strip()) < shortest)
        if light and "\n" not in result[-1][-1:] and weight(result[-1]) + weight(piece) <= longest:
            result[-1] += piece
        else:
            result.append(piece)
    return result
