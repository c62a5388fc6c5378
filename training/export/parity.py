"""Exported graphs against the torch networks they came from: float32 within 1e-4, int8 reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.errors import CheckFailedError
from gptsovits.ge2e import load_ge2e
from gptsovits.synthesizer import Reference, Synthesizer
from gptsovits.text_to_semantic import TextToSemantic
from inference.acoustic import resampling
from inference.exported_base import ExportedBase
from inference.session import open_session
from inference.t2s_slots import NO_LORA, T2SSlots

LIMIT = 1e-4


@dataclass(frozen=True)
class GraphParity:
    """One graph: largest absolute difference over the largest absolute value of the reference, and the limit if any."""

    graph: str
    profile: str
    error: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """Within the limit; NaN is not."""
        return self.limit is None or self.error <= self.limit


@dataclass(frozen=True)
class ExportParity:
    """All graphs of an export."""

    graphs: tuple[GraphParity, ...]

    def require(self) -> None:
        """Raises CheckFailedError naming the graphs that miss their limit."""
        missed = [item for item in self.graphs if not item.passed]
        if missed:
            text = ", ".join(f"{item.graph} {item.profile}: {item.error:.2e}" for item in missed)
            raise CheckFailedError(
                f"export: graphs differ from the networks by more than {LIMIT:g}: {text}",
                "this is a fault of the exporter or of ONNX Runtime: report it with `timbre doctor`",
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data for parity.json."""
        return {"graphs": [{**vars(item), "passed": item.passed} for item in self.graphs]}


@torch.no_grad()
def compare_export(
    exported: ExportedBase, t2s: TextToSemantic, synthesizer: Synthesizer, content: nn.Module, head: nn.Linear | None
) -> ExportParity:
    """Runs every graph on random input of sizes that were not traced."""
    rng = np.random.default_rng(7)
    found = [
        GraphParity("t2s", profile, _t2s_error(exported, t2s, profile, rng), LIMIT if profile == "fp32" else None)
        for profile in exported.graphs["t2s"]
    ]
    for graph, error in _acoustic_errors(exported, synthesizer, rng).items():
        limit = max(LIMIT, 2 * rounding_reach(synthesizer)) if graph == "generator" else LIMIT
        found.append(GraphParity(graph, "fp32", error, limit))
    wave = (rng.standard_normal((1, 23_457)) * 0.1).astype(np.float32)
    hidden = content(torch.from_numpy(wave)).last_hidden_state
    wanted = [hidden.transpose(1, 2)] + ([head(hidden)] if head is not None else [])
    outputs = open_session(exported.graph("content")).run(None, {"wave": wave})
    found.append(GraphParity("content", "fp32", max(map(_relative, outputs, wanted)), LIMIT))
    mels = rng.random((5, 160, 40), np.float32)
    got = open_session(exported.graph("speaker")).run(None, {"mels": mels})[0]
    found.append(GraphParity("speaker", "fp32", _relative(got, load_ge2e()(torch.from_numpy(mels))), LIMIT))
    return ExportParity(tuple(found))


def _t2s_error(exported: ExportedBase, network: TextToSemantic, profile: str, rng: np.random.Generator) -> float:
    shape = exported.t2s
    phones, codes = rng.integers(0, shape.phone_rows, 23), rng.integers(0, shape.end_token, 29)
    text = network.embed_text(torch.from_numpy(phones)[None])
    audio = network.embed_codes(torch.from_numpy(codes)[None])
    wanted = network.predict(network.hidden_states(text, audio))[0, len(phones) + 9 :].numpy()
    slots = T2SSlots(exported.graph("t2s", profile), shape, slots=1, capacity=128)
    got = [slots.admit(phones, codes[:10], NO_LORA)[1].copy()]
    got += [slots.step(codes[index : index + 1])[0].copy() for index in range(10, len(codes))]
    return _relative(np.array(got), torch.from_numpy(wanted))


@torch.no_grad()
def rounding_reach(network: Synthesizer) -> float:
    """What one unit in the last place of the latent does to the generator's own wave, relative to its peak.

    About 1e-7 for a generator of convolutions. Iterated phase refinement amplifies rounding (nano: 2e-3), so that two
    exact implementations differ by this much, and its graph cannot be held to less.
    """
    config = network.config
    draws = torch.Generator().manual_seed(1)
    z = torch.randn(1, config.latent_channels, 57, generator=draws)
    condition = torch.randn(1, config.condition_channels, 1, generator=draws)
    moved = z * (1 + torch.finfo(torch.float32).eps * torch.randn(z.shape, generator=draws))
    first, second = network.dec(z, condition), network.dec(moved, condition)
    return float((first - second).abs().max() / first.abs().max().clamp(min=1e-6))


def _acoustic_errors(exported: ExportedBase, network: Synthesizer, rng: np.random.Generator) -> dict[str, float]:
    config = network.config

    def normal(*size: int) -> NDArray[np.float32]:
        return rng.standard_normal(size).astype(np.float32)

    condition = normal(1, config.condition_channels, 1)
    torch_condition = torch.from_numpy(condition)
    codes, phones = rng.integers(0, config.codebook_size, (1, 13)), rng.integers(0, config.symbols, (1, 17))
    errors = {}
    for speed in (1.0, 1.3):
        left, blend = resampling(13 * config.code_frames, speed)
        noise = normal(1, config.latent_channels, len(left)) * 0.5
        feeds = {"codes": codes, "phones": phones, "condition": condition, "left": left, "blend": blend, "noise": noise}
        got = open_session(exported.graph("prior")).run(None, feeds)[0]
        prior = network.prior(torch.from_numpy(codes)[:, None], torch.from_numpy(phones), torch_condition, speed)
        z_p = prior.mean + torch.from_numpy(noise) * torch.exp(prior.log_std) * config.noise_share
        wanted = network.flow.inverse(z_p, prior.mask, torch_condition)
        errors["prior"] = max(errors.get("prior", 0.0), _relative(got, wanted))
    z = normal(1, config.latent_channels, 57)
    got = open_session(exported.graph("generator")).run(None, {"z": z, "condition": condition})[0]
    errors["generator"] = _relative(got, network.dec(torch.from_numpy(z), torch_condition)[:, 0])
    spectrum = rng.random((1, config.spectrum_bins, 71), np.float32)
    got = open_session(exported.graph("posterior")).run(None, {"spectrum": spectrum, "condition": condition})[0]
    assert network.enc_q is not None
    mask = torch.ones(1, 1, 71)
    errors["posterior"] = _relative(got, network.enc_q(torch.from_numpy(spectrum), mask, torch_condition, 0.0).z)
    speaker = normal(1, config.speaker_width) if config.speaker_width else None
    references = {"spectrum": spectrum} | ({"speaker": speaker} if speaker is not None else {})
    reference = Reference(torch.from_numpy(spectrum), None if speaker is None else torch.from_numpy(speaker))
    got = open_session(exported.graph("style")).run(None, references)[0]
    errors["style"] = _relative(got, network.condition(reference))
    features = normal(1, config.ssl_width, 66)
    got = open_session(exported.graph("quantizer")).run(None, {"features": features})[0]
    wanted_codes = network.extract_codes(torch.from_numpy(features))[:, 0].numpy()
    errors["quantizer"] = float(np.mean(got != wanted_codes))
    return errors


def _relative(got: NDArray[Any], wanted: torch.Tensor) -> float:
    reference = wanted.detach().numpy()
    if got.shape != reference.shape:
        return float("inf")
    scale = max(float(np.abs(reference).max()), 1e-6)
    return float(np.abs(got - reference).max() / scale)
