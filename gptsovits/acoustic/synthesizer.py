"""The acoustic model: semantic codes, phones and reference -> wave (SoVITS: VITS with a semantic prior).

Parameter names are the official ones. Inference: ``condition`` once a voice, then ``decode``. Training: ``forward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.flow import ResidualCouplingFlow
from timbre.gptsovits.acoustic.generator_configuration import HifiGanConfig, SourceIstftConfig
from timbre.gptsovits.acoustic.generator_hifigan import HifiGanGenerator
from timbre.gptsovits.acoustic.generator_istft import IstftGenerator
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.masking import random_starts, sequence_mask, slice_rows
from timbre.gptsovits.acoustic.modulation_filter import ModulationFilter
from timbre.gptsovits.acoustic.posterior_encoder import LOG_FLOOR, Posterior, PosteriorEncoder
from timbre.gptsovits.acoustic.prior_encoder import Prior, PriorEncoder, change_speed, crossfade_head
from timbre.gptsovits.acoustic.quantizer import ResidualQuantizer
from timbre.gptsovits.acoustic.relative_attention import RelativeEncoder
from timbre.gptsovits.acoustic.style_encoder import StyleEncoder
from timbre.gptsovits.acoustic.weight_norm import fold_weight_norm

DEFAULT_NOISE_SCALE = 0.5


@dataclass(frozen=True)
class Reference:
    """What conditions a voice."""

    spectrum: Tensor
    """[B,F,T]."""
    speaker: Tensor | None = None
    """[B,speaker_width] or None."""
    mask: Tensor | None = None
    """[B,1,T], None for no padding."""


@dataclass(frozen=True)
class TrainingBatch:
    """Rows padded on the right."""

    spectrum: Tensor
    """[B,F,T]."""
    lengths: Tensor
    """[B], in frames."""
    codes: Tensor
    """[B,1,N], N >= T / code_frames."""
    phones: Tensor
    """[B,P]."""
    phone_lengths: Tensor
    """[B]."""
    speaker: Tensor | None = None
    """[B,speaker_width] or None."""
    starts: Tensor | None = None
    """[B], first frame of each training slice; None draws them."""


@dataclass(frozen=True)
class TrainingOutput:
    """What a training step returns."""

    wave: Tensor
    """[B,1,segment*hop], of the slices at ``starts``."""
    starts: Tensor
    """[B], first frame of each slice."""
    mask: Tensor
    """[B,1,T]."""
    z_p: Tensor
    """[B,latent,T], for the KL loss."""
    posterior: Posterior
    """Of the recordings."""
    prior: Prior
    """Of codes and phones."""


@dataclass(frozen=True)
class StreamChunk:
    """One chunk of a stream."""

    wave: Tensor
    """[1,1,L]."""
    hidden: Tensor
    """[1,H,T], encoder frames; the next chunk is blended with their tail."""


class Synthesizer(nn.Module):
    """config: all widths. with_posterior: False leaves out enc_q, which only training needs."""

    def __init__(self, config: SynthesizerConfig, with_posterior: bool = True) -> None:
        super().__init__()
        self.config = config
        latent, hidden, condition = config.latent_channels, config.hidden_channels, config.condition_channels
        self.enc_p = PriorEncoder(config.ssl_width, hidden, latent, config.symbols, config.prior)
        self.dec: HifiGanGenerator | IstftGenerator | SourceIstftGenerator
        if isinstance(config.generator, HifiGanConfig):
            self.dec = HifiGanGenerator(latent, condition, config.generator)
        elif isinstance(config.generator, SourceIstftConfig):
            self.dec = SourceIstftGenerator(latent, condition, config.generator)
        else:
            self.dec = IstftGenerator(latent, condition, config.generator)
        self.enc_q: PosteriorEncoder | None = None
        if with_posterior:
            self.enc_q = PosteriorEncoder(
                config.spectrum_bins, latent, hidden, condition, config.posterior, config.compressed_spectrum
            )
        self.flow = ResidualCouplingFlow(latent, hidden, condition, config.flow)
        self.modulation = ModulationFilter(latent, config.modulation_taps) if config.modulation_taps else None
        self.ref_enc = StyleEncoder(condition, config.style)
        self.ssl_proj = nn.Conv1d(config.ssl_width, config.ssl_width, config.code_frames, stride=config.code_frames)
        self.quantizer = ResidualQuantizer(config.ssl_width, config.codebook_size)
        if config.speaker_width:
            self.sv_emb = nn.Linear(config.speaker_width, condition)
            self.ge_to512 = nn.Linear(condition, config.prior.mrte_width)
            self.prelu = nn.PReLU(num_parameters=condition)
        # Codes are given in training, as in upstream's default of a frozen quantizer.
        self.ssl_proj.requires_grad_(False)

    # -- parts -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def extract_codes(self, features: Tensor) -> Tensor:
        """features [B,ssl,T] at the frame rate -> codes [B,1,T // code_frames] int64; float32 also under autocast."""
        with torch.autocast(features.device.type, enabled=False):
            return self.quantizer.encode(self.ssl_proj(features.float()))

    def style(self, spectrum: Tensor, mask: Tensor | None = None) -> Tensor:
        """spectrum [B,F,T], mask [B,1,T] -> style vector [B,condition,1] without the speaker vector."""
        mask = torch.ones_like(spectrum[:, :1]) if mask is None else mask
        if self.config.compressed_spectrum:
            spectrum = torch.log(spectrum + LOG_FLOOR)
        out: Tensor = self.ref_enc(spectrum, mask)
        return out

    def condition(self, reference: Reference) -> Tensor:
        """The vector that conditions flow and generator: [B,condition,1]."""
        style = self.style(reference.spectrum, reference.mask)
        if not self.config.speaker_width:
            return style
        if reference.speaker is None:
            raise ValueError(f"{self.config.name}: a reference needs a speaker vector of {self.config.speaker_width}")
        out: Tensor = self.prelu(style + self.sv_emb(reference.speaker).unsqueeze(2))
        return out

    def mean_condition(self, references: Sequence[Reference]) -> Tensor:
        """Average of the conditions of several references: [B,condition,1]."""
        return torch.stack([self.condition(reference) for reference in references]).mean(0)

    def text_condition(self, condition: Tensor) -> Tensor:
        """condition [B,condition,1] -> [B,mrte_width,1], what the prior encoder adds."""
        if not self.config.speaker_width:
            return condition
        out: Tensor = self.ge_to512(condition.squeeze(2)).unsqueeze(2)
        return out

    def features_of(self, codes: Tensor, frames: int | None = None) -> Tensor:
        """codes [B,1,N] -> quantised features [B,ssl,N*code_frames], cut or extended to ``frames``."""
        features = self.quantizer.decode(codes).repeat_interleave(self.config.code_frames, dim=2)
        if frames is None or frames == features.shape[2]:
            return features
        if frames < features.shape[2]:
            return features[:, :, :frames]
        return functional.pad(features, (0, frames - features.shape[2]), mode="replicate")

    def hidden(self, codes: Tensor, phones: Tensor, condition: Tensor) -> Tensor:
        """codes [B,1,N], phones [B,P], no padding, condition [B,condition,1] -> encoder frames [B,H,N*code_frames]."""
        features = self.features_of(codes)
        mask = torch.ones_like(features[:, :1])
        phone_mask = torch.ones_like(phones, dtype=features.dtype).unsqueeze(1)
        return self.enc_p.encode(features, mask, phones, phone_mask, self.text_condition(condition))

    def prior(self, codes: Tensor, phones: Tensor, condition: Tensor, speed: float = 1.0) -> Prior:
        """Shapes as ``hidden``; speed above 1 is faster."""
        hidden = self.hidden(codes, phones, condition)
        hidden, mask = change_speed(hidden, torch.ones_like(hidden[:, :1]), speed)
        return self.enc_p.project(hidden, mask)

    def sample(self, prior: Prior, condition: Tensor, noise_scale: float = DEFAULT_NOISE_SCALE) -> Tensor:
        """A latent from the prior through the inverse flow: [B,latent,T]. noise_scale 0 takes the mean."""
        z_p = prior.mean
        if noise_scale:
            spread = torch.exp(prior.log_std) * self.config.noise_share
            z_p = z_p + torch.randn_like(z_p) * spread * noise_scale
        return self.moving(self.flow.inverse(z_p, prior.mask, condition) * prior.mask, prior.mask)

    def moving(self, latent: Tensor, mask: Tensor | None = None) -> Tensor:
        """A latent of the prior [B,latent,T] as the generator speaks it: through the modulation filter, if there is
        one. mask as there."""
        if self.modulation is None:
            return latent
        found: Tensor = self.modulation(latent, mask)
        return found

    # -- inference -------------------------------------------------------------------------------------------------

    def decode(
        self,
        codes: Tensor,
        phones: Tensor,
        condition: Tensor,
        noise_scale: float = DEFAULT_NOISE_SCALE,
        speed: float = 1.0,
    ) -> Tensor:
        """codes [B,1,N], phones [B,P], condition [B,condition,1] -> wave [B,1,N*code_frames*hop] (at speed 1)."""
        prior = self.prior(codes, phones, condition, speed)
        wave: Tensor = self.dec(self.sample(prior, condition, noise_scale), condition)
        return wave

    def decode_chunk(
        self,
        codes: Tensor,
        phones: Tensor,
        condition: Tensor,
        keep_codes: int | None = None,
        before: Tensor | None = None,
        noise_scale: float = DEFAULT_NOISE_SCALE,
        speed: float = 1.0,
    ) -> StreamChunk:
        """Streaming: encodes all codes so far, decodes only the last ``keep_codes`` (None: all).

        before [1,H,L]: tail of the previous chunk's ``hidden``; the first L kept frames are blended with it. Its frames
        should cover the same codes: keep_codes = new codes + L / code_frames.
        """
        hidden = self.hidden(codes, phones, condition)
        if keep_codes is not None:
            hidden = hidden[:, :, -keep_codes * self.config.code_frames :]
        if before is not None:
            hidden = crossfade_head(hidden, before)
        stretched, mask = change_speed(hidden, torch.ones_like(hidden[:, :1]), speed)
        z = self.sample(self.enc_p.project(stretched, mask), condition, noise_scale)
        return StreamChunk(self.dec(z, condition), hidden)

    # -- training --------------------------------------------------------------------------------------------------

    def forward(self, batch: TrainingBatch, noise_scale: float = 1.0) -> TrainingOutput:
        """One training pass; noise_scale 0 takes the posterior's mean."""
        if self.enc_q is None:
            raise ValueError("this network was built without the posterior encoder, which training needs")
        frames = batch.spectrum.shape[2]
        mask = sequence_mask(batch.lengths, frames)
        phone_mask = sequence_mask(batch.phone_lengths, batch.phones.shape[1])
        condition = self.condition(Reference(batch.spectrum, batch.speaker, mask))
        features = self.features_of(batch.codes, frames)
        prior = self.enc_p(features, mask, batch.phones, phone_mask, self.text_condition(condition))
        posterior = self.enc_q(batch.spectrum, mask, condition, noise_scale)
        z_p = self.flow(posterior.z, mask, condition)
        size = min(self.config.segment_frames, frames)
        starts = random_starts(batch.lengths, size) if batch.starts is None else batch.starts
        wave = self.dec(slice_rows(posterior.z, starts, size), condition)
        return TrainingOutput(wave, starts, mask, z_p, posterior, prior)

    # -- variants --------------------------------------------------------------------------------------------------

    def use_gradient_checkpointing(self, enabled: bool = True) -> None:
        """Trades a second forward pass of encoder and generator blocks for their activations' memory."""
        for module in self.modules():
            if isinstance(module, RelativeEncoder | HifiGanGenerator | IstftGenerator | SourceIstftGenerator):
                module.gradient_checkpointing = enabled

    def fold(self) -> Synthesizer:
        """Folds weight normalisation in place (inference, or training of adapters on frozen weights); returns self."""
        fold_weight_norm(self)
        return self
