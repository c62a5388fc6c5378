"""Weights replaced in a graph's file: every one is used, whatever ONNX Runtime's optimiser does with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.inference.device import CPU
from timbre.inference.errors import GraphError
from timbre.inference.exported_base import read_export
from timbre.inference.graph_file import weight_places, with_inputs, with_weights
from timbre.inference.session import open_session
from timbre.inference.voice_graph import BaseGraph
from timbre.training.export.acoustic_graphs import GeneratorGraph, name_weights, save_graph, trace
from timbre.training.export.two_dimensional import to_two_dimensional

LATENT, CONDITION = 16, 16


@pytest.fixture(scope="module")
def network() -> Synthesizer:
    torch.manual_seed(0)
    # As the official bases' generator; channels are multiples of 16, so that the layout optimiser takes it up.
    generator = HifiGanConfig(
        initial_channels=64, upsample_rates=(10, 8, 4), upsample_kernels=(16, 16, 8), resblock_kernels=(3,),
        resblock_dilations=((1, 3),),
    )  # fmt: skip
    config = dataclasses.replace(SynthesizerConfig.pico(), generator=generator)
    return Synthesizer(config, with_posterior=False).eval().fold()


@pytest.fixture(scope="module")
def graph(network: Synthesizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "generator.onnx"
    inputs = (torch.randn(1, LATENT, 9), torch.randn(1, CONDITION, 1))
    model = trace(GeneratorGraph(network), inputs, ("z", "condition"), ("wave",), {"z": {2: "T"}})
    weights = {name: tensor.detach().numpy() for name, tensor in network.named_parameters() if tensor.ndim >= 2}
    name_weights(model, weights)
    assert to_two_dimensional(model)
    save_graph(model, path, {})
    return path


def test_every_replaced_weight_is_used(network: Synthesizer, graph: Path) -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((1, LATENT, 12)).astype(np.float32)
    condition = rng.standard_normal((1, CONDITION, 1)).astype(np.float32)
    weights = {
        item.name: numpy_helper.to_array(item)
        for item in onnx.load(str(graph)).graph.initializer
        if item.name.startswith("dec.") and item.name.endswith("weight")
    }
    assert len(weights) >= 12
    assert max(array.shape[0] for array in weights.values()) >= 32

    def spoken(replaced: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(open_session(graph, replaced=replaced).run(None, {"z": z, "condition": condition})[0])

    changed = {name: array * np.float32(rng.uniform(1.2, 1.6)) for name, array in weights.items()}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in changed:
                parameter.copy_(torch.from_numpy(changed[name]).reshape(parameter.shape))
        wanted = network.dec(torch.from_numpy(z), torch.from_numpy(condition))[:, 0].numpy()
    base = spoken({})
    got = spoken(changed)
    scale = float(np.abs(wanted).max())
    assert np.abs(got - wanted).max() < 1e-4 * scale
    assert np.abs(base - wanted).max() > 1e-2 * scale
    ignored = [name for name, array in changed.items() if np.array_equal(spoken({name: array}), base)]
    assert ignored == []


def test_weights_that_a_run_brings_are_used(pico_export: Path) -> None:
    """One session for all voices speaks as a session of each voice's own, and as the base where a voice has nothing."""
    base = read_export(pico_export)
    weights = load_file(base.graph("weights"))
    rng = np.random.default_rng(0)
    z = rng.standard_normal((1, base.acoustic.latent, 20)).astype(np.float32)
    condition = rng.standard_normal((1, base.acoustic.condition, 1)).astype(np.float32)
    feeds = {"z": z, "condition": condition}
    path = base.graph("generator")
    shared = BaseGraph(path, list(weights), threads=1, device=CPU)
    assert shared.shared
    names = [name for name in weights if name in weight_places(path.read_bytes())]
    assert len(names) > 3
    plain = open_session(path).run(None, feeds)[0]
    scale = float(np.abs(plain).max())
    np.testing.assert_allclose(shared.plain.run(None, feeds)[0], plain, atol=1e-5 * scale)
    for name in names:
        changed = {name: weights[name] + rng.standard_normal(weights[name].shape).astype(np.float32)}
        voice = shared.with_weights(changed)
        assert voice.session is shared.plain.session
        assert voice.size_bytes == weights[name].nbytes
        wanted = open_session(path, replaced=changed).run(None, feeds)[0]
        np.testing.assert_allclose(voice.run(None, feeds)[0], wanted, atol=1e-4 * float(np.abs(wanted).max()))
        assert np.abs(wanted - plain).max() > 1e-4 * scale, name
    np.testing.assert_allclose(shared.plain.run(None, feeds)[0], plain, atol=1e-5 * scale)
    with pytest.raises(GraphError, match="'nothing'"):
        shared.with_weights({"nothing": np.zeros(2, np.float32)})


def test_blocked_convolutions_keep_a_session_for_each_voice(graph: Path) -> None:
    """They run on weights that are packed when the session is made."""
    data = graph.read_bytes()
    names = [name for name in weight_places(data) if name.endswith("weight")]
    assert with_inputs(graph, frozenset(names)) is None
    own = BaseGraph(graph, names, threads=1, device=CPU)
    assert not own.shared
    name = "dec.conv_pre.weight"
    start, end = weight_places(data)[name]
    voice = own.with_weights({name: np.frombuffer(data[start:end], np.float32) * 2})
    assert voice.session is not own.plain.session
    assert voice.size_bytes > len(data)
    assert own.with_weights({}) is own.plain
    # A device has memory of its own, to which weights would be copied at every run.
    assert with_inputs(graph, frozenset()) == data + b"\x3a\x00"


def test_offered_weights_are_inputs_of_the_model(pico_export: Path) -> None:
    path = read_export(pico_export).graph("prior")
    model = onnx.load_from_string(with_inputs(path, frozenset(weight_places(path.read_bytes()))) or b"")
    onnx.checker.check_model(model)
    offered = {item.name: [size.dim_value for size in item.type.tensor_type.shape.dim] for item in model.graph.input}
    for item in model.graph.initializer:
        if item.HasField("raw_data") and item.data_type == onnx.TensorProto.FLOAT:
            assert offered[item.name] == list(item.dims)
    assert model.graph.node == onnx.load(str(path)).graph.node


def test_places_are_those_of_the_tensors(graph: Path) -> None:
    data = graph.read_bytes()
    places = weight_places(data)
    for item in onnx.load(str(graph)).graph.initializer:
        if item.HasField("raw_data"):
            start, end = places[item.name]
            assert data[start:end] == item.raw_data


def test_what_does_not_fit_is_named(graph: Path, tmp_path: Path) -> None:
    assert with_weights(graph, {}) == graph.read_bytes()
    with pytest.raises(GraphError, match=r"'dec\.conv_pre\.weight' has \d+ bytes, 8 were"):
        open_session(graph, replaced={"dec.conv_pre.weight": np.zeros(2, np.float32)})
    with pytest.raises(GraphError, match="'nothing' has 0 bytes"):
        with_weights(graph, {"nothing": np.zeros(2, np.float32)})
    for name, data in (("cut", graph.read_bytes()[:-100]), ("other", b"\xff" * 64), ("text", b"GIF89a" * 9)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(GraphError, match=name):
            with_weights(tmp_path / name, {"x": np.zeros(1, np.float32)})
