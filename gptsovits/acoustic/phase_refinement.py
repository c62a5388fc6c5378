"""Short-time Fourier transform on the generator's own grid, and the refinement of a phase for a given magnitude.

Refinement is fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013): transform back and forth, keep the given
magnitude, take the phase of the result pushed on by the momentum. Complex numbers are kept as two real tensors, and
with ``StftByMatrix`` the transform is a matrix product, so the whole loop can be exported.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.generator_istft import InverseStft

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
    """magnitude, and the unit phasor (real, imaginary), each [B,F,T] -> a phasor more consistent with the magnitude.

    iterations 0 returns the phasor as it is.
    """
    last_real, last_imaginary = torch.zeros_like(real), torch.zeros_like(imaginary)
    share = MOMENTUM / (1 + MOMENTUM)
    for _ in range(iterations):
        new_real, new_imaginary = stft(istft(magnitude * real, magnitude * imaginary))
        real, imaginary = unit(new_real - share * last_real, new_imaginary - share * last_imaginary)
        last_real, last_imaginary = new_real, new_imaginary
    return real, imaginary
