"""DistillMOS as a critic: its own opinions, no pull beyond the recording, and a training that it pulls at."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_joint import CPU, LISTENED_TO, sampler_of, started
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.core.errors import ConfigurationError
from timbre.evaluation.metrics.distilled import distilled_mos
from timbre.nano import quality_ear
from timbre.nano.joint import train_joint
from timbre.nano.quality_ear import QualityEar

pytest.importorskip("distillmos")
RATE_HZ, SECONDS = 24_000, 3.0
VOICES = Path(__file__).parents[2] / "voices"


@pytest.fixture(scope="module")
def ear() -> QualityEar:
    return QualityEar(RATE_HZ, CPU)


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    """[1,1,L] of a sample voice."""
    path = sorted((VOICES / "kathleen" / "wavs").iterdir())[0]
    return torch.from_numpy(resample(read(path), RATE_HZ).samples[: round(SECONDS * RATE_HZ)]).view(1, 1, -1)


def test_opinions_are_the_metrics(ear: QualityEar, speech: torch.Tensor) -> None:
    noisy = speech + 0.05 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(1))
    for wave in (speech, noisy):
        view = ear.view(wave, torch.tensor([SECONDS]))
        expected = distilled_mos(torch.nn.functional.pad(view[0], (0, 1)).numpy()[: round(SECONDS * 16_000)])
        assert float(ear.hear(view)[1][0]) == pytest.approx(expected, abs=0.05)  # bfloat16 inside


def test_what_lies_beyond_a_sentence_is_not_heard(ear: QualityEar, speech: torch.Tensor) -> None:
    longer = torch.cat([speech, torch.randn(1, 1, RATE_HZ)], dim=2)
    seconds = torch.tensor([SECONDS])
    assert torch.allclose(ear.view(longer, seconds), ear.view(speech, seconds), atol=1e-4)


def test_steps_along_the_pull_are_found_better(ear: QualityEar, speech: torch.Tensor) -> None:
    seconds, recorded = torch.tensor([SECONDS]), ear.view(speech, torch.tensor([SECONDS]))
    noise = torch.randn(speech.shape, generator=torch.Generator().manual_seed(1))
    wave = (speech + 0.05 * noise).requires_grad_(True)
    losses = []
    for _ in range(6):
        loss, missing = ear.loss(recorded, ear.view(wave, seconds), seconds)
        losses.append(float(missing))
        (gradient,) = torch.autograd.grad(loss, wave)
        wave = (wave - 0.01 * wave.detach().norm() * gradient / gradient.norm()).detach().requires_grad_(True)
    assert losses[0] > 0.3, losses
    assert losses[-1] < losses[0] - 0.2, losses
    assert bool(torch.isfinite(gradient).all()), "silence after the sentence"
    assert all(parameter.grad is None for parameter in ear.model.parameters())


def test_nobody_is_asked_to_be_better_than_the_recording(ear: QualityEar, speech: torch.Tensor) -> None:
    seconds = torch.tensor([SECONDS])
    worse = speech + 0.1 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(1))
    assert float(ear.loss(ear.view(worse, seconds), ear.view(speech, seconds), seconds)[1]) == 0.0
    same, missing = ear.loss(ear.view(speech, seconds), ear.view(speech, seconds), seconds)
    assert float(missing) == 0.0
    assert float(same) < 1e-3


def test_a_training_is_pulled_by_quality_and_by_the_speaker(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    prior = {}
    for name, change in (("without", {}), ("quality", {"quality_share": 1.0}), ("speaker", {"speaker_share": 0.5})):
        stored = train_joint(
            started(corpus), sampler_of(corpus, 200), tmp_path / name, dataclasses.replace(LISTENED_TO, **change), CPU
        )
        kept = torch.load(stored, weights_only=True)
        prior[name] = kept["network"]["enc_p.proj.weight"]
        assert set(kept["extra"]) == {"critics"}, "neither is stored"
    assert not torch.equal(prior["quality"], prior["without"])
    assert not torch.equal(prior["speaker"], prior["without"])
    assert not torch.equal(prior["speaker"], prior["quality"])


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_ear, "available", lambda: False)
    with pytest.raises(ConfigurationError, match="DistillMOS") as refused:
        QualityEar(RATE_HZ, CPU)
    assert "'mos'" in str(refused.value.remedy)
