"""Sizes of the discriminators, which judge generated waveforms in training."""

from __future__ import annotations

from dataclasses import dataclass

PERIODS_V2 = (2, 3, 5, 7, 11)
PERIODS_V2PRO = (2, 3, 5, 7, 11, 17, 23)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Discriminator set: of the raw wave (scale), of the wave folded by periods, of STFT resolutions."""

    periods: tuple[int, ...] = PERIODS_V2
    """Samples in a row of the folded wave, one discriminator each."""
    period_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)
    """Of its convolutions."""
    scale_channels: tuple[int, ...] = (16, 64, 256, 1024, 1024, 1024)
    """Of the discriminator of the raw wave; empty leaves it out."""
    scale_groups: tuple[int, ...] = (1, 4, 16, 64, 256, 1)
    """Of its convolutions, one each."""
    resolutions: tuple[tuple[int, int], ...] = ()
    """(FFT size, hop) in samples, one discriminator each; upstream has none."""
    resolution_channels: int = 16
    """Of the convolutions of these."""

    @classmethod
    def v2(cls) -> DiscriminatorConfig:
        """Upstream's set for v1 and v2."""
        return cls()

    @classmethod
    def v2pro(cls) -> DiscriminatorConfig:
        """Upstream's set for v2Pro and v2ProPlus."""
        return cls(periods=PERIODS_V2PRO)

    @classmethod
    def nano(cls) -> DiscriminatorConfig:
        """About a million parameters: two narrow periods, and resolutions strided in time and frequency, which cost a
        CPU less than the others and detect more."""
        return cls(
            periods=(2, 5),
            period_channels=(16, 64, 128, 192, 192),
            scale_channels=(),
            scale_groups=(),
            resolutions=((1024, 256), (512, 128), (256, 64)),
            resolution_channels=16,
        )

    @classmethod
    def pico(cls) -> DiscriminatorConfig:
        """Tiny, every kind once."""
        return cls(
            periods=(2, 3),
            period_channels=(4, 8, 8),
            scale_channels=(4, 8, 8),
            scale_groups=(1, 2, 1),
            resolutions=((128, 32),),
            resolution_channels=4,
        )
