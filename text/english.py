"""English: text -> words and marks -> phones."""

from __future__ import annotations

import re
from collections.abc import Mapping

from timbre.text.cues import cue_words
from timbre.text.english_homographs import reading
from timbre.text.english_normalize import normalize
from timbre.text.english_words import is_modern, listed, pronounce, spell, with_s
from timbre.text.phonemes import Segment

_TOKEN = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*'?|'[A-Za-z]+|[,.?!…]")
_MARKS = ",.?!…"
_CAPITALS = re.compile(r"[A-Z]{2,}")
_PLURAL_CAPITALS = re.compile(r"([A-Z]{2,})s")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHORTEST_LISTED = 4


def convert(text: str, lexicon: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Segment, tuple[str, ...]]:
    """Phones of an English text, and the characters that could not be spoken.

    lexicon: lower-case word -> phones, asked before every dictionary. Marks , . ? ! and … are phones of their own.
    """
    normalized, unknown = normalize(text)
    tokens = _TOKEN.findall(normalized)
    shouted = _is_shouted(tokens)
    words: list[tuple[str, tuple[str, ...]]] = []
    clause: list[str] = []
    for token in tokens:
        if token in _MARKS:
            words.extend(_clause(clause, shouted, lexicon or {}))
            clause = []
            words.append((token, (token,)))
        else:
            clause.append(token)
    words.extend(_clause(clause, shouted, lexicon or {}))
    words = _merge_marks(words)
    phones = tuple(phone for _, sounds in words for phone in sounds)
    counted = tuple((word, len(sounds)) for word, sounds in words)
    return Segment("en", text, normalized, phones, words=counted), unknown


def _is_shouted(tokens: list[str]) -> bool:
    """True if the text is written in capitals throughout: then capitals are no acronyms."""
    words = [token for token in tokens if len(token) > 1 and token.isalpha()]
    return (
        len(words) >= 3
        and all(word.isupper() for word in words)
        and any(word.lower() in cue_words("emphasis") for word in words)
    )


_Sounds = tuple[str, tuple[str, ...]]
"""A word or mark, and its phones."""


def _merge_marks(words: list[_Sounds]) -> list[_Sounds]:
    """The first of neighbouring marks, but a comma gives way to a stop: one pause, not two."""
    result: list[_Sounds] = []
    for word in words:
        if not word[1]:
            continue
        if word[0] in _MARKS and result and result[-1][0] in _MARKS:
            if result[-1][0] == ",":
                result[-1] = word
        else:
            result.append(word)
    return result


def _clause(words: list[str], shouted: bool, lexicon: Mapping[str, tuple[str, ...]]) -> list[_Sounds]:
    lowered = [word.lower() for word in words]
    found: list[_Sounds] = []
    for position, (word, lower) in enumerate(zip(words, lowered, strict=True)):
        if lower in lexicon:
            sounds = lexicon[lower]
        elif word == "WHO" and not shouted and _is_organisation(lowered, position):
            sounds = spell(lower)
        elif word == "A" and _is_letter(words, position):
            sounds = ("EY1",)
        elif (known := reading(lowered, position, word[0].isupper())) is not None:
            sounds = tuple(known)
        else:
            sounds = _word(word, lower, shouted, lexicon)
        found.append((word, tuple(sounds)))
    return found


def _is_organisation(lowered: list[str], position: int) -> bool:
    """True if WHO at `position` is the health organisation: the WHO, WHO and EU, WHO officials."""
    before = lowered[position - 1] if position else ""
    following = lowered[position + 1] if position + 1 < len(lowered) else ""
    return before in ("the", "by", "a", "an") or following in cue_words("organised")


def _is_letter(words: list[str], position: int) -> bool:
    """True if the capital A at `position` is the letter's name ('an A', 'A is first'), not the article of a title."""
    following = words[position + 1] if position + 1 < len(words) else ""
    if position and words[position - 1].istitle() and following.istitle() and len(following) > 1:
        return False
    letters_around = len(following) == 1 and following.isupper()
    return position > 0 or not following or letters_around or following in cue_words("letter_followers")


def _word(word: str, lower: str, shouted: bool, lexicon: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if lower in lexicon:
        return lexicon[lower]
    if word.startswith("A-"):
        return ("EY1", *_word(word[2:], lower[2:], shouted, lexicon))
    stem = lower.rstrip("'")
    if stem.endswith("s") and stem[:-1] in lexicon and not listed(stem):
        return with_s(lexicon[stem[:-1]])
    if shouted or is_modern(lower) or word in (lower, lower.capitalize()):
        return pronounce(lower, lexicon)
    if _PLURAL_CAPITALS.fullmatch(word):
        return with_s(pronounce(lower[:-1], lexicon) if _is_acronym(lower[:-1]) else spell(lower[:-1]))
    if "-" in word or "'" in word:
        return tuple(_joined(word, shouted, lexicon))
    if _CAPITALS.fullmatch(word):
        return pronounce(lower, lexicon) if lower in cue_words("emphasis") or _is_acronym(lower) else spell(lower)
    return tuple(phone for part in _CAMEL.findall(word) for phone in _word(part, part.lower(), shouted, lexicon))


def _is_acronym(word: str) -> bool:
    """True if a lower-case word that was written in capitals is read as one: NASA, PIN, FIFA, SALE.

    A dictionary has the reading of longer ones; those that it spells (ADHD) have the stresses of spelled letters here.
    """
    if is_modern(word) or word in cue_words("acronyms"):
        return True
    known = listed(word) if len(word) >= _SHORTEST_LISTED else None
    return known is not None and _unstressed(known) != _unstressed(spell(word))


def _unstressed(phones: tuple[str, ...]) -> list[str]:
    return [phone.rstrip("012") for phone in phones]


def _joined(word: str, shouted: bool, lexicon: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Words of parts: COVID-related, Jean-Luc, NASA's."""
    stem, apostrophe, tail = word.partition("'")
    phones: list[str] = []
    for part in filter(None, stem.split("-")):
        phones.extend(("EY1",) if part == "A" else _word(part, part.lower(), shouted, lexicon))
    if apostrophe and tail.lower() == "s":
        return list(with_s(tuple(phones)))
    if tail:
        return list(pronounce(word.lower(), lexicon))
    return phones
