"""All critics of the prior in the joint steps: adversaries and listener of spectrum_critics.py, and
Whisper, DistillMOS and GE2E."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.nano.joint_data import SentenceBatch
from timbre.nano.quality_ear import QualityEar
from timbre.nano.spectrum_critics import Sentences, SpectrumCritics, joined_gradient
from timbre.nano.whisper_ear import WhisperEar
from timbre.training.speaker_consistency import SpeakerConsistency

PITCH_SHARE = 0.25
"""Share of the pitch's distance beside those of the critics, see spectrum_critics.PushShares."""

WON, WINNING = 0.05, 0.3
"""Adversaries whose loss (.5 by chance) falls from WON + WINNING to WON pull less and less: one that tells every frame
from a recorded one points anywhere."""


@dataclass(frozen=True)
class Distances:
    """Losses of latents [B,C,T] that the critics' pull is joined with."""

    spoken: Callable[[Tensor], Tensor]
    """Whose gradient's norm the shares are measured against."""
    pitch: Callable[[Tensor], Tensor]
    """Whose share is PITCH_SHARE."""


@dataclass(frozen=True)
class Panel:
    """Critics that are trained beside the prior and, if they are given, Whisper, DistillMOS and GE2E, which are
    not."""

    critics: SpectrumCritics
    """Adversaries and listener."""
    ear: WhisperEar | None = None
    """Whisper."""
    ear_weight: float = 1.0
    """Factor of Whisper's shares."""
    ear_part: float = 0.4
    """Share of a batch's sentences that Whisper hears, chosen at random: it costs more than the rest of a step."""
    quality: QualityEar | None = None
    """DistillMOS."""
    quality_share: float = 1.0
    """How strongly DistillMOS pulls, see spectrum_critics.PushShares."""
    judged_rows: int = 2
    """How many of the sentences that Whisper hears DistillMOS and GE2E hear too: .4 s each, however short."""
    speaker: SpeakerConsistency | None = None
    """GE2E."""
    speaker_share: float = 0.5
    """How strongly GE2E pulls, see spectrum_critics.PushShares."""

    def criticise(
        self,
        generator: SourceIstftGenerator,
        expected: Tensor,
        recorded: Tensor,
        batch: SentenceBatch,
        mask: Tensor,
        condition: Tensor,
        factor: float,
        distances: Distances,
        ear_factor: float | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """What the critics say of the expected latents [B,C,T] beside the recorded ones, and the gradient with which
        they and the pitch pull at them, in units of that of the spoken distance. generator: speaks latents, its own
        weights get no gradient; factor: of the critics' shares, at 0 they only learn; ear_factor: of those of Whisper,
        DistillMOS and GE2E, which need not learn first, without it the same.
        """
        judging = factor if ear_factor is None else ear_factor
        direct = generator.direct
        sentences = Sentences(batch.codes, batch.lengths, mask, batch.pitched, condition.detach().float())
        latent = expected.detach().requires_grad_(True)
        real = self.critics.view(recorded, direct, sentences).detach()
        said = self.critics.view(latent, direct, sentences)
        found = self.critics.learn(real, said, sentences)
        if max(factor, judging) <= 0:
            return found, torch.zeros_like(latent)
        trusted = min(1.0, max(0.0, (float(found["critics"]) - WON) / WINNING))
        shares = {
            name: (loss, share * factor * (trusted if name in ("fooled", "features") else 1.0))
            for name, (loss, share) in self.critics.push(real, said, sentences).items()
        }
        if judging > 0 and (self.ear is not None or self.quality is not None or self.speaker is not None):
            heard = self._heard(generator, latent, batch, mask, condition)
            shares |= {name: (loss, share * judging) for name, (loss, share) in heard.items()}
        shares["pitch"] = (distances.pitch(latent), PITCH_SHARE * max(factor, judging))
        (reference,) = torch.autograd.grad(distances.spoken(latent), latent)
        pulling = {name: term for name, term in shares.items() if term[1] > 0}
        return found | {name: loss for name, (loss, _) in shares.items()}, joined_gradient(pulling, latent, reference)

    def _heard(
        self, generator: SourceIstftGenerator, latent: Tensor, batch: SentenceBatch, mask: Tensor, condition: Tensor
    ) -> dict[str, tuple[Tensor, float]]:
        rows = torch.randperm(len(batch.lengths))[: max(1, round(len(batch.lengths) * self.ear_part))].tolist()
        frames = int(batch.lengths[rows].max())
        there, spoken = mask[rows][..., :frames], latent[rows][..., :frames]
        with torch.autocast(spoken.device.type, torch.bfloat16):
            polar = generator.polar(spoken, condition[rows].detach())
        wave = generator.synthesise(*polar, 0)
        recorded = batch.wave[rows][..., : wave.shape[2]]
        terms: dict[str, tuple[Tensor, float]] = {}
        lengths = batch.lengths[rows]
        if self.ear is not None:
            said = self.ear.view(wave, there, generator.pitch(spoken, learned=True))
            texts, languages = [batch.texts[row] for row in rows], [batch.languages[row] for row in rows]
            heard = self.ear.push(self.ear.view(recorded, there), said, there, texts, languages)
            terms |= {name: (loss, share * self.ear_weight) for name, (loss, share) in heard.items()}
        terms |= self._judged(wave, recorded, lengths * (wave.shape[2] / frames))
        return terms

    def _judged(self, wave: Tensor, recorded: Tensor, samples: Tensor) -> dict[str, tuple[Tensor, float]]:
        """Of DistillMOS and GE2E. Their pulls are joined at the wave, so that they take the way back through the
        generator once; the loss that carries them there has no meaning of its own."""
        samples, recorded = samples[: self.judged_rows], recorded[: self.judged_rows]
        leaf = wave[: self.judged_rows].detach().requires_grad_(True)
        terms: dict[str, tuple[Tensor, float]] = {}
        shown: dict[str, tuple[Tensor, float]] = {}
        if self.quality is not None:
            seconds = samples / self.quality.rate_hz
            real, said = self.quality.view(recorded, seconds), self.quality.view(leaf, seconds)
            loss, missing = self.quality.loss(real, said, seconds)
            terms["quality"], shown["opinion"] = (loss, self.quality_share), (missing, 0.0)
        if self.speaker is not None:
            each = (samples / self.speaker.rate_hz).tolist()
            with torch.no_grad():
                wanted = self.speaker.vectors(recorded, each)
            terms["stranger"] = (self.speaker.loss(leaf, each, wanted), self.speaker_share)
        if not terms:
            return {}
        pull = joined_gradient(terms, leaf, torch.ones_like(leaf) / leaf.numel() ** 0.5)
        shown |= {name: (loss.detach(), 0.0) for name, (loss, _) in terms.items()}
        carried = (wave[: self.judged_rows] * pull).sum()
        return shown | {"judged": (carried, sum(share for _, share in terms.values()))}
