"""A linear start of the latent: principal components of the log spectrum, whitened.

The posterior's direct path computes them and the generator's direct path inverts them, so that copy synthesis is
intelligible before the first training step, and the latent stays something that a prior can predict.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS, SourceIstftGenerator
from timbre.gptsovits.acoustic.posterior_encoder import LOG_FLOOR, PosteriorEncoder
from timbre.training.spectral_losses import bin_weights

POSTERIOR_LOG_STD = -2.3
"""Noise of the posterior beside whitened components of standard deviation 1: ten per cent."""


@dataclass(frozen=True)
class LatentBasis:
    """Principal components of log magnitudes."""

    mean: Tensor
    """[F], of the log magnitudes."""
    analysis: Tensor
    """[D,F], of what is left."""
    synthesis: Tensor
    """[F,D], of what is left."""


def fit_basis(magnitudes: Tensor, components: int, rate_hz: int) -> LatentBasis:
    """magnitudes [N,F] of many frames -> basis of ``components`` whitened principal components."""
    if magnitudes.shape[0] < 4 * components:
        raise ConfigurationError(
            f"{magnitudes.shape[0]} frames for {components} principal components", remedy="give more speech"
        )
    logs = torch.log(magnitudes.double() + LOG_FLOOR)
    mean = logs.mean(0)
    weights = bin_weights(magnitudes.shape[1], rate_hz).double()
    weighted = (logs - mean) * weights
    covariance = weighted.T @ weighted / len(weighted)
    values, vectors = torch.linalg.eigh(covariance)
    order = values.argsort(descending=True)[:components]
    spread = values[order].clamp(min=1e-8).sqrt()
    directions = vectors[:, order]
    analysis = (directions * weights[:, None] / spread).T
    return LatentBasis(mean.float(), analysis.float(), (directions * spread / weights[:, None]).float())


@torch.no_grad()
def start_from_basis(posterior: PosteriorEncoder, generator: SourceIstftGenerator, basis: LatentBasis) -> None:
    """Set both direct paths; the WaveNet's share of the mean starts at nothing, the posterior's spread at a
    constant."""
    latent = posterior.direct.out_channels
    heard, shifts, spoken = posterior.direct.bias, posterior.proj.bias, generator.direct.bias
    assert heard is not None
    assert shifts is not None
    assert spoken is not None
    posterior.direct.weight.zero_()
    heard.zero_()
    posterior.direct.weight[PITCH_CHANNELS:] = basis.analysis.unsqueeze(2)
    heard[PITCH_CHANNELS:] = -basis.analysis @ basis.mean
    posterior.proj.weight[PITCH_CHANNELS:].zero_()
    shifts.zero_()
    shifts[latent:] = POSTERIOR_LOG_STD
    generator.direct.weight.zero_()
    generator.direct.weight[:, PITCH_CHANNELS:] = basis.synthesis.unsqueeze(2)
    spoken.copy_(basis.mean)
