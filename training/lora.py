"""LoRA on the two networks: which layers carry it, wrapping, the adapter folder, merging.

network + rank -> PeftModel -> adapter_config.json and adapter_model.safetensors (float16) -> network with it merged

Hu et al. 2021, "LoRA" (arXiv 2106.09685): weight + (alpha / rank) * B A, with A random and B zero at the start. The
folder is PEFT's own layout and PEFT loads it by itself. Attention and feed-forward projections of the text-to-semantic
network, the prior encoder's attention, the flow and the decoder carry it: an adapter without the decoder cannot change
what copy synthesis sounds like. Of the decoder's convolutions, PEFT cannot wrap the transposed ones, and wraps dilated
ones wrongly (its A is not dilated): both are left out, which leaves four of the six in every residual block.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from timbre.core.base import Base
from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.text_to_semantic.network import TextToSemantic

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

# Regular expressions over module names; PEFT takes the whole name. Groups are for the report.
T2S_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "attention": r"h\.layers\.\d+\.self_attn\.(in_proj|out_proj)",
        "feed_forward": r"h\.layers\.\d+\.linear[12]",
    }
)
ACOUSTIC_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "prior_attention": r"enc_p\.(encoder_ssl|encoder_text|encoder2)\.attn_layers\.\d+\.conv_[qkvo]"
        r"|enc_p\.mrte\.cross_attention\.conv_[qkvo]",
        "flow": r"flow\.flows\.\d+\.(pre|post|enc\.in_layers\.\d+|enc\.res_skip_layers\.\d+|enc\.cond_layer)",
        "decoder": r"dec\.(conv_pre|conv_post|cond|head|direct|blocks\.\d+\.pwconv[12])"
        r"|dec\.resblocks\.\d+\.(convs1\.0|convs2\.\d+)",
    }
)


@dataclass(frozen=True)
class LoraSettings:
    """Shape and start of an adapter."""

    rank: int = 8
    """Of the matrices."""
    alpha: float = 16.0
    """The update is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Before A."""
    seed: int = 1234
    """Of A's values."""


def groups_of(network: nn.Module) -> Mapping[str, str]:
    """Regular expressions of the layers of this network that carry LoRA, by group. Raises TypeError for others."""
    if isinstance(network, TextToSemantic):
        return T2S_GROUPS
    if isinstance(network, Synthesizer):
        return ACOUSTIC_GROUPS
    raise TypeError(f"no LoRA is defined for {type(network).__name__}")


def targets_of(network: nn.Module) -> str:
    """One regular expression over module names, as PEFT's `target_modules` takes it."""
    return "|".join(f"({pattern})" for pattern in groups_of(network).values())


def wrap(network: nn.Module, settings: LoraSettings, name: str = "") -> PeftModel:
    """Freezes the network and puts LoRA into it, in place; the PeftModel around it shares its layers.

    Weight normalisation of the acoustic network is folded first: its layers can be wrapped only then. The network
    itself may be called on as before (`network.decode(...)` uses the adapter). name: of the base, for the adapter's
    configuration (base_label). Random values come from settings.seed alone.
    """
    if isinstance(network, Synthesizer):
        network.fold()
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type] # PEFT takes any number
        lora_dropout=settings.dropout,
        target_modules=targets_of(network),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = get_peft_model(network, config)
    assert isinstance(model, PeftModel)
    _refuse_dilation(network)
    model.peft_config["default"].base_model_name_or_path = name or None
    return model


def trainable(model: PeftModel) -> dict[str, nn.Parameter]:
    """The parameters of the adapter by name; every other one is frozen."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def parameter_counts(model: PeftModel) -> dict[str, int]:
    """Values of the adapter by group ("attention", "flow", ...)."""
    groups = groups_of(network_of(model))
    counts: Counter[str] = Counter()
    for name, parameter in trainable(model).items():
        module = re.split(r"\.lora_[AB]\.", name.removeprefix("base_model.model."))[0]
        counts[next(group for group, pattern in groups.items() if re.fullmatch(pattern, module))] += parameter.numel()
    return dict(counts)


def network_of(model: PeftModel) -> nn.Module:
    """The network inside, with the adapter in it."""
    network = model.base_model.model
    assert isinstance(network, nn.Module)
    return network


def adapter_tensors(model: PeftModel) -> dict[str, Tensor]:
    """The adapter's tensors as its file holds them: PEFT's names, float16, on the CPU.

    Raises InputError when training went astray: values that float16 cannot hold.
    """
    tensors = {}
    for name, tensor in _state(model).items():
        half = tensor.detach().to("cpu", torch.float16).contiguous().clone()
        if not torch.isfinite(half).all():
            raise InputError(f"{name}: values that float16 cannot hold", "train again with a lower learning rate")
        tensors[name] = half
    return tensors


def save_adapter(model: PeftModel, folder: Path) -> int:
    """Writes the two files into folder and returns their bytes. The caller renames the folder when all is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"].to_dict()
    config |= {"inference_mode": True, "target_modules": targets_of(network_of(model))}
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True, default=str) + "\n", "utf-8")
    save_file(adapter_tensors(model), folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return sum((folder / name).stat().st_size for name in (CONFIG_FILE, WEIGHTS_FILE))


def read_settings(folder: Path, network: nn.Module) -> LoraSettings:
    """Rank, alpha and dropout of the adapter in folder.

    Only adapters of our own form are taken: the file must name exactly the layers that this network adapts, and none of
    PEFT's other options. Raises InputError.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text("utf-8"))
        settings = LoraSettings(int(config["r"]), float(config["lora_alpha"]), float(config["lora_dropout"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not an adapter configuration: {error!r}", "publish the voice again") from error
    fixed: dict[str, Any] = {
        "peft_type": "LORA",
        "target_modules": targets_of(network),
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
        "modules_to_save": None,
    }
    for key, wanted in fixed.items():
        if config.get(key) != wanted:
            raise InputError(
                f"{path}: {key} is {config.get(key)!r}, needs {wanted!r}",
                f"the adapter was made for another network than {type(network).__name__}, or by another tool",
            )
    return settings


def load_adapter(network: nn.Module, folder: Path, name: str = "") -> PeftModel:
    """Puts the adapter in folder into the network, strictly: every tensor must be on both sides, with one shape.

    Raises InputError when it does not fit. The adapter's values are float32 in memory and may be trained on.
    """
    settings = read_settings(folder, network)
    path = folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read: {error}", "publish the voice again") from error
    model = wrap(network, settings, name)
    wanted = {key: tuple(tensor.shape) for key, tensor in _state(model).items()}
    given = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if wanted != given:
        wrong = sorted({key for key in wanted.keys() | given.keys() if wanted.get(key) != given.get(key)})
        raise InputError(
            f"{path}: {len(wrong)} tensors do not fit, first {wrong[0]}: {given.get(wrong[0])} for "
            f"{wanted.get(wrong[0])}",
            "the voice belongs to another base",
        )
    set_peft_model_state_dict(model, {key: tensor.float() for key, tensor in tensors.items()})
    return model


def merge(model: PeftModel) -> nn.Module:
    """The plain network with the adapter added to its weights. The model must not be used afterwards."""
    network = model.merge_and_unload()
    assert isinstance(network, nn.Module)
    return network


def _refuse_dilation(network: nn.Module) -> None:
    for name, module in network.named_modules():
        base = getattr(module, "base_layer", None)
        if isinstance(base, nn.Conv1d) and base.dilation != (1,):
            raise ConfigurationError(
                f"{name}: dilation {base.dilation[0]}, and PEFT's LoRA ignores dilation",
                "choose sizes whose adapted convolutions are not dilated",
            )


def _state(model: PeftModel) -> dict[str, Tensor]:
    # save_embedding_layers: PEFT would otherwise ask the Hub whether the base has a vocabulary of another size
    state: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return state


def base_label(base: Base) -> str:
    """What an adapter's configuration says about its base: name and the first 12 digits of the digest."""
    return f"{base.name}@{base.digest[:12]}"
