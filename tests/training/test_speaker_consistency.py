"""The speaker consistency loss: GE2E's own vectors, with a gradient that leads to the speaker."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchaudio
from torch import Tensor

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.gptsovits.encoders.ge2e import load_ge2e, mel_filters
from timbre.training.speaker_consistency import PARTIAL_S, SpeakerConsistency

CPU = torch.device("cpu")
RATE_HZ = 24_000
VOICES = Path(__file__).parents[2] / "voices"


def clip(voice: str, number: int, seconds: float) -> Tensor:
    """[1,1,L] of a sample voice at 24 kHz."""
    path = sorted((VOICES / voice / "wavs").iterdir())[number]
    return torch.from_numpy(resample(read(path), RATE_HZ).samples[: round(seconds * RATE_HZ)]).view(1, 1, -1)


@pytest.fixture(scope="module")
def consistency() -> SpeakerConsistency:
    return SpeakerConsistency(RATE_HZ, CPU)


@pytest.mark.parametrize("seconds", [1.0, 1.6, 3.3])
def test_vectors_are_those_of_the_encoder(consistency: SpeakerConsistency, seconds: float) -> None:
    wave = clip("wren", 0, seconds)
    found = consistency.vectors(wave, [wave.shape[2] / RATE_HZ])
    expected = load_ge2e().embed(torchaudio.functional.resample(wave[0], RATE_HZ, 16_000)[0].numpy())
    assert float(found[0] @ torch.from_numpy(expected)) > 0.999


def test_what_lies_beyond_a_row_is_not_heard(consistency: SpeakerConsistency) -> None:
    short, long = clip("wren", 0, 2.0), clip("awb", 0, 3.0)
    rows = torch.cat([torch.cat([short, torch.randn(1, 1, long.shape[2] - short.shape[2])], 2), long])
    found = consistency.vectors(rows, [2.0, 3.0])
    assert torch.allclose(found[:1], consistency.vectors(short, [2.0]), atol=1e-5)
    assert torch.allclose(found[1:], consistency.vectors(long, [3.0]), atol=1e-5)


def test_the_same_speaker_loses_less_than_another(consistency: SpeakerConsistency) -> None:
    own = consistency.vectors(clip("wren", 1, 3.0), [3.0])
    assert float(consistency.loss(clip("wren", 1, 3.0), [3.0], own)) == pytest.approx(0.0, abs=1e-5)
    near = float(consistency.loss(clip("wren", 0, 3.0), [3.0], own))
    assert near < float(consistency.loss(clip("awb", 0, 3.0), [3.0], own)) - 0.1


def test_at_a_level_louder_is_no_nearer(consistency: SpeakerConsistency) -> None:
    """GE2E takes a louder voice for another one, and nearer to a loud owner."""
    wave = clip("wren", 0, 3.0)
    level = SpeakerConsistency(RATE_HZ, CPU, 0.16)
    hear = {gain: [who.vectors(gain * wave, [3.0]) for who in (consistency, level)] for gain in (1.0, 4.0)}
    assert float((hear[1.0][0] * hear[4.0][0]).sum()) < 0.997
    assert torch.allclose(hear[1.0][1], hear[4.0][1], atol=1e-5)
    raised = 0.16 / float(wave.square().mean().sqrt()) * wave
    assert float((level.vectors(raised, [3.0]) * level.vectors(wave, [3.0])).sum()) > 0.9999
    whole = wave.clone().requires_grad_(True)
    level.loss(whole, [3.0], hear[4.0][0].detach().roll(1, 1)).backward()
    assert whole.grad is not None
    away = float((whole.grad * wave).sum()) / float(whole.grad.norm() * wave.norm())
    assert abs(away) < 1e-3, "no way to gain by being louder"


def test_pauses_stay_quiet() -> None:
    level = SpeakerConsistency(RATE_HZ, CPU, 0.16)
    pause = 1e-5 * torch.randn(1, 1, 3 * RATE_HZ)
    assert torch.isfinite(level.vectors(pause, [3.0])).all()


def test_steps_along_the_gradient_lead_to_the_speaker(consistency: SpeakerConsistency) -> None:
    wanted = consistency.vectors(clip("awb", 0, PARTIAL_S), [PARTIAL_S]).detach()
    wave = clip("wren", 0, PARTIAL_S).clone().requires_grad_(True)
    losses = []
    for _ in range(5):
        loss = consistency.loss(wave, [PARTIAL_S], wanted)
        (gradient,) = torch.autograd.grad(loss, wave)
        losses.append(float(loss.detach()))
        wave = (wave - 0.05 * wave.detach().norm() * gradient / gradient.norm()).detach().requires_grad_(True)
    assert losses[-1] < 0.8 * losses[0], losses
    assert all(parameter.grad is None for parameter in consistency.encoder.parameters())


def test_half_precision_around_it_changes_nothing(consistency: SpeakerConsistency) -> None:
    wave = clip("awb", 0, PARTIAL_S)
    with torch.autocast("cpu", torch.bfloat16):
        found = consistency.vectors(wave.bfloat16().float(), [PARTIAL_S])
    assert torch.equal(found, consistency.vectors(wave.bfloat16().float(), [PARTIAL_S]))


def test_it_learns_after_embeddings_were_made(consistency: SpeakerConsistency) -> None:
    mel_filters.cache_clear()
    load_ge2e().embed(clip("awb", 0, PARTIAL_S)[0, 0].numpy())
    wave = clip("awb", 0, PARTIAL_S).requires_grad_(True)
    consistency.loss(wave, [PARTIAL_S], consistency.vectors(wave, [PARTIAL_S]).detach()).backward()
    assert wave.grad is not None
