"""Height and spread of the melody in fine-tuning: measured of voiced frames, and learned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.nano.synthetic_corpus import write_corpus
from tests.training.finetune.conftest import job_for
from tests.training.finetune.test_practice import practising
from tests.training.finetune.test_spoken_terms import WEIGHTS, learned, task_of, terms_of
from timbre.core.base import Base
from timbre.nano.corpus import Corpus
from timbre.training.finetune import voice
from timbre.training.finetune.hearing import HearingWeights
from timbre.training.finetune.melody import Melody
from timbre.training.finetune.sovits_trainer import AcousticTask, Weights
from timbre.training.finetune.voice_condition import PosteriorCache

pytest.importorskip("parselmouth")
PITCHED = Weights(WEIGHTS.kl, WEIGHTS.mel, WEIGHTS.segment_s, pitch=1.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def latent(*heights: float, swing: float = 0.0, frames: int = 40) -> Tensor:
    """[B,3,T]: voiced throughout, a wave of so much around each height."""
    curve = torch.sin(torch.arange(frames) * (2 * math.pi / 20))
    rows = [torch.stack([torch.ones(frames), height + swing * curve, torch.zeros(frames)]) for height in heights]
    return torch.stack(rows)


def melody_of(*rows: Tensor, weight: float = 1.0) -> Melody:
    nothing = torch.zeros(1, 1)
    cached = [PosteriorCache(row, nothing, nothing[0], nothing[0], nothing[0]) for row in rows]
    return Melody(cached, weight)


def distance(spoken: Tensor, recorded: Tensor, weight: float = 1.0) -> float:
    return float(melody_of(recorded[0], weight=weight).of_slices(spoken, recorded, torch.ones_like(recorded[:, :1])))


def test_height_and_spread_are_compared() -> None:
    recorded = latent(0.3, swing=0.2)
    assert distance(recorded, recorded) == 0.0
    assert distance(latent(0.8, swing=0.2), recorded) == pytest.approx(0.5, abs=1e-5)
    assert distance(latent(0.8, swing=0.2), recorded, weight=3.0) == pytest.approx(1.5, abs=1e-5)
    mean_distance = 0.2 * float(torch.sin(torch.arange(20) * (2 * math.pi / 20)).abs().mean())
    assert distance(latent(0.3), recorded) == pytest.approx(mean_distance, abs=1e-5), "a flat voice"
    assert distance(latent(0.3, swing=0.4), recorded) == pytest.approx(mean_distance, abs=1e-5), "one that swings"


def test_each_row_is_beside_its_own_recording() -> None:
    recorded, spoken = latent(0.3, -0.3), latent(-0.3, 0.3)
    melody = melody_of(*recorded)
    assert float(melody.of_slices(spoken, recorded, torch.ones(2, 1, 40))) == pytest.approx(0.6, abs=1e-5)


def test_only_voiced_frames_inside_the_row_count() -> None:
    recorded = latent(0.3)
    spoken, mask = recorded.clone(), torch.ones(1, 1, 40)
    recorded[0, 0, :10], spoken[0, 1, :10] = -1.0, 2.0
    mask[0, 0, 30:], spoken[0, 1, 30:] = 0.0, -2.0
    assert float(melody_of(recorded[0]).of_slices(spoken, recorded, mask)) == 0.0


def test_octaves_of_a_tracker_are_not_followed() -> None:
    octave = math.log(2) / 0.4
    recorded = latent(0.3)
    slipped = recorded.clone()
    slipped[0, 1, :4] += octave
    slipped[0, 1, 4:8] -= octave
    assert distance(recorded, slipped) == pytest.approx(0.0, abs=1e-6)
    often = recorded.clone()
    often[0, 1, :19] += octave
    melody = melody_of(often[0])
    assert (melody.mean, melody.spread) == (pytest.approx(0.3), pytest.approx(0.0, abs=1e-6))


def test_rows_with_hardly_any_voice_say_nothing() -> None:
    recorded, spoken = latent(0.3, 0.3), latent(0.3, 1.3).requires_grad_(True)
    recorded[1, 0, 9:] = -1.0
    found = melody_of(recorded[0]).of_slices(spoken, recorded, torch.ones(2, 1, 40))
    assert float(found.detach()) == 0.0
    found.backward()
    assert spoken.grad is not None
    assert torch.isfinite(spoken.grad).all()
    recorded[:, 0] = -1.0
    silent = melody_of(*recorded)
    spoken = spoken.detach()
    assert float(silent.of_slices(spoken, recorded, torch.ones(2, 1, 40))) == 0.0
    assert float(silent.of_practice(spoken, torch.tensor([40, 40]))) == 0.0, "nothing is known of the owner"


def test_practice_may_ask_high_and_answer_low() -> None:
    melody = melody_of(latent(0.2, swing=0.2)[0], latent(0.4, swing=0.2)[0], weight=2.0)
    lengths = torch.tensor([40, 40])
    assert float(melody.of_practice(latent(0.1, 0.5, swing=0.2), lengths)) == pytest.approx(0.0, abs=1e-5)
    assert float(melody.of_practice(latent(0.6, 1.0, swing=0.2), lengths)) == pytest.approx(1.0, abs=1e-5)
    flat = float(melody.of_practice(latent(0.1, 0.5), lengths))
    assert flat == pytest.approx(2.0 * melody.spread, abs=1e-5), "all on one note"
    assert melody.spread > 0.1
    padded = latent(0.1, 0.5, swing=0.2, frames=80)
    padded[:, 1, 40:] += 0.5
    assert float(melody.of_practice(padded, lengths)) == pytest.approx(0.0, abs=1e-5)
    silent = latent(0.9, 0.9)
    silent[:, 0] = -1.0
    assert float(melody.of_practice(silent, lengths)) == 0.0


def test_the_gradient_moves_a_row_towards_its_recording() -> None:
    recorded, spoken = latent(0.5, swing=0.2), latent(0.0, swing=0.05).requires_grad_(True)
    melody_of(recorded[0]).of_slices(spoken, recorded, torch.ones(1, 1, 40)).backward()
    assert spoken.grad is not None
    heights = spoken.grad[0, 1]
    assert float(heights.sum()) < 0, "higher"
    assert float((heights * (spoken[0, 1].detach())).sum()) < 0, "and further from its mean"
    assert not spoken.grad[0, [0, 2]].any()


def test_it_counts_in_training_and_in_the_choice_of_a_checkpoint(corpus: Corpus) -> None:
    terms = terms_of(task_of(corpus, PITCHED))
    parts = [float(value.detach()) for name, value in terms.items() if name != "total"]
    assert terms.keys() == {"kl", "magnitude", "mel", "pitch", "total"}
    assert float(terms["total"].detach()) == pytest.approx(sum(parts), rel=1e-5)
    with torch.no_grad():
        task = task_of(corpus, PITCHED)
        held_out = task.validate()
    assert held_out.keys() == terms.keys()
    assert held_out["pitch"] > 0
    assert np.isclose(held_out["total"], sum(value for name, value in held_out.items() if name != "total"))
    assert task_of(corpus, WEIGHTS).melody is None


def test_adapters_learn_height_and_spread(corpus: Corpus) -> None:
    losses = learned(task_of(corpus, PITCHED), "pitch")
    assert losses[-1] < 0.8 * losses[0], losses
    practised = practising(corpus, 1.0, HearingWeights(speaker=1.0))
    practised.melody = task_of(corpus, PITCHED).melody
    losses = learned(practised, "practice_pitch")
    assert losses[-1] < 0.8 * losses[0], losses


def test_the_weight_of_the_recipe_reaches_the_training(
    tmp_path: Path, base: Base, features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Weights] = []

    class Task(AcousticTask):
        def __init__(self, *options: Any) -> None:
            given.append(options[3])
            super().__init__(*options)

    monkeypatch.setattr(voice, "AcousticTask", Task)
    job_for(base, features, tmp_path, "out", pitch_weight=0.7, max_steps=1, min_steps=1)._job().acoustic()
    assert given[0].pitch == 0.7
