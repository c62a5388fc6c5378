"""HiFi-GAN generator: latent -> wave (Kong et al. 2020), with a global condition added after the first convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig
from timbre.gptsovits.acoustic.weight_norm import WeightNormConv1d, WeightNormConvTranspose1d

_SLOPE = 0.1


def _small_normal(layer: WeightNormConv1d | WeightNormConvTranspose1d) -> None:
    """HiFi-GAN's initialisation: kernels from N(0, 0.01^2)."""
    with torch.no_grad():
        layer.weight_v.normal_(0.0, 0.01)
        layer.weight_g.copy_(torch.linalg.vector_norm(layer.weight_v, dim=(1, 2), keepdim=True))


class ResBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair with a residual (HiFi-GAN's kind 1)."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            WeightNormConv1d(channels, channels, kernel, dilation=step, padding=(kernel - 1) * step // 2)
            for step in dilations
        )
        self.convs2 = nn.ModuleList(
            WeightNormConv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )
        for layer in [*self.convs1, *self.convs2]:
            assert isinstance(layer, WeightNormConv1d)
            _small_normal(layer)

    def forward(self, x: Tensor) -> Tensor:
        """x [B,C,T] -> [B,C,T]."""
        # In place where no backward pass needs the old values: a convolution keeps its input, not its output.
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            h = dilated(functional.leaky_relu(x, _SLOPE))
            x = plain(functional.leaky_relu(h, _SLOPE, inplace=True)).add_(x)
        return x


class HifiGanGenerator(nn.Module):
    """latent: input channels; condition_channels: width of the global condition (0: none).

    ``gradient_checkpointing``: recompute the residual blocks in the backward pass instead of keeping their activations.
    """

    def __init__(self, latent: int, condition_channels: int, config: HifiGanConfig) -> None:
        super().__init__()
        self.hop = config.hop
        self.gradient_checkpointing = False
        width = config.initial_channels
        self.conv_pre = nn.Conv1d(latent, width, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernels, strict=True):
            up = WeightNormConvTranspose1d(width, width // 2, kernel, stride=rate, padding=(kernel - rate) // 2)
            _small_normal(up)
            self.ups.append(up)
            width //= 2
            for size, dilations in zip(config.resblock_kernels, config.resblock_dilations, strict=True):
                self.resblocks.append(ResBlock(width, size, dilations))
        self.conv_post = nn.Conv1d(width, 1, 7, padding=3, bias=False)
        if condition_channels:
            self.cond = nn.Conv1d(condition_channels, config.initial_channels, 1)
        self.blocks_per_stage = len(config.resblock_kernels)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z [B,latent,T], condition [B,condition_channels,1] -> wave [B,1,T*hop] in -1..1, float32."""
        x = self.conv_pre(z)
        if condition is not None:
            x = x + self.cond(condition)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, _SLOPE, inplace=True))
            first = stage * self.blocks_per_stage
            total: Tensor | None = None
            for block in self.resblocks[first : first + self.blocks_per_stage]:
                if self.gradient_checkpointing and torch.is_grad_enabled():
                    out = checkpoint(block, x, use_reentrant=False)
                else:
                    out = block(x)
                total = out if total is None else total.add_(out)
            assert total is not None
            x = total.div_(self.blocks_per_stage)
        # Upstream leaves this slope at the library's default of 0.01.
        return torch.tanh(self.conv_post(functional.leaky_relu(x, inplace=True)).float())
