"""The filter of the latent along time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.modulation_filter import ModulationFilter, identity
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.inference.session import open_session
from timbre.training.export.acoustic_graphs import PriorGraph, save_graph, trace


def drawn(channels: int = 3, taps: int = 5) -> ModulationFilter:
    torch.manual_seed(1)
    found = ModulationFilter(channels, taps)
    found.weight.copy_(torch.randn(channels, 1, taps))
    return found


def pico(taps: int) -> Synthesizer:
    torch.manual_seed(2)
    return Synthesizer(dataclasses.replace(SynthesizerConfig.pico(), modulation_taps=taps)).eval()


def test_it_starts_without_effect() -> None:
    latent = torch.randn(2, 3, 20)
    assert torch.equal(ModulationFilter(3, 9)(latent), latent)


def test_each_channel_has_its_own_taps_and_the_ends_go_on() -> None:
    found = drawn(2, 3)
    latent = torch.tensor([[[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]]])
    before, middle, after = found.weight[0, 0]
    expected = torch.stack(
        [before + middle + 2 * after, before + 2 * middle + 4 * after, 2 * before + 4 * middle + 4 * after]
    )
    out = found(latent)[0]
    assert torch.allclose(out[0], expected)
    assert torch.allclose(out[1], (3 * found.weight[1].sum()).expand(3), atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 13])
def test_padding_changes_nothing(length: int) -> None:
    found, latent = drawn(), torch.randn(1, 3, length)
    padded = torch.cat([latent, torch.full((1, 3, 6), 7.0)], dim=2)
    mask = torch.cat([torch.ones(1, 1, length), torch.zeros(1, 1, 6)], dim=2)
    out = found(padded, mask)
    assert torch.allclose(out[..., :length], found(latent), atol=1e-6)
    assert not out[..., length:].any()


@pytest.mark.parametrize("taps", [0, 4, -1])
def test_only_odd_lengths(taps: int) -> None:
    with pytest.raises(ValueError, match=str(taps)):
        ModulationFilter(3, taps)


def test_weights_from_before_the_filter_have_none() -> None:
    without = pico(0)
    assert without.modulation is None
    latent = torch.randn(1, 16, 9)
    assert without.moving(latent) is latent
    later = pico(5)
    assert later.modulation is not None
    later.modulation.weight.normal_()
    later.load_state_dict(without.state_dict())
    assert torch.equal(later.moving(latent), latent)
    later.modulation.weight.normal_()
    again = pico(5)
    again.load_state_dict(later.state_dict())
    assert torch.equal(again.moving(latent), later.moving(latent))


def test_synthesis_goes_through_it_and_copies_do_not() -> None:
    network = pico(5)
    arguments: tuple[Any, ...] = torch.randint(0, 64, (1, 1, 12)), torch.randint(0, 700, (1, 6)), torch.zeros(1, 16, 1)
    with torch.inference_mode():
        plain = network.decode(*arguments, noise_scale=0.0)
        assert network.modulation is not None
        share = torch.linspace(-1.0, 2.0, 16).view(1, -1, 1)
        network.modulation.weight.mul_(share.transpose(0, 1))
        prior = network.prior(*arguments)
        latent = network.sample(prior, arguments[2], 0.0)
        assert torch.allclose(latent, share * network.flow.inverse(prior.mean, prior.mask, arguments[2]), atol=1e-5)
        moved = network.decode(*arguments, noise_scale=0.0) - plain
        assert float(moved.abs().max()) > 0.05 * float(plain.abs().max())


@pytest.mark.slow
def test_the_exported_prior_has_it(tmp_path: Path) -> None:
    network = pico(5)
    assert network.modulation is not None
    network.modulation.weight.add_(0.3 * torch.randn(16, 1, 5))
    frames = 26
    given = {
        "codes": torch.randint(0, 64, (1, 13)), "phones": torch.randint(0, 700, (1, 7)),
        "condition": torch.randn(1, 16, 1), "left": torch.arange(frames), "blend": torch.zeros(frames),
        "noise": torch.randn(1, 16, frames),
    }  # fmt: skip
    dynamic = {
        "codes": {1: "N"}, "phones": {1: "P"}, "left": {0: "T"}, "blend": {0: "T"}, "noise": {2: "T"},
    }  # fmt: skip
    model = trace(PriorGraph(network), list(given.values()), list(given), ["z"], dynamic)
    save_graph(model, tmp_path / "prior.onnx", {})
    feeds = {name: value.numpy() for name, value in given.items()}
    (got,) = open_session(tmp_path / "prior.onnx").run(["z"], feeds)
    with torch.inference_mode():
        wanted = PriorGraph(network)(*given.values())
        assert network.modulation is not None
        network.modulation.weight.copy_(identity(16, 5))
        without = PriorGraph(network)(*given.values())
    assert torch.allclose(torch.from_numpy(got), wanted, atol=1e-4)
    assert not torch.allclose(wanted, without, atol=1e-2)
