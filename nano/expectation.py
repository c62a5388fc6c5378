"""What the prior expects of a batch of sentences, beside the latents of their recordings.

Every joint step begins with it, and the modulation filter is fitted to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS
from timbre.gptsovits.acoustic.masking import sequence_mask
from timbre.gptsovits.acoustic.prior_encoder import Prior
from timbre.gptsovits.acoustic.spectrogram import Spectrogram
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.nano.joint_data import SentenceBatch


@dataclass(frozen=True)
class Expectation:
    """Rows padded on the right."""

    spectrum: Tensor
    """[B,F,T], of the recordings."""
    mask: Tensor
    """[B,1,T]."""
    phone_mask: Tensor
    """[B,1,P]."""
    condition: Tensor
    """[B,G,1]."""
    recorded: Tensor
    """[B,C,T], posterior means with the true pitch; no gradient."""
    prior: Prior
    """Of codes and phones."""


def expect(model: Synthesizer, batch: SentenceBatch, spectrogram: Spectrogram, wrong_codes: float = 0.0) -> Expectation:
    """wrong_codes: share that `with_wrong_codes` replaces."""
    spectrum = spectrogram(batch.wave)
    frames = spectrum.shape[2]
    mask = sequence_mask(batch.lengths, frames)
    phone_mask = sequence_mask(batch.phone_lengths, batch.phones.shape[1])
    heard = spectrogram(batch.reference)
    heard_mask = sequence_mask(batch.reference_lengths, heard.shape[2])
    with torch.autocast(spectrum.device.type, torch.bfloat16):
        recorded = recorded_latents(model, batch, spectrum, mask)
        condition = model.condition(Reference(heard, batch.speaker, heard_mask))
        features = model.features_of(with_wrong_codes(batch.codes, wrong_codes), frames)
        prior = model.enc_p(features, mask, batch.phones, phone_mask, model.text_condition(condition))
    return Expectation(spectrum, mask, phone_mask, condition, recorded, prior)


@torch.no_grad()
def recorded_latents(model: Synthesizer, batch: SentenceBatch, spectrum: Tensor, mask: Tensor) -> Tensor:
    """Posterior means with the true pitch in its channels, [B,C,T]."""
    assert model.enc_q is not None
    source = model.config.harmonic_source
    assert source is not None
    mean = model.enc_q(spectrum, mask, None, 0.0).mean
    log_f0 = (batch.log_f0 - math.log(source.pitch_center_hz)) / source.pitch_log_scale
    wanted = torch.stack([2.0 * batch.voiced - 1.0, log_f0], dim=1)
    pitch = torch.where(batch.pitched.view(-1, 1, 1), wanted, mean[:, :PITCH_CHANNELS])
    return torch.cat([pitch, mean[:, PITCH_CHANNELS:]], dim=1) * mask


def with_wrong_codes(codes: Tensor, share: float) -> Tensor:
    """codes int64 [B, 1, N] with about that share replaced by codes from elsewhere in the batch.

    The text-to-semantic network errs now and then; a prior trained on wrong codes corrects them by the text.
    """
    if share <= 0:
        return codes
    others = codes.flatten()[torch.randperm(codes.numel(), device=codes.device)].view_as(codes)
    return torch.where(torch.rand(codes.shape, device=codes.device) < share, others, codes)
