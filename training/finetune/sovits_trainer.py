"""The acoustic network as a task of the loop: prior and flow towards the posterior, decoder towards the recording.

Whole slices for the KL divergence, a piece of each for the waveform. Posterior and condition are known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn

from timbre.gptsovits.acoustic.adversarial import adversarial_pass, join_losses
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS
from timbre.gptsovits.acoustic.losses import kl_loss
from timbre.gptsovits.acoustic.masking import random_starts, sequence_mask, slice_rows
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.training.finetune.acoustic_losses import SourceReconstruction, reconstruction_for
from timbre.training.finetune.data import Draws, VoiceData, evenly, pad_rows
from timbre.training.finetune.hearing import Hearing
from timbre.training.finetune.melody import Melody
from timbre.training.finetune.practice import Practice, latent_of
from timbre.training.finetune.voice_condition import PosteriorCache, posterior_of
from timbre.training.lora import network_of, trainable

PURPOSE = 2
_VALIDATION_ROWS = 16
_VALIDATION_PIECES = 2
_SPOKEN_SPREAD = 0.6
_HEARD = ("spoken", "pitch", "speaker", "content")
"""Terms of speech from codes."""
_PRIOR_FLOOR = -2.3
"""Least log standard deviation of the prior of bases with a harmonic source, as in their own training."""


@dataclass(frozen=True)
class Weights:
    """Weights of the losses, from the recipe."""

    kl: float
    """Of the divergence between prior and posterior."""
    mel: float
    """Of the distance between spectra of the piece and of the recording."""
    segment_s: float
    """Length of the waveform piece."""
    spoken: float = 0.0
    """Of the distance between the spectrum that is spoken from codes and text and the recorded one; bases with a
    harmonic source."""
    pitch: float = 0.0
    """Of the distance between height and spread of the melody that is spoken and recorded ones; the same bases."""


@dataclass(frozen=True)
class PosteriorBatch:
    """Rows padded on the right."""

    mean: Tensor
    """[B,C,T], of the posterior."""
    log_std: Tensor
    """[B,C,T], of the posterior."""
    lengths: Tensor
    """[B], frames."""
    wave: Tensor
    """[B,1,T*hop]."""
    codes: Tensor
    """[B,1,T/2]."""
    phones: Tensor
    """[B,P]."""
    phone_lengths: Tensor
    """[B]."""


def collate(rows: Sequence[PosteriorCache], device: torch.device) -> PosteriorBatch:
    """Rows padded on the right, on the device."""
    return PosteriorBatch(
        pad_rows([row.mean for row in rows]).to(device),
        pad_rows([row.log_std for row in rows]).to(device),
        torch.tensor([row.frames for row in rows], device=device),
        pad_rows([row.wave for row in rows]).unsqueeze(1).to(device),
        pad_rows([row.codes for row in rows]).unsqueeze(1).to(device),
        pad_rows([row.phones for row in rows]).to(device),
        torch.tensor([len(row.phones) for row in rows], device=device),
    )


class AcousticTask:
    """Fine-tuning of the acoustic network."""

    name = "sovits"

    def __init__(
        self,
        model: PeftModel,
        data: VoiceData,
        condition: Tensor,
        weights: Weights,
        seed: int,
        device: torch.device,
        discriminators: Discriminators | None = None,
        hearing: Hearing | None = None,
        practice: Practice | None = None,
    ) -> None:
        """model: the wrapped network, on ``device``. condition [1,G,1]: the voice's own.

        discriminators: trained with the network; None: no adversarial losses. hearing: of speech from codes. practice:
        further sentences that are heard beside the slices; only with hearing.
        """
        network = network_of(model)
        assert isinstance(network, Synthesizer)
        self.model, self.network, self.weights, self.device = model, network, weights, device
        self.condition = condition.to(device)
        network.eval()
        self._training = [posterior_of(network, row, condition, device) for row in data.training]
        held_out = evenly(data.held_out, _VALIDATION_ROWS)
        self._held_out = [posterior_of(network, row, condition, device) for row in held_out]
        self._trained_on = evenly(self._training, len(self._held_out))
        self.draws = Draws(len(self._training), seed, PURPOSE)
        config = network.config
        self.reconstruction = reconstruction_for(config, weights.mel).to(device)
        self.segment = max(1, round(weights.segment_s * config.rate_hz / config.hop))
        self._source = config.harmonic_source is not None
        self.hearing, self._heard_frames = hearing, 1 if hearing is None else hearing.frames
        self.discriminators = discriminators
        self.practice = practice
        self.melody = Melody(self._training, weights.pitch) if self._source and weights.pitch > 0 else None

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name; the discriminators too, where there are any."""
        found = trainable(self.model)
        if self.discriminators is not None:
            found |= {f"discriminator.{name}": parameter for name, parameter in self.discriminators.named_parameters()}
        return found

    def train(self, mode: bool) -> None:
        """Dropout on or off."""
        self.model.train(mode)

    def use_checkpointing(self, enabled: bool) -> None:
        """Recompute the activations of encoders and generator in the backward pass."""
        self.network.use_gradient_checkpointing(enabled)

    def loss(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """Weighted terms of some slices."""
        batch = collate([self._training[index] for index in rows], self.device)
        starts = random_starts(batch.lengths, min(self.segment, batch.mean.shape[2]))
        terms = self._terms(batch, starts, torch.randn_like(batch.mean), self.discriminators, spoken=self._source)
        if self.practice is not None and self.hearing is not None:
            practised = self._practised(self.practice, self.hearing, max(1, len(rows) // 2))
            terms |= practised | {"total": torch.stack([terms["total"], *practised.values()]).sum()}
        return terms

    def _practised(self, practice: Practice, hearing: Hearing, count: int) -> dict[str, Tensor]:
        """Terms of so many practice sentences, a piece of each: whose voice it is, and what is heard beside the base's
        own speech of it."""
        batch = practice.draw(count, self.network, self.device)
        condition = self.condition.expand(count, -1, -1)
        latent = latent_of(self.network, batch, condition)
        places = random_starts(batch.lengths, min(self._heard_frames, latent.shape[2]))
        terms = hearing.terms(self.network, latent, batch.wave, batch.lengths, places, condition)
        if self.melody is not None:
            terms["pitch"] = self.melody.of_practice(latent, batch.lengths)
        return {f"practice_{name}": practice.weight * value for name, value in terms.items()}

    def validate(self) -> dict[str, float]:
        """The same terms over the held-out slices: fixed noise, pieces at fixed places."""
        return self._evaluate_rows(self._held_out)

    def evaluate_train_subset(self) -> dict[str, float]:
        """The same over slices that were trained on."""
        return self._evaluate_rows(self._trained_on)

    def _evaluate_rows(self, rows: Sequence[PosteriorCache]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for number, row in enumerate(rows):
            batch = collate([row], self.device)
            generator = torch.Generator().manual_seed(number)
            noise = torch.randn(batch.mean.shape, generator=generator).to(self.device)
            span = max(0, row.frames - self.segment)
            for piece in range(_VALIDATION_PIECES):
                starts = torch.tensor([span * (2 * piece + 1) // (2 * _VALIDATION_PIECES)], device=self.device)
                # What is heard costs more than the rest, and one piece of it is longer.
                heard = max(0, row.frames - self._heard_frames) // 2 if piece == 0 else None
                for name, value in self._terms(batch, starts, noise, None, spoken=False, heard=heard).items():
                    weight = _VALIDATION_PIECES if name in _HEARD else 1
                    sums[name] = sums.get(name, 0.0) + weight * float(value)
        count = len(rows) * _VALIDATION_PIECES
        found = {name: value / count for name, value in sums.items()}
        return found | {"total": sum(value for name, value in found.items() if name != "total")} if found else found

    def _terms(
        self,
        batch: PosteriorBatch,
        starts: Tensor,
        noise: Tensor,
        discriminators: Discriminators | None,
        spoken: bool,
        heard: int | None = None,
    ) -> dict[str, Tensor]:
        """spoken: the decoder also learns from speech from codes, and that is heard, in a random piece of each row;
        else it is heard in the piece that begins at frame ``heard``, or not at all."""
        network, frames = self.network, batch.mean.shape[2]
        mask = sequence_mask(batch.lengths, frames)
        phone_mask = sequence_mask(batch.phone_lengths, batch.phones.shape[1])
        condition = self.condition.expand(len(batch.lengths), -1, -1)
        z = (batch.mean + noise * torch.exp(batch.log_std)) * mask
        features = network.features_of(batch.codes, frames)
        prior = network.enc_p(features, mask, batch.phones, phone_mask, network.text_condition(condition))
        z_p = network.flow(z, mask, condition)
        log_std = prior.log_std.float()
        if self._source:
            log_std = log_std.clamp(min=_PRIOR_FLOOR)
        kl = kl_loss(z_p, batch.log_std, prior.mean, log_std, mask)
        terms = {"kl": self.weights.kl * self.reconstruction.kl_scale * kl}
        size = min(self.segment, frames)
        decoded = slice_rows(z, starts, size)
        if spoken:
            decoded = self._some_spoken(decoded, batch, prior.mean, log_std, mask, condition, starts, size)
        hop = network.config.hop
        target = slice_rows(batch.wave, starts * hop, size * hop)
        found, wave = self.reconstruction(network, decoded, condition, target)
        terms |= found
        if self._source and (spoken or heard is not None):
            size = min(self._heard_frames, frames)
            places = random_starts(batch.lengths, size) if heard is None else torch.full_like(batch.lengths, heard)
            terms |= self._spoken_terms(batch, prior.mean, mask, condition, places)
        terms["total"] = torch.stack(list(terms.values())).sum()
        if discriminators is not None and torch.is_grad_enabled():
            discriminators.requires_grad_(True)
            wave = wave.float()
            losses = adversarial_pass(discriminators, target, wave)
            terms |= losses.terms()
            # Only its gradient counts: the reported total stays the sum of the losses.
            terms["total"] = join_losses(wave, losses.wave_gradient, terms["total"])
        return terms

    def _spoken_terms(
        self, batch: PosteriorBatch, mean: Tensor, mask: Tensor, condition: Tensor, places: Tensor
    ) -> dict[str, Tensor]:
        """Of the latents that are expected from codes and text, as a voice speaks them: their spectrum against the
        recorded one, and what is heard of the pieces of them that begin at places [B]."""
        if self.weights.spoken <= 0 and self.melody is None and self.hearing is None:
            return {}
        expected = self.network.flow.inverse(mean, mask, condition)
        terms = {}
        if self.weights.spoken > 0:
            assert isinstance(self.reconstruction, SourceReconstruction)
            distance = self.reconstruction.expected_distance(self.network, expected, batch.wave, mask)
            terms["spoken"] = self.weights.spoken * distance
        if self.melody is not None:
            terms["pitch"] = self.melody.of_slices(expected, batch.mean, mask)
        if self.hearing is not None:
            moving = self.network.moving(expected, mask)
            terms |= self.hearing.terms(self.network, moving, batch.wave, batch.lengths, places, condition)
        return terms

    @torch.no_grad()
    def _some_spoken(
        self,
        copied: Tensor,
        batch: PosteriorBatch,
        mean: Tensor,
        log_std: Tensor,
        mask: Tensor,
        condition: Tensor,
        starts: Tensor,
        size: int,
    ) -> Tensor:
        """Half of the rows from codes, prior and flow instead of the posterior, as in synthesis; pitch as recorded."""
        rows = len(batch.lengths)
        spread = torch.rand(rows, 1, 1, device=self.device) * _SPOKEN_SPREAD
        drawn = mean.float() + torch.randn_like(mean, dtype=torch.float32) * torch.exp(log_std) * spread
        moving = self.network.moving(self.network.flow.inverse(drawn, mask, condition), mask)
        spoken = slice_rows(moving.float(), starts, size)
        pitch = slice_rows(batch.mean, starts, size)[:, :PITCH_CHANNELS]
        spoken = torch.cat([pitch, spoken[:, PITCH_CHANNELS:]], dim=1)
        half = torch.rand(rows, 1, 1, device=self.device) < 0.5
        return torch.where(half, copied, spoken)
