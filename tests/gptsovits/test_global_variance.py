"""Compensation of the global variance: latents get the spread of recordings."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from timbre.core.errors import TimbreError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.global_variance import EXPONENT, LARGEST_RATIO, GlobalVariance
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import build_synthesizer, checkpoint_of
from timbre.gptsovits.files.checkpoints import ACOUSTIC


def sentences(scale: torch.Tensor, shift: float = 0.0) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    return [shift + scale.view(-1, 1) * torch.randn(len(scale), 400, generator=random) for _ in range(20)]


def test_it_starts_without_effect() -> None:
    latent = torch.randn(2, 5, 30)
    assert torch.equal(GlobalVariance(5, 3)(latent, torch.randn(2, 3, 1)), latent)


def test_each_channel_gets_its_own_gain_around_the_center() -> None:
    module = GlobalVariance(4, 3, fixed=1)
    predicted = sentences(torch.tensor([0.5, 0.5, 0.1, 2.0]), 3.0)
    module.set_variances(predicted, sentences(torch.ones(4)))
    module.set_centers(predicted, list(torch.randn(20, 3)))
    assert module.gain().tolist() == pytest.approx([1.0, 2.0**EXPONENT, LARGEST_RATIO**EXPONENT, 1.0], rel=0.03)
    out = module(torch.full((1, 4, 7), 4.0), torch.zeros(1, 3, 1))
    assert torch.allclose(out[0, :, 0], 3.0 + module.gain(), atol=0.3)


def test_differences_between_sentences_are_not_spread_within_them() -> None:
    module = GlobalVariance(1, 3)
    apart = [sentence + offset for sentence, offset in zip(sentences(torch.ones(1)), range(20), strict=True)]
    module.set_variances(sentences(torch.ones(1)), apart)
    assert module.gain().tolist() == pytest.approx([1.0], rel=0.01)


def test_what_a_voice_is_like_does_not_grow() -> None:
    module = GlobalVariance(2, 3)
    conditions = list(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)))
    predicted = [
        sentence + 2.0 * condition[0]
        for sentence, condition in zip(sentences(0.1 * torch.ones(2)), conditions, strict=True)
    ]
    module.set_variances(predicted, sentences(0.2 * torch.ones(2)))
    module.set_centers(predicted, conditions)
    for sentence, condition in zip(predicted, conditions, strict=True):
        out = module(sentence.unsqueeze(0), condition.view(1, 3, 1))[0]
        assert torch.allclose(out.mean(1), sentence.mean(1), atol=0.3)
        assert torch.allclose(out.std(1), 2.0**EXPONENT * sentence.std(1), rtol=0.05)


@pytest.fixture(scope="module")
def network() -> Synthesizer:
    torch.manual_seed(0)
    config = dataclasses.replace(SynthesizerConfig.pico(), global_variance=True)
    network = Synthesizer(config).eval()
    network.global_variance.recorded.fill_(4.0)
    return network


@torch.no_grad()
def test_synthesis_speaks_with_it(network: Synthesizer) -> None:
    codes, phones = torch.randint(0, 64, (1, 1, 6)), torch.randint(0, 700, (1, 5))
    condition = torch.randn(1, 16, 1)
    prior = network.prior(codes, phones, condition)
    plain = network.flow.inverse(prior.mean, prior.mask, condition)
    assert torch.allclose(network.sample(prior, condition, 0.0), plain * 2.0**EXPONENT, atol=1e-5)


def test_a_file_carries_it_and_one_without_it_is_refused(network: Synthesizer) -> None:
    checkpoint = checkpoint_of(network, ACOUSTIC, "pico", network.config)
    again = build_synthesizer(checkpoint, "acoustic.safetensors")
    assert torch.equal(again.global_variance.recorded, network.global_variance.recorded)
    weight = {name: value for name, value in checkpoint.weight.items() if not name.startswith("global_variance")}
    with pytest.raises(TimbreError, match="global_variance"):
        build_synthesizer(dataclasses.replace(checkpoint, weight=weight), "acoustic.safetensors")
    old = dataclasses.replace(network.config, global_variance=False)
    assert not hasattr(
        build_synthesizer(checkpoint_of(Synthesizer(old), ACOUSTIC, "pico", old), "x"), "global_variance"
    )
