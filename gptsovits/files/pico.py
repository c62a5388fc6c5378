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

from timbre.core import base as base_module
from timbre.core.base import Base, write_base
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError
from timbre.core.languages import LANGUAGES
from timbre.core.weights import BaseFile, Licence
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetConfig, ERes2NetV2
from timbre.gptsovits.files.base_networks import checkpoint_of, half_precision
from timbre.gptsovits.files.checkpoints import ACOUSTIC, DISCRIMINATOR, TEXT_TO_SEMANTIC, Checkpoint, save_safetensors
from timbre.gptsovits.text_to_semantic.configuration import T2S_PICO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic

ARCHITECTURE = "pico"
DEFAULT_SEED = 20240117
LIKES = ("nano", "v2Pro")
_BERT_WIDTH = 32

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


def official_acoustic(speaker_width: int) -> SynthesizerConfig:
    """Tiny acoustic sizes in the form of v2Pro: 32 kHz, HiFi-GAN with weight norm, ERes2NetV2 vectors."""
    return dataclasses.replace(
        SynthesizerConfig.pico(),
        rate_hz=32000,
        hop=640,
        fft_size=2048,
        speaker_width=speaker_width,
        generator=HifiGanConfig(
            initial_channels=16,
            upsample_rates=(10, 8, 8),
            upsample_kernels=(16, 16, 16),
            resblock_kernels=(3,),
            resblock_dilations=((1, 3),),
        ),
    )


def make_pico(folder: Path, name: str = "pico", seed: int = DEFAULT_SEED, like: str = "nano") -> Base:
    """Writes a base into folder and returns it. The same seed gives the same weights on one version of torch.

    like: "nano" (16 kHz, inverse STFT, GE2E) or "v2Pro" (32 kHz, HiFi-GAN, ERes2NetV2, Mandarin BERT).
    Raises ConfigurationError when folder holds something else.
    """
    if like not in LIKES:
        raise ConfigurationError(f"like {like!r}: is not one of {', '.join(LIKES)}", "choose one of them")
    if folder.exists() and any(folder.iterdir()) and not (folder / base_module.BASE_FILE).is_file():
        raise ConfigurationError(f"{folder}: not empty and not a base", "name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    official, speaker = like == "v2Pro", ERes2NetConfig(8, (1, 1, 1, 1), 24, 2, 2, embedding=16)
    synthesizer = official_acoustic(speaker.pooled) if official else SynthesizerConfig.pico()
    text = dataclasses.replace(
        T2S_PICO,
        vocabulary=synthesizer.codebook_size + 1,
        end_token=synthesizer.codebook_size,
        bert_width=_BERT_WIDTH if official else 0,
    )
    put = _Writer(folder, seed)
    put.network(TEXT_TO_SEMANTIC, TextToSemantic, text)
    put.network(ACOUSTIC, Synthesizer, synthesizer)
    put.network(DISCRIMINATOR, Discriminators, DiscriminatorConfig.pico())
    put.hubert(synthesizer.ssl_width)
    if official:
        put.plain(base_module.SPEAKER_ENCODER, lambda: ERes2NetV2(speaker))
        put.bert()
    base = Base(
        folder=folder,
        name=name,
        description="Tiny random networks for tests; it makes noise, not speech",
        files=tuple(put.files),
        weights="here",
        licences=(Licence("everything", "CC0-1.0", "generated"),),
        architecture=ARCHITECTURE,
        rate_hz=synthesizer.rate_hz,
        hop=synthesizer.hop,
        fft=synthesizer.fft_size,
        languages=tuple(LANGUAGES),
        speaker_encoder="eres2netv2" if official else "ge2e",
        bert=official,
    )
    (folder / "gates.yaml").write_text(GATES, encoding="utf-8")
    write_base(base)
    return base


class _Writer:
    """Writes one file after the other, and remembers them with their digests."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self.files: list[BaseFile] = []

    def network(self, kind: str, network: Any, config: Any) -> None:
        """A network of ours, with its sizes in the file."""
        made = _seeded(lambda: network(config), self._seed)
        self._save(kind, checkpoint_of(made, kind, ARCHITECTURE, config))

    def plain(self, role: str, make: Any) -> None:
        """A network whose sizes follow from its shapes or from a file beside it."""
        self._save(role, Checkpoint(role, ARCHITECTURE, dict(_seeded(make, self._seed).state_dict())))

    def hubert(self, width: int) -> None:
        from transformers import HubertConfig, HubertModel

        sizes = hubert_sizes(width)
        self.plain(base_module.CONTENT_ENCODER, lambda: HubertModel(HubertConfig(**sizes)))
        self._json(base_module.CONTENT_ENCODER_CONFIG, "content_encoder.json", sizes)

    def bert(self) -> None:
        """BERT and a tokenizer that knows the 3755 characters of GB 2312's first level."""
        from transformers import BertConfig, BertModel

        rows = (bytes((high, low)) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF))
        characters = [decoded for row in rows if (decoded := row.decode("gb2312", "ignore"))]
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
        sizes: dict[str, Any] = {
            "hidden_size": _BERT_WIDTH,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "vocab_size": len(words),
            "intermediate_size": 2 * _BERT_WIDTH,
            "max_position_embeddings": 512,
        }
        self.plain(base_module.BERT, lambda: BertModel(BertConfig(**sizes), add_pooling_layer=False))
        self._json(base_module.BERT_CONFIG, "bert.json", sizes)
        model = {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: index for index, word in enumerate(words)},
        }
        tokenizer: dict[str, Any] = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": None,
            "decoder": None,
            "model": model,
        }
        self._json(base_module.BERT_TOKENIZER, "tokenizer.json", tokenizer)

    def _save(self, role: str, checkpoint: Checkpoint) -> None:
        path = f"{role}.safetensors"
        save_safetensors(half_precision(checkpoint), self._folder / path)
        self._list(role, path)

    def _json(self, role: str, path: str, value: Any) -> None:
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        (self._folder / path).write_text(text, encoding="utf-8")
        self._list(role, path)

    def _list(self, role: str, path: str) -> None:
        self.files.append(BaseFile(role, path, digest_file(self._folder / path)))


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
