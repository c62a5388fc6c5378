"""The spread of predicted and recorded latents, measured on development clips when the acoustic model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.nano.corpus import Clip
from timbre.nano.joint import JointLoss
from timbre.nano.joint_data import SentenceSampler, source_of

VARIANCE = "variance.pt"
CLIPS = 100
"""Development clips that the spread is measured on."""
VOICES = 500
"""Training clips of all speakers that the centers are fitted on."""


@torch.no_grad()
def measure_variance(
    model: Synthesizer, loss: JointLoss, development: SentenceSampler, training: SentenceSampler
) -> None:
    """Set ``model.global_variance`` from what the prior's mean stands for and what the posterior makes of each clip:
    the spread on fluent readers of the development split, the centers on everybody of the training split.
    """
    clips = [clip for clip in development.clips if source_of(clip) != "speechocean762"] or development.clips
    spread = _latents(model, loss, development, clips, CLIPS)
    model.global_variance.set_variances([one for one, _, _ in spread], [one for _, one, _ in spread])
    voices = _latents(model, loss, training, training.clips, VOICES)
    model.global_variance.set_centers([one for one, _, _ in voices], [one for _, _, one in voices])


def _latents(
    model: Synthesizer, loss: JointLoss, sampler: SentenceSampler, clips: Sequence[Clip], most: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of up to ``most`` clips, spread evenly: latents [C,T] as predicted and as recorded, condition [G]."""
    found = []
    random = np.random.default_rng(0)
    for clip in clips[:: max(1, len(clips) // most)][:most]:
        batch = sampler.collate([clip], random)
        spectrum = loss.spectrogram(batch.wave)
        mask = torch.ones_like(spectrum[:, :1])
        condition = model.condition(Reference(loss.spectrogram(batch.reference), batch.speaker))
        prior = model.prior(batch.codes, batch.phones, condition)
        predicted = model.flow.inverse(prior.mean, mask, condition)
        found.append((predicted[0], loss.latents(model, batch, spectrum, mask)[0], condition[0, :, 0]))
    return found


def save_variance(model: Synthesizer, folder: Path) -> None:
    """Write the measured buffers beside the checkpoint that they belong to."""
    torch.save(model.global_variance.state_dict(), folder / VARIANCE)


def load_variance(model: Synthesizer, folder: Path) -> None:
    """Read them, where there are any; else the network keeps what it was loaded with."""
    if (folder / VARIANCE).is_file():
        state = torch.load(folder / VARIANCE, map_location="cpu", weights_only=True)
        model.global_variance.load_state_dict(state)
