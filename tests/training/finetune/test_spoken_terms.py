"""What a voice speaks from its codes, in fine-tuning: its spectrum and whose voice it is, on a base with a source."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_joint import CPU, started
from timbre.nano.corpus import RATE_HZ, Corpus
from timbre.nano.semantic_data import phone_ids
from timbre.training.finetune.data import Row, VoiceData
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


def task_of(corpus: Corpus, weights: Weights) -> AcousticTask:
    network, data = started(corpus), voice_of(corpus)
    condition = voice_condition(network, data.training, CPU)
    model = wrap(network, LoraSettings(rank=4))
    task = AcousticTask(model, data, condition, weights, 1, CPU)
    task.train(False)
    return task


def terms_of(task: AcousticTask) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return task.loss(0, [0, 1])


def test_they_count_in_training_only(corpus: Corpus) -> None:
    task = task_of(corpus, dataclasses.replace(WEIGHTS, spoken=2.0, speaker=3.0))
    terms = terms_of(task)
    parts = [value for name, value in terms.items() if name != "total"]
    assert float(terms["total"].detach()) == pytest.approx(sum(float(value.detach()) for value in parts), rel=1e-5)
    assert {"kl", "magnitude", "mel", "spoken", "speaker"} == terms.keys() - {"total"}
    with torch.no_grad():
        assert set(task.validate()) == {"kl", "magnitude", "mel", "total"}, "early stopping compares with older runs"


@pytest.mark.parametrize("name", ["spoken", "speaker"])
def test_each_weight_is_a_factor_and_zero_leaves_it_out(corpus: Corpus, name: str) -> None:
    assert name not in terms_of(task_of(corpus, WEIGHTS))
    once, twice = (
        float(terms_of(task_of(corpus, dataclasses.replace(WEIGHTS, **{name: weight})))[name].detach())
        for weight in (1.0, 2.0)
    )
    assert once > 0
    assert twice == pytest.approx(2 * once, rel=1e-4)


@pytest.mark.parametrize("name", ["spoken", "speaker"])
def test_adapters_learn_from_each(corpus: Corpus, name: str) -> None:
    task = task_of(corpus, dataclasses.replace(WEIGHTS, **{name: 1.0}))
    parameters = list(task.parameters().values())
    optimizer = torch.optim.Adam(parameters, 3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        term = terms_of(task)[name]
        term.backward()
        optimizer.step()
        losses.append(float(term.detach()))
    assert losses[-1] < 0.98 * losses[0], losses
