"""The acoustic model, content encoder and speaker encoder of a base as traced ONNX graphs.

Each graph is a small module around parts of the networks, so that the inputs are what the engine has at hand. Weights
that
adapters may change keep their names as initializers; those that the exporter stores transposed are renamed `<name>.T`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from timbre.gptsovits.acoustic.generator_istft import IstftGenerator
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetV2
from timbre.gptsovits.encoders.ge2e import Ge2e

OPSET = 20


class PriorGraph(nn.Module):
    """codes, phones, condition, left, blend, noise -> latent frames (see inference/exported_base.py)."""

    def __init__(self, network: Synthesizer) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, codes: Tensor, phones: Tensor, condition: Tensor, left: Tensor, blend: Tensor, noise: Tensor
    ) -> Tensor:
        """codes [1,N], phones [1,P], condition [1,G,1], left int64 [T], blend [T], noise [1,L,T] -> z [1,L,T]."""
        network = self.network
        hidden = network.hidden(codes.unsqueeze(1), phones, condition)
        right = torch.clamp(left + 1, max=hidden.shape[2] - 1)
        hidden = hidden.index_select(2, left) * (1 - blend) + hidden.index_select(2, right) * blend
        mask = torch.ones_like(hidden[:, :1])
        prior = network.enc_p.project(hidden, mask)
        z_p = prior.mean + noise * torch.exp(prior.log_std) * network.config.noise_share
        return network.moving(network.flow.inverse(z_p, mask, condition))


class GeneratorGraph(nn.Module):
    """z [1,L,T], condition [1,G,1] -> wave [1,T*hop]."""

    def __init__(self, network: Synthesizer) -> None:
        super().__init__()
        self.dec = network.dec
        if isinstance(self.dec, IstftGenerator):
            self.dec.use_matrix_transform()

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """As the class."""
        wave: Tensor = self.dec(z, condition)
        return wave.squeeze(1)


class SourceGraph(nn.Module):
    """z [1,L,T], condition [1,G,1] -> spectrum [1,T,4*F], voicing [1,T], f0_hz [1,T].

    Only the network of a generator with harmonic source: excitation, rotation and refinement need Fourier transforms,
    which the engine does with real ones, an order of magnitude faster than as matrix products in a graph.
    """

    def __init__(self, network: Synthesizer) -> None:
        super().__init__()
        assert isinstance(network.dec, SourceIstftGenerator)
        self.dec = network.dec

    def forward(self, z: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the class."""
        log_magnitude, rest = torch.split(
            self.dec.frames(z, condition), [self.dec.direct.out_channels, 3 * self.dec.direct.out_channels], dim=1
        )
        spectrum = torch.cat([log_magnitude + self.dec.direct(z), rest], dim=1)
        return spectrum.transpose(1, 2), *self.dec.pitch(z)


class PosteriorGraph(nn.Module):
    """spectrum [1,F,T], condition [1,G,1] -> mean of the posterior [1,L,T]."""

    def __init__(self, network: Synthesizer) -> None:
        super().__init__()
        assert network.enc_q is not None
        self.enc_q = network.enc_q

    def forward(self, spectrum: Tensor, condition: Tensor) -> Tensor:
        """As the class."""
        mean: Tensor = self.enc_q(spectrum, torch.ones_like(spectrum[:, :1]), condition, 0.0).z
        return mean


class StyleGraph(nn.Module):
    """spectrum [1,F,T], speaker [1,W] -> condition [1,G,1]."""

    def __init__(self, network: Synthesizer) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectrum: Tensor, speaker: Tensor | None = None) -> Tensor:
        """As the class; no speaker for bases without a speaker vector."""
        return self.network.condition(Reference(spectrum, speaker))


class ContentGraph(nn.Module):
    """wave [1,S] -> features [1,C,T], and logits [1,T,K] with a phone head."""

    def __init__(self, encoder: nn.Module, head: nn.Linear | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, wave: Tensor) -> tuple[Tensor, ...]:
        """As the class."""
        hidden: Tensor = self.encoder(wave).last_hidden_state
        features = hidden.transpose(1, 2)
        return (features,) if self.head is None else (features, self.head(hidden))


class QuantizerGraph(nn.Module):
    """features [1,C,T] -> codes int64 [1,N]."""

    def __init__(self, network: Synthesizer) -> None:
        super().__init__()
        self.ssl_proj = network.ssl_proj
        self.quantizer = network.quantizer

    def forward(self, features: Tensor) -> Tensor:
        """As the class."""
        codes: Tensor = self.quantizer.encode(self.ssl_proj(features))
        return codes.squeeze(1)


class SpeakerGraph(nn.Module):
    """mels [B,160,40] -> unit vectors [B,256]; the LSTM alone, partials are averaged outside."""

    def __init__(self, encoder: Ge2e) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, mels: Tensor) -> Tensor:
        """As the class."""
        vectors: Tensor = self.encoder(mels)
        return vectors


class VerificationGraph(nn.Module):
    """features [1,T,80] -> pooled features [1,W] of the v2Pro family's speaker network."""

    def __init__(self, encoder: ERes2NetV2) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, features: Tensor) -> Tensor:
        """As the class."""
        pooled: Tensor = self.encoder(features)
        return pooled


def trace(
    module: nn.Module,
    arguments: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """A module in eval mode as an ONNX graph. dynamic: input -> {dimension: name}; equal names are equal sizes."""
    names = {name for dims in dynamic.values() for name in dims.values()}
    symbols = {name: torch.export.Dim(name, min=2, max=100_000_000 if name == "S" else 60_000) for name in names}
    shapes = tuple({dim: symbols[name] for dim, name in dynamic.get(item, {}).items()} or None for item in inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), tuple(arguments), dynamo=True, opset_version=OPSET, input_names=list(inputs),
            output_names=list(outputs), dynamic_shapes=shapes, verbose=False,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def name_weights(
    model: onnx.ModelProto, weights: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """Gives every initializer that is one of `weights`, or its transpose, that name (with .T); returns those found.

    A weight that the exporter folded away is not in the result: the caller decides whether that is an error.
    """
    arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, array in arrays.items():
        by_shape.setdefault(tuple(array.shape), []).append(name)
    renamed: dict[str, str] = {}
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, weight in weights.items():
        for wanted, value in ((name, weight), (f"{name}.T", weight.T)):
            candidates = [name] if wanted == name and name in arrays else by_shape.get(tuple(value.shape), [])
            match = next((c for c in candidates if c not in renamed and np.array_equal(arrays[c], value)), None)
            if match is not None:
                renamed[match] = wanted
                found[wanted] = np.ascontiguousarray(value, np.float32)
                break
    for item in model.graph.initializer:
        item.name = renamed.get(item.name, item.name)
    for node in model.graph.node:
        for index, item in enumerate(node.input):
            if item in renamed:
                node.input[index] = renamed[item]
    return found


def save_graph(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Checks a graph and writes it with metadata_props (base digest, schema version, graph name)."""
    del model.metadata_props[:]
    for key, value in sorted(metadata.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
