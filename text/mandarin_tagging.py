"""Words of Mandarin with parts of speech: jieba's, with its search for unknown words done in arrays.

jieba walks every pair of states in Python for each character that its dictionary does not cover; here the same sums
and the same choice among equals are made with NumPy, which takes a tenth of the time.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NEVER = -3.14e100
Route = list[tuple[str, str]]


@cache
def jieba_package() -> Any:
    """jieba with its default dictionary: half a second of processor time, at the first Mandarin text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which warns of its own retirement
        import jieba
        import jieba.posseg
    jieba.setLogLevel(logging.WARNING)
    return jieba


class _Model:
    """jieba's hidden Markov model in arrays. States are in falling order, so that the first of equals is the largest,
    which is jieba's choice.
    """

    def __init__(self) -> None:
        posseg = jieba_package().posseg
        self.states: Route = sorted(posseg.trans_P, reverse=True)
        self.place = {state: index for index, state in enumerate(self.states)}
        size = len(self.states)
        self.moves: NDArray[np.float64] = np.full((size, size), -np.inf)
        for before, row in posseg.trans_P.items():
            for after, score in row.items():
                self.moves[self.place[before], self.place[after]] = score
        self.known = np.isfinite(self.moves)
        self.goes_on = self.known.any(axis=1)
        self.start = np.array([posseg.start_P[state] for state in self.states])
        self.emissions = [posseg.emit_P[state] for state in self.states]
        self.of_character = posseg.char_state_tab_P

    @lru_cache(maxsize=30_000)  # noqa: B019  the model lives as long as the process
    def character(self, character: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """(states, their scores) that a character may have; all states for one that the model never saw."""
        found = self.of_character.get(character)
        places = range(len(self.states)) if found is None else sorted(self.place[state] for state in found)
        scores = [self.emissions[place].get(character, _NEVER) for place in places]
        return np.array(places, np.intp), np.array(scores)

    @lru_cache(maxsize=20_000)  # noqa: B019  likewise; names and slips come back
    def route(self, text: str) -> Route:
        """The likeliest state of each character, as jieba's own search finds it."""
        states, scores = self.character(text[0])
        values = self.start[states] + scores
        path: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = [(states, np.zeros(len(states), np.intp))]
        for character in text[1:]:
            keep = self.goes_on[states]
            sources = np.flatnonzero(keep)
            before = states[keep]
            following, scores = self.character(character)
            reached = self.known[before].any(axis=0)
            allowed = reached[following]
            if allowed.any():
                following, scores = following[allowed], scores[allowed]
            else:
                following = np.flatnonzero(reached) if reached.any() else np.arange(len(self.states))
                scores = np.array([self.emissions[place].get(character, _NEVER) for place in following])
            sums = (values[keep][:, None] + self.moves[np.ix_(before, following)]) + scores[None]
            best = sums.argmax(axis=0)
            values = sums[best, np.arange(len(following))]
            path.append((following, sources[best]))
            states = following
        place = int(values.argmax())
        result: Route = []
        for states, sources in reversed(path):
            result.append(self.states[states[place]])
            place = int(sources[place])
        return result[::-1]


@cache
def model() -> _Model:
    """The one model of the process."""
    return _Model()


def _unknown_words(_: Any, text: str) -> Iterator[Any]:
    """Words of a run of characters without dictionary words, from its states (B begins, E ends, S is a word)."""
    pair = jieba_package().posseg.pair
    states = model().route(text)
    begin = following = 0
    for index, (position, tag) in enumerate(states):
        if position == "B":
            begin = index
        elif position == "E":
            yield pair(text[begin : index + 1], tag)
            following = index + 1
        elif position == "S":
            yield pair(text[index], tag)
            following = index + 1
    if following < len(text):
        yield pair(text[following:], states[following][1])


@cache
def _tagger() -> Any:
    package = jieba_package()
    # jieba has no seam for the search: its private method of that name is what the tagger calls.
    fast = type("ArrayTagger", (package.posseg.POSTokenizer,), {"_POSTokenizer__cut": _unknown_words})
    return fast(package.dt)


def tagged(clause: str) -> list[tuple[str, str]]:
    """Words of a clause of Han characters with jieba's tags."""
    return [(pair.word, pair.flag) for pair in _tagger().cut(clause)]
