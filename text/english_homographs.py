"""Which of two pronunciations a homograph has, from the words around it.

The word list is that of the g2p_en package (`homographs.en`: word, reading for the named part of speech, reading
otherwise), with corrections of ours. The part of speech is guessed from the neighbours by closed word classes, not by a
trained tagger: after 'to' or a modal comes a verb, after an article or a possessive a noun or an adjective.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from timbre.text.cues import cue_words
from timbre.text.english_network import package_file

Phones = tuple[str, ...]


@cache
def _table() -> dict[str, tuple[Phones, Phones, str]]:
    own = (files("timbre.text") / "data" / "english_homographs.txt").read_text(encoding="utf-8")
    listed = package_file("g2p_en", "homographs.en").read_text(encoding="utf-8")
    result: dict[str, tuple[Phones, Phones, str]] = {}
    for line in [*listed.splitlines(), *own.splitlines()]:
        fields = line.strip().split("|")
        if not line.startswith("#") and len(fields) == 4:
            result[fields[0].lower()] = (tuple(fields[1].split()), tuple(fields[2].split()), fields[3])
    return result


def reading(words: Sequence[str], position: int, capital: bool = False) -> Phones | None:
    """Phones of the homograph words[position] (lower case) in its sentence, None if the word is not a homograph.

    words: the words of one clause; marks are not among them. capital: the word was written with a capital.
    """
    if (by_sense := _by_sense(words, position, capital)) is not None:
        return by_sense
    entry = _table().get(words[position])
    if entry is None:
        return None
    named, other, part_of_speech = entry
    before = [word for word in words[:position] if word not in cue_words("adverb_skip")]
    previous = before[-1] if before else ""
    following = words[position + 1] if position + 1 < len(words) else ""
    word = words[position]
    if word == "read":
        return ("R", "EH1", "D") if _read_is_past(words, before, previous) else ("R", "IY1", "D")
    if word == "used":
        return ("Y", "UW1", "S", "T") if following == "to" else ("Y", "UW1", "Z", "D")
    if word == "close":
        verb = previous in cue_words("verb_cues") or (previous == "" and following in cue_words("noun_cues"))
        verb = verb or (following in cue_words("determiners") and previous not in cue_words("copulas"))
        return ("K", "L", "OW1", "Z") if verb else ("K", "L", "OW1", "S")
    if part_of_speech == "V":
        owned = position > 1 and words[position - 2] in cue_words("noun_cues")
        return named if _is_verb(word, previous, following, owned, position == 1) else other
    if part_of_speech == "N":
        return named if previous in cue_words("noun_cues") and previous not in cue_words("copulas") else other
    if part_of_speech == "ADJ":  # complex: the adjective before its noun or at the end, the noun before a verb
        return named if following and following not in cue_words("verb_cues") else other
    return other


Condition = tuple[str, frozenset[str]]


@cache
def _senses() -> dict[str, list[tuple[Phones, tuple[Condition, ...]]]]:
    """Word -> its lines of data/english_senses.txt: phones and the conditions under which they hold."""
    result: dict[str, list[tuple[Phones, tuple[Condition, ...]]]] = {}
    for line in (files("timbre.text") / "data" / "english_senses.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        word, phones, *parts = (part.strip() for part in line.split("|"))
        conditions = []
        for part in filter(None, parts):
            name, _, listed = part.partition("=")
            conditions.append((name, _words_of(listed)))
        result.setdefault(word, []).append((tuple(phones.split()), tuple(conditions)))
    return result


def _words_of(listed: str) -> frozenset[str]:
    groups = {"@verb": "verb_cues", "@noun": "noun_cues", "@det": "determiners"}
    words: set[str] = set()
    for item in listed.split(","):
        words |= cue_words(groups[item]) if item in groups else {"" if item == "^" else item}
    return frozenset(words)


def _by_sense(words: Sequence[str], position: int, capital: bool) -> Phones | None:
    senses = _senses().get(words[position])
    if senses is None:
        return None
    previous = words[position - 1] if position else ""
    following = words[position + 1] if position + 1 < len(words) else ""
    after = words[position + 2] if position + 2 < len(words) else ""
    if words[position] == "used" and (after.endswith("ing") or after in cue_words("determiners") or not after):
        return None
    for phones, conditions in senses:
        if all(
            (name == "prev" and previous in listed)
            or (name == "next" and following in listed)
            or (name == "not-prev" and previous not in listed)
            or (name == "near" and any(word in listed for word in words))
            or (name == "case" and capital)
            for name, listed in conditions
        ):
            return phones
    return None


_OBJECTS = frozenset({"me", "him", "her", "us", "them"})


def _is_verb(word: str, previous: str, following: str, owned: bool, second: bool) -> bool:
    """owned: the word before the previous one is an article or a possessive (our plans conflict). second: the word is
    the second of its clause (prices increase).
    """
    third_person = word.endswith("s") and not word.endswith("ss")
    if previous in cue_words("verb_cues"):
        return True
    if previous in cue_words("third_person") and (third_person or following in _OBJECTS):
        return True
    if previous in cue_words("noun_cues"):
        return False
    if word in ("live", "lives") and following in cue_words("places"):
        return True
    if previous == "":
        return not third_person and following in cue_words("determiners")
    plural_subject = previous.endswith("s") and not previous.endswith(("ss", "'s"))
    if not third_person and plural_subject and previous not in cue_words("plural_attributes"):
        if following == "" and (owned or second):
            return True
        verbal = following in cue_words("after_verb") | cue_words("noun_cues")
        return verbal or word in {"live", "wind", "tear", "rebel", "object"}
    if previous in {"and", "or"}:
        return following in cue_words("determiners")
    return third_person and following in cue_words("noun_cues")


def _read_is_past(words: Sequence[str], before: Sequence[str], previous: str) -> bool:
    if previous in cue_words("present") or "to" in before[-2:]:
        return False
    if previous in cue_words("perfect") or any(word in cue_words("perfect") for word in before[-2:]):
        return True
    if any(word in cue_words("past") for word in words):
        return True
    present_subject = previous in {"i", "you", "we", "they", "and", "or"} or previous in cue_words("noun_cues")
    return previous in cue_words("third_person") or (bool(previous) and not present_subject)
