"""Upstream's exported weights (three ONNX graphs) as a state of upstream's Python network: both can be compared.

In the export normalisation is part of the convolution before it, gates of a GRU stand in another order, and layers
without a name of their own follow each other as they are computed.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_PARTS = {"enc": "enc", "erb_dec": "erb_dec", "df_dec": "df_dec"}


def write_checkpoint(archive: Path, folder: Path) -> Path:
    """A folder with config.ini and checkpoints/, as the package `deepfilternet` reads it; returns it."""
    from df.config import config
    from df.model import ModelParams

    (folder / "checkpoints").mkdir(parents=True)
    graphs: dict[str, bytes] = {}
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            stream = packed.extractfile(member) if member.isfile() else None
            if stream is not None:
                graphs[Path(member.name).name] = stream.read()
    (folder / "config.ini").write_bytes(graphs["config.ini"])
    config.load(str(folder / "config.ini"), config_must_exist=True, allow_defaults=True, allow_reload=True)
    ModelParams()
    from df.deepfilternet3 import init_model

    network = init_model()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for part in _PARTS:
        _fill(part, getattr(network, part), graphs[f"{part}.onnx"], state)
    torch.save(state, folder / "checkpoints" / "model_120.ckpt.best")
    return folder


def _fill(part: str, module: torch.nn.Module, graph: bytes, state: dict[str, torch.Tensor]) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(graph)
    values: dict[str, Floats] = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    folded = [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose") and len(node.input) == 3]
    named = {name for name, _ in module.named_parameters()}
    # Named tensors first; a Linear without bias may have lost its name to a MatMul of its transpose.
    for name, value in values.items():
        if name in named:
            state[f"{part}.{name}"] = torch.from_numpy(value.copy())
    layers = [(name, layer) for name, layer in module.named_modules() if not list(layer.children())]
    _norms(part, layers, [(values[node.input[1]], values[node.input[2]]) for node in folded], state)
    grus = [node for node in model.graph.node if node.op_type == "GRU"]
    _grus(part, module, [[values[name] for name in node.input[1:4]] for node in grus], state)
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in values:
            weight = values[node.input[1]].T
            names = [
                f"{part}.{n}"
                for n in named
                if n.endswith("weight") and tuple(state[f"{part}.{n}"].shape) == weight.shape
            ]
            assert len(names) == 1, names
            state[names[0]] = torch.from_numpy(weight.copy())


def _norms(part: str, layers: list[Any], folded: list[tuple[Floats, Floats]], state: dict[str, torch.Tensor]) -> None:
    """Each normalisation becomes the bias alone, the convolution before it carries its scale. By size, in order."""
    convolution = ""
    waiting = list(folded)
    for name, layer in layers:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            convolution = name
        if isinstance(layer, torch.nn.BatchNorm2d):
            shape = tuple(state[f"{part}.{convolution}.weight"].shape)
            index = next(i for i, (weight, _) in enumerate(waiting) if weight.shape == shape)
            weight, bias = waiting.pop(index)
            state[f"{part}.{convolution}.weight"] = torch.from_numpy(weight.copy())
            state[f"{part}.{name}.weight"] = torch.ones(len(bias))
            state[f"{part}.{name}.bias"] = torch.from_numpy(bias.copy())
            state[f"{part}.{name}.running_mean"] = torch.zeros(len(bias))
            state[f"{part}.{name}.running_var"] = torch.full((len(bias),), 1.0 - layer.eps)
    assert not waiting, [weight.shape for weight, _ in waiting]


def _grus(part: str, module: torch.nn.Module, found: list[list[Floats]], state: dict[str, torch.Tensor]) -> None:
    places = [
        (name, layer)
        for name, gru in module.named_modules()
        if isinstance(gru, torch.nn.GRU)
        for layer in range(gru.num_layers)
    ]
    assert len(places) == len(found), (places, len(found))
    for (name, layer), (inputs, hidden, bias) in zip(places, found, strict=True):
        first, second = np.split(bias[0], 2)
        for kind, value in (
            ("weight_ih", inputs[0]),
            ("weight_hh", hidden[0]),
            ("bias_ih", first),
            ("bias_hh", second),
        ):
            update, reset, fresh = np.split(value, 3)
            joined = np.concatenate([reset, update, fresh])
            state[f"{part}.{name}.{kind}_l{layer}"] = torch.from_numpy(joined.copy())
