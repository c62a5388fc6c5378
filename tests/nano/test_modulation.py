"""Fitting the modulation filter: what the prior's mean lacks comes back, and nothing else changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.nano.test_joint import CPU, LISTENED_TO, corpus, sampler_of, small, started  # noqa: F401
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.modulation_filter import ModulationFilter, identity
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.nano import speech_stages
from timbre.nano.corpus import Corpus
from timbre.nano.joint import JointLoss
from timbre.nano.joint_critics import Panel
from timbre.nano.modulation import COARSEST, LARGEST_GAIN, ModulationSpectrum, fit, fit_model, latents_of
from timbre.nano.recipe import AcousticRecipe
from timbre.nano.spectrum_critics import SpectrumCritics

BLUR = torch.tensor([0.25, 0.5, 0.25])


def pairs(count: int = 40, channels: int = 6) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Recordings of white movement, and means that blur them by half."""
    torch.manual_seed(0)
    found = []
    for _ in range(count):
        recorded = torch.randn(2, channels, 160)
        blurred = functional.conv1d(recorded, BLUR.expand(channels, 1, 3), padding=1, groups=channels)
        found.append((recorded, blurred, torch.tensor([160, 120])))
    return found


def bands(latents: list[torch.Tensor]) -> torch.Tensor:
    """Amplitude of slow, middling and fast changes, mean over the channels after the pitch."""
    spectrum = ModulationSpectrum()
    for latent in latents:
        spectrum.add(latent, torch.tensor([160, 120]))
    power = spectrum.power()[2:].mean(0)
    return torch.stack([power[1:6].mean(), power[10:16].mean(), power[20:28].mean()]).sqrt()


def test_movement_comes_back_and_pitch_stays() -> None:
    given = pairs()
    filtered = ModulationFilter(6, 9)
    filtered.weight.copy_(fit(given, 9, 1.0))
    real, said = bands([item[0] for item in given]), bands([item[1] for item in given])
    heard = bands([filtered(item[1]) for item in given])
    assert (said / real).tolist() == pytest.approx([0.97, 0.63, 0.17], abs=0.05), "the blur is there"
    assert (heard / real).tolist() == pytest.approx([1.0, 1.0, 0.8], abs=0.2), "and is taken away"
    assert torch.allclose(filtered.weight[:2], identity(2, 9), atol=1e-6)
    assert torch.allclose(filtered.weight, filtered.weight.flip(2), atol=1e-6), "it delays nothing"


def test_the_share_is_in_decibels() -> None:
    given = pairs(10)
    none, half, whole = (fit(given, 9, power) for power in (0.0, 0.5, 1.0))
    assert torch.allclose(none, identity(6, 9), atol=1e-6)
    middle = [float(taps[3, 0, 4]) for taps in (none, half, whole)]
    assert middle[0] < middle[1] < middle[2]


def test_fine_structure_stays() -> None:
    taps = fit(pairs(2, COARSEST + 3), 9, 1.0)
    assert torch.allclose(taps[COARSEST:], identity(3, 9), atol=1e-6)
    assert float(taps[COARSEST - 1, 0, 4]) > 1.2


def test_what_is_lost_is_not_made_up() -> None:
    still = [(recorded, recorded * 1e-3, lengths) for recorded, _, lengths in pairs(4)]
    taps = fit(still, 9, 1.0)
    assert float(taps[3].sum()) == pytest.approx(LARGEST_GAIN, rel=0.05)


def test_sentences_too_short_to_measure() -> None:
    with pytest.raises(ConfigurationError, match="64 frames"):
        fit([(torch.zeros(1, 4, 63), torch.zeros(1, 4, 63), torch.tensor([63]))], 9, 1.0)


def test_a_model_is_fitted_to_what_its_prior_says(corpus: Corpus) -> None:  # noqa: F811
    model, sampler = started(corpus), sampler_of(corpus)
    assert model.modulation is not None
    fit_model(model, sampler, CPU, 1.0, batches=3)
    expected = fit(latents_of(model, sampler, CPU, 3), 9, 1.0)
    assert torch.equal(model.modulation.weight, expected)
    assert not torch.allclose(expected, identity(*expected.shape[::2]))


def test_critics_hear_what_the_filter_lets_through(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    model = started(corpus).eval()
    assert model.modulation is not None
    model.modulation.weight.mul_(3.0)
    heard: list[Any] = []

    def criticise(self: Panel, generator: Any, latent: torch.Tensor, *rest: Any) -> tuple[dict[str, Any], torch.Tensor]:
        heard.append(latent)
        return {}, torch.ones_like(latent)

    monkeypatch.setattr(Panel, "criticise", criticise)
    config = model.config
    critics = SpectrumCritics(config.rate_hz, config.spectrum_bins, config.codebook_size, config.condition_channels)
    settings = dataclasses.replace(LISTENED_TO, spoken_weight=1.0)
    batch = sampler_of(corpus).batch(0)
    loss = JointLoss(config, settings, CPU, panel=Panel(critics))
    with_it = loss(model, batch, False)
    model.modulation.weight.copy_(identity(*model.modulation.weight.shape[::2]))
    without = loss(model, batch, False)
    assert torch.allclose(heard[0], 3 * heard[1], atol=1e-2)
    assert float(with_it["spoken"].detach()) == pytest.approx(float(without["spoken"].detach()), rel=1e-3), (
        "distances see the mean"
    )


def test_the_generator_learns_from_latents_behind_it(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    model = started(corpus)
    assert model.modulation is not None
    model.modulation.weight.zero_()
    seen: list[torch.Tensor] = []
    inner = JointLoss.generator_terms

    def generator_terms(self: JointLoss, *given: Any) -> Any:
        seen.append(given[3])
        return inner(self, *given)

    monkeypatch.setattr(JointLoss, "generator_terms", generator_terms)
    JointLoss(model.config, dataclasses.replace(LISTENED_TO, critics_weight=0.0), CPU)(
        model, sampler_of(corpus).batch(0), True
    )
    assert not seen[0][:, 2:].any()
    assert seen[0][:, :2].any(), "pitch is as recorded"


def test_the_recipe_fits_the_filter_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[float] = []
    config = dataclasses.replace(small(), modulation_taps=5)
    nothing: Any = SimpleNamespace()
    replaced: dict[str, Any] = {
        "SynthesizerConfig": SimpleNamespace(nano=lambda: config),
        "sentence_sampler": lambda *given: nothing,
        "quantizer_of": lambda width: Synthesizer(config).quantizer,
        "restored": lambda *given: True,
        "fit_model": lambda model, sampler, device, power: fitted.append(power),
        "train_joint": lambda *given, **named: tmp_path,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(speech_stages, name, value)

    def train(power: float) -> None:
        speech_stages.prior(AcousticRecipe(modulation=power), tmp_path, tmp_path, CPU, lambda line: None, together=True)

    train(0.7)
    assert fitted == [0.7]
    train(0.0)
    assert fitted == [0.7]
    (tmp_path / "acoustic").mkdir()
    (tmp_path / "acoustic" / "joint.pt").write_bytes(b"")
    train(0.7)
    assert fitted == [0.7], "a run that goes on has its filter"
