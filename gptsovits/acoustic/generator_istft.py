"""Generator with a ConvNeXt backbone and an inverse-STFT head: latent -> wave (Siuzdak 2023, Vocos).

The backbone runs at the frame rate and the inverse Fourier transform does the upsampling, which makes it an order of
magnitude cheaper than transposed convolutions. Same interface and global conditioning as ``HifiGanGenerator``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from timbre.gptsovits.acoustic.generator_configuration import IstftConfig


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm, two pointwise layers with GELU, layer scale, residual (Liu et al. 2022)."""

    def __init__(self, width: int, inner: int, kernel: int, scale: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, inner)
        self.pwconv2 = nn.Linear(inner, width)
        self.gamma = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """x [B,width,T] -> [B,width,T]."""
        h = self.norm(self.dwconv(x).transpose(1, 2))
        h = self.pwconv2(functional.gelu(self.pwconv1(h))) * self.gamma
        return x + h.transpose(1, 2)


class InverseStft(nn.Module):
    """Spectrum [B,F,T] -> wave [B,T*hop]: windowed inverse FFT, overlap-add, division by the window's energy.

    "Same" padding as Vocos: (fft_size - hop) / 2 samples are cut on each side, so T frames give exactly T*hop samples.
    fft_size must be a multiple of hop.
    """

    window: Tensor

    def __init__(self, fft_size: int, hop: int) -> None:
        super().__init__()
        if fft_size % hop or (fft_size - hop) % 2:
            raise ValueError(f"fft_size {fft_size} must be a multiple of hop {hop} with an even difference")
        self.fft_size, self.hop = fft_size, hop
        self.register_buffer("window", torch.hann_window(fft_size), persistent=False)

    def overlap_add(self, frames: Tensor) -> Tensor:
        """frames [B,T,fft_size] (already windowed) -> [B,T*hop], normalised."""
        energy = self._add((self.window**2).view(1, 1, -1).expand(1, frames.shape[1], -1))
        return self._add(frames) / energy.clamp(min=1e-8)

    def _add(self, frames: Tensor) -> Tensor:
        # fft_size = k*hop: the k pieces of a frame fall on k successive hops, so overlap-add is k shifted sums.
        batch, count, _ = frames.shape
        pieces = self.fft_size // self.hop
        parts = frames.reshape(batch, count, pieces, self.hop)
        total = functional.pad(parts[:, :, 0], (0, 0, 0, pieces - 1))
        for shift in range(1, pieces):
            total = total + functional.pad(parts[:, :, shift], (0, 0, shift, pieces - 1 - shift))
        edge = (self.fft_size - self.hop) // 2
        flat = total.reshape(batch, (count + pieces - 1) * self.hop)
        return flat[:, edge : flat.shape[1] - edge]

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """real, imaginary [B,F,T] -> [B,T*hop]."""
        frames = torch.fft.irfft(torch.complex(real, imaginary).transpose(1, 2), n=self.fft_size, dim=2)
        return self.overlap_add(frames * self.window)


class InverseStftByMatrix(InverseStft):
    """The same transform as one matrix product, for graphs in which an inverse FFT is not to be had."""

    basis: Tensor

    def __init__(self, fft_size: int, hop: int) -> None:
        super().__init__(fft_size, hop)
        bins = fft_size // 2 + 1
        unit = torch.eye(bins, dtype=torch.float64)
        zero = torch.zeros_like(unit)
        window = self.window.double()
        cosines = torch.fft.irfft(torch.complex(unit, zero), n=fft_size, dim=1) * window
        sines = torch.fft.irfft(torch.complex(zero, unit), n=fft_size, dim=1) * window
        self.register_buffer("basis", torch.cat([cosines, sines]).float(), persistent=False)

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """real, imaginary [B,F,T] -> [B,T*hop]."""
        spectrum = torch.cat([real, imaginary], dim=1).transpose(1, 2)
        return self.overlap_add(spectrum @ self.basis)


class ConvNeXtBackbone(nn.Module):
    """What the inverse-STFT generators share: latent and condition -> ConvNeXt blocks -> ``outputs`` values a frame.

    latent: input channels; condition_channels: width of the global condition (0: none).
    """

    def __init__(self, latent: int, condition_channels: int, config: IstftConfig, outputs: int) -> None:
        super().__init__()
        self.hop = config.hop
        self.gradient_checkpointing = False
        self.conv_pre = nn.Conv1d(latent, config.width, config.kernel, padding=config.kernel // 2)
        if condition_channels:
            self.cond = nn.Conv1d(condition_channels, config.width, 1)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.inner_width, config.kernel, 1.0 / config.blocks)
            for _ in range(config.blocks)
        )
        self.final_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, outputs)
        self.istft: InverseStft = InverseStft(config.fft_size, config.hop)

    def draw_weights(self) -> None:
        """Weights of every convolution and projection from a narrow normal distribution, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def frames(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """z [B,latent,T], condition [B,condition_channels,1] -> [B,outputs,T], float32."""
        x = self.conv_pre(z)
        if condition is not None:
            x = x + self.cond(condition)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        out: Tensor = self.head(self.final_norm(x.transpose(1, 2))).float().transpose(1, 2)
        return out

    def use_matrix_transform(self) -> None:
        """Swaps the inverse FFT for its matrix (for export)."""
        self.istft = InverseStftByMatrix(self.istft.fft_size, self.istft.hop).to(self.istft.window.device)


class IstftGenerator(ConvNeXtBackbone):
    """latent: input channels; condition_channels: width of the global condition (0: none)."""

    def __init__(self, latent: int, condition_channels: int, config: IstftConfig) -> None:
        super().__init__(latent, condition_channels, config, config.fft_size + 2)
        self.draw_weights()

    def spectrum(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z [B,latent,T] -> real and imaginary part [B,F,T], float32."""
        h = self.frames(z, condition)
        log_magnitude, phase = h.chunk(2, dim=1)
        # Vocos clips the magnitude at 100 against a blow-up early in training.
        magnitude = torch.exp(log_magnitude).clamp(max=1e2)
        return magnitude * torch.cos(phase), magnitude * torch.sin(phase)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z [B,latent,T], condition [B,condition_channels,1] -> wave [B,1,T*hop], float32, not clipped."""
        real, imaginary = self.spectrum(z, condition)
        # The transform sums 1280 terms: float32 also under autocast.
        with torch.autocast(z.device.type, enabled=False):
            return self.istft(real, imaginary).unsqueeze(1)
