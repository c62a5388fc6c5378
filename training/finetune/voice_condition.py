"""What stays fixed while a voice is trained: its condition vector, and the posterior of every slice.

The style encoder, the speaker projection and the posterior encoder carry no adapter. So they are asked once a slice,
and training reads the answers: the posterior encoder, a quarter of a step, never runs in the loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.generator_configuration import SourceIstftConfig
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS
from timbre.gptsovits.acoustic.spectrogram import Spectrogram, SpectrogramConfig
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.training.finetune.data import Row
from timbre.training.pitch import continuous

REFERENCE_S = 3.0
"""Of the middle of a slice: what the nano base heard in its own training, and enough for the others."""
PITCH_NOISE = 0.02
"""Spread of the two pitch channels of bases with a harmonic source, as in their own training."""


@dataclass(frozen=True)
class PosteriorCache:
    """One slice as the acoustic model sees it, T frames (even: whole codes)."""

    mean: Tensor
    """[C, T], of the posterior, with the recorded pitch in its channels where the base has them."""
    log_std: Tensor
    """[C, T], of the posterior."""
    wave: Tensor
    """[T * hop]."""
    codes: Tensor
    """[T / 2]."""
    phones: Tensor
    """[P]."""

    @property
    def frames(self) -> int:
        """T."""
        return int(self.mean.shape[1])


def spectrogram_of(network: Synthesizer) -> Spectrogram:
    """The base's own short-time spectrum."""
    config = network.config
    return Spectrogram(SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size))


@torch.no_grad()
def voice_condition(network: Synthesizer, rows: Sequence[Row], device: torch.device) -> Tensor:
    """[1, G, 1]: the mean over the slices' own, each from the middle of the slice. A voice always speaks with it."""
    spectrogram = spectrogram_of(network).to(device)
    references = []
    for row in rows:
        length = min(len(row.wave), round(REFERENCE_S * network.config.rate_hz))
        start = (len(row.wave) - length) // 2
        spectrum = spectrogram(row.wave[start : start + length].to(device)[None])
        speaker = row.speaker
        references.append(Reference(spectrum, None if speaker is None else speaker.to(device)[None]))
    return network.mean_condition(references).float().cpu().clone()


@torch.no_grad()
def posterior_of(network: Synthesizer, row: Row, condition: Tensor, device: torch.device) -> PosteriorCache:
    """One slice, on the CPU."""
    assert network.enc_q is not None
    config = network.config
    frames = config.code_frames * min(len(row.codes), len(row.wave) // (config.hop * config.code_frames))
    wave = row.wave[: frames * config.hop]
    spectrum = spectrogram_of(network).to(device)(wave.to(device)[None])
    found = network.enc_q(spectrum, torch.ones_like(spectrum[:, :1]), condition.to(device), 0.0)
    mean, log_std = found.mean[0].float().cpu(), found.log_std[0].float().cpu()
    if config.harmonic_source is not None:
        mean, log_std = _with_pitch(mean, log_std, row, config.harmonic_source)
    return PosteriorCache(mean.clone(), log_std.clone(), wave, row.codes[: frames // config.code_frames], row.phones)


def _with_pitch(mean: Tensor, log_std: Tensor, row: Row, config: SourceIstftConfig) -> tuple[Tensor, Tensor]:
    """The recorded voicing and pitch in channels 0 and 1, as the base was trained; the posterior's own may slip."""

    if row.pitch is not None and bool((row.pitch > 0).any()):
        frames = mean.shape[1]
        f0 = torch.nn.functional.pad(row.pitch[:frames], (0, max(0, frames - len(row.pitch))))
        filled = torch.from_numpy(continuous(f0.numpy())).clamp(min=1.0)
        heights = (filled.log() - math.log(config.pitch_center_hz)) / config.pitch_log_scale
        channels = torch.stack([2.0 * (f0 > 0).float() - 1.0, heights])
        mean = torch.cat([channels, mean[PITCH_CHANNELS:]])
    log_std = log_std.clone()
    log_std[:PITCH_CHANNELS] = math.log(PITCH_NOISE)
    return mean, log_std
