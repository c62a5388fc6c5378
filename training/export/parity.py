"""Exported graphs against the torch networks they came from: float32 within 1e-4, int8 reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from timbre.core.errors import CheckFailedError
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetV2
from timbre.gptsovits.encoders.ge2e import load_ge2e
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.inference.acoustic import resampling
from timbre.inference.exported_base import ExportedBase
from timbre.inference.pieces import pieces_of
from timbre.inference.session import open_session
from timbre.inference.t2s_slots import AHEAD, NO_LORA, T2SSlots
from timbre.training.bert_features import LAYER
from timbre.training.export.acoustic_graphs import SourceGraph

if TYPE_CHECKING:
    from transformers import BertModel

LIMIT = 1e-4
COMPARED = 4
"""Refinements of the phase in the comparison: of more, the engine takes most in half the band, as the network does not
(inference/phase_refinement.py), and rounding grows with each."""
_REACH_DRAWS = 6


@dataclass(frozen=True)
class GraphParity:
    """Difference between a graph and its network."""

    graph: str
    """Name of the graph, as in export.json."""
    profile: str
    """"fp32" or "int8"."""
    error: float
    """Largest absolute difference over the largest absolute value of the reference."""
    limit: float | None
    """Largest error allowed, None where none is set."""

    @property
    def passed(self) -> bool:
        """Within the limit; NaN is not."""
        return self.limit is None or self.error <= self.limit


@dataclass(frozen=True)
class ExportParity:
    """All graphs of an export."""

    graphs: tuple[GraphParity, ...]
    """In the order in which they were compared."""

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
    exported: ExportedBase,
    t2s: TextToSemantic,
    synthesizer: Synthesizer,
    content: nn.Module,
    head: nn.Linear | None,
    bert: BertModel | None = None,
    verifier: ERes2NetV2 | None = None,
) -> ExportParity:
    """Runs every graph on random input of sizes that were not traced."""
    rng = np.random.default_rng(7)
    found = [
        GraphParity("t2s", profile, t2s_error(exported, t2s, profile, rng), LIMIT if profile == "fp32" else None)
        for profile in exported.graphs["t2s"]
    ]
    z = torch.from_numpy(rng.standard_normal((1, synthesizer.config.latent_channels, 57)).astype(np.float32))
    for graph, error in _acoustic_errors(exported, synthesizer, rng, z).items():
        limit = LIMIT
        if graph == "generator":
            condition = torch.from_numpy(_condition(synthesizer))
            limit = max(LIMIT, 2 * rounding_reach(synthesizer, z, condition))
        found.append(GraphParity(graph, "fp32", error, limit))
    wave = (rng.standard_normal((1, 23_457)) * 0.1).astype(np.float32)
    hidden = content(torch.from_numpy(wave)).last_hidden_state
    wanted = [hidden.transpose(1, 2)] + ([head(hidden)] if head is not None else [])
    outputs = open_session(exported.graph("content")).run(None, {"wave": wave})
    found.append(GraphParity("content", "fp32", max(map(_relative, outputs, wanted)), LIMIT))
    mels = rng.random((5, 160, 40), np.float32)
    got = open_session(exported.graph("speaker")).run(None, {"mels": mels})[0]
    found.append(GraphParity("speaker", "fp32", _relative(got, load_ge2e()(torch.from_numpy(mels))), LIMIT))
    if verifier is not None:
        heard = rng.standard_normal((1, 233, 80)).astype(np.float32)
        got = open_session(exported.graph("verification")).run(None, {"features": heard})[0]
        found.append(GraphParity("verification", "fp32", _relative(got, verifier(torch.from_numpy(heard))), LIMIT))
    if bert is not None and exported.has("bert"):
        ids = rng.integers(0, bert.config.vocab_size, (1, 21))
        states = bert(torch.from_numpy(ids)).hidden_states[LAYER]
        for profile in exported.graphs["bert"]:
            got = open_session(exported.graph("bert", profile)).run(None, {"ids": ids})[0]
            found.append(GraphParity("bert", profile, _relative(got, states), LIMIT if profile == "fp32" else None))
    return ExportParity(tuple(found))


@torch.no_grad()
def t2s_error(exported: ExportedBase, network: TextToSemantic, profile: str, rng: np.random.Generator) -> float:
    """Prefill and steps in a slot against the whole sequence at once, with character vectors where the network reads
    them.
    """
    shape = exported.t2s
    phones, codes = rng.integers(0, shape.phone_rows, 23), rng.integers(0, shape.end_token, 29)
    vectors, features = None, None
    if network.bert_proj is not None:
        vectors = torch.from_numpy(rng.standard_normal((1, network.config.bert_width, 23)).astype(np.float32))
        features = (vectors[0].T @ network.bert_proj.weight.T).numpy()
    text = network.embed_text(torch.from_numpy(phones)[None], vectors)
    audio = network.embed_codes(torch.from_numpy(codes)[None])
    wanted = network.predict(network.hidden_states(text, audio))[0, len(phones) + 9 :].numpy()
    slots = T2SSlots(exported.graph("t2s", profile), shape, slots=1, capacity=128)
    got = [slots.admit(phones, codes[:10], NO_LORA, features)[1].copy()]
    got += [slots.step(codes[index : index + 1])[0].copy() for index in range(10, len(codes))]
    error = _relative(np.array(got), torch.from_numpy(wanted))
    slots.release(0)
    got = [slots.admit(phones, codes[:10], NO_LORA, features)[1].copy()]
    for index in range(10, len(codes), AHEAD):
        read = codes[index : index + AHEAD]
        got += list(slots.step_ahead(0, read).copy())
        slots.keep(0, len(read))
    return max(error, _relative(np.array(got), torch.from_numpy(wanted)))


@torch.no_grad()
def rounding_reach(network: Synthesizer, z: Tensor, condition: Tensor) -> float:
    """What one unit in the last place of this latent [1,L,T] does to the generator's own wave, relative to its peak;
    the largest of a few draws.

    About 1e-7 for a generator of convolutions. Iterated phase refinement amplifies rounding (nano: 4e-4 to 2e-2 from
    one latent to the next), so that two exact implementations differ by this much, and its graph cannot be held to
    less. The very latent of the comparison is asked, since another one says little about it.
    """
    draws = torch.Generator().manual_seed(1)
    first = generated(network, z, condition)
    found = []
    for _ in range(_REACH_DRAWS):
        moved = z * (1 + torch.finfo(torch.float32).eps * torch.randn(z.shape, generator=draws))
        found.append(float((first - generated(network, moved, condition)).abs().max()))
    return max(found) / max(float(first.abs().max()), 1e-6)


@torch.no_grad()
def generated(network: Synthesizer, z: Tensor, condition: Tensor) -> Tensor:
    """z [1,L,T] -> wave [1,1,S] of the network's generator, with at most COMPARED refinements of the phase."""
    if isinstance(network.dec, SourceIstftGenerator):
        return network.dec.synthesise(*network.dec.polar(z, condition), min(COMPARED, network.dec.refinements))
    wave: Tensor = network.dec(z, condition)
    return wave


def _condition(network: Synthesizer) -> NDArray[np.float32]:
    """The condition [1,G,1] that all acoustic graphs are compared with."""
    draws = np.random.default_rng(11)
    return draws.standard_normal((1, network.config.condition_channels, 1)).astype(np.float32)


def _acoustic_errors(
    exported: ExportedBase, network: Synthesizer, rng: np.random.Generator, z: Tensor
) -> dict[str, float]:
    config = network.config

    def normal(*size: int) -> NDArray[np.float32]:
        return rng.standard_normal(size).astype(np.float32)

    condition = _condition(network)
    torch_condition = torch.from_numpy(condition)
    codes, phones = rng.integers(0, config.codebook_size, (1, 13)), rng.integers(0, config.symbols, (1, 17))
    errors: dict[str, float] = {}
    for speed in (1.0, 1.3):
        left, blend = resampling(13 * config.code_frames, speed)
        noise = normal(1, config.latent_channels, len(left)) * 0.5
        feeds = {"codes": codes, "phones": phones, "condition": condition, "left": left, "blend": blend, "noise": noise}
        got = open_session(exported.graph("prior")).run(None, feeds)[0]
        prior = network.prior(torch.from_numpy(codes)[:, None], torch.from_numpy(phones), torch_condition, speed)
        z_p = prior.mean + torch.from_numpy(noise) * torch.exp(prior.log_std) * config.noise_share
        wanted = network.moving(network.flow.inverse(z_p, prior.mask, torch_condition))
        errors["prior"] = max(errors.get("prior", 0.0), _relative(got, wanted))
    generator = open_session(exported.graph("generator"))
    if exported.acoustic.source_fft_size:
        # The graph by itself, before phase refinement amplifies what rounding left.
        outputs = generator.run(["spectrum", "voicing", "f0_hz"], {"z": z.numpy(), "condition": condition})
        wanted_outputs = SourceGraph(network)(z, torch_condition)
        errors["generator, spectra"] = max(map(_relative, outputs, wanted_outputs))
    acoustic = replace(exported.acoustic, refinements=min(COMPARED, exported.acoustic.refinements))
    got = pieces_of(replace(exported, acoustic=acoustic), generator, condition).next(z.numpy())
    errors["generator"] = _relative(got, generated(network, z, torch_condition)[0, 0])
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
