"""How far generated speech is from the recording: one object for each kind of generator.

latent slice, condition, recorded slice -> terms (weighted), and the generated wave
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.losses import MEL_WEIGHT
from timbre.gptsovits.acoustic.spectrogram import MelConfig, MelSpectrogram, Spectrogram, SpectrogramConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.training.spectral_losses import (
    MultiResolutionMel,
    bin_weights,
    direct_distance,
    log_magnitude_loss,
    soft_floor,
)

_WIDE_RATE_HZ = 24_000
Compared = tuple[dict[str, Tensor], Tensor]
"""Weighted terms by name, and the generated wave [B,1,T*hop]."""


class MelReconstruction(nn.Module):
    """L1 of log mels, as HiFi-GAN and the official bases have it; weight as in the recipe (45)."""

    kl_scale = 1.0
    """Factor that brings the KL divergence to the scale of the base's own training."""

    def __init__(self, config: SynthesizerConfig, mel_weight: float) -> None:
        super().__init__()
        framing = SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size)
        self.mel = MelSpectrogram(MelConfig(framing, n_mels=128 if config.rate_hz >= _WIDE_RATE_HZ else 80))
        self.weight = mel_weight

    def forward(self, network: Synthesizer, z: Tensor, condition: Tensor, target: Tensor) -> Compared:
        """z [B,C,T], condition [B,G,1], target [B,1,T*hop] -> weighted terms, wave [B,1,T*hop]."""
        wave = network.dec(z, condition)
        # A slice of digital silence must not outweigh speech: levels far below audibility count as equal.
        distance = (soft_floor(self.mel(wave)) - soft_floor(self.mel(target))).abs().mean()
        return {"mel": self.weight * distance}, wave


class SourceReconstruction(nn.Module):
    """Log magnitudes and mels at four resolutions, as the generator with a harmonic source was trained; phase is not
    refined here, since no gradient is wanted from the refinement.
    """

    def __init__(self, config: SynthesizerConfig, mel_weight: float) -> None:
        super().__init__()
        assert config.harmonic_source is not None
        self.spectrogram = Spectrogram(SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size))
        self.mels = MultiResolutionMel(config.rate_hz)
        importance = bin_weights(config.spectrum_bins, config.rate_hz).sqrt()
        self.register_buffer("importance", importance / importance.mean(), persistent=False)
        self.weight = mel_weight / MEL_WEIGHT
        self.kl_scale = 1.0 / config.latent_channels

    def forward(self, network: Synthesizer, z: Tensor, condition: Tensor, target: Tensor) -> Compared:
        """z [B,C,T], condition [B,G,1], target [B,1,T*hop] -> weighted terms, wave [B,1,T*hop]."""
        generator = network.dec
        assert isinstance(generator, SourceIstftGenerator)
        log_magnitude, real, imaginary = generator.polar(z, condition)
        wave = generator.synthesise(log_magnitude, real, imaginary, 0)
        with torch.autocast(z.device.type, enabled=False):
            importance: Tensor = self.get_buffer("importance")
            magnitude = log_magnitude_loss(log_magnitude.float(), self.spectrogram(target), importance)
            mel = self.mels(wave.float(), target)
        return {"magnitude": self.weight * magnitude, "mel": self.weight * mel}, wave

    def expected_distance(self, network: Synthesizer, expected: Tensor, wave: Tensor, mask: Tensor) -> Tensor:
        """L1 distance of the log magnitudes that latents [B,C,T] stand for (the generator's direct path) from those of
        the recording [B,1,T*hop], over mask [B,1,T]; as in the base's own training."""
        generator = network.dec
        assert isinstance(generator, SourceIstftGenerator)
        with torch.autocast(expected.device.type, enabled=False):
            importance: Tensor = self.get_buffer("importance")
            return direct_distance(generator, expected.float(), self.spectrogram(wave), importance, mask)


def reconstruction_for(config: SynthesizerConfig, mel_weight: float) -> MelReconstruction | SourceReconstruction:
    """The one that fits the base's generator."""
    kind = SourceReconstruction if config.harmonic_source is not None else MelReconstruction
    return kind(config, mel_weight)
