"""Discriminators of waves: one scale, several periods (Kong et al. 2020), optionally STFT sizes (Jang et al. 2021).

Parameter names and order are upstream's: ``discriminators.0`` is the scale discriminator, then one a period; resolution
discriminators, which upstream does not have, come last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.weight_norm import WeightNormConv1d, WeightNormConv2d

_SLOPE = 0.1


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What a discriminator returns."""

    score: Tensor
    """[B,N], 1 for real."""
    features: tuple[Tensor, ...]
    """Outputs of every layer, the last one the score map."""

    def split(self, rows: int) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """The first ``rows`` rows of the batch, and the rest."""
        first = DiscriminatorOutput(self.score[:rows], tuple(feature[:rows] for feature in self.features))
        return first, DiscriminatorOutput(self.score[rows:], tuple(feature[rows:] for feature in self.features))


class _Stack(nn.Module):
    """Convolutions with leaky ReLU, then one to a single channel."""

    convs: nn.ModuleList
    conv_post: nn.Module

    def output_of(self, x: Tensor) -> DiscriminatorOutput:
        features = []
        for layer in self.convs:
            x = functional.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        x = self.conv_post(x)
        features.append(x)
        return DiscriminatorOutput(x.flatten(1), tuple(features))


class ScaleDiscriminator(_Stack):
    """Grouped 1-d convolutions on the raw wave; the middle layers have kernel 41 and stride 4."""

    def __init__(self, channels: tuple[int, ...], groups: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList([WeightNormConv1d(1, channels[0], 15, padding=7, groups=groups[0])])
        for index in range(1, len(channels) - 1):
            self.convs.append(
                WeightNormConv1d(channels[index - 1], channels[index], 41, stride=4, padding=20, groups=groups[index])
            )
        self.convs.append(WeightNormConv1d(channels[-2], channels[-1], 5, padding=2, groups=groups[-1]))
        self.conv_post = WeightNormConv1d(channels[-1], 1, 3, padding=1)

    def forward(self, wave: Tensor) -> DiscriminatorOutput:
        """wave [B,1,L]."""
        return self.output_of(wave)


class PeriodDiscriminator(_Stack):
    """2-d convolutions along time on the wave folded to [L/period, period]; the last of ``channels`` has stride 1."""

    def __init__(self, period: int, channels: tuple[int, ...], kernel: int = 5, stride: int = 3) -> None:
        super().__init__()
        self.period = period
        self.convs = nn.ModuleList()
        width = 1
        for index, out in enumerate(channels):
            step = 1 if index == len(channels) - 1 else stride
            self.convs.append(WeightNormConv2d(width, out, (kernel, 1), (step, 1), padding=(kernel // 2, 0)))
            width = out
        self.conv_post = WeightNormConv2d(width, 1, (3, 1), padding=(1, 0))

    def forward(self, wave: Tensor) -> DiscriminatorOutput:
        """wave [B,1,L]; padded by reflection to a multiple of the period."""
        missing = -wave.shape[2] % self.period
        if missing:
            wave = functional.pad(wave, (0, missing), "reflect")
        return self.output_of(wave.view(wave.shape[0], 1, -1, self.period))


class ResolutionDiscriminator(_Stack):
    """2-d convolutions on the magnitude spectrum at one STFT size, strided in frequency and, twice, in time.

    Striding in time too makes it about four times cheaper than the published form.
    """

    window: Tensor

    def __init__(self, fft_size: int, hop: int, channels: int) -> None:
        super().__init__()
        self.fft_size, self.hop = fft_size, hop
        self.register_buffer("window", torch.hann_window(fft_size), persistent=False)
        self.convs = nn.ModuleList([WeightNormConv2d(1, channels, (7, 3), (2, 1), padding=(3, 1))])
        for index in range(3):
            step = 2 if index < 2 else 1
            width = channels * (1 if index == 0 else 2)
            self.convs.append(WeightNormConv2d(width, 2 * channels, (5, 3), (2, step), padding=(2, 1)))
        self.conv_post = WeightNormConv2d(2 * channels, 1, (3, 3), padding=(1, 1))

    def forward(self, wave: Tensor) -> DiscriminatorOutput:
        """wave [B,1,L]."""
        with torch.autocast(wave.device.type, enabled=False):
            flat = wave.squeeze(1).float()
            spectrum = torch.stft(flat, self.fft_size, self.hop, window=self.window, return_complex=True)
            # Square root of power with a floor: the gradient of a magnitude is undefined at zero.
            magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)
        return self.output_of(magnitude.unsqueeze(1))


class Discriminators(nn.Module):
    """The whole set; ``forward`` gives one DiscriminatorOutput a discriminator."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList()
        if config.scale_channels:
            self.discriminators.append(ScaleDiscriminator(config.scale_channels, config.scale_groups))
        for period in config.periods:
            self.discriminators.append(PeriodDiscriminator(period, config.period_channels))
        for fft_size, hop in config.resolutions:
            self.discriminators.append(ResolutionDiscriminator(fft_size, hop, config.resolution_channels))

    def forward(self, wave: Tensor) -> list[DiscriminatorOutput]:
        """wave [B,1,L]."""
        return [discriminator(wave) for discriminator in self.discriminators]

    def compare(self, real: Tensor, fake: Tensor) -> tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]:
        """real, fake [B,1,L] -> (judgements of real, judgements of fake), in one pass over both."""
        rows = real.shape[0]
        pairs = [judgement.split(rows) for judgement in self(torch.cat([real, fake]))]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
