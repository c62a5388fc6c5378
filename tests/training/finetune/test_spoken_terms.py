"""Speech from codes in fine-tuning, on a base with a source: its spectrum, whose voice it is, and what it says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_joint import CPU, started
from timbre.core.base import Base
from timbre.gptsovits.files.base_networks import load_synthesizer
from timbre.nano.corpus import RATE_HZ, Corpus
from timbre.nano.semantic_data import phone_ids
from timbre.training.finetune.data import Row, VoiceData, load_voice_data
from timbre.training.finetune.hearing import Hearing, HearingWeights
from timbre.training.finetune.sovits_trainer import AcousticTask, Weights
from timbre.training.finetune.voice_condition import voice_condition
from timbre.training.lora import LoraSettings, wrap
from timbre.training.speaker_consistency import SpeakerConsistency

pytest.importorskip("parselmouth")
WEIGHTS = Weights(kl=1.0, mel=45.0, segment_s=0.32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def voice_of(corpus: Corpus) -> VoiceData:
    """Four clips of one made-up speaker, the last held out."""
    hears = SpeakerConsistency(RATE_HZ, CPU)
    random, rows = np.random.default_rng(0), []
    for number, clip in enumerate(corpus.clips[:8:2]):
        wave = torch.from_numpy(np.array(corpus.waveform(clip), np.float32))
        phones = phone_ids(clip.text, clip.language)
        assert phones is not None
        ge2e = hears.vectors(wave.view(1, 1, -1), [len(wave) / RATE_HZ]).detach()[0]
        codes = torch.from_numpy(random.integers(0, 16, 50))
        rows.append(
            Row(clip.id, number == 3, torch.from_numpy(phones.astype(np.int64)), codes, wave, ge2e, ge2e, None,
                torch.full((100,), 190.0))
        )  # fmt: skip
    return VoiceData(tuple(rows[:3]), tuple(rows[3:]), rows[0], 0.1, (0.1, 0.2, 0.1), {})


class Bands(nn.Module):
    """Stands for a content encoder: log energies of bands, 50 frames a second."""

    def forward(self, wave: Tensor) -> SimpleNamespace:
        frames = wave.unfold(1, 400, 320)
        power = torch.fft.rfft(frames * torch.hann_window(400)).abs().square()
        return SimpleNamespace(last_hidden_state=torch.log(power[..., 1:].unflatten(2, (20, 10)).mean(3) + 1e-4))


def task_of(corpus: Corpus, weights: Weights, heard: HearingWeights | None = None) -> AcousticTask:
    network, data = started(corpus), voice_of(corpus)
    hearing = None
    if heard is not None:
        torch.manual_seed(2)
        hearing = Hearing(heard, data, network.config, CPU, Bands() if heard.content else None, nn.Linear(20, 7))
    condition = voice_condition(network, data.training, CPU)
    model = wrap(network, LoraSettings(rank=4))
    task = AcousticTask(model, data, condition, weights, 1, CPU, hearing=hearing)
    task.train(False)
    return task


def terms_of(task: AcousticTask) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return task.loss(0, [0, 1])


def weighted(**factors: float) -> tuple[Weights, HearingWeights]:
    spoken = factors.pop("spoken", 0.0)
    return dataclasses.replace(WEIGHTS, spoken=spoken), HearingWeights(**factors)


TERMS = {"kl", "magnitude", "mel", "spoken", "speaker", "content"}


def test_they_count_in_training_and_in_the_choice_of_a_checkpoint(corpus: Corpus) -> None:
    task = task_of(corpus, *weighted(spoken=2.0, speaker=3.0, content=0.5))
    terms = terms_of(task)
    parts = [value for name, value in terms.items() if name != "total"]
    assert float(terms["total"].detach()) == pytest.approx(sum(float(value.detach()) for value in parts), rel=1e-5)
    assert terms.keys() - {"total"} == TERMS
    with torch.no_grad():
        held_out, again, plain = task.validate(), task.validate(), task_of(corpus, *weighted()).validate()
    assert held_out.keys() - {"total"} == TERMS
    assert held_out == again, "fixed pieces"
    assert held_out["total"] == pytest.approx(sum(value for name, value in held_out.items() if name != "total"))
    assert plain["mel"] == pytest.approx(held_out["mel"], rel=1e-6)
    assert plain.keys() - {"total"} == {"kl", "magnitude", "mel"}
    row = task._held_out[0]
    assert row.frames > task.hearing.frames, "the piece is inside"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["spoken", "speaker", "content"])
def test_each_weight_is_a_factor_and_zero_leaves_it_out(corpus: Corpus, name: str) -> None:
    assert name not in terms_of(task_of(corpus, *weighted()))
    once, twice = (
        float(terms_of(task_of(corpus, *weighted(**{name: weight})))[name].detach()) for weight in (1.0, 2.0)
    )
    assert once > 0
    assert twice == pytest.approx(2 * once, rel=1e-4)


def learned(task: AcousticTask, name: str) -> list[float]:
    """A term over twelve steps that follow it alone."""
    optimizer = torch.optim.Adam(list(task.parameters().values()), 1e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        term = terms_of(task)[name]
        term.backward()
        optimizer.step()
        losses.append(float(term.detach()))
    return losses


@pytest.mark.parametrize("name", ["spoken", "speaker", "content"])
def test_adapters_learn_from_each(corpus: Corpus, name: str) -> None:
    task = task_of(corpus, *weighted(**{name: 1.0}))
    losses = learned(task, name)
    assert losses[-1] < 0.98 * losses[0], losses
    assert task.hearing is not None
    assert all(parameter.grad is None for parameter in (task.hearing.head or nn.Identity()).parameters())


def test_a_copy_is_heard_as_the_recording(corpus: Corpus) -> None:
    task = task_of(corpus, *weighted(content=1.0))
    assert task.hearing is not None
    wave = torch.randn(2, 1, 80 * 480, generator=torch.Generator().manual_seed(1))
    there = torch.ones(2, 80, dtype=torch.bool)
    assert float(task.hearing._content(wave, wave, there)) == pytest.approx(0.0, abs=1e-5)
    beyond = wave.clone()
    beyond[1, :, 41 * 480 :] = 0
    there[1, 39:] = False
    assert float(task.hearing._content(beyond, wave, there)) == pytest.approx(0.0, abs=1e-5), "padding is not heard"


def test_a_base_without_a_source_has_no_hearing(base: Base, features: Path) -> None:
    data = load_voice_data(features, base)
    config = load_synthesizer(base).config
    assert Hearing.of(base, None, HearingWeights(1.0, 1.0), data, config, CPU) is None


def test_what_follows_a_short_row_is_not_heard(corpus: Corpus) -> None:
    task = task_of(corpus, *weighted(content=1.0))
    assert task.hearing is not None
    torch.manual_seed(3)
    config = task.network.config
    expected, condition = torch.randn(2, config.latent_channels, 80), torch.randn(2, config.condition_channels, 1)
    recorded, lengths, starts = torch.randn(2, 1, 80 * config.hop), torch.tensor([80, 39]), torch.zeros(2).long()
    found = []
    for factor in (1.0, 0.01):
        recorded[1, :, 41 * config.hop :] *= factor
        with torch.no_grad():
            terms = task.hearing.terms(task.network, expected, recorded, lengths, starts, condition)
        found.append(float(terms["content"]))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_what_is_heard_has_gone_through_the_filter_and_the_distance_has_not(corpus: Corpus) -> None:
    found = {}
    for gain in (1.0, 1.5):
        task = task_of(corpus, *weighted(spoken=1.0, speaker=1.0, content=1.0))
        assert task.network.modulation is not None
        task.network.modulation.weight.mul_(gain)
        with torch.no_grad():
            found[gain] = {name: float(value) for name, value in task.validate().items()}
    for name in ("speaker", "content"):
        assert found[1.5][name] != pytest.approx(found[1.0][name], rel=1e-3), name
    for name in ("spoken", "kl", "mel", "magnitude"):
        assert found[1.5][name] == pytest.approx(found[1.0][name], rel=1e-6), name


def test_the_generator_learns_from_latents_behind_the_filter(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(corpus, *weighted(spoken=1.0))
    network = task.network
    assert network.modulation is not None
    network.modulation.weight.zero_()
    seen: list[Tensor] = []
    inner = task._some_spoken

    def some_spoken(*given: Any) -> Tensor:
        seen.append(inner(*given))
        return seen[-1]

    monkeypatch.setattr(task, "_some_spoken", some_spoken)
    for step in range(4):
        torch.manual_seed(step)
        task.loss(step, [0, 1, 2])
    rows = [row for decoded in seen for row in decoded]
    spoken = [row for row in rows if not row[2:].any()]
    assert 0 < len(spoken) < len(rows), "half of them are spoken, and the filter lets nothing through"
    assert all(row[:2].any() for row in spoken), "pitch is as recorded"
