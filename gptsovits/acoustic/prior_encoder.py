"""Prior encoder: semantic features and phones -> mean and log standard deviation of the prior, frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.configuration import PriorEncoderConfig
from timbre.gptsovits.acoustic.relative_attention import MultiHeadAttention, RelativeEncoder


class Mrte(nn.Module):
    """Multi-reference timbre encoder: speech frames attend to phones and take up the global condition (Jiang et al.
    2023, Mega-TTS 2, in the reduced form of GPT-SoVITS).

    channels: width of speech and text; width: inner width, also that of the condition; heads: of the attention."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.cross_attention = MultiHeadAttention(width, heads)
        self.c_pre = nn.Conv1d(channels, width, 1)
        self.text_pre = nn.Conv1d(channels, width, 1)
        self.c_post = nn.Conv1d(width, channels, 1)

    def forward(self, speech: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor, condition: Tensor) -> Tensor:
        """speech [B,C,T], mask [B,1,T], text [B,C,P], text_mask [B,1,P], condition [B,width,1] -> [B,C,T]."""
        frames = self.c_pre(speech * mask)
        phones = self.text_pre(text * text_mask)
        mixed = self.cross_attention(frames * mask, phones * text_mask, text_mask) + frames + condition
        out: Tensor = self.c_post(mixed * mask)
        return out


@dataclass(frozen=True)
class Prior:
    """Prior of the latent, T frames after a change of speed."""

    hidden: Tensor
    """[B,H,T], before the projection."""
    mean: Tensor
    """[B,latent,T]."""
    log_std: Tensor
    """[B,latent,T]."""
    mask: Tensor
    """[B,1,T]."""


class PriorEncoder(nn.Module):
    """ssl_width: of the quantised features; hidden: of the encoders; latent: of the prior; symbols: phone table."""

    def __init__(self, ssl_width: int, hidden: int, latent: int, symbols: int, config: PriorEncoderConfig) -> None:
        super().__init__()

        def encoder(layers: int) -> RelativeEncoder:
            return RelativeEncoder(
                hidden, config.filter_channels, config.heads, layers, config.kernel, config.window, config.dropout
            )

        self.ssl_proj = nn.Conv1d(ssl_width, hidden, 1)
        self.encoder_ssl = encoder(config.ssl_layers)
        self.encoder_text = encoder(config.text_layers)
        self.text_embedding = nn.Embedding(symbols, hidden)
        self.mrte = Mrte(hidden, config.mrte_width, config.mrte_heads)
        self.encoder2 = encoder(config.joint_layers)
        self.proj = nn.Conv1d(hidden, 2 * latent, 1)

    def encode(self, features: Tensor, mask: Tensor, phones: Tensor, phone_mask: Tensor, condition: Tensor) -> Tensor:
        """features [B,ssl,T], mask [B,1,T], phones [B,P] int64, phone_mask [B,1,P], condition [B,mrte,1] -> [B,H,T]."""
        speech = self.encoder_ssl(self.ssl_proj(features * mask) * mask, mask)
        text = self.encoder_text(self.text_embedding(phones).transpose(1, 2), phone_mask)
        mixed = self.mrte(speech, mask, text, phone_mask, condition)
        out: Tensor = self.encoder2(mixed, mask)
        return out

    def project(self, hidden: Tensor, mask: Tensor) -> Prior:
        """hidden [B,H,T], mask [B,1,T]."""
        # The scale feeds an exponential and the KL divergence: float32 also under autocast.
        mean, log_std = (self.proj(hidden) * mask).float().chunk(2, dim=1)
        return Prior(hidden, mean, log_std, mask)

    def forward(self, features: Tensor, mask: Tensor, phones: Tensor, phone_mask: Tensor, condition: Tensor) -> Prior:
        """Shapes as ``encode``."""
        return self.project(self.encode(features, mask, phones, phone_mask, condition), mask)


def change_speed(hidden: Tensor, mask: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """hidden [B,H,T], mask [B,1,T] -> linear resampling to int(T / speed) + 1 frames; at 1 nothing."""
    if speed == 1.0:
        return hidden, mask
    if not speed > 0:
        raise ValueError(f"speed {speed} must be above 0")
    frames = int(hidden.shape[2] / speed) + 1
    return functional.interpolate(hidden, frames, mode="linear"), functional.interpolate(mask, frames, mode="nearest")


def crossfade_head(new: Tensor, old: Tensor) -> Tensor:
    """new [B,H,T] with its first L frames blended with old [B,H,L], L <= T: sine weights rise on new, fall on old.

    The two weights sum to more than 1 in the middle, as in the streaming decoder that the reference vectors come from.
    """
    length = old.shape[2]
    ramp = torch.sin(torch.arange(2 * length, device=new.device, dtype=new.dtype) * (math.pi / (2 * length)))
    head = new[:, :, :length] * ramp[:length] + old * ramp[length:]
    return torch.cat([head, new[:, :, length:]], dim=2)
