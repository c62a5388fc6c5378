"""The content encoder of the nano base: transformers' HubertModel made small, with phone heads.

waveform [B, T] at 16 kHz -> hidden [B, F, H] at 50 frames a second -> class scores [B, F, C]

The convolutional front end differs from HuBERT's only in its numbers, but it does not start at random: its weights are
set so that it computes something close to log mel energies (see `set_front_end`). Learning that from speech alone would
take a hundred hours of it. All convolutions together see 400 samples every 320, the geometry of HuBERT, so that
F = (T - 400) // 320 + 1 holds here too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from timbre.text.recognition import CLASSES

WINDOW = 400
HOP = 320
TONES = 5
PROSODY_OUTPUTS = 2 + TONES + 1
"""Voicing, relative pitch, five tones, and whether the sound has just begun."""


@dataclass(frozen=True)
class ContentConfig:
    """Sizes of the content encoder, and its disturbances in training."""

    hidden: int = 256
    """Width H of the features; `ssl_width` of the acoustic model."""
    layers: int = 6
    """Transformer blocks."""
    heads: int = 4
    """Of attention; they share `hidden`."""
    feed_forward: int = 640
    """Width inside a block."""
    bands: int = 112
    """Mel bands of the front end's first weights; three convolution channels each."""
    conv_channels: tuple[int, ...] = (336, 128, 384, 256)
    """Width of each convolution, the first being three times `bands`."""
    conv_kernels: tuple[int, ...] = (240, 2, 1, 1)
    """Samples, then frames; together they see 400 samples."""
    conv_strides: tuple[int, ...] = (160, 2, 1, 1)
    """Their product is 320 samples, 20 ms."""
    position_kernel: int = 32
    """Frames of the convolution that tells positions apart."""
    position_groups: int = 16
    """Groups of its channels."""
    classes: int = len(CLASSES)
    """Outputs C of both phone heads."""
    dropout: float = 0.0
    """Chance that a hidden value is dropped in training."""
    mask_share: float = 0.03
    """Share of frames that are hidden in training, 0..1; 0: none."""
    mask_frames: int = 8
    """Frames hidden in a row."""

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
            conv_bias=True,
            feat_extract_norm="group",  # a layer norm of every frame would remove how loud it is
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
        )


class ContentEncoder(nn.Module):
    """HubertModel with a frame head (one class a frame), a CTC head and a prosody head (PROSODY_OUTPUTS)."""

    def __init__(self, config: ContentConfig) -> None:
        super().__init__()
        self.config = config
        self.hubert = HubertModel(config.hubert())
        # For 100 to 300 frames the backward pass of plain attention is the faster one on a CPU.
        self.hubert.set_attn_implementation("eager")
        self.frame_head = nn.Linear(config.hidden, config.classes)
        self.ctc_head = nn.Linear(config.hidden, config.classes)
        self.prosody_head = nn.Linear(config.hidden, PROSODY_OUTPUTS)
        set_front_end(self.hubert, config)

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
        """waveform [B, T] -> frame scores [B, F, C], CTC scores [B, F, C], prosody [B, F, PROSODY_OUTPUTS]."""
        hidden = self.hidden(waveform)
        return self.frame_head(hidden), self.ctc_head(hidden), self.prosody_head(hidden)


def content_features(encoder: ContentEncoder, audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 [T] at 16 kHz -> hidden [F, H]; 80 samples of silence follow, so that F = T // 320."""
    padded = np.pad(audio, (0, WINDOW - HOP))
    with torch.inference_mode():
        hidden: npt.NDArray[np.float32] = encoder.hidden(torch.from_numpy(padded)[None])[0].float().numpy()
    return hidden


def frames_of(samples: int) -> int:
    """Number of frames F for T samples."""
    return max(0, (samples - WINDOW) // HOP + 1)


def set_front_end(hubert: HubertModel, config: ContentConfig) -> None:
    """Give the four convolutions weights that make them compute log band energies.

    1. Windowed sinusoids at mel-spaced frequencies, each in three phases a third of a turn apart; the group norm
    divides
       every channel by its level over the clip. 2. The sum of the three rectified phases is the band's envelope to 7 %;
       two frames are averaged. 3. The envelope less a few thresholds, rectified. 4. The weighted sum of these is
       a piecewise linear logarithm, kept above 0. Channels that are left over start at random.
    """
    layers: Any = hubert.feature_extractor.conv_layers  # transformers gives them no type
    first, second, third, fourth = (layer.conv for layer in layers)
    bands = config.bands
    slopes, offset = _logarithm()
    with torch.no_grad():
        for layer in (first, second, third, fourth):
            layer.bias.zero_()
        first.weight.copy_(sinusoid_bank(bands, config.conv_kernels[0])[:, None])
        second.weight[:bands] = 0.0
        third.weight[: PHASES * bands] = 0.0
        fourth.weight[:bands] = 0.0
        for band in range(bands):
            second.weight[band, PHASES * band : PHASES * band + PHASES] = 1.0 / config.conv_kernels[1]
            for knot, threshold in enumerate(KNOTS):
                row = len(KNOTS) * band + knot
                third.weight[row, band] = 1.0
                third.bias[row] = -threshold
                fourth.weight[band, row] = slopes[knot]
            fourth.bias[band] = offset


PHASES = 3
KNOTS = (0.0, 0.12, 0.5)
"""Thresholds on an envelope whose level over the clip is about 1.3."""

FLOOR = 0.04
"""Added to an envelope before its logarithm: 30 dB below the level of the clip."""


def _logarithm() -> tuple[list[float], float]:
    """Slopes at KNOTS and offset of the piecewise linear function nearest to log(x + FLOOR) - log(FLOOR) on 0..4."""
    x = np.concatenate([np.geomspace(0.005, 4.0, 200), [0.0]])
    columns = np.stack([np.maximum(x - knot, 0.0) for knot in KNOTS] + [np.ones_like(x)], axis=1)
    fitted, *_ = np.linalg.lstsq(columns, np.log(x + FLOOR) - math.log(FLOOR), rcond=None)
    return [float(slope) for slope in fitted[:-1]], float(max(fitted[-1], 0.0))


def sinusoid_bank(bands: int, length: int, rate_hz: int = 16_000) -> Tensor:
    """Windowed sinusoids at mel-spaced frequencies in three phases, float32 [3 * bands, length].

    Their energy is 1600: speech at -40 dBFS then lies well above the epsilon of the group norm, digital noise below.
    """
    mels = np.linspace(_mel(80.0), _mel(rate_hz / 2 - 200.0), bands)
    frequencies = 700.0 * (np.power(10.0, mels / 2595.0) - 1.0)
    time = (np.arange(length) - (length - 1) / 2) / rate_hz
    window = np.hanning(length + 2)[1:-1]
    turns = np.arange(PHASES) / PHASES
    phase = 2 * math.pi * (frequencies[:, None, None] * time + turns[:, None])
    bank = (np.cos(phase) * window).reshape(-1, length)
    bank *= 40.0 / np.linalg.norm(bank, axis=1, keepdims=True)
    return torch.from_numpy(bank.astype(np.float32))


def _mel(frequency_hz: float) -> float:
    return 2595.0 * math.log10(1.0 + frequency_hz / 700.0)
