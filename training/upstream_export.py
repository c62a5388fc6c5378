"""A voice trained here as the two files that upstream's own tools open.

base checkpoint + merged network -> <name>-e<N>.ckpt, <name>_e<N>_s<S>.pth
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from torch import nn

from timbre.core.base import Base
from timbre.core.errors import InputError
from timbre.gptsovits.acoustic.weight_norm import split_weight
from timbre.gptsovits.files.base_networks import build_synthesizer, load_text_to_semantic
from timbre.gptsovits.files.checkpoints import (
    ACOUSTIC,
    TEXT_TO_SEMANTIC,
    UPSTREAM_VERSIONS,
    Checkpoint,
    read_checkpoint,
    write_upstream,
)
from timbre.training.lora import load_adapter, merge, targets_of


def merged_checkpoint(base: Checkpoint, network: nn.Module, info: str) -> Checkpoint:
    """The base's checkpoint with the weights of the layers that carried LoRA taken from the merged network.

    Layers that no adapter touches keep the base's tensors as they are; adapted ones of the acoustic model get the pair
    weight_g, weight_v again, which upstream's network asks for.
    """
    state, adapted = network.state_dict(), re.compile(targets_of(network))
    weight = dict(base.weight)
    for name in base.weight:
        module, _, leaf = name.rpartition(".")
        # upstream's text-to-semantic file has in_proj_weight beside, not inside, a layer of its own
        layer = f"{module}.in_proj" if leaf.startswith("in_proj_") else module
        if not adapted.fullmatch(layer):
            continue
        if leaf == "weight_v":
            gain, direction = split_weight(state[f"{module}.weight"])
            weight[f"{module}.weight_g"], weight[name] = gain, direction
        elif leaf != "weight_g":
            weight[name] = state[name]
    return dataclasses.replace(base, weight=weight, info=info)


def export_voice(
    base: Base, adapters: Path, target: Path, name: str, epoch: int = 1, step: int = 0, weights_root: Path | None = None
) -> tuple[Path, Path]:
    """Merges the adapters in adapters/t2s and adapters/sovits and writes both files into target.

    epoch and step appear in the names and in `info`, as upstream's tools expect. Raises InputError for a base that
    upstream does not have, and the errors of load_adapter and write_upstream.
    """
    if base.architecture not in UPSTREAM_VERSIONS:
        raise InputError(
            f"base {base.name}: architecture {base.architecture} is unknown to upstream",
            f"only voices on {', '.join(UPSTREAM_VERSIONS)} bases can be written for it",
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"name {name!r}: letters, digits, dots, dashes and _ only", "choose another name")
    text_file, acoustic_file = target / f"{name}-e{epoch}.ckpt", target / f"{name}_e{epoch}_s{step}.pth"
    text = merge(load_adapter(load_text_to_semantic(base, weights_root), adapters / "t2s"))
    source = base.file_path(TEXT_TO_SEMANTIC, weights_root)
    write_upstream(merged_checkpoint(read_checkpoint(source), text, f"GPT-e{epoch}"), text_file)
    source = base.file_path(ACOUSTIC, weights_root)
    checkpoint = read_checkpoint(source)
    network = build_synthesizer(checkpoint, str(source), with_posterior=False)
    acoustic = merge(load_adapter(network, adapters / "sovits"))
    info = f"{epoch}epoch_{step}iteration"
    write_upstream(merged_checkpoint(checkpoint, acoustic, info), acoustic_file)
    return text_file, acoustic_file
