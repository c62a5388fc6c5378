"""Weight files of the networks: what one is, read safely, loaded strictly, written in our form or in upstream's.

.ckpt, .pth, .safetensors -> Checkpoint(kind, version, weight, config, info) -> network, .safetensors, .ckpt, .pth

Names of tensors inside a Checkpoint are upstream's, without the `model.` that its text-to-semantic files put in front.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from timbre.core.atomic import replacing
from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.files.pickle_writer import HParams
from timbre.gptsovits.files.torch_archive import read_archive, write_archive

TEXT_TO_SEMANTIC = "text_to_semantic"
ACOUSTIC = "acoustic"
DISCRIMINATOR = "discriminator"
KINDS = (TEXT_TO_SEMANTIC, ACOUSTIC, DISCRIMINATOR)
UPSTREAM_VERSIONS = ("v2", "v2Pro", "v2ProPlus")

# Upstream's labels: the first two bytes of a voice file. "PK" is the plain zip header of v1 and v2.
LABELS = {b"00": "v1", b"01": "v2", b"02": "v3", b"03": "v3", b"04": "v4", b"05": "v2Pro", b"06": "v2ProPlus"}
_LABEL_OF = {"v2": b"PK", "v2Pro": b"05", "v2ProPlus": b"06"}

_PREFIX = "model."
_PHONES_T2S = "ar_text_embedding.word_embeddings.weight"
_PHONES_ACOUSTIC = "enc_p.text_embedding.weight"
_V1_ROWS = {_PHONES_T2S: 512, _PHONES_ACOUSTIC: 322}
_TRAINING_ONLY = "enc_q."
_METADATA = "timbre"


@dataclass(frozen=True)
class Checkpoint:
    """Weights of one network."""

    kind: str
    """One of KINDS."""
    version: str
    """v2, v2Pro, v2ProPlus for upstream's, or the architecture of a base of ours."""
    weight: dict[str, Tensor]
    """Tensors by name."""
    config: dict[str, Any] = field(default_factory=dict)
    """Plain data, the sections of upstream's configuration."""
    info: str = ""
    """Free text."""

    @property
    def parameters(self) -> int:
        """Values in all tensors."""
        return sum(tensor.numel() for tensor in self.weight.values())


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file of upstream's (.ckpt, .pth, with or without label) or ours (.safetensors).

    The kind comes from the names, the version from shapes (then the label, then the configuration).
    Raises InputError (RefusedError among them) for a file that is unsafe, damaged, no checkpoint, or of v1, v3 or v4;
    ConfigurationError when it does not exist.
    """
    if is_safetensors(path):
        return _read_safetensors(path)
    value, header = read_archive(path)
    if not isinstance(value, dict) or not isinstance(value.get("weight"), dict):
        keys = ", ".join(list(map(str, value))[:6]) if isinstance(value, dict) else type(value).__name__
        raise InputError(
            f"{path}: not a voice or base checkpoint: no `weight` at the top (there is: {keys})",
            "training state (G_*.pth, D_*.pth) is not read: export the voice in upstream's tool first",
        )
    weight = _tensors(value["weight"], path)
    config = value.get("config") or {}
    if not isinstance(config, dict):
        raise InputError(f"{path}: config is a {type(config).__name__}, needs a mapping", "download the file again")
    kind = checkpoint_kind(weight, path)
    if kind == TEXT_TO_SEMANTIC:
        weight = {name.removeprefix(_PREFIX): tensor for name, tensor in weight.items()}
    version = checkpoint_version(kind, weight, header, config, path)
    return Checkpoint(kind, version, weight, config, str(value.get("info", "")))


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a bare state dict: HuBERT, BERT, ERes2NetV2 (.bin, .ckpt, .pt) or .safetensors.

    Raises as read_checkpoint does.
    """
    if is_safetensors(path):
        with _open_safetensors(path) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    value, _ = read_archive(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds a {type(value).__name__}, needs a mapping of tensors", "give a state dict")
    return _tensors(value, path)


def is_safetensors(path: Path) -> bool:
    """True for files that are named .safetensors."""
    return path.suffix == ".safetensors"


def checkpoint_kind(weight: Mapping[str, Tensor], path: Path) -> str:
    """Which network the names belong to. Raises InputError for none, and for adapters and v3 or v4 decoders."""
    if any(".lora_" in name for name in weight):
        raise InputError(f"{path}: a LoRA file of v3 or v4, not a network of its own", "convert a v2 family voice")
    if any(name.startswith(("cfm.", "bridge.")) for name in weight):
        raise InputError(
            f"{path}: version v3 or v4 (it has a flow-matching decoder), which is not supported",
            "use a voice of v2, v2Pro or v2ProPlus",
        )
    for kind, mark in (
        (TEXT_TO_SEMANTIC, ("ar_text_embedding.", "ar_predict_layer.", "model.ar_")),
        (ACOUSTIC, ("enc_p.",)),
        (DISCRIMINATOR, ("discriminators.",)),
    ):
        if any(name.startswith(mark) for name in weight):
            return kind
    raise InputError(
        f"{path}: no network of GPT-SoVITS has tensors named {', '.join(list(weight)[:3]) or '(none)'}",
        "give a GPT .ckpt, a SoVITS .pth, or the discriminator of a base",
    )


def checkpoint_version(
    kind: str, weight: Mapping[str, Tensor], header: bytes, config: Mapping[str, Any], path: Path
) -> str:
    """v2, v2Pro or v2ProPlus: by shapes where the deciding tensors are there, else by label, else by configuration.

    Upstream decides by label, by file size and by the MD5 of known files; a renamed or re-saved file defeats all three.
    Raises InputError for v1, v3 and v4, and for an unrecognised version.
    """
    for name, rows in _V1_ROWS.items():
        if name in weight and weight[name].shape[0] == rows:
            raise InputError(
                f"{path}: version v1 ({rows} phones in {name}), which is not supported",
                "train the voice again on v2 or later: v1 has another phone table",
            )
    if kind == TEXT_TO_SEMANTIC:
        return "v2"  # one network for v2, v2Pro, v2ProPlus
    if kind == DISCRIMINATOR:
        count = len({name.split(".")[1] for name in weight if name.startswith("discriminators.")})
        return "v2Pro" if count > 6 else "v2"  # one scale and 5 or 7 periods; v2ProPlus has v2Pro's
    upsampler = weight.get("dec.ups.0.weight_v")
    if upsampler is not None and "dec.conv_pre.weight" in weight:
        if "sv_emb.weight" not in weight:
            return "v2"
        return "v2ProPlus" if upsampler.shape[-1] == 20 else "v2Pro"
    model = config.get("model")
    version = LABELS.get(header) or (str(model.get("version", "")) if isinstance(model, Mapping) else "")
    if version not in UPSTREAM_VERSIONS:
        raise InputError(
            f"{path}: version {version or 'unknown'}: neither shapes, label nor configuration say v2, v2Pro, v2ProPlus",
            "use a voice of the v2 family",
        )
    return version


def load_weights(
    network: nn.Module, weight: Mapping[str, Tensor], source: str, optional: tuple[str, ...] = ()
) -> nn.Module:
    """Copies weight into network, and returns it. Every name must be on both sides, with one shape.

    optional: prefixes of parts that the file may leave out as a whole (a voice has no `enc_q.`, which only training
    needs); such a part keeps what it has. Raises InputError that counts and names what is missing, extra or misshapen.
    """
    have = network.state_dict()
    left_out = tuple(prefix for prefix in optional if not any(name.startswith(prefix) for name in weight))
    problems = []
    missing = [name for name in have if name not in weight and not name.startswith(left_out or ("\0",))]
    extra = [name for name in weight if name not in have]
    shapes = [
        f"{name} {tuple(weight[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in have.items()
        if name in weight and weight[name].shape != tensor.shape
    ]
    for what, names in (("missing", missing), ("extra", extra), ("of another shape", shapes)):
        if names:
            problems.append(f"{len(names)} {what} ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})")
    if problems:
        raise InputError(
            f"{source}: tensors do not fit {type(network).__name__}: {'; '.join(problems)}",
            "give a file of this version and size of the network",
        )
    network.load_state_dict(dict(weight), strict=not left_out)
    return network


def save_safetensors(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the checkpoint with kind, version, configuration and info in the file's metadata. Atomic."""
    about = {key: getattr(checkpoint, key) for key in ("kind", "version", "config", "info")}
    # clone: tensors that share memory are refused by the format
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.weight.items()}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={_METADATA: json.dumps(about, sort_keys=True)})


def write_upstream(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a voice file that upstream's own tools open: half precision, its names, its configuration class and label.

    `enc_q.` is left out, as upstream does. Raises InputError for versions that upstream does not have and for weights
    that half precision cannot hold; ConfigurationError when the configuration that upstream builds from is absent.
    """
    if checkpoint.version not in UPSTREAM_VERSIONS or checkpoint.kind == DISCRIMINATOR:
        raise InputError(
            f"{path}: upstream has no {checkpoint.kind} of version {checkpoint.version}",
            f"export a voice on one of the bases {', '.join(UPSTREAM_VERSIONS)}",
        )
    for section in ("model", "data") if checkpoint.kind == TEXT_TO_SEMANTIC else ("train", "data", "model"):
        if section not in checkpoint.config:
            raise ConfigurationError(
                f"{path}: config.{section}: missing, and upstream builds its network from it",
                "take the configuration from the base's own checkpoint",
            )
    prefix = _PREFIX if checkpoint.kind == TEXT_TO_SEMANTIC else ""
    weight = {
        prefix + name: _half(tensor, name, path)
        for name, tensor in checkpoint.weight.items()
        if not name.startswith(_TRAINING_ONLY)
    }
    text = checkpoint.kind == TEXT_TO_SEMANTIC
    config: Any = checkpoint.config if text else HParams(checkpoint.config)
    label = b"PK" if text else _LABEL_OF[checkpoint.version]
    write_archive({"weight": weight, "config": config, "info": checkpoint.info}, path, label)


def _half(tensor: Tensor, name: str, path: Path) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.detach()
    half = tensor.detach().to(torch.float16)
    if name.endswith(("cluster_size", "embed_avg")):
        # training statistics of the codebook, not used for decoding, can be large: any finite value does
        half = half.clamp(-65504, 65504)
    if not torch.isfinite(half).all():
        raise InputError(f"{path}: {name} has values that half precision cannot hold", "train again with a lower rate")
    return half


def _tensors(value: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise InputError(f"{path}: {name!r} is a {type(tensor).__name__}, needs a tensor", "give a weight file")
    return dict(value)


def _open_safetensors(path: Path) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"{path}: cannot be read: no such file", "check the path")
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise InputError(f"{path}: damaged safetensors file: {error}", "download the file again") from error


def _read_safetensors(path: Path) -> Checkpoint:
    with _open_safetensors(path) as file:
        try:
            about = json.loads((file.metadata() or {})[_METADATA])
            kind, version, config = str(about["kind"]), str(about["version"]), dict(about["config"])
        except (KeyError, ValueError, TypeError):
            kind, version, config, about = "", "", {}, {}
        weight = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    if kind not in KINDS:
        kind = checkpoint_kind(weight, path)
        version = checkpoint_version(kind, weight, b"PK", config, path)
    return Checkpoint(kind, version, weight, config, str(about.get("info", "")))
