"""All critics of the prior in the joint steps: the adversaries and the listener of spectrum_critics.py, and Whisper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.nano.joint_data import SentenceBatch
from timbre.nano.spectrum_critics import Sentences, SpectrumCritics, joined_gradient
from timbre.nano.whisper_ear import WhisperEar

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
    """Critics that are trained beside the prior and, if it is given, Whisper, which is not."""

    critics: SpectrumCritics
    """Adversaries and listener."""
    ear: WhisperEar | None = None
    """Whisper."""
    ear_weight: float = 1.0
    """Factor of Whisper's shares."""
    ear_part: float = 0.4
    """Share of a batch's sentences that Whisper hears, chosen at random: it costs more than the rest of a step."""

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
    ) -> tuple[dict[str, Tensor], Tensor]:
        """What the critics say of the expected latents [B,C,T] beside the recorded ones, and the gradient with which
        they and the pitch pull at them, in units of that of the spoken distance. generator: speaks latents, its own
        weights get no gradient; factor: of all shares, at 0 the critics only learn.
        """
        direct = generator.direct
        sentences = Sentences(batch.codes, batch.lengths, mask, batch.pitched, condition.detach().float())
        latent = expected.detach().requires_grad_(True)
        real = self.critics.view(recorded, direct, sentences).detach()
        said = self.critics.view(latent, direct, sentences)
        found = self.critics.learn(real, said, sentences)
        if factor <= 0:
            return found, torch.zeros_like(latent)
        terms = self.critics.push(real, said, sentences)
        if self.ear is not None:
            heard = self._heard(self.ear, generator, latent, batch, mask, condition)
            terms |= {name: (loss, share * self.ear_weight) for name, (loss, share) in heard.items()}
        trusted = min(1.0, max(0.0, (float(found["critics"]) - WON) / WINNING))
        shares = {
            name: (loss, share * factor * (trusted if name in ("fooled", "features") else 1.0))
            for name, (loss, share) in terms.items()
        }
        shares["pitch"] = (distances.pitch(latent), PITCH_SHARE * factor)
        (reference,) = torch.autograd.grad(distances.spoken(latent), latent)
        return found | {name: loss for name, (loss, _) in shares.items()}, joined_gradient(shares, latent, reference)

    def _heard(
        self,
        ear: WhisperEar,
        generator: SourceIstftGenerator,
        latent: Tensor,
        batch: SentenceBatch,
        mask: Tensor,
        condition: Tensor,
    ) -> dict[str, tuple[Tensor, float]]:
        rows = torch.randperm(len(batch.lengths))[: max(1, round(len(batch.lengths) * self.ear_part))].tolist()
        frames = int(batch.lengths[rows].max())
        there, spoken = mask[rows][..., :frames], latent[rows][..., :frames]
        with torch.autocast(spoken.device.type, torch.bfloat16):
            polar = generator.polar(spoken, condition[rows].detach())
        wave = generator.synthesise(*polar, 0)
        real = ear.view(batch.wave[rows][..., : wave.shape[2]], there)
        said = ear.view(wave, there, generator.pitch(spoken, learned=True))
        return ear.push(real, said, there, [batch.texts[row] for row in rows], [batch.languages[row] for row in rows])
