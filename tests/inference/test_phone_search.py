"""From scores to phones: exact where all paths can be counted; the language settles what is heard badly."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from numpy.typing import NDArray

from timbre.inference import phone_search
from timbre.inference.phone_search import WIDTH, collapse, search
from timbre.text.phone_grams import PhoneGrams
from timbre.text.recognition import BLANK, CLASSES, SILENCE

K = len(CLASSES)
N, D, T, AE = (CLASSES.index(name) for name in ("N", "D", "T", "AE"))
Scores = NDArray[np.float32]


def scores_of(rows: list[dict[int, float]]) -> Scores:
    """Scores [T, K] whose softmax gives these chances, nearly nothing elsewhere."""
    scores = np.full((len(rows), K), -30.0, np.float32)
    for frame, row in enumerate(rows):
        for item, chance in row.items():
            scores[frame, item] = np.log(chance)
    return scores


def every_path(scores: Scores) -> dict[tuple[int, ...], float]:
    """The chance of each sequence by adding up every path there is."""
    chances = np.exp(scores - np.log(np.exp(scores).sum(1, keepdims=True)))
    used = [np.flatnonzero(row > 1e-6) for row in chances]
    found: dict[tuple[int, ...], float] = {}
    for path in product(*used):
        # Silence separates as the blank does.
        merged = [item for item, _ in groupby(BLANK if item == SILENCE else item for item in path)]
        phones = tuple(int(item) for item in merged if item != BLANK)
        found[phones] = found.get(phones, 0.0) + float(np.prod([chances[t, item] for t, item in enumerate(path)]))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_without_a_language_it_is_the_sum_over_all_paths(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(6):
        shares = random.dirichlet([0.7] * 5)
        rows.append(dict(zip((BLANK, SILENCE, N, D, AE), np.maximum(shares, 0.004).tolist(), strict=True)))
    scores = scores_of(rows)
    counted = every_path(scores)
    best = max(counted, key=lambda item: counted[item])
    assert tuple(search(scores, weight=0.0, bonus=0.0, width=200)) == best


def test_it_adds_up_paths_where_the_best_path_does_not() -> None:
    """The blank leads each frame alone, but most of the chance has an N in it somewhere."""
    scores = scores_of([{BLANK: 0.55, N: 0.45}] * 2)
    assert collapse(scores) == []
    assert search(scores, weight=0.0, bonus=0.0) == [N]


def test_the_language_settles_what_is_heard_badly() -> None:
    grams = PhoneGrams.count([(AE, N, D)] * 20 + [(AE, T)])
    clear = [{AE: 0.9, BLANK: 0.1}, {BLANK: 1.0}, {N: 0.999, BLANK: 0.001}, {BLANK: 1.0}]
    unclear = scores_of([*clear, {D: 0.42, T: 0.48, BLANK: 0.1}])
    assert collapse(unclear) == [AE, N, T]
    assert search(unclear, grams) == [AE, N, D]
    heard_well = scores_of([*clear, {D: 0.0005, T: 0.999, BLANK: 0.0005}])
    assert search(heard_well, grams) == [AE, N, T], "what is heard well is not overruled"


@pytest.mark.parametrize("between", [BLANK, SILENCE])
def test_a_phone_said_twice_stays_twice(between: int) -> None:
    scores = scores_of([{N: 0.98, BLANK: 0.02}, {between: 0.98, N: 0.02}, {N: 0.98, BLANK: 0.02}])
    assert search(scores, weight=0.0, bonus=0.0) == [N, N]
    run = scores_of([{N: 0.98, BLANK: 0.02}] * 3)
    assert search(run, weight=0.0, bonus=0.0) == [N]


def test_scores_that_tell_nothing_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """One candidate a class and prefix would be ten times the work."""
    put, done = phone_search._put, []
    monkeypatch.setattr(phone_search, "_put", lambda *arguments: done.append(put(*arguments)))
    flat = np.random.default_rng(0).normal(0, 0.01, (100, K)).astype(np.float32)
    search(flat)
    assert 100 * WIDTH < len(done) <= 100 * WIDTH * 9


def test_nothing_is_heard_in_nothing() -> None:
    assert search(np.zeros((0, K), np.float32)) == []
    assert search(scores_of([{SILENCE: 0.99, BLANK: 0.01}] * 50)) == []
