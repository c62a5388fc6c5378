"""Words of a Mandarin clause: jieba's cut, joined again where tone sandhi reaches over the border."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from timbre.text.mandarin_pinyin import tones_of
from timbre.text.mandarin_tagging import jieba_package, tagged

Word = tuple[str, str]
"""A word and its part of speech in jieba's tags."""


def words_of(clause: str) -> list[Word]:
    """Words with tags of a clause of Han characters, joined for sandhi."""
    words: list[Word] = tagged(clause)
    words = _join_bu(words)
    words = _join_yi(words)
    words = _join_repeats(words)
    words = _join_thirds(words, whole=True)
    words = _join_thirds(words, whole=False)
    return _join_er(words)


@lru_cache(maxsize=20_000)
def cut(word: str) -> tuple[str, ...]:
    """`word` cut in two at the border of its first shortest known part; the word alone if it has none."""
    part = min(jieba_package().cut_for_search(word), key=len, default=word)
    start = word.find(part)
    if len(part) == len(word):
        return (word,)
    return (part, word[len(part) :]) if start == 0 else (word[: -len(part)], part)


def _join_bu(words: Sequence[Word]) -> list[Word]:
    """不 + word."""
    result: list[Word] = []
    pending = False
    for word, tag in words:
        joined = "不" + word if pending else word
        pending = word == "不" and not pending
        if not pending:
            result.append((joined, tag))
    if pending:
        result.append(("不", "d"))
    return result


def _join_yi(words: Sequence[Word]) -> list[Word]:
    """听 一 听 -> 听一听; 一 + word."""
    repeated: list[Word] = []
    index = 0
    while index < len(words):
        word, tag = words[index]
        if word == "一" and repeated and index + 1 < len(words):
            before, after = repeated[-1], words[index + 1]
            if before[0] == after[0] and before[1] == after[1] == "v":
                repeated[-1] = (f"{before[0]}一{before[0]}", before[1])
                index += 2
                continue
        repeated.append((word, tag))
        index += 1
    result: list[Word] = []
    for word, tag in repeated:
        if result and result[-1][0] == "一":
            result[-1] = ("一" + word, result[-1][1])
        else:
            result.append((word, tag))
    return result


def _join_repeats(words: Sequence[Word]) -> list[Word]:
    """走 走 -> 走走."""
    result: list[Word] = []
    for word, tag in words:
        if result and result[-1][0] == word:
            result[-1] = (result[-1][0] + word, result[-1][1])
        else:
            result.append((word, tag))
    return result


def _join_thirds(words: Sequence[Word], whole: bool) -> list[Word]:
    """Two words of three syllables at most, both of third tones (whole) or third tones at their border."""
    tones = [tones_of(word) for word, _ in words]
    result: list[Word] = []
    joined_before = False
    for index, (word, tag) in enumerate(words):
        joins = False
        if index and not joined_before and tones[index - 1] and tones[index]:
            left, right = tones[index - 1], tones[index]
            thirds = set(left) == set(right) == {3} if whole else left[-1] == right[0] == 3
            before = words[index - 1][0]
            repeated = len(before) == 2 and before[0] == before[1]
            joins = thirds and not repeated and len(before) + len(word) <= 3
        if joins:
            result[-1] = (result[-1][0] + word, result[-1][1])
        else:
            result.append((word, tag))
        joined_before = joins
    return result


def _join_er(words: Sequence[Word]) -> list[Word]:
    """word + 儿."""
    result: list[Word] = []
    for word, tag in words:
        if word == "儿" and result:
            result[-1] = (result[-1][0] + word, result[-1][1])
        else:
            result.append((word, tag))
    return result
