"""A base in the size of official v2Pro with random weights, in the form of upstream's own files.

Nothing is smaller than it will be but the Mandarin BERT, which is left out: an English voice never asks it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.gptsovits.test_checkpoints import GPT_OFFICIAL, official_config
from timbre.core import base as roles
from timbre.core.base import Base, read_base, write_base
from timbre.core.digests import digest_file
from timbre.core.weights import BaseFile, Licence
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetConfig, ERes2NetV2
from timbre.gptsovits.files.checkpoints import Checkpoint, save_safetensors
from timbre.gptsovits.text_to_semantic.configuration import T2S_V2
from timbre.gptsovits.text_to_semantic.network import TextToSemantic

SEED, VERSION = 7, "v2Pro"
HUBERT: dict[str, Any] = {
    "model_type": "hubert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "mask_time_prob": 0.0, "layerdrop": 0.0,
}  # fmt: skip


def make_official_size(folder: Path, name: str = "official-size") -> Base:
    """Writes the base; about 0.5 GB."""
    from transformers import HubertConfig, HubertModel

    folder.mkdir(parents=True)
    put = _Writer(folder)
    put.archive(roles.TEXT_TO_SEMANTIC, "s1v3.ckpt", lambda: TextToSemantic(T2S_V2), GPT_OFFICIAL, "model.")
    put.archive(
        roles.ACOUSTIC, "s2Gv2Pro.pth", lambda: Synthesizer(SynthesizerConfig.v2pro()), official_config(VERSION)
    )
    put.plain(roles.CONTENT_ENCODER, lambda: HubertModel(HubertConfig(**HUBERT)))
    (folder / "content_encoder.json").write_text(json.dumps(HUBERT), encoding="utf-8")
    put.listed(roles.CONTENT_ENCODER_CONFIG, "content_encoder.json")
    put.plain(roles.SPEAKER_ENCODER, lambda: ERes2NetV2(ERes2NetConfig()))
    write_base(Base(
        folder=folder, name=name, description="Random weights of the official size; noise, not speech",
        files=tuple(put.files), weights="here", licences=(Licence("everything", "CC0-1.0", "generated"),),
        architecture=VERSION, rate_hz=32_000, hop=640, fft=2048, languages=("en",), speaker_encoder="eres2netv2",
        bert=False,
    ))  # fmt: skip
    return read_base(folder)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, list[BaseFile]()

    def archive(self, role: str, path: str, make: Callable[[], nn.Module], config: Any, prefix: str = "") -> None:
        """As upstream saves: half precision, weights and configuration in one archive."""
        weight = {prefix + name: tensor.half() if tensor.is_floating_point() else tensor
                  for name, tensor in _seeded(make).state_dict().items()}  # fmt: skip
        torch.save({"weight": weight, "config": config, "info": "random"}, self.folder / path)
        self.listed(role, path)

    def plain(self, role: str, make: Callable[[], nn.Module]) -> None:
        weight = dict(_seeded(make).state_dict())
        save_safetensors(Checkpoint(role, VERSION, weight), self.folder / f"{role}.safetensors")
        self.listed(role, f"{role}.safetensors")

    def listed(self, role: str, path: str) -> None:
        self.files.append(BaseFile(role, path, digest_file(self.folder / path)))


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = make()
        # Couplings start as the identity in training; here every path carries something and no two weights are equal.
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                nn.init.normal_(parameter, std=0.05)
    return network
