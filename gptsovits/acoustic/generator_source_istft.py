"""Inverse-STFT generator with a harmonic source and phase refinement: latent -> wave.

Three things are given to the network instead of being learned, because a base trained for hours on a processor has no
time to learn them: the phases of harmonics come from a pulse train at the F0 that latent channel 1 carries; the
latent has a linear path to the log magnitude (training starts it as the inverse of the posterior's principal
components); and the phase is refined against the predicted magnitude by a few Griffin-Lim iterations. Interface as
``IstftGenerator``.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.generator_configuration import SourceIstftConfig
from timbre.gptsovits.acoustic.generator_istft import ConvNeXtBackbone, InverseStft

NOISE_SAMPLES = 16384
LOWEST_HZ, HIGHEST_HZ = 50.0, 600.0


class HarmonicSource(nn.Module):
    """Voicing and F0 a frame -> excitation wave: a train of pulses where voiced, fixed noise elsewhere.

    The idea of a harmonic source beside the network is that of neural source-filter models (Wang, Takaki & Yamagishi
    2019): a network that works at 50 frames a second cannot keep the phases of harmonics in step by itself, since the
    same frame content must give another phase in every frame.

    rate_hz: of the wave; hop: samples a frame. No parameters; the same input gives the same wave.
    """

    noise: Tensor

    def __init__(self, rate_hz: int, hop: int) -> None:
        super().__init__()
        self.rate_hz, self.hop = rate_hz, hop
        # Fixed noise keeps synthesis repeatable and the exported graph equal to this one.
        noise = np.random.default_rng(16).standard_normal(NOISE_SAMPLES).astype(np.float32)
        self.register_buffer("noise", torch.from_numpy(noise), persistent=False)

    def _per_sample(self, frames: Tensor) -> Tensor:
        """[B,T] -> [B,T*hop], linear between the centres of the frames."""
        return functional.interpolate(
            frames.unsqueeze(1), scale_factor=float(self.hop), mode="linear", align_corners=False
        ).squeeze(1)

    def forward(self, voicing: Tensor, f0_hz: Tensor) -> Tensor:
        """voicing [B,T] 0..1, f0_hz [B,T] -> wave [B,T*hop], float32, RMS about 1."""
        f0 = self._per_sample(f0_hz.clamp(LOWEST_HZ, HIGHEST_HZ))
        voiced = self._per_sample(voicing)
        # Cycles in double: after a minute float32 would miss the phase of the upper harmonics.
        cycles = torch.cumsum(f0.double() / self.rate_hz, dim=1)
        cycles = (cycles - torch.floor(cycles)).float()
        count = torch.floor(0.48 * self.rate_hz / f0)
        # Sum of cos(2 pi k c) for k = 1..count is (sin((2 count + 1) pi c) / sin(pi c) - 1) / 2 (Dirichlet's kernel).
        below = torch.sin(math.pi * cycles)
        near = below.abs() < 1e-4
        ratio = torch.sin((2 * count + 1) * math.pi * cycles) / torch.where(near, torch.ones_like(below), below)
        pulses = (torch.where(near, 2 * count + 1, ratio) - 1) / torch.sqrt(2 * count)
        samples = f0.shape[1]
        index = torch.arange(samples, device=f0.device) % NOISE_SAMPLES
        return voiced * pulses + (1 - voiced) * self.noise[index].unsqueeze(0)


EPSILON = 1e-8
MOMENTUM = 0.99


class Stft(nn.Module):
    """Wave [B,T*hop] -> real, imaginary [B,F,T]; reflection of (fft_size - hop) / 2 samples at the ends, Hann
    window."""

    window: Tensor

    def __init__(self, fft_size: int, hop: int) -> None:
        super().__init__()
        self.fft_size, self.hop = fft_size, hop
        self.register_buffer("window", torch.hann_window(fft_size), persistent=False)

    def frames(self, wave: Tensor) -> Tensor:
        """[B,T*hop] -> [B,T,fft_size], not windowed."""
        edge = (self.fft_size - self.hop) // 2
        padded = functional.pad(wave.unsqueeze(1), (edge, edge), mode="reflect").squeeze(1)
        # fft_size = k*hop: a frame is k neighbouring hops, which avoids a gather in exported graphs.
        pieces = self.fft_size // self.hop
        hops = padded.reshape(wave.shape[0], -1, self.hop)
        count = hops.shape[1] - pieces + 1
        return torch.cat([hops[:, shift : shift + count] for shift in range(pieces)], dim=2)

    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Wave [B,T*hop], T*hop > (fft_size - hop) / 2, -> real, imaginary [B,F,T]."""
        spectrum = torch.fft.rfft(self.frames(wave) * self.window, dim=2).transpose(1, 2)
        return spectrum.real, spectrum.imag


class StftByMatrix(Stft):
    """The same transform as one matrix product, for graphs in which an FFT is not to be had."""

    basis: Tensor

    def __init__(self, fft_size: int, hop: int) -> None:
        super().__init__(fft_size, hop)
        spectrum = torch.fft.rfft(torch.diag(self.window.double()), dim=1)
        self.register_buffer("basis", torch.cat([spectrum.real, spectrum.imag], dim=1).float(), persistent=False)

    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """As Stft.forward."""
        spectrum = (self.frames(wave) @ self.basis).transpose(1, 2)
        real, imaginary = spectrum.chunk(2, dim=1)
        return real, imaginary


def unit(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Divides complex numbers by their magnitude; 0 stays 0."""
    scale = torch.rsqrt(real * real + imaginary * imaginary + EPSILON)
    return real * scale, imaginary * scale


def refine_phase(
    magnitude: Tensor, real: Tensor, imaginary: Tensor, stft: Stft, istft: InverseStft, iterations: int
) -> tuple[Tensor, Tensor]:
    """Fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013): transform back and forth, keep the given magnitude, take
    the phase of the result pushed on by the momentum. Complex numbers are kept as two real tensors, and with
    ``StftByMatrix`` the transform is a matrix product, so that the whole loop can be exported.

    magnitude, and the unit phasor (real, imaginary), each [B,F,T] -> a phasor more consistent with the magnitude.

    iterations 0 returns the phasor as it is.
    """
    last_real, last_imaginary = torch.zeros_like(real), torch.zeros_like(imaginary)
    share = MOMENTUM / (1 + MOMENTUM)
    for _ in range(iterations):
        new_real, new_imaginary = stft(istft(magnitude * real, magnitude * imaginary))
        real, imaginary = unit(new_real - share * last_real, new_imaginary - share * last_imaginary)
        last_real, last_imaginary = new_real, new_imaginary
    return real, imaginary


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

    def pitch(self, z: Tensor, learned: bool = False) -> tuple[Tensor, Tensor]:
        """z [B,latent,T] -> voicing [B,T] 0..1, F0 [B,T] in Hz. Without gradient, unless it is ``learned``: what sounds
        teaches no pitch through phases, a loss of its own does."""
        z = z if learned else z.detach()
        voicing = torch.sigmoid(6.0 * z[:, 0].float())
        padded = functional.pad(z[:, 1:2].float(), (1, 1), mode="replicate")
        log_f0 = functional.conv1d(padded, self.smoothing).squeeze(1)
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
