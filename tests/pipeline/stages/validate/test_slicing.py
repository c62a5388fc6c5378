"""Cuts: only where the text can be told to end."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.audio.vad import FRAME_S, Activity
from timbre.pipeline.stages.validate.held_out import choose_held_out
from timbre.pipeline.stages.validate.slicing import Limits, plan_slices, shorten_pauses, split_sentences

LIMITS = Limits(slice_min_s=3.0, slice_max_s=10.0, whole_max_s=15.0, clip_min_s=1.0, max_pause_s=0.6)


def activity(*parts: tuple[bool, float]) -> Activity:
    speech = np.concatenate([np.full(round(seconds / FRAME_S), value) for value, seconds in parts])
    return Activity(speech, np.where(speech, -20.0, -80.0))


def letters(count: int) -> str:
    return "Word " + "word " * (count // 4 - 2) + "word."


def test_sentences_end_where_readers_pause() -> None:
    assert split_sentences('Dr. No paid 3.5 dollars. "Why?" he asked. Go!') == [
        "Dr. No paid 3.5 dollars.",
        '"Why?" he asked.',
        "Go!",
    ]
    assert split_sentences("你好。再见！他说“好。”走了") == ["你好。", "再见！", "他说“好。”", "走了"]
    assert split_sentences("no mark at all") == ["no mark at all"]


def test_a_short_clip_stays_whole_and_loses_its_edges() -> None:
    plan = plan_slices(8.0, activity((False, 1.5), (True, 5.1), (False, 1.4)), "Hello there.", LIMITS)
    assert len(plan.cuts) == 1
    assert plan.cuts[0].start_s == pytest.approx(1.35, abs=0.04)
    assert plan.cuts[0].end_s == pytest.approx(6.75, abs=0.04)
    assert plan.notes == ()


def test_a_clip_below_a_second_is_left_out_with_a_note() -> None:
    plan = plan_slices(2.0, activity((False, 0.6), (True, 0.6), (False, 0.8)), "Hi.", LIMITS)
    assert plan.cuts == ()
    assert "left out" in plan.notes[0]
    assert plan.dropped_s == pytest.approx(0.6)


def test_a_long_clip_is_cut_at_the_pause_between_its_sentences() -> None:
    first, second = letters(80), letters(60)
    heard = activity((False, 0.3), (True, 7.8), (False, 0.6), (True, 6.0), (False, 0.3))
    plan = plan_slices(15.0, heard, f"{first} {second}", LIMITS)
    assert [cut.text for cut in plan.cuts] == [first, second]
    assert plan.cuts[0].end_s < plan.cuts[1].start_s + 0.01
    assert plan.dropped_s == 0


def test_a_pause_in_the_wrong_place_is_no_cut() -> None:
    # The text is even, the pause is not in its middle: it belongs to something else.
    heard = activity((True, 10.5), (False, 0.6), (True, 3.3))
    plan = plan_slices(14.4, heard, f"{letters(70)} {letters(70)}", LIMITS)
    assert len(plan.cuts) == 1
    assert "kept whole" in plan.notes[0]


def test_two_pauses_that_explain_the_text_alike_are_no_cut() -> None:
    heard = activity((True, 6.3), (False, 0.6), (True, 0.9), (False, 0.6), (True, 6.3))
    plan = plan_slices(14.7, heard, f"{letters(70)} {letters(70)}", LIMITS)
    assert len(plan.cuts) == 1


def test_a_clip_that_is_long_and_uncertain_is_left_out() -> None:
    heard = activity((True, 14.1), (False, 0.6), (True, 4.2))
    plan = plan_slices(18.9, heard, f"{letters(90)} {letters(90)}", LIMITS)
    assert plan.cuts == ()
    assert plan.dropped_s == pytest.approx(18.3, abs=0.1)
    assert "left out" in plan.notes[0]


def test_a_long_reading_is_cut_without_losing_a_word() -> None:
    random = np.random.default_rng(0)
    sentences = [letters(int(random.integers(50, 110))) for _ in range(60)]
    parts: list[tuple[bool, float]] = []
    for sentence in sentences:
        parts += [(True, len(sentence) / 14 * float(random.uniform(0.95, 1.05))), (False, 0.7)]
    plan = plan_slices(sum(seconds for _, seconds in parts), activity(*parts), " ".join(sentences), LIMITS)
    assert " ".join(cut.text for cut in plan.cuts) == " ".join(sentences)
    assert all(cut.end_s - cut.start_s <= 10.5 for cut in plan.cuts)
    assert len(plan.cuts) >= 30


def test_long_pauses_are_shortened_and_nothing_else() -> None:
    samples = np.ones(16_000 * 4, dtype=np.float32)
    samples[16_000:48_000] = 0.0
    tight = shorten_pauses(samples, 16_000, [(1.0, 3.0)], 0.6)
    assert len(tight) == round(16_000 * 2.6)
    assert tight.sum() == pytest.approx(samples.sum())
    assert shorten_pauses(samples, 16_000, [(1.0, 1.5)], 0.6) is not None
    assert len(shorten_pauses(samples, 16_000, [(1.0, 1.5)], 0.6)) == len(samples)


def test_held_out_slices_are_the_same_every_time_and_keep_texts_together() -> None:
    texts = [f"Sentence {number}." for number in range(100)] + ["Sentence 3.", "SENTENCE  3."]
    lengths = [4.0] * len(texts)
    kept = choose_held_out(texts, lengths, 0.1, 5, 2.0)
    assert kept == choose_held_out(texts, lengths, 0.1, 5, 2.0)
    assert 10 <= len(kept) <= 12
    assert len({3, 100, 101} & kept) in (0, 3)
    assert len(choose_held_out(texts[:20], lengths[:20], 0.1, 5, 2.0)) == 5
    assert len(choose_held_out(texts[:4], lengths[:4], 0.1, 5, 2.0)) == 3
    assert choose_held_out([], [], 0.1, 5, 2.0) == frozenset()


def test_the_last_slice_that_may_be_the_prompt_is_left_to_train_on() -> None:
    """A speaker of short sentences has one of 3 s or more, whichever text that is."""
    texts, lengths = [f"Sentence number {i}." for i in range(20)], [2.4] * 20
    for place in range(20):
        prompts = [i == place for i in range(20)]
        kept = choose_held_out(texts, lengths, 0.1, 5, 2.0, prompts)
        assert len(kept) == 5
        assert place not in kept
    assert choose_held_out(texts, lengths, 0.1, 5, 2.0, [True] * 20) == choose_held_out(texts, lengths, 0.1, 5, 2.0)
    twice = choose_held_out(["One.", "One.", *texts], [3.4] * 22, 0.1, 5, 2.0, [True, True, *[False] * 20])
    assert not twice & {0, 1}, "slices of one text go together, so both are left"


def test_a_new_recording_moves_little_of_the_choice() -> None:
    texts = [f"Sentence {number}." for number in range(60)]
    before = choose_held_out(texts, [4.0] * 60, 0.1, 5, 2.0)
    after = choose_held_out([*texts, "One more."], [4.0] * 61, 0.1, 5, 2.0)
    assert len(before & after) >= len(before) - 1
