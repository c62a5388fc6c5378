"""How high a voice speaks, and how far its melody moves, in speech from codes.

expected latents, recorded ones -> mean and spread of log F0 -> term

The harmonic source passes no gradient, so that nothing that is heard teaches pitch; and of a KL divergence over 160
channels it is one. A new speaker then keeps the height that the base guessed, four semitones off at worst.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.masking import sequence_mask
from timbre.training.finetune.voice_condition import PosteriorCache

_FARTHEST = 0.75
"""Of log F0 from its median, in units of the latent (5 semitones of `pitch_log_scale` 0.4). Trackers jump octaves: what
is further off does not count.
"""
_LEAST_FRAMES = 10
"""Voiced ones; fewer have no melody."""


class Melody:
    """Compares log F0 of speech from codes with that of the recordings: channel 1 of the latents, where channel 0 is
    above zero (voiced).
    """

    def __init__(self, rows: Sequence[PosteriorCache], weight: float) -> None:
        """rows: training slices. weight: of the distance, in units of the latent."""
        self.weight = weight
        found = [_moments(row.mean[None, 1], row.mean[None, 0] > 0) for row in rows]
        means = [float(mean) for mean, _, there in found if bool(there)]
        spreads = [float(spread) for _, spread, there in found if bool(there)]
        self.known = bool(means)
        """Whether any recording has a melody."""
        self.mean, self.spread = (sum(item) / max(1, len(item)) for item in (means, spreads))

    def of_slices(self, expected: Tensor, recorded: Tensor, mask: Tensor) -> Tensor:
        """Weighted distance of rows from their recordings: latents [B,C,T] with a graph, posterior [B,C,T], mask
        [B,1,T].
        """
        voiced = (recorded[:, 0] > 0) & (mask[:, 0] > 0)
        wanted, wanted_spread, there = _moments(recorded[:, 1].float(), voiced)
        mean, spread, _ = _moments(expected[:, 1].float(), voiced)
        each = (mean - wanted).abs() + (spread - wanted_spread).abs()
        return self.weight * (each * there).sum() / there.sum().clamp(min=1)

    def of_practice(self, latent: Tensor, lengths: Tensor) -> Tensor:
        """The same of sentences that the owner never read, all together against all the recordings: latents [B,C,T]
        with a graph, lengths [B] in frames.
        """
        voiced = (latent[:, 0] > 0).detach() & (sequence_mask(lengths, latent.shape[2])[:, 0] > 0)
        mean, spread, there = _moments(latent[:, 1].float(), voiced)
        count = there.sum().clamp(min=1)
        height = ((mean * there).sum() / count - self.mean).abs()
        movement = ((spread * there).sum() / count - self.spread).abs()
        return self.weight * (height + movement) * (there.any() & self.known)


def _moments(heights: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Heights [B,T], voiced bool [B,T] -> mean [B], mean distance from it [B], whether there is enough voice [B]."""
    there = voiced.sum(1) >= _LEAST_FRAMES
    # A median first: one octave too many moves a mean.
    middle = torch.where(voiced, heights, torch.nan).nanmedian(1, keepdim=True).values.nan_to_num(0.0).detach()
    near = voiced & ((heights - middle).abs() <= _FARTHEST)
    count = near.sum(1).clamp(min=1)
    mean = (heights * near).sum(1) / count
    spread = ((heights - mean[:, None]).abs() * near).sum(1) / count
    return mean, spread, there
