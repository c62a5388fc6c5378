"""Blind listening tests: results that the pages of `timbre compare` and of the dashboard save, pooled, with the
probability of chance.

listening-*.json, ... -> Listened -> preferences of each listener and of all, exact binomial test
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.core.errors import InputError

SCHEMA = 1
KIND = "timbre listening test"
_AGAIN = "save it again from the page that `timbre compare --html` writes"
_SENTENCE = re.compile(
    r"(?P<people>\d+) listeners?: (?P<wins_a>\d+) for (?P<a>[^ ,]+), (?P<wins_b>\d+) for (?P<b>[^ ,]+), "
    r"(?P<none>\d+) undecided; p = (?P<p>[\d.e+-]+), (?P<sure>no chance \(p < 0.05\)|may be chance)"
)
_CHOICES = ("a", "b", "none")


@dataclass(frozen=True)
class Heard:
    """A sentence of a test."""

    id: str
    """Of the sentence, as in measurements.json."""
    text: str
    """Shown while it plays."""
    a: str
    """Address of A's sound, for a player."""
    b: str
    """Address of B's sound."""
    sound_a: str
    """SHA-256 of A's file."""
    sound_b: str
    """SHA-256 of B's file."""


@dataclass(frozen=True)
class Listened:
    """Results of one listener or of several."""

    a: str
    """First of the compared versions or runs."""
    b: str
    """Second of them."""
    wins_a: int
    """Trials that a won."""
    wins_b: int
    """Trials that b won."""
    undecided: int
    """Undecided trials."""
    listeners: tuple[str, ...]
    """Name from each result, or that of its file; one name may occur twice."""
    sounds_a: frozenset[str] = frozenset()
    """SHA-256 of the files of a; "" for one that the result does not name."""
    sounds_b: frozenset[str] = frozenset()
    """SHA-256 of the files of b; "" for one that the result does not name."""
    skipped: int = 0
    """Sentences of the page without a judgement."""

    @property
    def trials(self) -> int:
        """Number of judgements: sentences times listeners."""
        return self.wins_a + self.wins_b + self.undecided

    @property
    def p(self) -> float:
        """Two-sided exact binomial: how often a coin is as uneven as those who had a preference. 1 without any."""
        from scipy.stats import binomtest

        decided = self.wins_a + self.wins_b
        return float(binomtest(self.wins_a, decided).pvalue) if decided else 1.0

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "listeners": list(self.listeners), "prefer_a": self.wins_a, "prefer_b": self.wins_b,
            "undecided": self.undecided, "p": self.p,
        }  # fmt: skip

    def sentence(self) -> str:
        """One line for people."""
        people = f"{len(self.listeners)} listener{'s' * (len(self.listeners) != 1)}"
        sure = "no chance (p < 0.05)" if self.p < 0.05 else "may be chance"
        return (
            f"{people}: {self.wins_a} for {self.a}, {self.wins_b} for {self.b}, {self.undecided} undecided; "
            f"p = {self.p:.3g}, {sure}"
        )


def page_data(a: str, b: str, pairs: Sequence[Heard]) -> str:
    """What listening.js reads from the element `test` of a page: JSON that no text in it can end."""
    test = {
        "kind": KIND, "schema": SCHEMA, "a": a, "b": b,
        "pairs": [{"id": pair.id, "text": pair.text, "sounds": {"a": pair.sound_a, "b": pair.sound_b}}
                  for pair in pairs],
    }  # fmt: skip
    return json.dumps(test, ensure_ascii=False).replace("<", "\\u003c")


def read_listening(path: Path, a: str, b: str) -> Listened:
    """One result file. a, b: what is compared now; a file with the two exchanged counts too.

    Raises InputError for an invalid file, or one of another test.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        about = data["kind"], data["schema"], data["a"], data["b"]
        trials = data["trials"]
        chosen = [str(trial["chose"]) for trial in trials]
        heard = [frozenset(str(trial.get("sounds", {}).get(side, "")) for trial in trials) for side in ("a", "b")]
        skipped = max(0, int(data.get("sentences", 0)) - len({str(trial["id"]) for trial in trials}))
        listener = str(data.get("listener", ""))[:80] or path.name
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no result of a listening test ({type(error).__name__}: {error})", _AGAIN) from error
    if about[:2] != (KIND, SCHEMA):
        raise InputError(f"{path}: kind {about[0]!r}, schema {about[1]!r}; expected {KIND!r}, {SCHEMA}", _AGAIN)
    if unknown := set(chosen) - set(_CHOICES):
        raise InputError(f"{path}: choice {min(unknown)!r}, expected one of {', '.join(_CHOICES)}", _AGAIN)
    if {about[2], about[3]} != {a, b}:
        message = f"{path}: compares {about[2]} with {about[3]}, not {a} with {b}"
        raise InputError(message, f"compare those two: timbre compare {about[2]} {about[3]}")
    counts = {choice: chosen.count(choice) for choice in _CHOICES}
    if about[2] != a:
        counts["a"], counts["b"] = counts["b"], counts["a"]
        heard.reverse()
    return Listened(a, b, counts["a"], counts["b"], counts["none"], (listener,), heard[0], heard[1], skipped)


def pooled(results: Sequence[Listened]) -> Listened:
    """All listeners together; results has at least one, all of the same two."""
    first = results[0]
    return Listened(
        first.a, first.b, sum(item.wins_a for item in results), sum(item.wins_b for item in results),
        sum(item.undecided for item in results), tuple(name for item in results for name in item.listeners),
        frozenset().union(*(item.sounds_a for item in results)),
        frozenset().union(*(item.sounds_b for item in results)), sum(item.skipped for item in results),
    )  # fmt: skip


def in_chinese(text: str) -> str:
    """Text with a sentence of Listened in it, that sentence in Chinese."""

    def translated(found: re.Match[str]) -> str:
        sure = "并非偶然（p < 0.05）" if found["sure"].startswith("no") else "可能出于偶然"
        return (
            f"盲听 {found['people']} 人：{found['wins_a']} 票选 {found['a']}，{found['wins_b']} 票选 {found['b']}，"
            f"{found['none']} 票无差别；p = {found['p']}，{sure}"
        )

    return _SENTENCE.sub(translated, text)
