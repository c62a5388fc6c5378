"""A base -> a folder that torch-free programs speak with: graphs, export.json, parity report.

base folder -> networks -> graphs (fp32, int8) -> checked against the networks -> renamed into place
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from timbre.core.base import BERT, Base
from timbre.core.digests import digest_file
from timbre.core.errors import CheckFailedError
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetV2
from timbre.gptsovits.encoders.ge2e import load_ge2e
from timbre.gptsovits.files.base_networks import (
    load_bert,
    load_content_encoder,
    load_recogniser,
    load_speaker_encoder,
    load_synthesizer,
    load_text_to_semantic,
)
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.inference.characters import PROJECTION
from timbre.inference.exported_base import EXPORT_VERSION, AcousticShape, ExportedBase, write_export
from timbre.inference.t2s_slots import T2SShape
from timbre.text.recognition import CLASSES
from timbre.training.export import acoustic_graphs as graphs
from timbre.training.export.character_graph import character_graph, character_tokens
from timbre.training.export.context import context_frames
from timbre.training.export.parity import ExportParity, compare_export
from timbre.training.export.quantise import quantise
from timbre.training.export.t2s_graph import build_t2s_graph, lora_names
from timbre.training.export.two_dimensional import to_two_dimensional

if TYPE_CHECKING:
    from transformers import BertModel

MAX_POSITIONS = 2048

Report = Callable[[str], None]


@dataclass(frozen=True)
class Networks:
    """The parts of a base that are exported."""

    t2s: TextToSemantic
    """Becomes the graph `t2s`."""
    synthesizer: Synthesizer
    """Weight norm folded; becomes `prior`, `generator`, `posterior` and `style`."""
    content: nn.Module
    """HuBERT or the base's own encoder; becomes `content`, with `recogniser`."""
    recogniser: nn.Linear | None
    """Content features -> logits of phones; None on bases without."""
    bert: BertModel | None = None
    """Mandarin BERT; None on bases that do not read with it."""
    verifier: ERes2NetV2 | None = None
    """Speaker network of the v2Pro family; becomes `verification`."""


def load_networks(base: Base, weights_root: Path | None = None) -> Networks:
    """All networks of a base, on the CPU in float32, weight norm folded. Raises what the loaders raise."""
    speaker = load_speaker_encoder(base, weights_root) if base.speaker_encoder == "eres2netv2" else None
    return Networks(
        load_text_to_semantic(base, weights_root).eval(),
        load_synthesizer(base, weights_root).eval().fold(),
        load_content_encoder(base, weights_root),
        load_recogniser(base, weights_root),
        load_bert(base, weights_root) if base.has(BERT) else None,
        speaker.float().eval() if isinstance(speaker, ERes2NetV2) else None,
    )


def export_base(
    base: Base, target: Path, *, int8: bool = True, report: Report = lambda line: None, weights_root: Path | None = None
) -> ExportParity:
    """Writes the exported base at `target` (replaced whole) and returns how far it is from the torch networks.

    Raises CheckFailedError when a float32 graph misses its limit; target is then left as it was.
    """
    networks = load_networks(base, weights_root)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
    try:
        exported = _write(base, networks, folder, int8, report, weights_root)
        report("comparing with the torch networks")
        parity = compare_export(
            exported, networks.t2s, networks.synthesizer, networks.content, networks.recogniser, networks.bert,
            networks.verifier,
        )  # fmt: skip
        (folder / "parity.json").write_text(json.dumps(parity.to_json(), indent=2) + "\n", encoding="utf-8")
        parity.require()
        if target.exists():
            shutil.rmtree(target)
        folder.chmod(0o755)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return parity


def _write(
    base: Base, networks: Networks, folder: Path, int8: bool, report: Report, weights_root: Path | None
) -> ExportedBase:
    synthesizer, config = networks.synthesizer, networks.synthesizer.config
    files: dict[str, dict[str, dict[str, str]]] = {}
    metadata = {"timbre.base": base.name, "timbre.base_digest": base.digest, "timbre.export_version": EXPORT_VERSION}

    def keep(name: str, model: onnx.ModelProto, profile: str = "fp32") -> Path:
        path = folder / f"{name}.{profile}.onnx"
        graphs.save_graph(model, path, {**metadata, "timbre.graph": name, "timbre.profile": profile})
        files.setdefault(name, {})[profile] = {"file": path.name, "sha256": digest_file(path)}
        return path

    report("text to semantic")
    parameters = {name: tensor.detach().numpy() for name, tensor in networks.t2s.named_parameters()}
    model = build_t2s_graph(networks.t2s.config, parameters, max_positions=MAX_POSITIONS)
    fp32 = keep("t2s", model)
    if int8:
        keep("t2s", quantise(fp32), "int8")
    adaptable: dict[str, Any] = {}
    weights = {name: tensor.detach().numpy() for name, tensor in synthesizer.named_parameters() if tensor.ndim >= 2}
    for name, model in _acoustic_models(synthesizer, report):
        found = graphs.name_weights(model, weights)
        if name == "generator" and to_two_dimensional(model):
            found = {key: np.expand_dims(array, 2) for key, array in found.items()}
        adaptable |= found
        keep(name, model)
    _require_adaptable(weights, adaptable)
    report("content encoder")
    keep("content", _content(networks))
    report("speaker encoder")
    keep("speaker", graphs.trace(
        graphs.SpeakerGraph(load_ge2e()), (torch.rand(3, 160, 40),), ("mels",), ("embedding",), {"mels": {0: "B"}}
    ))  # fmt: skip
    if networks.verifier is not None:
        keep("verification", graphs.trace(
            graphs.VerificationGraph(networks.verifier), (torch.randn(1, 301, 80),), ("features",), ("speaker",),
            {"features": {1: "T"}},
        ))  # fmt: skip
    weights_file = folder / "weights.safetensors"
    save_file({name: array for name, array in adaptable.items() if _may_adapt(name)}, weights_file)
    files["weights"] = {"fp32": {"file": weights_file.name, "sha256": digest_file(weights_file)}}
    if networks.bert is not None and networks.t2s.bert_proj is not None:
        report("character vectors")
        bert = keep("bert", character_graph(networks.bert))
        if int8:
            keep("bert", quantise(bert), "int8")
        tokens, projection = folder / "bert_tokens.json", folder / "bert_projection.safetensors"
        tokens.write_text(json.dumps(character_tokens(base, weights_root), ensure_ascii=False), encoding="utf-8")
        save_file({PROJECTION: parameters[PROJECTION].copy()}, projection)
        for path in (tokens, projection):
            files[path.stem] = {"fp32": {"file": path.name, "sha256": digest_file(path)}}
    pitched = config.harmonic_source
    exported = ExportedBase(
        folder=folder, name=base.name, digest=base.digest, rate_hz=base.rate_hz, hop=base.hop, fft_size=base.fft,
        codes_hz=base.codes_hz, languages=base.languages, speaker_encoder=base.speaker_encoder, bert=base.bert,
        t2s=t2s_shape(networks.t2s),
        acoustic=AcousticShape(
            latent=config.latent_channels, condition=config.condition_channels, speaker_width=config.speaker_width,
            spectrum_bins=config.spectrum_bins, generator_context_frames=context_frames(synthesizer),
            source_fft_size=0 if pitched is None else pitched.fft_size,
            refinements=0 if pitched is None else pitched.refinements,
        ),
        recogniser_classes=CLASSES if networks.recogniser is not None else (),
        graphs=files, speaking=base.speaking,
        bert_width=networks.t2s.config.bert_width,
    )  # fmt: skip
    write_export(exported)
    return exported


def _acoustic_models(network: Synthesizer, report: Report) -> list[tuple[str, onnx.ModelProto]]:
    config = network.config
    latent, gin, bins = config.latent_channels, config.condition_channels, config.spectrum_bins
    condition = torch.randn(1, gin, 1)
    frames = 7 * config.code_frames
    prior_inputs = (
        torch.randint(0, config.codebook_size, (1, 7)), torch.randint(0, config.symbols, (1, 11)), condition,
        torch.arange(frames), torch.zeros(frames), torch.randn(1, latent, frames),
    )  # fmt: skip
    speaker = (torch.randn(1, config.speaker_width),) if config.speaker_width else ()
    models = []
    report("prior and flow")
    models.append(("prior", graphs.trace(
        graphs.PriorGraph(network), prior_inputs, ("codes", "phones", "condition", "left", "blend", "noise"), ("z",),
        {"codes": {1: "N"}, "phones": {1: "P"}, "left": {0: "T"}, "blend": {0: "T"}, "noise": {2: "T"}},
    )))  # fmt: skip
    report("style encoder")
    models.append(("style", graphs.trace(
        graphs.StyleGraph(network), (torch.rand(1, bins, 51), *speaker), ("spectrum", "speaker")[: 1 + len(speaker)],
        ("condition",), {"spectrum": {2: "T"}},
    )))  # fmt: skip
    report("posterior encoder")
    models.append(("posterior", graphs.trace(
        graphs.PosteriorGraph(network), (torch.rand(1, bins, 51), condition), ("spectrum", "condition"), ("z",),
        {"spectrum": {2: "T"}},
    )))  # fmt: skip
    report("quantizer")
    models.append(("quantizer", graphs.trace(
        graphs.QuantizerGraph(network), (torch.randn(1, config.ssl_width, 52),), ("features",), ("codes",),
        {"features": {2: "T"}},
    )))  # fmt: skip
    report("generator")
    source = config.harmonic_source is not None
    models.append(("generator", graphs.trace(
        graphs.SourceGraph(network) if source else graphs.GeneratorGraph(network),
        (torch.randn(1, latent, 30), condition), ("z", "condition"),
        ("spectrum", "voicing", "f0_hz") if source else ("wave",), {"z": {2: "T"}},
    )))  # fmt: skip
    return models


def _content(networks: Networks) -> onnx.ModelProto:
    outputs = ("features",) if networks.recogniser is None else ("features", "logits")
    wave: Tensor = torch.randn(1, 16_000) * 0.1
    return graphs.trace(
        graphs.ContentGraph(networks.content, networks.recogniser), (wave,), ("wave",), outputs, {"wave": {1: "S"}}
    )


def t2s_shape(network: TextToSemantic) -> T2SShape:
    """The sizes that the engine's slots need of a network."""
    config = network.config
    sizes: Mapping[str, tuple[int, int]] = {
        "in_proj": (config.hidden, 3 * config.hidden), "out_proj": (config.hidden, config.hidden),
        "linear1": (config.hidden, config.feed_forward), "linear2": (config.feed_forward, config.hidden),
    }  # fmt: skip
    return T2SShape(
        layers=config.layers, heads=config.heads, head_width=config.head_width, vocabulary=config.vocabulary,
        phone_rows=config.phonemes, end_token=config.end_token, max_positions=MAX_POSITIONS,
        projections={name: sizes[name.rsplit(".", 1)[-1]] for name in lora_names(config)},
    )  # fmt: skip


def _require_adaptable(weights: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Every convolution and projection that LoRA may wrap must be an initializer of its own, or a voice would be
    wrong.
    """
    missing = [
        name
        for name in weights
        if _may_adapt(name) and name.endswith(".weight") and name not in found and f"{name}.T" not in found
    ]
    if missing:
        raise CheckFailedError(
            f"export: these weights are not initializers of their own: {', '.join(missing[:5])}",
            "two weights of the base are equal, or the exporter folded one away: report it with `timbre doctor`",
        )


def _may_adapt(name: str) -> bool:
    return name.startswith(("enc_p.", "flow.", "dec."))
