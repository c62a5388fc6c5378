"""Several codes read at once: the same logits as one by one, the same codes, fewer runs of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.inference.sampling import Sampling
from timbre.inference.scheduler import Job, Scheduler
from timbre.inference.t2s_slots import AHEAD, Lora, T2SShape, T2SSlots
from timbre.text.phone_codes import CODES, TextPath
from timbre.text.symbols import ids_of
from timbre.training.export.acoustic_graphs import save_graph
from timbre.training.export.base_export import t2s_shape
from timbre.training.export.t2s_graph import build_t2s_graph

PHONES = np.array(ids_of(["HH", "AH0", "L", "OW1", ",", "W", "ER1", "L", "D", "."]), np.int64)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, T2SShape]:
    """A graph whose codes are those of phones, and its sizes."""
    torch.manual_seed(0)
    network = TextToSemantic(T2SConfig(32, 2, 2, 64, CODES + 1, CODES, bert_width=0)).eval()
    weights = {name: tensor.detach().numpy() for name, tensor in network.named_parameters()}
    path = tmp_path_factory.mktemp("t2s") / "t2s.onnx"
    save_graph(build_t2s_graph(network.config, weights), path, {})
    return path, t2s_shape(network)


@pytest.fixture
def slots(network: tuple[Path, T2SShape]) -> T2SSlots:
    return T2SSlots(*network, slots=2, capacity=200)


def voice_of(slots: T2SSlots) -> Lora:
    rng = np.random.default_rng(5)
    return Lora(
        {
            name: (rng.normal(0, 0.2, (low, 4)).astype(np.float32), rng.normal(0, 0.2, (4, high)).astype(np.float32))
            for name, (low, high) in slots.shape.projections.items()
        }
    )


def test_logits_ahead_are_those_of_single_steps(slots: T2SSlots) -> None:
    """Also after guesses that were wrong: what they left in the cache is written over and never seen."""
    assert slots.reads_ahead
    lora, codes = voice_of(slots), np.array([3, 7, 1, 9, 4, 4, 2])
    _, first = slots.admit(PHONES, codes[:0], lora)
    singles = [slots.step(codes[index : index + 1])[0].copy() for index in range(len(codes))]
    slots.release(0)

    _, again = slots.admit(PHONES, codes[:0], lora)
    np.testing.assert_allclose(again, first, atol=1e-5)
    wrong = np.array([codes[0], codes[1], 11, 12])
    found = slots.step_ahead(0, wrong)
    np.testing.assert_allclose(found[:2], singles[:2], atol=1e-5)
    assert np.abs(found[2] - singles[2]).max() > 1e-3
    slots.keep(0, 2)
    np.testing.assert_allclose(slots.step(codes[2:3])[0], singles[2], atol=1e-5)
    np.testing.assert_allclose(slots.step_ahead(0, codes[3:7]), singles[3:], atol=1e-5)


def test_each_row_reads_ahead_with_its_own_voice(slots: T2SSlots) -> None:
    voices, codes = (voice_of(slots), Lora({})), np.array([3, 7, 1, 9])
    alone = []
    for lora in voices:
        slots.admit(PHONES, codes[:0], lora)
        alone.append(slots.step_ahead(0, codes).copy())
        slots.release(0)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    for lora in voices:
        slots.admit(PHONES, codes[:0], lora)
    for slot in (1, 0):
        np.testing.assert_array_equal(slots.step_ahead(slot, codes), alone[slot])
        slots.keep(slot, len(codes))
    slots.release(0)
    again = slots.step_ahead(0, codes).copy()
    slots.release(0)
    slots.admit(PHONES, codes[:0], voices[1])
    slots.step_ahead(0, codes)
    slots.keep(0, len(codes))
    np.testing.assert_array_equal(slots.step_ahead(0, codes), again)


def test_codes_ahead_need_an_active_row_and_room(slots: T2SSlots) -> None:
    slots.admit(PHONES, np.zeros(0, np.int64))
    assert slots.room(0) == slots.capacity - len(PHONES)
    with pytest.raises(ValueError, match="rows are active"):
        slots.step_ahead(0, np.zeros(slots.capacity, np.int64))
    with pytest.raises(ValueError, match="rows are active"):
        slots.step_ahead(1, np.array([1, 2]))


class Following:
    """A scheduler whose jobs follow their text."""

    def __init__(self, slots: T2SSlots, *, ahead: bool) -> None:
        self.scheduler = Scheduler(slots)
        self.scheduler.reads_ahead = ahead

    def codes(self, seed: int, temperature: float) -> list[int]:
        path = TextPath.of(PHONES.tolist(), 100)
        assert path is not None
        sampling = Sampling(seed=seed, top_k=5, temperature=temperature, repetition_penalty=1.0, top_p=1.0)
        job = Job(PHONES, np.zeros(0, np.int64), sampling, 1, 100, path=path, loop_limit=1000)
        return list(self.scheduler.submit(job).codes())


@pytest.fixture
def following(network: tuple[Path, T2SShape]) -> Iterator[tuple[Following, Following]]:
    pair = tuple(Following(T2SSlots(*network, slots=2, capacity=200), ahead=ahead) for ahead in (False, True))
    yield pair  # type: ignore[misc]
    for item in pair:
        item.scheduler.close()


def test_the_codes_are_the_same_and_the_runs_fewer(following: tuple[Following, Following]) -> None:
    one_by_one, ahead = following
    total = 0
    for seed, temperature in ((1, 1.0), (2, 0.6), (3, 0.0)):
        wanted = one_by_one.codes(seed, temperature)
        assert ahead.codes(seed, temperature) == wanted
        total += len(wanted)
    assert one_by_one.scheduler.steps == pytest.approx(total, abs=3)
    assert total / AHEAD <= ahead.scheduler.steps < 0.9 * total


class Watched(T2SSlots):
    """Remembers which slots stepped, and how many were taken."""

    steps: list[tuple[int, int]]

    def step_ahead(self, slot: int, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        self.steps.append((slot, self.active))
        return super().step_ahead(slot, codes)


def test_whole_answers_are_decoded_in_turn_and_streams_beside_them(network: tuple[Path, T2SShape]) -> None:
    """Alone, beside others and as streams: the same codes. A stream never waits for whole answers before it."""
    slots = Watched(*network, slots=4, capacity=200)
    slots.steps = []
    scheduler = Scheduler(slots)

    def job(seed: int, *, streamed: bool = False) -> Job:
        path = TextPath.of(PHONES.tolist(), 100)
        sampling = Sampling(seed=seed, top_k=5, temperature=1.0, repetition_penalty=1.0, top_p=1.0)
        empty = np.zeros(0, np.int64)
        return Job(PHONES, empty, sampling, 1, 100, path=path, loop_limit=1000, streamed=streamed)

    try:
        alone = [list(scheduler.submit(job(seed)).codes()) for seed in range(5)]
        slots.steps.clear()
        with scheduler._wake:  # all of them wait before the first begins
            jobs = [job(0), job(1), job(2), job(3, streamed=True), job(4, streamed=True)]
            scheduler._waiting.extend(jobs)
            scheduler._wake.notify()
        assert [list(item.codes()) for item in jobs] == alone
        assert max(active for _, active in slots.steps) == 3
        last = [active for _, active in slots.steps]
        assert last[-5:] == [1] * 5, "whole answers that are left take turns"
    finally:
        scheduler.close()


def test_a_job_that_cannot_begin_fails_at_once(slots: T2SSlots) -> None:
    """Whatever the reason: it is in no row yet, and would wait for codes until its time is up."""
    scheduler = Scheduler(slots)
    try:
        beyond = Job(PHONES, np.array([10 * CODES]), Sampling(seed=1), 1, 100)
        with pytest.raises(IndexError):
            list(scheduler.submit(beyond).codes(timeout_s=20))
        assert len(list(scheduler.submit(Job(PHONES, PHONES[:0], Sampling(seed=1), 1, 5)).codes())) <= 5
    finally:
        scheduler.close()
