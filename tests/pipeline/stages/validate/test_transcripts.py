"""Texts against recordings: a shift, a swap and a wrong text are found, and right ones are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.stage_one import run_stage_one
from tests.pipeline.voice.bad_inputs import ROOT, SMALL, good_folder
from timbre.core.base import load_base
from timbre.pipeline.bases.recogniser import listening_key, recognising_base
from timbre.pipeline.stages.validate.hearing import Hearing
from timbre.pipeline.stages.validate.transcripts import Spoken, find_mismatches, transcript_problems
from timbre.text.alignment_score import log_softmax, phrase_score, text_scores
from timbre.text.recognition import CLASSES

FILES = [f"wavs/{number:04d}.wav" for number in range(1, 9)]


def phones_of(number: int) -> tuple[int, ...]:
    return tuple(int(item) for item in np.random.default_rng(number).integers(2, 41, 20))


def sound_of(phones: tuple[int, ...], sure: float = 4.0) -> np.ndarray:
    """Scores [T, K] of a recogniser that is right about most frames, each phone for two frames and a blank."""
    random = np.random.default_rng(sum(phones))
    scores = random.standard_normal((3 * len(phones), len(CLASSES))).astype(np.float32)
    for place, phone in enumerate(phones):
        scores[3 * place : 3 * place + 2, phone] += sure
        scores[3 * place + 2, 0] += sure
    return scores


def spoken(says: list[int]) -> list[Spoken]:
    """Recordings in order; says: whose text each is given."""
    return [
        Spoken(file, f"text {text}", phones_of(text), sound_of(phones_of(number)).astype(np.float16))
        for number, (file, text) in enumerate(zip(FILES, says, strict=True))
    ]


def verdict(says: list[int]) -> tuple[list[str], list[str]]:
    items = spoken(says)
    found, moved = find_mismatches(items, FILES)
    problems, remarks = transcript_problems(items, FILES, found, moved)
    return [str(problem) for problem in problems], [str(remark) for remark in remarks]


def test_right_texts_are_left_alone() -> None:
    assert verdict(list(range(8))) == ([], [])


@pytest.mark.parametrize(("by", "words"), [(1, "1 row above"), (-1, "1 row below"), (2, "2 rows above")])
def test_a_shifted_list_is_found_and_its_repair_named(by: int, words: str) -> None:
    problems, _ = verdict([(number + by) % 8 for number in range(8)])
    assert words in problems[0]
    assert f"move the texts {abs(by)} row" in problems[0]
    assert ("down" if by > 0 else "up") in problems[0].splitlines()[-1]
    assert any("what is heard is:" in problem for problem in problems[1:])


def test_a_list_that_is_shifted_from_its_middle_on_is_found() -> None:
    problems, _ = verdict([0, 1, 2, 4, 5, 6, 7, 3])
    assert f"from {FILES[4]} on" in problems[0] or f"from {FILES[3]} on" in problems[0]


def test_two_texts_that_changed_places_are_found() -> None:
    problems, _ = verdict([0, 1, 5, 3, 4, 2, 6, 7])
    assert f"{FILES[2]} and {FILES[5]} have each other's text" in problems[0]
    assert "exchange" in problems[0]


def test_a_text_that_no_recording_says_is_found() -> None:
    items = spoken(list(range(8)))
    items[3] = Spoken(FILES[3], "another", phones_of(99), items[3].scores)
    found, moved = find_mismatches(items, FILES)
    assert [item.index for item in found if item.certain] == [3]
    assert moved.offset == 0
    assert not moved.swaps


def test_the_forward_recursion_agrees_with_all_paths() -> None:
    chances = log_softmax(np.random.default_rng(0).standard_normal((4, 5)))
    chances[:, 1] = -1e9
    total = -np.inf
    for path in np.ndindex(5, 5, 5, 5):
        merged = [int(label) for place, label in enumerate(path) if place == 0 or label != path[place - 1]]
        if [label for label in merged if label] == [3, 2]:
            total = np.logaddexp(total, sum(float(chances[t, label]) for t, label in enumerate(path)))
    found = text_scores(chances, [(3, 2), (3, 2, 4, 2, 3), ()])
    assert found[0] == pytest.approx(total, abs=1e-5)
    assert found[1] < -1e20
    assert found[2] < -1e20


def test_a_phrase_is_heard_where_it_is_and_nowhere_else() -> None:
    phrase, other = phones_of(1), phones_of(2)
    around = np.concatenate((sound_of(phones_of(3)), sound_of(phrase), sound_of(phones_of(4))))
    without = np.concatenate((sound_of(phones_of(3)), sound_of(other), sound_of(phones_of(4))))
    assert phrase_score(log_softmax(around), phrase) > -0.5 > -2.0 > phrase_score(log_softmax(without), phrase)
    assert phrase_score(log_softmax(around[:0]), phrase) < -1e20


def test_a_language_that_nobody_hears_is_named() -> None:
    hearing = Hearing(None, {})
    hearing.add(FILES[0], "안녕하세요", "ko", np.zeros(16_000, np.float32))
    assert hearing.verdict(FILES).unheard == ("ko",)


def test_a_base_without_recogniser_is_heard_by_nano_beside_it() -> None:
    nano = load_base("nano", ROOT / "bases")
    official = load_base("gpt-sovits-v2", ROOT / "bases")
    assert recognising_base(nano) is nano
    found = recognising_base(official)
    assert found is not None
    assert found.name == "nano"
    assert listening_key(nano) == listening_key(official)


def test_the_sample_voice_says_its_texts_and_a_shift_of_them_is_refused(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada", 5)
    base = load_base("nano", ROOT / "bases")
    assert run_stage_one(folder, tmp_path, recipe=SMALL, base=base).problems == ()
    head, *rows = [line.split("|") for line in (folder / "metadata.csv").read_text().splitlines()]
    moved = [f"{row[0]}|{rows[(place + 1) % len(rows)][1]}" for place, row in enumerate(rows)]
    (folder / "metadata.csv").write_text("\n".join(["|".join(head), *moved]) + "\n")
    problems = run_stage_one(folder, tmp_path, recipe=SMALL, base=base).problems
    assert any("1 row above" in problem.value for problem in problems)


def faint(number: int) -> Spoken:
    """A long text of which most phones were heard as nothing, or, for odd numbers, a short text that was heard."""
    random = np.random.default_rng(100 + number)
    phones = tuple(int(item) for item in random.integers(2, 41, 8 if number % 2 else 36))
    scores = sound_of(phones)
    if not number % 2:
        for place in random.permutation(len(phones))[: 3 * len(phones) // 4]:
            scores[3 * place : 3 * place + 2, phones[place]] -= 4.0
            scores[3 * place : 3 * place + 2, 0] += 14.0
    return Spoken(FILES[number], f"text {number}", phones, scores.astype(np.float16))


def test_a_short_text_does_not_win_where_a_faint_voice_is_heard_as_nothing() -> None:
    items = [faint(number) for number in range(8)]
    own, short = text_scores(log_softmax(items[0].scores), [items[0].phones, items[1].phones])
    assert short > own  # unless what a phone costs is taken into account
    found, _ = find_mismatches(items, FILES)
    assert not [item for item in found if item.certain]
