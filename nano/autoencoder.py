"""First half of the acoustic stage: posterior encoder and generator, speech -> latent -> speech.

Spectral losses and pitch only; the prior has no codes to learn from yet. Segments of 0.64 s, one thread or one GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_configuration import SourceIstftConfig
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS, SourceIstftGenerator
from timbre.gptsovits.acoustic.posterior_encoder import Posterior, PosteriorEncoder
from timbre.gptsovits.acoustic.spectrogram import Spectrogram, SpectrogramConfig
from timbre.nano.acoustic_data import SegmentBatch
from timbre.nano.latent_basis import POSTERIOR_LOG_STD
from timbre.training.spectral_losses import MultiResolutionMel, bin_weights, log_magnitude_loss, pitch_loss

PITCH_NOISE = 0.02
"""Noise of the two pitch channels in training; ten per cent would be heard as roughness."""


class Autoencoder(nn.Module):
    """Posterior encoder and generator under the names that they have in the synthesizer (``enc_q``, ``dec``)."""

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__()
        assert isinstance(config.generator, SourceIstftConfig)
        self.config = config
        self.enc_q = PosteriorEncoder(
            config.spectrum_bins, config.latent_channels, config.hidden_channels, config.condition_channels,
            config.posterior, compressed=config.compressed_spectrum,
        )  # fmt: skip
        self.dec = SourceIstftGenerator(config.latent_channels, config.condition_channels, config.generator)
        self.spectrogram = Spectrogram(SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size))

    def encode(self, spectrum: Tensor) -> Posterior:
        """spectrum [B,F,T] -> posterior without noise."""
        mask = torch.ones_like(spectrum[:, :1])
        return self.enc_q(spectrum, mask, None, 0.0)

    @torch.inference_mode()
    def copy(self, wave: Tensor, refinements: int | None = None) -> Tensor:
        """wave [1,1,L] -> its copy through the latent's mean, [1,1,L // hop * hop]."""
        z = self.encode(self.spectrogram(wave)).mean
        count = self.dec.refinements if refinements is None else refinements
        return self.dec.synthesise(*self.dec.polar(z), count)


def noisy(mean: Tensor) -> Tensor:
    """Posterior sample with the constant spread of the first half, mean [B,C,T]; little on the pitch channels."""
    spread = torch.full((1, mean.shape[1], 1), float(torch.tensor(POSTERIOR_LOG_STD).exp()), device=mean.device)
    spread[:, :PITCH_CHANNELS] = PITCH_NOISE
    return mean + torch.randn_like(mean) * spread


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of `autoencoder_loss`."""

    magnitude: float = 1.0
    """Distance of log magnitudes from the recording's, by bin."""
    wave: float = 1.0
    """Distance of mel spectra of the finished waveform, at several resolutions."""
    pitch: float = 0.5
    """Voicing and log F0 in the first two channels of the latent."""
    size: float = 0.001
    """Mean square of the latent, which keeps it from growing."""


class AutoencoderLoss:
    """Terms of the first half; holds the mel banks and the weights of the bins."""

    def __init__(
        self, config: SynthesizerConfig, weights: LossWeights, device: torch.device, posterior: bool = True
    ) -> None:
        assert isinstance(config.generator, SourceIstftConfig)
        self.weights, self.posterior = weights, posterior
        self.generator = config.generator
        self.mels = MultiResolutionMel(config.rate_hz).to(device)
        importance = bin_weights(config.spectrum_bins, config.rate_hz).sqrt()
        self.importance = (importance / importance.mean()).to(device)

    def __call__(self, model: Autoencoder, batch: SegmentBatch) -> dict[str, Tensor]:
        """Terms by name, ``total`` last."""
        spectrum = model.spectrogram(batch.wave)
        device = batch.wave.device
        with torch.autocast(device.type, torch.bfloat16):
            mean = model.encode(spectrum).mean
            if not self.posterior:
                mean = torch.cat([mean[:, :PITCH_CHANNELS], mean[:, PITCH_CHANNELS:].detach()], dim=1)
            z = noisy(mean)
            # The source takes the true pitch: a wrong one would teach the network not to trust the harmonics.
            z = torch.cat([self._true_pitch(batch, z), z[:, PITCH_CHANNELS:]], dim=1)
            log_magnitude, real, imaginary = model.dec.polar(z)
        wave = model.dec.synthesise(log_magnitude, real, imaginary, 0)
        terms = {
            "magnitude": log_magnitude_loss(log_magnitude, spectrum, self.importance),
            "wave": self.mels(wave, batch.wave),
            "pitch": pitch_loss(
                mean, batch.voiced, batch.log_f0, batch.pitched, self.generator.pitch_center_hz,
                self.generator.pitch_log_scale,
            ),
            "size": mean.square().mean(),
        }  # fmt: skip
        weights = self.weights
        terms["total"] = (
            weights.magnitude * terms["magnitude"] + weights.wave * terms["wave"] + weights.pitch * terms["pitch"]
            + weights.size * terms["size"]
        )  # fmt: skip
        return terms

    def _true_pitch(self, batch: SegmentBatch, z: Tensor) -> Tensor:
        center, scale = self.generator.pitch_center_hz, self.generator.pitch_log_scale
        wanted = torch.stack(
            [2.0 * batch.voiced - 1.0, (batch.log_f0 - torch.log(torch.tensor(center))) / scale], dim=1
        )
        noise = torch.randn_like(wanted) * PITCH_NOISE
        return torch.where(batch.pitched.view(-1, 1, 1), wanted + noise, z[:, :PITCH_CHANNELS].detach())
