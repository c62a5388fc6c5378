"""Mandarin: text -> characters and marks -> words -> syllables with spoken tones -> phones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from timbre.text.languages import IDEOGRAPHS as HAN
from timbre.text.mandarin_normalize import normalize, simplify
from timbre.text.mandarin_pinyin import syllable, syllables_of
from timbre.text.mandarin_polyphones import readings
from timbre.text.mandarin_signs import concerns, fold_signs
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
        for character, sound in _read(piece, lexicon or {}):
            if sound is None:
                lost.append(character)
            else:
                phones.extend(sound)
                word2ph.append(2)
                spoken.append(character)
    segment = Segment("zh", text, "".join(spoken), tuple(phones), tuple(word2ph))
    return segment, tuple(dict.fromkeys([*unknown, *lost]))


def folded(text: str, language: str) -> str:
    """A whole text of any language, before it is cut by script: its signs as words where the rules for Mandarin concern
    it (text/mandarin_signs.py).
    """
    return fold_signs(text) if concerns(text, language) else text


def _read(clause: str, lexicon: Mapping[str, tuple[str, ...]]) -> list[tuple[str, tuple[str, ...] | None]]:
    """Each character of a clause with its two phones, None where there is no reading."""
    own = {_simplified(word): phones for word, phones in lexicon.items() if _is_mandarin(word, phones)}
    if own:
        pattern = "(" + "|".join(sorted(map(re.escape, own), key=len, reverse=True)) + ")"
        parts = [part for part in re.split(pattern, clause) if part]
    else:
        parts = [clause]
    result: list[tuple[str, tuple[str, ...] | None]] = []
    for part in parts:
        if part in own:
            phones = own[part]
            result.extend((character, phones[2 * i : 2 * i + 2]) for i, character in enumerate(part))
            continue
        words = words_of(part)
        special = readings(part, words)
        position = 0
        for word, tag in words:
            here = {place - position: special[place] for place in special if 0 <= place - position < len(word)}
            result.extend(zip(word, _spoken(word, tag, here), strict=True))
            position += len(word)
    return result


@lru_cache(maxsize=20_000)
def _simplified(word: str) -> str:
    return simplify(word)


def _is_mandarin(word: str, phones: tuple[str, ...]) -> bool:
    return len(phones) == 2 * len(word) and re.fullmatch(f"[{HAN}]+", word) is not None and phones[0][:1] != "Y"


def _spoken(word: str, tag: str, special: Mapping[int, str]) -> list[tuple[str, ...] | None]:
    """Phones of a word's characters with the tones that are spoken. special: readings by place that come first."""
    if not special:
        return list(_usual(word, tag))
    found = syllables_of(word)
    for place, pinyin in special.items():
        found[place] = syllable(pinyin) or found[place]
    return _with_sandhi(word, tag, found, special)


@lru_cache(maxsize=50_000)
def _usual(word: str, tag: str) -> tuple[tuple[str, ...] | None, ...]:
    return tuple(_with_sandhi(word, tag, syllables_of(word), {}))


def _with_sandhi(
    word: str, tag: str, found: list[Syllable | None], special: Mapping[int, str]
) -> list[tuple[str, ...] | None]:
    known = [syllable for syllable in found if syllable is not None]
    if len(known) < len(found):
        return [_phones(one) for one in found]
    spoken = erhua(word, tag, sandhi(word, tag, known, cut))
    for place in special:  # a rule of particles must not take the tone of a verb: 得 dei3, 着 zhao2
        if spoken[place].tone == 5 and known[place].tone != 5:
            spoken[place] = known[place]
    return [_phones(one) for one in spoken]


def _phones(syllable: Syllable | None) -> tuple[str, ...] | None:
    """Symbols of the table; a rare reading whose symbol the table lacks counts as none."""
    if syllable is None or not all(map(is_symbol, syllable.phones)):
        return None
    return syllable.phones
