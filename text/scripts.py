"""Which writing a text is in, and how much there is to say: letters, Chinese characters, kana, Hangul."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

# Scripts that a text of the language may hold; Latin letters may stand in every language (names, loan words).
_OWN = {"zh": ("han",), "yue": ("han",), "en": ("latin",), "ja": ("han", "kana"), "ko": ("hangul", "han")}
_NAMES = {
    "zh": "Chinese characters",
    "yue": "Chinese characters",
    "en": "Latin letters",
    "ja": "kana or kanji",
    "ko": "Hangul",
}
_RANGES = (
    ("han", 0x3400, 0x4DBF),
    ("han", 0x4E00, 0x9FFF),
    ("han", 0xF900, 0xFAFF),
    ("han", 0x20000, 0x323AF),
    ("kana", 0x3041, 0x30FF),
    ("kana", 0x31F0, 0x31FF),
    ("kana", 0xFF66, 0xFF9F),
    ("hangul", 0xAC00, 0xD7A3),
    ("hangul", 0x1100, 0x11FF),
    ("hangul", 0x3130, 0x318F),
    ("latin", 0x0041, 0x024F),
    ("latin", 0x1E00, 0x1EFF),
    ("latin", 0xFF21, 0xFF5A),
)


@dataclass(frozen=True)
class Writing:
    """How many letters of each script a text holds."""

    han: int = 0
    """Chinese characters, those of Japanese and Korean texts too."""
    kana: int = 0
    """Hiragana and katakana, also of half width."""
    hangul: int = 0
    """Syllables and single letters."""
    latin: int = 0
    """With diacritics and full width."""
    other: int = 0
    """Letters of further scripts, such as Cyrillic."""
    digits: int = 0
    """Of any script; no letters."""

    @property
    def letters(self) -> int:
        """Letters of any script."""
        return self.han + self.kana + self.hangul + self.latin + self.other

    @property
    def syllabic(self) -> int:
        """Characters that stand for a syllable or so each."""
        return self.han + self.kana + self.hangul


def survey(text: str) -> Writing:
    """Counts the letters of a text by script."""
    counts = dict.fromkeys(("han", "kana", "hangul", "latin", "other", "digits"), 0)
    for character in text:
        if character.isdigit():
            counts["digits"] += 1
        elif character.isalpha():
            code = ord(character)
            counts[next((name for name, low, high in _RANGES if low <= code <= high), "other")] += 1
    return Writing(**counts)


def wrong_script(text: str, language: str) -> str | None:
    """What is wrong with the script of a text of that language, or None. Digits fit every language."""
    found = survey(text)
    if not found.letters:
        return None if found.digits else "no letter and no digit"
    own = sum(getattr(found, name) for name in _OWN[language])
    # A line of Mandarin may quote English, but not consist of it; a line of English holds no Chinese at all.
    foreign = found.letters - own - (found.latin if language != "en" else 0)
    if foreign > 0.1 * found.letters:
        return f"{foreign} of {found.letters} letters are not {_NAMES[language]}"
    if own == 0:
        return f"no {_NAMES[language]} in it"
    return None


def spoken_weight(text: str) -> float:
    """How long a text takes to say, in Latin letters: a Chinese character, kana or Hangul syllable counts as three."""
    found = survey(text)
    return found.latin + found.other + 3.0 * found.syllabic + 4.0 * found.digits


def normalised(text: str) -> str:
    """NFC, runs of white space as one space, no white space at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def unprintable(text: str) -> str | None:
    """The name of the first control, direction or invisible character of a text, or None."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
            return f"U+{ord(character):04X}" + (f" {unicodedata.name(character, '')}".rstrip())
    return None
