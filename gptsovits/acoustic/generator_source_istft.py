"""Inverse-STFT generator with a harmonic source and phase refinement: latent -> wave.

Three things are given to the network instead of being learned, because a base trained for hours on a processor has no
time to learn them: the phases of harmonics come from a pulse train at the F0 that latent channel 1 carries; the
latent has a linear path to the log magnitude (training starts it as the inverse of the posterior's principal
components); and the phase is refined against the predicted magnitude by a few Griffin-Lim iterations. Interface as
``IstftGenerator``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.configuration import SourceIstftConfig
from timbre.gptsovits.acoustic.generator_istft import ConvNeXtBackbone
from timbre.gptsovits.acoustic.harmonic_source import HarmonicSource
from timbre.gptsovits.acoustic.phase_refinement import Stft, StftByMatrix, refine_phase, unit

PITCH_CHANNELS = 2
SMOOTHING = (0.25, 0.5, 0.25)
"""Over F0 frames: noise of the prior would be heard as roughness."""


class SourceIstftGenerator(ConvNeXtBackbone):
    """latent: input channels (two of them pitch); condition_channels: width of the global condition (0: none)."""

    smoothing: Tensor

    def __init__(self, latent: int, condition_channels: int, config: SourceIstftConfig) -> None:
        bins = config.fft_size // 2 + 1
        super().__init__(latent, condition_channels, config, 4 * bins)
        self.config = config
        self.refinements = config.refinements
        self.direct = nn.Conv1d(latent, bins, 1)
        self.source = HarmonicSource(config.rate_hz, config.hop)
        self.stft: Stft = Stft(config.fft_size, config.hop)
        self.register_buffer("smoothing", torch.tensor(SMOOTHING).view(1, 1, -1), persistent=False)
        self.draw_weights()
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            # The phase starts as the source's: rotation by 1 + 0j.
            self.head.bias[2 * bins : 3 * bins] = 1.0

    def pitch(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z [B,latent,T] -> voicing [B,T] 0..1, F0 [B,T] in Hz. No gradient: pitch is taught by its own loss."""
        voicing = torch.sigmoid(6.0 * z[:, 0].detach().float())
        log_f0 = functional.conv1d(
            functional.pad(z[:, 1:2].detach().float(), (1, 1), mode="replicate"), self.smoothing
        ).squeeze(1)
        return voicing, self.config.pitch_center_hz * torch.exp(self.config.pitch_log_scale * log_f0.clamp(-3.0, 3.5))

    def polar(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """z [B,latent,T] -> log magnitude, and unit phasor before refinement (real, imaginary): each [B,F,T],
        float32."""
        h = self.frames(z, condition)
        log_magnitude, comb, turn_real, turn_imaginary = h.chunk(4, dim=1)
        with torch.autocast(z.device.type, enabled=False):
            real, imaginary = self.stft(self.source(*self.pitch(z)))
            # Peaks of a harmonic reach about ln 60, valleys are cut at ln 0.5: about -2.7 to 2 around the middle.
            shape = 0.5 * torch.log(real * real + imaginary * imaginary + 0.25) - 2.0
            real, imaginary = unit(real, imaginary)
            log_magnitude = log_magnitude + self.direct(z.float()) + comb * shape
            real, imaginary = unit(
                real * turn_real - imaginary * turn_imaginary, real * turn_imaginary + imaginary * turn_real
            )
        return log_magnitude.clamp(-12.0, 6.0), real, imaginary

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z [B,latent,T], condition [B,condition_channels,1] -> wave [B,1,T*hop], float32, not clipped."""
        log_magnitude, real, imaginary = self.polar(z, condition)
        return self.synthesise(log_magnitude, real, imaginary, self.refinements)

    def synthesise(self, log_magnitude: Tensor, real: Tensor, imaginary: Tensor, refinements: int) -> Tensor:
        """What ``polar`` returned, each [B,F,T] -> wave [B,1,T*hop] after so many refinements of the phase."""
        # The transforms sum 1280 terms: float32 also under autocast.
        with torch.autocast(log_magnitude.device.type, enabled=False):
            magnitude = torch.exp(log_magnitude)
            real, imaginary = refine_phase(magnitude, real, imaginary, self.stft, self.istft, refinements)
            return self.istft(magnitude * real, magnitude * imaginary).unsqueeze(1)

    def use_matrix_transform(self) -> None:
        """Swaps the Fourier transforms for their matrices (for export)."""
        super().use_matrix_transform()
        self.stft = StftByMatrix(self.stft.fft_size, self.stft.hop).to(self.istft.window.device)
