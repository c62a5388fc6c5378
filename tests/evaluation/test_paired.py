"""Certain differences between two voices, and the probability of chance in listening tests."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from timbre.core.errors import InputError
from timbre.evaluation.listening import KIND, pooled, read_listening
from timbre.evaluation.measurements import Sample
from timbre.evaluation.paired import by_sentence, difference


def said(values: list[float], name: str = "s", seeds: int = 1) -> list[Sample]:
    return [
        Sample(f"{name}{index}", f"Text {index}.", "fixed", seed, "", {"dnsmos": value})
        for index, value in enumerate(values)
        for seed in range(seeds)
    ]


def test_pairs_see_a_small_step_in_sentences_of_all_kinds() -> None:
    easy_and_hard = np.linspace(1, 4, 12)
    noise = np.random.default_rng(1).normal(0, 0.02, 12)
    one, other = said(list(easy_and_hard)), said(list(easy_and_hard + 0.1 + noise))
    found = difference(one, other, "dnsmos")
    assert found is not None
    assert found.paired
    assert found.sentences == 12
    assert found.significant
    assert found.mean == pytest.approx(0.1, abs=0.02)
    assert found.low < found.mean < found.high
    back = difference(other, one, "dnsmos")
    assert back is not None
    assert back.mean == pytest.approx(-found.mean)
    assert back.significant
    apart = difference(one, said(list(easy_and_hard + 0.1), "other"), "dnsmos")
    assert apart is not None
    assert not apart.paired
    assert not apart.significant, "unpaired, the sentences drown it"


def test_an_id_whose_text_was_edited_is_another_sentence() -> None:
    # Each text is read equally well by both; the second voice was measured after the texts were edited to hard ones.
    before = said([3.0 + 0.01 * index for index in range(12)])
    after = [
        dataclasses.replace(item, text=f"Edited {item.text}", values={"dnsmos": item.values["dnsmos"] - 1.0})
        for item in before
    ]
    edited = difference(before, [*before[:6], *after[6:]], "dnsmos")
    assert edited is not None
    assert (edited.paired, edited.sentences, edited.mean) == (True, 6, 0.0), "only equal texts are compared one by one"
    other = difference(before, after, "dnsmos")
    assert other is not None
    assert not other.paired, "equal ids alone make no pairs"
    assert set(by_sentence([before[0], after[0]], "dnsmos")) == {("s0", "Text 0."), ("s0", "Edited Text 0.")}


def test_equal_voices_do_not_differ() -> None:
    draw = np.random.default_rng(2)
    certain = 0
    for _ in range(60):
        one, other = said(list(draw.normal(3, 0.3, 20))), said(list(draw.normal(3, 0.3, 20)))
        found = difference(one, other, "dnsmos")
        certain += found is not None and found.significant
    assert certain <= 9, "about one in twenty"


def test_seeds_are_no_witnesses_of_their_own_and_few_sentences_are_none() -> None:
    found = difference(said([1, 2, 3, 4, 5], seeds=4), said([2, 3, 4, 5, 6], seeds=4), "dnsmos")
    assert found is not None
    assert found.sentences == 5
    assert found.mean == pytest.approx(1)
    assert difference(said([1] * 4), said([9] * 4), "dnsmos") is None
    assert difference(said([1] * 9), said([9] * 9), "pesq_nb") is None


def result(path: Path, chosen: str, a: str = "ada@1", b: str = "ada@2", **more: object) -> Path:
    names = {"a": "a", "b": "b", "-": "none"}
    trials = [{"id": str(index), "chose": names[one]} for index, one in enumerate(chosen)]
    path.write_text(json.dumps({"kind": KIND, "schema": 1, "a": a, "b": b, "trials": trials, **more}), encoding="utf-8")
    return path


def test_listeners_are_pooled_and_a_coin_is_called_one(tmp_path: Path) -> None:
    first = read_listening(result(tmp_path / "1", "bbbbb-", listener="Ada"), "ada@1", "ada@2")
    assert (first.wins_a, first.wins_b, first.undecided) == (0, 5, 1)
    assert first.p == pytest.approx(2 / 32)
    assert "may be chance" in first.sentence()
    turned = read_listening(result(tmp_path / "2", "aaaab", "ada@2", "ada@1"), "ada@1", "ada@2")
    assert (turned.wins_a, turned.wins_b) == (1, 4)
    assert turned.listeners == ("2",)
    both = pooled([first, turned])
    assert (both.wins_a, both.wins_b, both.undecided) == (1, 9, 1)
    assert both.listeners == ("Ada", "2")
    assert both.p == pytest.approx(2 * (1 + 10) / 2**10)
    assert "no chance" in both.sentence()
    assert read_listening(result(tmp_path / "3", "--"), "ada@1", "ada@2").p == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no result of a listening test"),
        ('{"kind": "x", "schema": 1, "a": "ada@1", "b": "ada@2", "trials": []}', "kind 'x'"),
        (
            json.dumps({"kind": KIND, "schema": 1, "a": "ada@1", "b": "ada@2", "trials": [{"id": "1", "chose": "c"}]}),
            "choice 'c'",
        ),
        (json.dumps({"kind": KIND, "schema": 1, "a": "eve@1", "b": "ada@2", "trials": []}), "compares eve@1"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_listening(tmp_path / "x", "ada@1", "ada@2")
