"""The content encoder of the nano base: transformers' HubertModel made small, with phone heads.

waveform [B, T] at 16 kHz -> hidden [B, F, H] at 50 frames a second -> class scores [B, F, C]

The convolutional front end differs from HuBERT's only in its numbers. Its first layer is as long as one analysis window and
starts as a bank of mel-spaced Gabor filters; the later layers halve the rate until 50 Hz. All of them together see 400
samples every 320, the geometry of HuBERT, so that F = (T - 400) // 320 + 1 holds here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from text.recognition import CLASSES

WINDOW = 400
HOP = 320
PROSODY_OUTPUTS = 2


@dataclass(frozen=True)
class ContentConfig:
    """Sizes of the content encoder. hidden is ssl_dim of the acoustic model."""

    hidden: int = 256
    layers: int = 6
    heads: int = 4
    feed_forward: int = 640
    conv_channels: tuple[int, ...] = (128, 160, 192, 224, 256)
    conv_kernels: tuple[int, ...] = (100, 2, 2, 2, 2)
    conv_strides: tuple[int, ...] = (20, 2, 2, 2, 2)
    position_kernel: int = 32
    position_groups: int = 16
    classes: int = len(CLASSES)
    dropout: float = 0.0
    mask_share: float = 0.03
    mask_frames: int = 8

    def hubert(self) -> HubertConfig:
        """The same sizes in the words of transformers."""
        return HubertConfig(
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.feed_forward,
            conv_dim=self.conv_channels,
            conv_kernel=self.conv_kernels,
            conv_stride=self.conv_strides,
            num_feat_extract_layers=len(self.conv_channels),
            conv_bias=True,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            num_conv_pos_embeddings=self.position_kernel,
            num_conv_pos_embedding_groups=self.position_groups,
            hidden_dropout=self.dropout,
            hidden_act="relu",  # the backward pass of exact GELU takes a sixth of a step on a CPU
            feat_extract_activation="relu",
            activation_dropout=0.0,
            attention_dropout=0.0,
            feat_proj_dropout=0.0,
            layerdrop=0.0,
            apply_spec_augment=self.mask_share > 0,
            mask_time_prob=self.mask_share,
            mask_time_length=self.mask_frames,
            mask_feature_prob=0.0,
            vocab_size=self.classes,
            attn_implementation="eager",  # for 100 to 300 frames its backward pass is the faster one on a CPU
        )


class ContentEncoder(nn.Module):
    """HubertModel with a frame head (one class a frame), a CTC head, a prosody head and a log-mel head for the warm start.

    The log-mel head is dropped when weights are packed.
    """

    def __init__(self, config: ContentConfig, mel_bands: int = 0) -> None:
        super().__init__()
        self.config = config
        self.hubert = HubertModel(config.hubert())
        self.frame_head = nn.Linear(config.hidden, config.classes)
        self.ctc_head = nn.Linear(config.hidden, config.classes)
        self.prosody_head = nn.Linear(config.hidden, PROSODY_OUTPUTS)
        self.mel_head = nn.Linear(config.conv_channels[-1], mel_bands) if mel_bands else None
        first = self.hubert.feature_extractor.conv_layers[0].conv
        with torch.no_grad():
            first.weight.copy_(gabor_bank(config.conv_channels[0], config.conv_kernels[0])[:, None])
            first.bias.zero_()

    def freeze_front(self, layers: int) -> None:
        """Stop training the first convolutions, which see most samples: with 2 of 5, a step takes a third less time."""
        extractor = self.hubert.feature_extractor
        for layer in extractor.conv_layers[:layers]:
            layer.requires_grad_(False)
        extractor._requires_grad = layers == 0

    def hidden(self, waveform: Tensor) -> Tensor:
        """waveform [B, T], 16 kHz, about -1..1 -> hidden [B, F, H]."""
        states: Tensor = self.hubert(waveform).last_hidden_state
        return states

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """waveform [B, T] -> frame scores [B, F, C], CTC scores [B, F, C], prosody [B, F, 2]."""
        hidden = self.hidden(waveform)
        return self.frame_head(hidden), self.ctc_head(hidden), self.prosody_head(hidden)

    def front_mels(self, waveform: Tensor) -> Tensor:
        """waveform [B, T] -> log mels read off the front end [B, F, M]; only for the warm start."""
        if self.mel_head is None:
            raise ValueError("built without a mel head")
        features: Tensor = self.hubert.feature_extractor(waveform).transpose(1, 2)
        return self.mel_head(features)


def frames_of(samples: int) -> int:
    """Number of frames F for T samples."""
    return max(0, (samples - WINDOW) // HOP + 1)


def gabor_bank(channels: int, length: int, rate_hz: int = 16_000) -> Tensor:
    """Windowed cosines and sines at mel-spaced frequencies, float32 [channels, length], unit energy times 4.

    Neighbouring channels are the cosine and the sine of one frequency: rectified, they tell the band's energy whatever its
    phase. Factor 4: speech at -25 dBFS then leaves the layer at about unit variance.
    """
    pairs = (channels + 1) // 2
    mels = np.linspace(_mel(60.0), _mel(rate_hz / 2 - 200.0), pairs)
    frequencies = 700.0 * (np.power(10.0, mels / 2595.0) - 1.0)
    time = (np.arange(length) - (length - 1) / 2) / rate_hz
    window = np.hanning(length + 2)[1:-1]
    phase = 2 * math.pi * frequencies[:, None] * time
    bank = np.stack([np.cos(phase) * window, np.sin(phase) * window], axis=1).reshape(-1, length)[:channels]
    bank *= 4.0 / np.linalg.norm(bank, axis=1, keepdims=True)
    return torch.from_numpy(bank.astype(np.float32))


def _mel(frequency_hz: float) -> float:
    return 2595.0 * math.log10(1.0 + frequency_hz / 700.0)


def load_content(folder: Path, config: Mapping[str, Any] | None = None) -> ContentEncoder:
    """The packed content encoder of a base folder, in float32 and evaluation mode."""
    from safetensors.torch import load_file

    sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in (config or {}).items()}
    encoder = ContentEncoder(ContentConfig(**sizes))
    state = {name: tensor.float() for name, tensor in load_file(folder / "content.safetensors").items()}
    encoder.load_state_dict(state)
    return encoder.eval()
