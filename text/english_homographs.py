"""Which of two pronunciations a homograph has, from the words around it.

The word list with its two readings is that of the g2p_en package (`homographs.en`: word, reading for the named part of
speech, reading otherwise). The part of speech is guessed from the neighbours by closed word classes, without a trained
tagger: after 'to' or a modal comes a verb, after an article or a possessive a noun or an adjective.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from text.cues import cue_words
from text.english_network import package_file

Phones = tuple[str, ...]


@cache
def _table() -> dict[str, tuple[Phones, Phones, str]]:
    result: dict[str, tuple[Phones, Phones, str]] = {}
    for line in package_file("g2p_en", "homographs.en").read_text(encoding="utf-8").splitlines():
        fields = line.strip().split("|")
        if line.startswith("#") or len(fields) != 4:
            continue
        result[fields[0].lower()] = (tuple(fields[1].split()), tuple(fields[2].split()), fields[3])
    return result


def reading(words: Sequence[str], position: int) -> Phones | None:
    """Phones of the homograph words[position] (lower case) in its sentence, None if the word is not a homograph.

    words: the words of one clause; marks are not among them.
    """
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
        to_do = following == "to"
        return ("Y", "UW1", "S", "T") if to_do else ("Y", "UW1", "Z", "D")
    if word in ("close", "closer"):
        verb = previous in cue_words("verb_cues") or (previous == "" and following in cue_words("noun_cues"))
        return ("K", "L", "OW1", "Z") if word == "close" and verb else (named if word == "close" and verb else other)
    if part_of_speech == "V":
        return named if _is_verb(word, previous, following) else other
    if part_of_speech == "N":
        return (
            named
            if previous in cue_words("noun_cues") and previous not in {"is", "are", "was", "were", "be", "been"}
            else other
        )
    if part_of_speech == "ADJ":  # complex: the adjective before or after its noun, the noun after an article
        return named if following and following not in cue_words("verb_cues") else other
    return other


def _is_verb(word: str, previous: str, following: str) -> bool:
    if previous in cue_words("verb_cues"):
        return True
    if previous in cue_words("third_person") and word.endswith("s"):
        return True
    if previous in cue_words("noun_cues"):
        return False
    if previous == "":
        return following in {
            "the",
            "a",
            "an",
            "this",
            "that",
            "these",
            "those",
            "my",
            "your",
            "his",
            "her",
            "its",
            "our",
            "it",
        }
    plural_subject = previous.endswith("s") and not previous.endswith(("ss", "'s"))
    return (plural_subject and not word.endswith("s") and following in cue_words("noun_cues")) or (
        previous in {"and", "or"} and following in {"the", "a", "an", "it", "them", "my", "your", "his", "her", "their"}
    )


def _read_is_past(words: Sequence[str], before: Sequence[str], previous: str) -> bool:
    if previous in cue_words("present") or "to" in before[-2:]:
        return False
    if previous in cue_words("perfect") or any(word in cue_words("perfect") for word in before[-2:]):
        return True
    if any(word in cue_words("past") for word in words):
        return True
    return previous in cue_words("third_person") or (
        bool(previous) and previous not in {"i", "you", "we", "they", "and", "or"} | cue_words("noun_cues")
    )
