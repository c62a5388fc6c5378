"""pico: a base with every part tiny and random, made in seconds.

folder, seed -> base.yaml, weights of every network

It has the shape and files of a real base and makes noise, not speech; all but sound quality can be tried on it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core import base as base_module
from core.base import Base, write_base
from core.digests import digest_file
from core.errors import ConfigurationError
from core.weights import BaseFile, Licence
from gptsovits.base_networks import checkpoint_of, half_precision
from gptsovits.checkpoints import ACOUSTIC, DISCRIMINATOR, TEXT_TO_SEMANTIC, Checkpoint, save_safetensors
from gptsovits.configuration import DiscriminatorConfig, SynthesizerConfig
from gptsovits.configuration_t2s import T2S_PICO
from gptsovits.discriminators import Discriminators
from gptsovits.synthesizer import Synthesizer
from gptsovits.text_to_semantic import TextToSemantic

ARCHITECTURE = "pico"
DEFAULT_SEED = 20240117

# What a healthy run of random networks meets and a broken one (silence, NaN, clipping, a lost band) misses.
GATES = """\
version: 1
min_sentences: 2
gates:
  - {metric: level_dbfs, protocol: tts, limit: -90, statistic: worst, why: something is heard}
  - {metric: peak_dbfs, protocol: tts, limit: 0, statistic: worst, why: nothing clips}
  - {metric: bandwidth_hz, protocol: tts, limit: 1000, why: the band is not lost}
  - {metric: level_dbfs, protocol: copy, limit: -90, statistic: worst, why: something is heard}
  - {metric: peak_dbfs, protocol: copy, limit: 0, statistic: worst, why: nothing clips}
"""


def hubert_sizes(width: int) -> dict[str, Any]:
    """Sizes of a tiny HuBERT with 50 frames a second, as transformers' HubertConfig takes them."""
    return {
        "model_type": "hubert",
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
        "conv_dim": [16] * 7,
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "feat_extract_norm": "group",
        "mask_time_prob": 0.0,
        "layerdrop": 0.0,
    }


def make_pico(folder: Path, name: str = "pico", seed: int = DEFAULT_SEED) -> Base:
    """Writes a base into folder and returns it. The same seed gives the same weights on one version of torch.

    Raises ConfigurationError when folder holds something else.
    """
    from transformers import HubertConfig, HubertModel

    if folder.exists() and any(folder.iterdir()) and not (folder / base_module.BASE_FILE).is_file():
        raise ConfigurationError(f"{folder}: not empty and not a base", "name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    synthesizer = SynthesizerConfig.pico()
    sizes = hubert_sizes(synthesizer.ssl_width)
    text = dataclasses.replace(T2S_PICO, vocabulary=synthesizer.codebook_size + 1, end_token=synthesizer.codebook_size)
    parts: tuple[tuple[str, Any, Any], ...] = (
        (TEXT_TO_SEMANTIC, TextToSemantic, text),
        (ACOUSTIC, Synthesizer, synthesizer),
        (DISCRIMINATOR, Discriminators, DiscriminatorConfig.pico()),
    )
    for kind, network, config in parts:
        checkpoint = checkpoint_of(_seeded(lambda n=network, c=config: n(c), seed), kind, ARCHITECTURE, config)
        save_safetensors(half_precision(checkpoint), folder / f"{kind}.safetensors")
    encoder = _seeded(lambda: HubertModel(HubertConfig(**sizes)), seed)
    save_safetensors(
        half_precision(Checkpoint("content_encoder", ARCHITECTURE, dict(encoder.state_dict()))),
        folder / "content_encoder.safetensors",
    )
    (folder / "content_encoder.json").write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    files = [(kind, f"{kind}.safetensors") for kind, _, _ in parts]
    files += [(base_module.CONTENT_ENCODER, "content_encoder.safetensors")]
    files += [(base_module.CONTENT_ENCODER_CONFIG, "content_encoder.json")]
    base = Base(
        folder=folder,
        name=name,
        description="Tiny random networks for tests; it makes noise, not speech",
        files=tuple(BaseFile(role, path, digest_file(folder / path)) for role, path in files),
        weights="here",
        licences=(Licence("everything", "CC0-1.0", "generated"),),
        architecture=ARCHITECTURE,
        rate_hz=synthesizer.rate_hz,
        hop=synthesizer.hop,
        fft=synthesizer.fft_size,
        languages=("zh", "en", "ja", "ko", "yue"),
        speaker_encoder="ge2e",
    )
    (folder / "gates.yaml").write_text(GATES, encoding="utf-8")
    write_base(base)
    return base


def _seeded(make: Any, seed: int) -> nn.Module:
    """make() with its own random state; that of the caller is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = make()
        # Couplings start as the identity in training; here every path carries something and no two weights are equal.
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                nn.init.normal_(parameter, std=0.05)
    return network
