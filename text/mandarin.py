"""Mandarin: text -> characters and marks -> words -> syllables with spoken tones -> phones."""

from __future__ import annotations

import re
from collections.abc import Mapping

from timbre.text.mandarin_normalize import HAN, normalize
from timbre.text.mandarin_pinyin import syllables_of
from timbre.text.mandarin_tones import Syllable, erhua, sandhi
from timbre.text.mandarin_words import cut, words_of
from timbre.text.phonemes import Segment
from timbre.text.symbols import is_symbol

_PIECE = re.compile(rf"[{HAN}]+|[,.?!…]")


def convert(
    text: str, lexicon: Mapping[str, tuple[str, ...]] | None = None, after_letter: bool = False
) -> tuple[Segment, tuple[str, ...]]:
    """Phones of a Mandarin text, two for each character, and the characters that could not be spoken.

    lexicon: word of Han characters -> two phones for each of its characters, asked before every dictionary.
    after_letter: a Latin letter stands directly before the text.
    """
    normalized, unknown = normalize(text, after_letter)
    phones: list[str] = []
    word2ph: list[int] = []
    spoken: list[str] = []
    lost: list[str] = []
    for piece in _PIECE.findall(normalized):
        if piece in ",.?!…":
            phones.append(piece)
            word2ph.append(1)
            spoken.append(piece)
            continue
        for character, syllable in _read(piece, lexicon or {}):
            if syllable is None:
                lost.append(character)
            else:
                phones.extend(syllable)
                word2ph.append(2)
                spoken.append(character)
    segment = Segment("zh", text, "".join(spoken), tuple(phones), tuple(word2ph))
    return segment, tuple(dict.fromkeys([*unknown, *lost]))


def _read(clause: str, lexicon: Mapping[str, tuple[str, ...]]) -> list[tuple[str, tuple[str, ...] | None]]:
    """Each character of a clause with its two phones, None where there is no reading."""
    own = [word for word in lexicon if re.fullmatch(f"[{HAN}]+", word)]
    if own:
        pattern = "(" + "|".join(sorted(map(re.escape, own), key=len, reverse=True)) + ")"
        parts = [part for part in re.split(pattern, clause) if part]
    else:
        parts = [clause]
    result: list[tuple[str, tuple[str, ...] | None]] = []
    for part in parts:
        if part in lexicon and own:
            phones = lexicon[part]
            result.extend((character, phones[2 * i : 2 * i + 2]) for i, character in enumerate(part))
            continue
        for word, tag in words_of(part):
            result.extend(zip(word, _spoken(word, tag), strict=True))
    return result


def _spoken(word: str, tag: str) -> list[tuple[str, ...] | None]:
    found = syllables_of(word)
    known = [syllable for syllable in found if syllable is not None]
    if len(known) < len(found):
        return [_phones(syllable) for syllable in found]
    return [_phones(syllable) for syllable in erhua(word, tag, sandhi(word, tag, known, cut))]


def _phones(syllable: Syllable | None) -> tuple[str, ...] | None:
    """Symbols of the table; a rare reading whose symbol the table lacks counts as none."""
    if syllable is None or not all(map(is_symbol, syllable.phones)):
        return None
    return syllable.phones
