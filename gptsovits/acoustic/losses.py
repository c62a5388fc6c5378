"""Training losses of the acoustic model. All are computed in float32 and return scalars; sums run over discriminators.

Sources: mel and feature matching Kong et al. 2020 (HiFi-GAN), least-squares GAN Mao et al. 2017, KL Kim et al. 2021
(VITS).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from timbre.gptsovits.acoustic.discriminators import DiscriminatorOutput

MEL_WEIGHT = 45.0


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """values [B,C,T], mask [B,1,T] or None -> mean over what the mask keeps; 0 where it keeps nothing."""
    values = values.float()
    if mask is None:
        return values.mean()
    kept = mask.expand_as(values)
    return (values * kept).sum() / kept.sum().clamp(min=1.0)


def mel_loss(target: Tensor, predicted: Tensor, mask: Tensor | None = None, weight: float = MEL_WEIGHT) -> Tensor:
    """L1 distance of two log mels [B,M,T], times ``weight``. mask [B,1,T] leaves padding frames out."""
    return weight * masked_mean((target.float() - predicted.float()).abs(), mask)


def kl_loss(z_p: Tensor, posterior_log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor, mask: Tensor) -> Tensor:
    """KL divergence of the flowed posterior sample from the prior: all [B,C,T], mask [B,1,T].

    Summed over channels, averaged over the frames that the mask keeps, so that padding changes nothing.
    """
    z_p, posterior_log_std = z_p.float(), posterior_log_std.float()
    prior_mean, prior_log_std = prior_mean.float(), prior_log_std.float()
    kl = prior_log_std - posterior_log_std - 0.5
    kl = kl + 0.5 * (z_p - prior_mean).square() * torch.exp(-2.0 * prior_log_std)
    return (kl * mask).sum() / mask.sum().clamp(min=1.0)


def feature_matching_loss(real: Sequence[DiscriminatorOutput], fake: Sequence[DiscriminatorOutput]) -> Tensor:
    """Twice the L1 distance of all layers' features; the real side is a constant."""
    total = torch.zeros((), device=fake[0].score.device)
    for one, other in zip(real, fake, strict=True):
        for target, predicted in zip(one.features, other.features, strict=True):
            total = total + functional.l1_loss(predicted.float(), target.detach().float())
    return 2.0 * total


def discriminator_loss(real: Sequence[DiscriminatorOutput], fake: Sequence[DiscriminatorOutput]) -> Tensor:
    """Least squares: real towards 1, generated towards 0. Generated judgements must come from a detached wave, or the
    gradient must be asked for the discriminators' parameters only (``adversarial.AdversarialPass``)."""
    total = torch.zeros((), device=real[0].score.device)
    for one, other in zip(real, fake, strict=True):
        total = total + (1.0 - one.score.float()).square().mean() + other.score.float().square().mean()
    return total


def generator_loss(fake: Sequence[DiscriminatorOutput]) -> Tensor:
    """Least squares: generated towards 1."""
    total = torch.zeros((), device=fake[0].score.device)
    for judgement in fake:
        total = total + (1.0 - judgement.score.float()).square().mean()
    return total
