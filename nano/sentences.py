"""Unlimited text for synthetic speech: sentences of the training corpora, and English and Mandarin words in a row.

English words follow a random walk over word pairs: the pairs and their counts come with the wordsegment package (from
a web corpus); only words of the pronouncing dictionary are used. Mandarin words come with their counts from jieba's
dictionary. A sentence that is in an eval folder never comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wordsegment

from timbre.nano.corpus import evaluation_files, training_files
from timbre.text.english_words import listed
from timbre.text.mandarin_tagging import jieba_package


class SentenceSource:
    """Draws sentences. The sequence depends on the seed only."""

    def __init__(self, speech: Path, seed: int) -> None:
        forbidden = evaluation_files(speech, ("ljspeech", "vctk"))
        self._forbidden = {_plain(file.text) for file in forbidden}
        self._read = sorted({file.text for file in training_files(speech) if file.language == "en"})
        self._random = np.random.default_rng(seed)
        self._successors = _successors()
        self._starts = sorted(word for word, (words, _) in self._successors.items() if len(words) >= 8)

    def sentences(self, read_share: float = 0.35) -> Iterator[str]:
        """Endless sentences; read_share of them from the corpora, the others made up."""
        while True:
            if self._random.random() < read_share:
                text = self._read[self._random.integers(len(self._read))]
            else:
                text = self._walk()
            if _plain(text) not in self._forbidden and 2 <= len(text.split()) <= 22:
                yield text

    def _walk(self) -> str:
        """4 to 14 words, each a likely successor of the one before, in one or two clauses."""
        length = int(self._random.integers(4, 15))
        word = self._starts[self._random.integers(len(self._starts))]
        words = [word]
        while len(words) < length:
            if word in self._successors and self._random.random() > 0.1:
                followers, chances = self._successors[word]
                word = followers[self._random.choice(len(followers), p=chances)]
            else:
                word = self._starts[self._random.integers(len(self._starts))]
            words.append(word)
        if length >= 8 and self._random.random() < 0.4:
            words[length // 2 - 1] += ","
        mark = "?" if self._random.random() < 0.1 else "."
        return words[0].capitalize() + (" " + " ".join(words[1:]) if length > 1 else "") + mark


class MandarinSentences:
    """Draws Mandarin sentences: the training corpus's own, and words of jieba's dictionary in a row."""

    def __init__(self, speech: Path, seed: int) -> None:
        self._read = sorted({file.text for file in training_files(speech) if file.language == "zh"})
        self._forbidden = {file.text for file in evaluation_files(speech, ("aishell",))}
        self._random = np.random.default_rng(seed)
        words: list[str] = []
        counts: list[float] = []
        with jieba_package().get_dict_file() as table:
            for line in table:
                word, count, *_ = line.decode("utf-8").split()
                if 1 <= len(word) <= 4 and all("\u4e00" <= sign <= "\u9fff" for sign in word) and int(count) >= 20:
                    words.append(word)
                    counts.append(float(count) ** 0.5)
        self._words = words
        self._chances = np.array(counts) / sum(counts)

    def sentences(self, read_share: float = 0.4) -> Iterator[str]:
        """Endless sentences; read_share of them from the corpus."""
        while True:
            if self._random.random() < read_share:
                text = self._read[self._random.integers(len(self._read))]
            else:
                chosen = self._random.choice(len(self._words), size=self._random.integers(3, 8), p=self._chances)
                text = "".join(self._words[index] for index in chosen) + "。"
            if text not in self._forbidden:
                yield text


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def _successors() -> dict[str, tuple[list[str], npt.NDArray[np.float64]]]:
    """Words -> (words that follow, their chances), flattened (square root of the counts) so that rare words come up."""
    counts: dict[str, dict[str, float]] = {}
    table = Path(wordsegment.__file__).parent / "bigrams.txt"
    for line in table.read_text(encoding="utf-8").splitlines():
        pair, count = line.rsplit("\t", 1)
        first, _, second = pair.partition(" ")
        if _usable(first) and _usable(second):
            counts.setdefault(first, {})[second] = float(count) ** 0.5
    result = {}
    for first, row in counts.items():
        weights = np.fromiter(row.values(), dtype=np.float64)
        result[first] = (list(row), weights / weights.sum())
    return result


def _usable(word: str) -> bool:
    return (
        word.isalpha()
        and word.islower()
        and (len(word) > 1 or word == "a")
        and listed(word) is not None
        and bool(re.search("[aeiouy]", word))
    )
