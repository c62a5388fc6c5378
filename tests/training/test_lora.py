"""Adapters: where they are, that PEFT itself loads them, that merging changes nothing, and upstream's files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn

from timbre.core.base import Base, write_base
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.weights import BaseFile
from timbre.gptsovits.acoustic.configuration import FlowConfig, SynthesizerConfig, WaveNetConfig
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.gptsovits.files.base_networks import (
    build_synthesizer,
    load_synthesizer,
    load_text_to_semantic,
    text_to_semantic_config,
)
from timbre.gptsovits.files.checkpoints import load_weights, read_checkpoint
from timbre.gptsovits.files.pickle_writer import HParams
from timbre.gptsovits.files.pico import make_pico
from timbre.gptsovits.files.torch_archive import write_archive
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO, T2S_V2, T2SConfig
from timbre.gptsovits.text_to_semantic.network import T2SBatch, TextToSemantic
from timbre.training.lora import (
    LoraSettings,
    adapter_tensors,
    base_label,
    load_adapter,
    merge,
    network_of,
    parameter_counts,
    save_adapter,
    targets_of,
    trainable,
    wrap,
)
from timbre.training.upstream_export import export_voice


@pytest.fixture(scope="module")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_pico(tmp_path_factory.mktemp("bases") / "pico")


def teach(model: PeftModel, scale: float = 0.05) -> None:
    """Gives B values, as training does; it starts as zero."""
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            if "lora_B" in name:
                parameter.normal_(0, scale)


@torch.inference_mode()
def logits(network: TextToSemantic) -> torch.Tensor:
    torch.manual_seed(5)
    phones, codes = torch.randint(0, 700, (1, 9)), torch.randint(0, network.config.end_token, (1, 12))
    batch = T2SBatch(phones, torch.tensor([9]), codes, torch.tensor([12]))
    return network(batch)


@torch.inference_mode()
def wave(network: Synthesizer) -> torch.Tensor:
    torch.manual_seed(5)
    config = network.config
    codes = torch.randint(0, config.codebook_size, (1, 1, 8))
    speaker = torch.rand(1, config.speaker_width) if config.speaker_width else None
    reference = Reference(torch.rand(1, config.spectrum_bins, 30), speaker)
    return network.decode(codes, torch.randint(0, 700, (1, 7)), network.condition(reference), noise_scale=0.0)


LOADERS = [(load_text_to_semantic, logits), (load_synthesizer, wave)]


@pytest.mark.parametrize(("load", "run"), LOADERS)
def test_a_new_adapter_changes_nothing_and_a_taught_one_does(pico: Base, load: Any, run: Any) -> None:
    expected = run(load(pico))
    network = load(pico)
    model = wrap(network, LoraSettings(), base_label(pico))
    assert network_of(model) is network
    assert torch.allclose(run(network), expected, atol=1e-5)
    teach(model)
    changed = run(network)
    assert (changed - expected).abs().max() > 1e-3
    assert {name.rsplit(".", 3)[1] for name in trainable(model)} == {"lora_A", "lora_B"}
    merged = merge(model)
    assert torch.allclose(run(merged), changed, atol=1e-4)
    assert (
        merged.state_dict().keys()
        == (load(pico).fold() if isinstance(network, Synthesizer) else load(pico)).state_dict().keys()
    )


@pytest.mark.parametrize(("load", "run"), LOADERS)
def test_saved_and_loaded_by_us_and_by_peft(tmp_path: Path, pico: Base, load: Any, run: Any) -> None:
    model = wrap(load(pico), LoraSettings(rank=4, alpha=4.0), base_label(pico))
    teach(model)
    size_bytes = save_adapter(model, tmp_path / "a")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert size_bytes == sum(p.stat().st_size for p in (tmp_path / "a").iterdir())
    assert {t.dtype for t in load_file(tmp_path / "a" / "adapter_model.safetensors").values()} == {torch.float16}
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base_label(pico)
    ours = load_adapter(load(pico), tmp_path / "a")
    assert torch.allclose(run(network_of(ours)), run(network_of(model)), atol=2e-3)
    plain = load(pico)
    theirs = PeftModel.from_pretrained(plain.fold() if isinstance(plain, Synthesizer) else plain, tmp_path / "a").eval()
    assert torch.allclose(run(network_of(theirs)), run(network_of(ours)), atol=1e-5)
    save_adapter(ours, tmp_path / "b")
    first, second = ((tmp_path / folder / "adapter_model.safetensors").read_bytes() for folder in "ab")
    assert first == second


def test_the_seed_decides(pico: Base) -> None:
    first, network = adapter_tensors(wrap(load_text_to_semantic(pico), LoraSettings())), load_text_to_semantic(pico)
    state = torch.get_rng_state()
    second = adapter_tensors(wrap(network, LoraSettings()))
    assert torch.equal(torch.get_rng_state(), state)
    other = adapter_tensors(wrap(load_text_to_semantic(pico), LoraSettings(seed=2)))
    name = next(name for name in first if "lora_A" in name)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first[name], other[name])


def test_base_is_frozen_and_gradients_reach_every_group(pico: Base) -> None:
    network = load_synthesizer(pico)
    model = wrap(network, LoraSettings())
    teach(model)
    torch.manual_seed(5)
    codes = torch.randint(0, 64, (1, 1, 8))
    reference = Reference(torch.rand(1, network.config.spectrum_bins, 30), torch.rand(1, 256))
    condition = network.condition(reference)
    network.decode(codes, torch.randint(0, 700, (1, 7)), condition, noise_scale=0.0).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad == (".lora_" in name), name
    assert set(parameter_counts(model)) == {"prior_attention", "flow", "decoder"}


def refused(folder: Path, network: nn.Module, words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_adapter(network, folder)
    assert words in caught.value.message


def test_adapters_of_another_make_are_refused(tmp_path: Path, pico: Base) -> None:
    model = wrap(load_text_to_semantic(pico), LoraSettings())
    save_adapter(model, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    refused(tmp_path, load_synthesizer(pico), "target_modules")
    for key, value in [
        ("target_modules", "(a+)+b"),
        ("use_dora", True),
        ("rank_pattern", {"h": 99}),
        ("bias", "all"),
        ("peft_type", "LOHA"),
        ("modules_to_save", ["h"]),
        ("r", "many"),
    ]:
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | {key: value}))
        refused(tmp_path, load_text_to_semantic(pico), "many" if key == "r" else key)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"r": 4}))
    refused(tmp_path, load_text_to_semantic(pico), "tensors do not fit")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    save_file(dict(list(tensors.items())[1:]), tmp_path / "adapter_model.safetensors")
    refused(tmp_path, load_text_to_semantic(pico), "1 tensors do not fit")
    save_file(tensors | {"extra": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    refused(tmp_path, load_text_to_semantic(pico), "first extra")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x00" * 10)
    refused(tmp_path, load_text_to_semantic(pico), "cannot be read")
    (tmp_path / "adapter_config.json").unlink()
    refused(tmp_path, load_text_to_semantic(pico), "not an adapter configuration")


def test_values_that_training_ruined_are_not_saved(tmp_path: Path, pico: Base) -> None:
    model = wrap(load_text_to_semantic(pico), LoraSettings())
    with torch.no_grad():
        next(iter(trainable(model).values())).fill_(1e6)
    with pytest.raises(InputError, match="float16 cannot hold"):
        save_adapter(model, tmp_path)


@pytest.mark.parametrize("config", [T2S_V2, T2S_NANO], ids=["v2", "nano"])
def test_counts_by_group(config: T2SConfig) -> None:
    """rank * (inputs + outputs), summed over the layers, counted by hand."""
    width, inner, layers = config.hidden, config.feed_forward, config.layers
    with torch.device("meta"):
        counts = parameter_counts(wrap(TextToSemantic(config), LoraSettings()))
    assert counts == {
        "attention": layers * 8 * ((width + 3 * width) + (width + width)),
        "feed_forward": layers * 8 * 2 * (width + inner),
    }


@pytest.mark.parametrize(
    "config",
    [SynthesizerConfig.v2(), SynthesizerConfig.v2pro(), SynthesizerConfig.v2proplus(), SynthesizerConfig.nano()],
    ids=lambda config: config.name,
)
def test_an_official_voice_stays_below_the_limit(config: SynthesizerConfig) -> None:
    """8 MB a package; 1.2 MB of it are left to the prompt, the cards and headers."""
    with torch.device("meta"):
        acoustic = wrap(Synthesizer(config), LoraSettings())
        text = wrap(TextToSemantic(T2S_NANO if config.name == "nano" else T2S_V2), LoraSettings())
    counts = parameter_counts(acoustic)
    assert all(counts[group] > 10_000 for group in ("prior_attention", "flow", "decoder"))
    names = {name.split(".lora_")[0] for name in trainable(acoustic)}
    assert not any(part in name for name in names for part in ("enc_q", ".ups.", "ssl_proj", "quantizer", "dwconv"))
    size_bytes = 2 * (sum(counts.values()) + sum(parameter_counts(text).values()))
    assert size_bytes < 8_000_000 - 1_200_000, f"{config.name}: {size_bytes} bytes"


def test_dilated_convolutions_are_not_wrapped() -> None:
    """PEFT's A would look at other samples than the layer does."""
    with torch.device("meta"):
        network = Synthesizer(SynthesizerConfig.v2())
        wrap(network, LoraSettings())
        blocks = network.get_submodule("dec.resblocks.0")
        wrapped = {name for name, module in blocks.named_modules() if hasattr(module, "base_layer")}
        assert wrapped == {"convs1.0", "convs2.0", "convs2.1", "convs2.2"}
        flow = dataclasses.replace(FlowConfig(), wavenet=WaveNetConfig(layers=2, dilation_rate=2))
        dilated = Synthesizer(dataclasses.replace(SynthesizerConfig.v2(), flow=flow))
        with pytest.raises(ConfigurationError, match="PEFT's LoRA ignores dilation"):
            wrap(dilated, LoraSettings())


def test_other_networks_have_no_lora() -> None:
    with pytest.raises(TypeError, match="Linear"):
        targets_of(nn.Linear(2, 2))


MODEL = {
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 16,
    "n_heads": 2,
    "n_layers": 2,
    "kernel_size": 3,
    "p_dropout": 0.1,
    "resblock": "1",
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
    "upsample_rates": [10, 64],
    "upsample_initial_channel": 16,
    "upsample_kernel_sizes": [16, 128],
    "gin_channels": 512,
    "semantic_frame_rate": "25hz",
    "version": "v2",
}
VOICE = {
    "model": MODEL,
    "train": {"segment_size": 20480},
    "data": {"filter_length": 2048, "hop_length": 640, "sampling_rate": 32000},
}
TEXT = T2SConfig(hidden=32, heads=2, layers=2, feed_forward=64)


@pytest.fixture
def official(tmp_path: Path, pico: Base) -> Base:
    """A base in upstream's own files, v2, made small."""
    torch.manual_seed(8)
    folder = tmp_path / "bases" / "small-v2"
    text, config = TextToSemantic(TEXT), SynthesizerConfig.from_upstream(MODEL)
    acoustic = Synthesizer(config)
    for name, parameter in acoustic.named_parameters():
        if name.startswith("flow") and "post" in name:  # starts as zero, which would hide mistakes
            nn.init.normal_(parameter, 0, 0.1)
    put = {f"model.{name}": tensor.half() for name, tensor in text.state_dict().items()}
    write_archive({"weight": put, "config": {"model": TEXT.to_upstream(), "data": {"max_sec": 54}}}, folder / "s1.ckpt")
    put = {name: tensor.half() for name, tensor in acoustic.state_dict().items()}
    write_archive({"weight": put, "config": HParams(VOICE), "info": "base"}, folder / "s2G.pth")
    base = dataclasses.replace(
        pico,
        folder=folder,
        name="small-v2",
        architecture="v2",
        rate_hz=32000,
        hop=640,
        fft=2048,
        speaker_encoder="none",
        files=(BaseFile("text_to_semantic", "s1.ckpt"), BaseFile("acoustic", "s2G.pth")),
    )
    write_base(base)
    return base


def test_upstream_voice_round_trip(tmp_path: Path, official: Base) -> None:
    """Adapters -> merged -> upstream's two files -> networks: the same sound, and untouched tensors bit for bit."""
    text, acoustic = load_text_to_semantic(official), load_synthesizer(official)
    for network, folder in ((text, "t2s"), (acoustic, "sovits")):
        model = wrap(network, LoraSettings())
        teach(model)
        save_adapter(model, tmp_path / "package" / folder)
    files = export_voice(official, tmp_path / "package", tmp_path / "out", "ada", epoch=8, step=96)
    assert [path.name for path in files] == ["ada-e8.ckpt", "ada_e8_s96.pth"]
    gpt, voice = (read_checkpoint(path) for path in files)
    assert (gpt.info, voice.info, voice.version, voice.config) == ("GPT-e8", "8epoch_96iteration", "v2", VOICE)
    read = TextToSemantic(text_to_semantic_config(gpt, "g"))
    load_weights(read, {name: tensor.float() for name, tensor in gpt.weight.items()}, "g")
    before = logits(load_text_to_semantic(official))
    assert (logits(text) - before).abs().max() > 0.05
    assert (logits(read.eval()) - logits(text)).abs().max() < 0.01
    sound, quiet = wave(build_synthesizer(voice, "v", with_posterior=False)), wave(load_synthesizer(official))
    assert (wave(acoustic) - quiet).abs().max() > 20 * (sound - wave(acoustic)).abs().max() > 0
    base = read_checkpoint(official.folder / "s2G.pth")
    assert voice.weight.keys() == {name for name in base.weight if not name.startswith("enc_q.")}
    same = {name for name, tensor in voice.weight.items() if torch.equal(tensor, base.weight[name])}
    assert {"enc_p.text_embedding.weight", "dec.ups.0.weight_v", "dec.resblocks.0.convs1.1.weight_v"} <= same
    assert not {"dec.resblocks.0.convs1.0.weight_v", "flow.flows.0.pre.weight", "dec.conv_pre.weight"} & same


def test_upstream_has_no_pico(tmp_path: Path, pico: Base, official: Base) -> None:
    with pytest.raises(InputError, match="architecture pico is unknown to upstream"):
        export_voice(pico, tmp_path, tmp_path / "out", "ada")
    with pytest.raises(InputError, match="name"):
        export_voice(official, tmp_path, tmp_path / "out", "../ada")
