"""Sizes of the acoustic networks (SoVITS): every width is a field, every known model a preset.

``SynthesizerConfig.from_upstream`` reads the ``model`` section of an upstream checkpoint's configuration, so that a
file decides the network and not a version name alone. Widths that upstream wires in (MRTE 512, 704 style bins)
are fields here with the wired-in value as default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig, IstftConfig, SourceIstftConfig

SYMBOLS_V1 = 322
SYMBOLS_V2 = 732
SPEAKER_WIDTH_ERES2NET = 20480
SPEAKER_WIDTH_GE2E = 256


@dataclass(frozen=True)
class StyleEncoderConfig:
    """Reference encoder (Min et al. 2021, Mel-Style encoder)."""

    bins: int = 704
    """Number of low spectrum bins that it reads."""
    width: int = 128
    """Channels."""
    heads: int = 2
    """Attention heads."""
    kernel: int = 5
    """Width of the temporal convolutions, in frames."""
    dropout: float = 0.1
    """In convolutions and attention."""
    masked_convolutions: bool = False
    """Whether padding frames are zeroed before the temporal convolutions. The official weights were trained without
    (the last frames of a padded row see the bias of padding); new bases are trained with it, so that a row's style does
    not depend on its neighbours in the batch.
    """


@dataclass(frozen=True)
class PriorEncoderConfig:
    """Codes and phones to the prior's mean and log standard deviation."""

    filter_channels: int = 768
    """Inner width of the feed-forward layers."""
    heads: int = 2
    """Attention heads of all layers but those of MRTE."""
    ssl_layers: int = 3
    """Over the codes, before they see the text."""
    text_layers: int = 6
    """Over the phones."""
    joint_layers: int = 3
    """Over the codes, after they have seen the text."""
    kernel: int = 3
    """Positions that a feed-forward convolution sees."""
    window: int = 4
    """Distance up to which relative positions have vectors of their own."""
    dropout: float = 0.1
    """In attention and feed-forward."""
    mrte_width: int = 512
    """Channels of MRTE, where codes attend to phones."""
    mrte_heads: int = 4
    """Attention heads of MRTE."""


@dataclass(frozen=True)
class WaveNetConfig:
    """Gated dilated convolutions of one WaveNet stack."""

    layers: int = 16
    """One after the other, their skip outputs summed."""
    kernel: int = 5
    """Frames that a layer's convolution sees, at dilation 1."""
    dilation_rate: int = 1
    """Dilation of layer i is this to the power i; 1: none."""


@dataclass(frozen=True)
class FlowConfig:
    """Mean-only residual coupling flow."""

    couplings: int = 4
    """Pairs of a coupling layer and a flip of the channels."""
    wavenet: WaveNetConfig = field(default_factory=lambda: WaveNetConfig(layers=4))
    """Of each coupling layer."""


@dataclass(frozen=True)
class SynthesizerConfig:
    """Everything that fixes the shapes of a Synthesizer."""

    name: str = "v2"
    """For messages; the preset's."""
    rate_hz: int = 32000
    """Sampling rate of the wave."""
    fft_size: int = 2048
    """Samples of a spectrum frame."""
    hop: int = 640
    """Samples between two spectrum frames."""
    segment_frames: int = 32
    """Length of a training slice."""
    symbols: int = SYMBOLS_V2
    """Rows of the phone table."""
    ssl_width: int = 768
    """Channels of the content features that the quantiser maps to codes."""
    codebook_size: int = 1024
    """Number of different codes."""
    code_frames: int = 2
    """Spectrum frames for each code."""
    latent_channels: int = 192
    """Of posterior, prior and flow; even, since the flow splits them."""
    hidden_channels: int = 192
    """Inside posterior, prior and flow."""
    condition_channels: int = 512
    """G, of the vector that conditions flow and generator."""
    speaker_width: int = 0
    """Width of the speaker-verification vector; 0: none, as in v2."""
    prior: PriorEncoderConfig = field(default_factory=PriorEncoderConfig)
    """Codes and phones to the distribution of the latent."""
    style: StyleEncoderConfig = field(default_factory=StyleEncoderConfig)
    """Reference spectrum to the condition."""
    posterior: WaveNetConfig = field(default_factory=WaveNetConfig)
    """Recorded spectrum to the latent; needed for training and copies."""
    flow: FlowConfig = field(default_factory=FlowConfig)
    """Between prior and latent."""
    generator: HifiGanConfig | IstftConfig = field(default_factory=HifiGanConfig)
    """Latent to wave; its hop must be `hop`."""
    compressed_spectrum: bool = False
    """Whether posterior and style encoder read log magnitudes; the posterior then has a direct path."""
    noise_share: float = 1.0
    """Share of the prior's spread that synthesis draws at noise scale 1; upstream: all of it."""
    modulation_taps: int = 0
    """Frames that the filter after the flow sees, see modulation_filter.py; odd, 0: no filter, as upstream."""

    def __post_init__(self) -> None:
        if self.generator.hop != self.hop:
            raise ConfigurationError(
                f"generator hop: {self.generator.hop} samples a frame, but the spectrogram hop is {self.hop}",
                "make the product of the upsampling rates (or the inverse-STFT hop) equal to hop",
            )
        if self.latent_channels % 2:
            raise ConfigurationError(
                f"latent_channels: {self.latent_channels} is odd, but the flow splits it in two halves",
                "choose an even number of latent channels",
            )
        if not self.speaker_width and self.condition_channels != self.prior.mrte_width:
            raise ConfigurationError(
                f"condition_channels: {self.condition_channels} is not mrte_width ({self.prior.mrte_width})",
                "a network without speaker vector adds its condition in the MRTE directly: make the two equal",
            )
        if self.style.bins > self.spectrum_bins:
            raise ConfigurationError(
                f"style.bins: {self.style.bins} is more than the spectrum has ({self.spectrum_bins})",
                "use at most fft_size / 2 + 1 bins",
            )

    @property
    def spectrum_bins(self) -> int:
        """Rows of the linear spectrogram."""
        return self.fft_size // 2 + 1

    @property
    def harmonic_source(self) -> SourceIstftConfig | None:
        """The generator's configuration if it has a harmonic source, so that two latent channels carry the pitch."""
        return self.generator if isinstance(self.generator, SourceIstftConfig) else None

    @classmethod
    def v2(cls) -> SynthesizerConfig:
        """GPT-SoVITS v2, 32 kHz."""
        return cls()

    @classmethod
    def v2pro(cls) -> SynthesizerConfig:
        """GPT-SoVITS v2Pro: v2 with a speaker-verification vector and a condition of 1024."""
        return cls(name="v2Pro", condition_channels=1024, speaker_width=SPEAKER_WIDTH_ERES2NET)

    @classmethod
    def v2proplus(cls) -> SynthesizerConfig:
        """GPT-SoVITS v2ProPlus: v2Pro with a wider generator."""
        return cls(
            name="v2ProPlus",
            condition_channels=1024,
            speaker_width=SPEAKER_WIDTH_ERES2NET,
            generator=HifiGanConfig(initial_channels=768, upsample_kernels=(20, 16, 8, 2, 2)),
        )

    @classmethod
    def nano(cls) -> SynthesizerConfig:
        """The embedded base: 24 kHz, hop 480, inverse-STFT generator, GE2E speaker vector, codes of label_codes.py."""
        return cls(
            name="nano",
            rate_hz=24000,
            fft_size=1920,
            hop=480,
            ssl_width=256,
            codebook_size=516,
            latent_channels=160,
            hidden_channels=192,
            condition_channels=128,
            speaker_width=SPEAKER_WIDTH_GE2E,
            prior=PriorEncoderConfig(
                filter_channels=336,
                ssl_layers=1,
                text_layers=2,
                joint_layers=4,
                mrte_width=192,
                mrte_heads=2,
                dropout=0.0,
            ),
            style=StyleEncoderConfig(bins=800, width=96, masked_convolutions=True),
            posterior=WaveNetConfig(layers=2, kernel=3),
            flow=FlowConfig(couplings=2, wavenet=WaveNetConfig(layers=1, kernel=3)),
            generator=SourceIstftConfig(
                inner_width=640, blocks=6, fft_size=1920, hop=480, rate_hz=24000, refinements=32
            ),
            compressed_spectrum=True,
            noise_share=0.2,
            modulation_taps=9,
        )

    @classmethod
    def pico(cls) -> SynthesizerConfig:
        """Every part tiny; for tests of everything but sound. Rates as ``nano``."""
        return cls(
            name="pico",
            rate_hz=16000,
            fft_size=1280,
            hop=320,
            segment_frames=16,
            ssl_width=32,
            codebook_size=64,
            latent_channels=16,
            hidden_channels=16,
            condition_channels=16,
            speaker_width=SPEAKER_WIDTH_GE2E,
            prior=PriorEncoderConfig(
                filter_channels=32, ssl_layers=1, text_layers=1, joint_layers=1, mrte_width=16, mrte_heads=2
            ),
            style=StyleEncoderConfig(bins=80, width=16, masked_convolutions=True),
            posterior=WaveNetConfig(layers=2),
            flow=FlowConfig(couplings=2, wavenet=WaveNetConfig(layers=1)),
            generator=IstftConfig(width=16, inner_width=32, blocks=1),
        )

    @classmethod
    def from_upstream(
        cls,
        model: Mapping[str, Any],
        *,
        spectrum_bins: int = 1025,
        hop: int = 640,
        rate_hz: int = 32000,
        segment_frames: int = 32,
        symbols: int | None = None,
    ) -> SynthesizerConfig:
        """Configuration of the network that upstream builds from ``model`` (the section of that name in its files).

        ``symbols``: rows of the phone table, where known from a state dict; else 322 for v1 and 732 otherwise. Raises
        ConfigurationError for versions and block kinds that this package does not have (v3, v4, resblock 2).
        """
        version = str(model.get("version", "v2"))
        if version not in ("v1", "v2", "v2Pro", "v2ProPlus"):
            raise ConfigurationError(
                f"model.version: {version!r} is not one of v1, v2, v2Pro, v2ProPlus",
                "use a voice of the v2 or v2Pro family; v3 and v4 have another decoder",
            )
        if str(model.get("resblock", "1")) != "1":
            raise ConfigurationError(
                f"model.resblock: {model['resblock']!r} is not '1'", "use an official file; none has another kind"
            )
        if model.get("semantic_frame_rate", "25hz") != "25hz":
            raise ConfigurationError(
                f"model.semantic_frame_rate: {model['semantic_frame_rate']!r} is not '25hz'",
                "convert a voice with 25 codes a second",
            )
        pro = version.startswith("v2Pro")
        try:
            layers = int(model["n_layers"])
            return cls(
                name=version,
                rate_hz=rate_hz,
                fft_size=2 * (spectrum_bins - 1),
                hop=hop,
                segment_frames=segment_frames,
                symbols=symbols or (SYMBOLS_V1 if version == "v1" else SYMBOLS_V2),
                latent_channels=int(model["inter_channels"]),
                hidden_channels=int(model["hidden_channels"]),
                condition_channels=int(model["gin_channels"]),
                speaker_width=SPEAKER_WIDTH_ERES2NET if pro else 0,
                prior=PriorEncoderConfig(
                    filter_channels=int(model["filter_channels"]),
                    heads=int(model["n_heads"]),
                    ssl_layers=layers // 2,
                    text_layers=layers,
                    joint_layers=layers // 2,
                    kernel=int(model["kernel_size"]),
                    dropout=float(model["p_dropout"]),
                ),
                style=StyleEncoderConfig(bins=spectrum_bins if version == "v1" else min(704, spectrum_bins)),
                generator=HifiGanConfig(
                    initial_channels=int(model["upsample_initial_channel"]),
                    upsample_rates=tuple(int(rate) for rate in model["upsample_rates"]),
                    upsample_kernels=tuple(int(size) for size in model["upsample_kernel_sizes"]),
                    resblock_kernels=tuple(int(size) for size in model["resblock_kernel_sizes"]),
                    resblock_dilations=tuple(
                        tuple(int(step) for step in steps) for steps in model["resblock_dilation_sizes"]
                    ),
                ),
            )
        except KeyError as error:
            raise ConfigurationError(
                f"model.{error.args[0]}: missing in the configuration of the checkpoint",
                "give a complete SoVITS checkpoint of the v2 family",
            ) from error
