"""IPA and ARPAbet of English words -> phones of the v2 table.

Kokoro's letters for diphthongs (A, I, W, Y, O, Q) are read too, so that its `[word](/ipa/)` means the same here.
"""

from __future__ import annotations

import re
import unicodedata

from timbre.core.errors import InputError
from timbre.text.symbols import is_speech, is_symbol

MOST_PHONES = 80
"""Of one word or phrase."""

_CONSONANTS = {
    "tʃ": "CH", "ʧ": "CH", "dʒ": "JH", "ʤ": "JH", "b": "B", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "g": "G",
    "h": "HH",
    "j": "Y", "k": "K", "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "r": "R", "s": "S",
    "ʃ": "SH", "t": "T", "ɾ": "T", "θ": "TH", "v": "V", "w": "W", "ʍ": "W", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
_VOWELS = {
    "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY", "ɜː": "ER", "ɜr": "ER", "ɜɹ": "ER",
    "ər": "ER", "əɹ": "ER", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AE", "ɑ": "AA",
    "ɒ": "AA",
    "ɔ": "AO", "o": "OW", "u": "UW", "ʊ": "UH", "ʌ": "AH", "ɐ": "AH", "ə": "AH", "ᵊ": "AH", "ɚ": "ER", "ɝ": "ER",
    "ɜ": "ER",
    "A": "EY", "I": "AY", "W": "AW", "Y": "OY", "O": "OW", "Q": "OW",
}  # fmt: skip
_BEFORE_R = {"ɪə": ("IH", "R"), "eə": ("EH", "R"), "ɛə": ("EH", "R"), "ʊə": ("UH", "R")}
_SILENT = frozenset(" .ː‿͜͡-ˑʰ")
_STRESS = {"ˈ": "1", "'": "1", "ˌ": "2", "ˏ": "2"}
_SYLLABIC = "\u0329"
_OWN = frozenset("ˈˌːəɚɝɜɛæɑɒɔʊʌɐɪᵻᵊðθʃʒŋɹɾɡʧʤɫʍ")
"""Letters that no plain word or path has."""
_ARPABET = re.compile(r"([A-Z]{1,2})([012]?)")


def is_ipa(text: str) -> bool:
    """Whether a text between slashes is meant as IPA: it has a letter that only IPA has."""
    return any(letter in _OWN for letter in text)


def from_ipa(text: str) -> tuple[str, ...]:
    """'təˈmeɪtˌoʊ' -> T AH0 M EY1 T OW2. Raises InputError for a letter that stands for no English sound."""
    written = unicodedata.normalize("NFD", text.strip().strip("/[]"))
    found: list[tuple[str, str]] = []
    stress, place = "", 0
    while place < len(written):
        rest = written[place:]
        if (mark := _STRESS.get(rest[0])) is not None:
            stress, place = mark, place + 1
        elif rest[0] == _SYLLABIC and found:
            found.insert(len(found) - 1, ("AH", "0"))
            place += 1
        elif rest[0] in _SILENT:
            place += 1
        elif rest[:2] in _BEFORE_R:
            before, consonant = _BEFORE_R[rest[:2]]
            followed = rest[2:3] in ("r", "ɹ")
            found += [(before, stress or "?")] + ([] if followed else [(consonant, "")])
            stress, place = "", place + 2
        elif (vowel := _longest(rest, _VOWELS)) is not None:
            reduced = vowel in ("ə", "ɚ", "ᵊ", "ər", "əɹ", "ᵻ")
            found.append((_VOWELS[vowel], stress or ("0" if reduced else "?")))
            stress, place = "", place + len(vowel)
        elif (letters := _longest(rest, _CONSONANTS)) is not None:
            found.append((_CONSONANTS[letters], ""))
            place += len(letters)
        else:
            name = unicodedata.name(rest[0], "without a name")
            raise InputError(
                f"phonemes {text[:40]!r}: {rest[0]!r} ({name.lower()}) is no sound of English in IPA",
                "write broad IPA of English (təˈmeɪtoʊ), or ARPAbet (T AH0 M EY1 T OW2)",
            )
    return _settled(found, text)


def from_arpabet(text: str) -> tuple[str, ...]:
    """'T AH0 M EY1 T OW2'; a vowel without a digit is unstressed, an only vowel stressed.

    Raises InputError for anything else.
    """
    found: list[tuple[str, str]] = []
    for token in text.split():
        match = _ARPABET.fullmatch(token)
        if match is None or not _known(match[1], match[2]):
            raise InputError(
                f"phonemes {text[:40]!r}: {token[:12]!r} is no ARPAbet phone", "write for example T AH0 M EY1 T OW2"
            )
        found.append((match[1], match[2] or ("?" if is_symbol(f"{match[1]}0") else "")))
    return _settled(found, text)


def is_arpabet(text: str) -> bool:
    """Whether a text in braces is ARPAbet: known phones, one of them a vowel with its stress."""
    matches = [_ARPABET.fullmatch(token) for token in text.split()]
    return any(match is not None and match[2] for match in matches) and all(
        match is not None and _known(match[1], match[2]) for match in matches
    )


def _known(name: str, stress: str) -> bool:
    vowel = is_symbol(f"{name}0")
    symbol = f"{name}{stress or '0'}" if vowel else name + stress
    return is_symbol(symbol) and is_speech(symbol) and len(name) <= 2


def _longest(text: str, table: dict[str, str]) -> str | None:
    return next((text[:size] for size in (2, 1) if len(text) >= size and text[:size] in table), None)


def _settled(found: list[tuple[str, str]], text: str) -> tuple[str, ...]:
    """Vowels whose stress was not written: stressed where it is the only vowel, else not."""
    vowels = [stress for _, stress in found if stress]
    if not vowels:
        raise InputError(f"phonemes {text[:40]!r}: there is no vowel", "write all sounds of the word")
    if len(found) > MOST_PHONES:
        raise InputError(f"phonemes: {len(found)} sounds, the limit is {MOST_PHONES}", "mark one word at a time")
    alone = "1" if len(vowels) == 1 else "0"
    return tuple(name + (alone if stress == "?" else stress) for name, stress in found)
