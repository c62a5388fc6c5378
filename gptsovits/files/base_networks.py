"""The networks of a base, built from its files: sizes from the file, weights loaded strictly.

Base -> text-to-semantic, acoustic, discriminators, content encoder, speaker encoder, BERT; on the CPU, in eval mode
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor, nn

from timbre.core import base as roles
from timbre.core.base import Base
from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetConfig, ERes2NetV2
from timbre.gptsovits.encoders.ge2e import Ge2e, load_ge2e
from timbre.gptsovits.files.checkpoints import (
    ACOUSTIC,
    DISCRIMINATOR,
    TEXT_TO_SEMANTIC,
    UPSTREAM_VERSIONS,
    Checkpoint,
    load_weights,
    read_checkpoint,
    read_state_dict,
)
from timbre.gptsovits.files.config_plain import config_from_plain, config_to_plain
from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.network import TextToSemantic

if TYPE_CHECKING:
    from transformers import BertModel, HubertModel

Config = TypeVar("Config")

NETWORK = "network"  # section of a checkpoint's configuration that holds sizes of ours


def load_text_to_semantic(base: Base, weights_root: Path | None = None) -> TextToSemantic:
    """The text-to-semantic network of a base. Errors: those of read_checkpoint and load_weights."""
    checkpoint, path = _checkpoint(base, TEXT_TO_SEMANTIC, weights_root)
    network = TextToSemantic(text_to_semantic_config(checkpoint, str(path)))
    load_weights(network, _full(checkpoint.weight), str(path))
    return network.eval()


def load_synthesizer(base: Base, weights_root: Path | None = None, with_posterior: bool = True) -> Synthesizer:
    """The acoustic network of a base. with_posterior: with `enc_q`, which training and copy synthesis need.

    Raises InputError when the posterior is wanted and the file, as a voice's, does not have it.
    """
    checkpoint, path = _checkpoint(base, ACOUSTIC, weights_root)
    return build_synthesizer(checkpoint, str(path), with_posterior)


def build_synthesizer(checkpoint: Checkpoint, source: str, with_posterior: bool = True) -> Synthesizer:
    """The acoustic network of a checkpoint, loaded strictly, in eval mode."""
    network = Synthesizer(synthesizer_config(checkpoint, source), with_posterior)
    weight = {n: t for n, t in checkpoint.weight.items() if with_posterior or not n.startswith("enc_q.")}
    load_weights(network, _full(weight), source)
    return network.eval()


def load_discriminators(base: Base, weights_root: Path | None = None) -> Discriminators:
    """The discriminators of a base, for training."""
    checkpoint, path = _checkpoint(base, DISCRIMINATOR, weights_root)
    network = Discriminators(discriminator_config(checkpoint, str(path)))
    load_weights(network, _full(checkpoint.weight), str(path))
    return network.eval()


def load_content_encoder(base: Base, weights_root: Path | None = None) -> HubertModel:
    """HuBERT of a base: wave [B, T] at 16 kHz -> `.last_hidden_state` [B, T // 320, ssl width], 50 frames a second."""
    from transformers import HubertConfig, HubertModel

    path = base.file_path(roles.CONTENT_ENCODER, weights_root)
    config = HubertConfig(**_json(base.file_path(roles.CONTENT_ENCODER_CONFIG, weights_root)))
    network = HubertModel(config)
    weight = _renamed(read_state_dict(path), "hubert.", dropped=("final_proj.", "label_embs_concat", "lm_head."))
    load_weights(network, _full(weight), str(path), optional=("masked_spec_embed",))
    network.train(False)
    return network


def load_recogniser(base: Base, weights_root: Path | None = None) -> nn.Linear | None:
    """Phone head over the content encoder's hidden states: [B, T, ssl width] -> [B, T, classes]; None without one."""
    if not base.has(roles.RECOGNISER):
        return None
    state = read_state_dict(base.file_path(roles.RECOGNISER, weights_root))
    head = nn.Linear(state["weight"].shape[1], state["weight"].shape[0])
    head.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return head.eval()


def load_bert(base: Base, weights_root: Path | None = None) -> BertModel:
    """BERT of a base, for Mandarin: token ids [B, L] -> hidden states [B, L, 1024] of every layer."""
    from transformers import BertConfig, BertModel

    path = base.file_path(roles.BERT, weights_root)
    config = BertConfig(**_json(base.file_path(roles.BERT_CONFIG, weights_root)), output_hidden_states=True)
    network = BertModel(config, add_pooling_layer=False)
    weight = _renamed(read_state_dict(path), "bert.", dropped=("cls.", "pooler.", "embeddings.position_ids"))
    load_weights(network, _full(weight), str(path))
    network.train(False)
    return network


def load_speaker_encoder(base: Base, weights_root: Path | None = None) -> Ge2e | ERes2NetV2 | None:
    """The encoder whose vector conditions the acoustic model of a base; None when there is none (v2)."""
    if base.speaker_encoder == "none":
        return None
    if base.speaker_encoder == "ge2e":
        return load_ge2e()
    path = base.file_path(roles.SPEAKER_ENCODER, weights_root)
    weight = read_state_dict(path)
    try:
        network = ERes2NetV2(ERes2NetConfig.from_shapes({name: tuple(t.shape) for name, t in weight.items()}))
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{path}: not ERes2NetV2: {error} is missing", "pull the base again") from error
    load_weights(network, _full(weight), str(path))
    return network.eval()


def text_to_semantic_config(checkpoint: Checkpoint, source: str) -> T2SConfig:
    """Sizes of the text-to-semantic network in a checkpoint. Raises ConfigurationError when they are not there."""
    if NETWORK in checkpoint.config:
        return _own(checkpoint, source, T2SConfig)
    try:
        return T2SConfig.from_upstream(checkpoint.config["model"])
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{source}: config.model: {error}", "give a checkpoint that has its configuration"
        ) from error


def synthesizer_config(checkpoint: Checkpoint, source: str) -> SynthesizerConfig:
    """Sizes of the acoustic network in a checkpoint; the version is the detected one, whatever the file says."""
    if NETWORK in checkpoint.config:
        return _own(checkpoint, source, SynthesizerConfig)
    config, phones = checkpoint.config, checkpoint.weight.get("enc_p.text_embedding.weight")
    try:
        data, hop = config["data"], int(config["data"]["hop_length"])
        return SynthesizerConfig.from_upstream(
            {**config["model"], "version": checkpoint.version},
            spectrum_bins=int(data["filter_length"]) // 2 + 1,
            hop=hop,
            rate_hz=int(data["sampling_rate"]),
            segment_frames=int(config["train"]["segment_size"]) // hop,
            symbols=None if phones is None else phones.shape[0],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{source}: config: {error} is missing", "give a checkpoint that has its configuration"
        ) from error


def discriminator_config(checkpoint: Checkpoint, source: str) -> DiscriminatorConfig:
    """Sizes of the discriminators in a checkpoint; upstream's files do not say and have one set a version."""
    if NETWORK in checkpoint.config:
        return _own(checkpoint, source, DiscriminatorConfig)
    return DiscriminatorConfig.v2() if checkpoint.version == "v2" else DiscriminatorConfig.v2pro()


def checkpoint_of(network: nn.Module, kind: str, architecture: str, config: Any, info: str = "") -> Checkpoint:
    """A checkpoint of a network of ours (nano, pico), with its sizes, as save_safetensors writes it."""
    if architecture in UPSTREAM_VERSIONS:
        raise ConfigurationError(
            f"architecture {architecture}: sizes come from upstream's file",
            "give the checkpoint with its configuration",
        )
    return Checkpoint(kind, architecture, dict(network.state_dict()), {NETWORK: config_to_plain(config)}, info)


def half_precision(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with float16 in place of float32."""
    weight = {name: t.half() if t.is_floating_point() else t for name, t in checkpoint.weight.items()}
    return dataclasses.replace(checkpoint, weight=weight)


def _own(checkpoint: Checkpoint, source: str, kind: type[Config]) -> Config:
    config = config_from_plain(checkpoint.config[NETWORK], source)
    if not isinstance(config, kind):
        raise ConfigurationError(
            f"{source}: sizes of {type(config).__name__}, needs {kind.__name__}", "give the file of this network"
        )
    return config


def require_kind(checkpoint: Checkpoint, kind: str, base: Base, source: str) -> None:
    """Raises InputError unless the checkpoint is the network that base.yaml says, of the base's architecture."""
    if checkpoint.kind != kind:
        raise InputError(f"{source}: holds {checkpoint.kind}, base.yaml says {kind}", "correct base.yaml or the file")
    expected = base.architecture
    if kind != ACOUSTIC and expected in UPSTREAM_VERSIONS:
        # one text-to-semantic network for all versions, one discriminator set for v2Pro and v2ProPlus
        expected = "v2" if kind == TEXT_TO_SEMANTIC else expected.removesuffix("Plus")
    if checkpoint.version != expected:
        raise InputError(f"{source}: is {checkpoint.version}, the base needs {expected}", "correct base.yaml")


def _checkpoint(base: Base, kind: str, weights_root: Path | None) -> tuple[Checkpoint, Path]:
    path = base.file_path(kind, weights_root)
    checkpoint = read_checkpoint(path)
    require_kind(checkpoint, kind, base, str(path))
    return checkpoint, path


def _full(weight: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.float() if t.is_floating_point() else t for name, t in weight.items()}


def _renamed(weight: dict[str, Tensor], prefix: str, dropped: tuple[str, ...]) -> dict[str, Tensor]:
    """Names as transformers' bare model has them: without the prefix and the heads of pre-training, and with the
    present names of weight norm.
    """
    renamed = {}
    for name, tensor in weight.items():
        bare = name.removeprefix(prefix)
        if bare.startswith(dropped):
            continue
        bare = bare.replace("conv.weight_g", "conv.parametrizations.weight.original0")
        bare = bare.replace("conv.weight_v", "conv.parametrizations.weight.original1")
        renamed[bare] = tensor
    return renamed


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}", "pull the base again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a mapping", "pull the base again")
    return value
