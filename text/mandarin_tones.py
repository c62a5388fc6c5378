"""Tone sandhi of Mandarin: neutral tones, 不, 一, third tones, erhua.

A word comes with its part of speech (jieba's tags) and one (initial, final, tone) syllable for each character; the
rules change tones only. They are the rules of the standard language as v2 checkpoints were trained with them: neutral
tone for particles, suffixes and listed words; 不 second before fourth and neutral between two words; 一 by what
follows; third tones before third tones by the word's inner cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from timbre.text.cues import cue_words


@dataclass(frozen=True)
class Syllable:
    """The sound of one character."""

    initial: str
    """Symbol of the v2 table."""
    final: str
    """Symbol of the v2 table without its tone."""
    tone: int
    """1 to 5; 5 is neutral."""

    @property
    def phones(self) -> tuple[str, str]:
        """The two symbols of the v2 table."""
        return self.initial, f"{self.final}{self.tone}"


Cut = Callable[[str], tuple[str, ...]]
"""Cuts a word in two at its inner border: 蒙古包 -> 蒙古, 包; a word without border stays whole."""

_NUMERALS = frozenset("零一二三四五六七八九十百千万亿两几半0123456789")


def sandhi(word: str, tag: str, syllables: Sequence[Syllable], cut: Cut) -> list[Syllable]:
    """Syllables of `word` with the tones that are spoken. len(syllables) == len(word)."""
    tones = [syllable.tone for syllable in syllables]
    _bu(word, tones)
    _yi(word, tones)
    _neutral(word, tag, tones, cut)
    _third(word, tones, cut)
    return [replace(syllable, tone=tone) for syllable, tone in zip(syllables, tones, strict=True)]


def _listed(name: str, word: str) -> bool:
    words = cue_words(name, "mandarin")
    return word in words or word[-2:] in words


def _neutral(word: str, tag: str, tones: list[int], cut: Cut) -> None:
    if word in cue_words("full", "mandarin"):
        return
    parts = cut(word)
    # Two words of two characters or more that happen to meet in one character (银行 行长) are no reduplication.
    border = len(parts[0]) if len(parts) == 2 and min(map(len, parts)) > 1 else 0
    for index in range(1, len(word)):
        if word[index] == word[index - 1] and tag[:1] in {"n", "v", "a"} and index != border:
            tones[index] = 5
    last = word[-1]
    ge = word.find("个")
    ending = (
        last in cue_words("particles", "mandarin")
        or last in "的地得"
        or (len(word) == 1 and word in "了着过" and tag in {"ul", "uz", "ug"})
        or (len(word) > 1 and last in "们子" and tag in {"r", "n"})
        or (len(word) > 1 and last in "上下里" and tag in {"s", "l", "f"})
        or (len(word) > 1 and last in "来去" and word[-2] in "上下进出回过起开")
    )
    if ending:
        tones[-1] = 5
    elif word == "个" or (ge >= 1 and (word[ge - 1] in _NUMERALS or word[ge - 1] in "有多各整每做是")):
        tones[ge] = 5
    elif _listed("neutral", word):
        tones[-1] = 5
    start = 0
    for part in parts:
        start += len(part)
        if _listed("neutral", part):
            tones[start - 1] = 5


def _bu(word: str, tones: list[int]) -> None:
    if len(word) == 3 and word[1] == "不":
        tones[1] = 5
        return
    for index, character in enumerate(word[:-1]):
        if character == "不" and tones[index + 1] == 4:
            tones[index] = 2


def _yi(word: str, tones: list[int]) -> None:
    if "一" not in word or all(character in _NUMERALS for character in word):
        return
    if len(word) == 3 and word[1] == "一" and word[0] == word[2]:
        tones[1] = 5
    elif word.startswith("第一"):
        tones[1] = 1
    else:
        for index, character in enumerate(word[:-1]):
            if character == "一":
                tones[index] = 2 if tones[index + 1] == 4 else 4


def _third(word: str, tones: list[int], cut: Cut) -> None:
    """Third before third becomes second; in three syllables the inner cut decides which."""
    if len(word) == 2:
        _rise(tones, 0, 2)
    elif len(word) == 3:
        parts = cut(word)
        if all(tone == 3 for tone in tones):
            if len(parts[0]) == 2:
                tones[0] = tones[1] = 2
            elif len(parts[0]) == 1:
                tones[1] = 2
        elif len(parts) == 2:
            border = len(parts[0])
            if len(parts[0]) == 2:
                _rise(tones, 0, 2)
            else:
                _rise(tones, 1, 3)
            ends_full = all(tone == 3 for tone in tones[border:])
            if tones[border] == 3 and tones[border - 1] == 3 and not ends_full:
                tones[border - 1] = 2
    elif len(word) == 4:
        _rise(tones, 0, 2)
        _rise(tones, 2, 4)


def _rise(tones: list[int], start: int, stop: int) -> None:
    """The first of two third tones in tones[start:stop] becomes second."""
    if all(tone == 3 for tone in tones[start:stop]):
        tones[start] = 2


def erhua(word: str, tag: str, syllables: list[Syllable]) -> list[Syllable]:
    """The suffix 儿 takes the tone of the syllable before it (the v2 table has no rhotacised finals).

    Words in which 儿 is a root (女儿, 婴儿) and, unless listed, adjectives, idioms and names keep it as it is.
    """
    if len(word) < 2 or word[-1] != "儿" or len(syllables) != len(word):
        return syllables
    last = replace(syllables[-1], tone=2) if syllables[-1].tone == 1 else syllables[-1]
    always, never = cue_words("erhua", "mandarin"), cue_words("not_erhua", "mandarin")
    if word not in always and (word in never or tag in {"a", "j", "nr"}):
        return [*syllables[:-1], last]
    if last.tone in (2, 5) and word[-2:] not in never:
        last = replace(last, tone=syllables[-2].tone)
    return [*syllables[:-1], last]
