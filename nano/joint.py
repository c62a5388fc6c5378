"""Second half of the acoustic stage: prior encoder, flow, style; and the generator on latents that the prior gives.

The posterior stays as the first half left it. Each step fits prior and flow to the posterior's latents (KL divergence);
every second step also trains the generator, half on posterior latents (copy synthesis) and half on latents that went
through codes, prior and flow, so that it learns from the input of synthesis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from timbre.gptsovits.acoustic.adversarial import adversarial_pass, join_losses
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.generator_configuration import SourceIstftConfig
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS, SourceIstftGenerator
from timbre.gptsovits.acoustic.losses import kl_loss
from timbre.gptsovits.acoustic.masking import random_starts, slice_rows
from timbre.gptsovits.acoustic.spectrogram import Spectrogram, SpectrogramConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.nano.autoencoder import PITCH_NOISE, noisy
from timbre.nano.checkpointing import WeightAverage
from timbre.nano.expectation import expect
from timbre.nano.joint_critics import Distances, Panel
from timbre.nano.joint_data import SentenceBatch, SentenceSampler
from timbre.nano.joint_guides import TextGuide
from timbre.nano.latent_basis import POSTERIOR_LOG_STD
from timbre.nano.quality_ear import QualityEar
from timbre.nano.spectrum_critics import PushShares, SpectrumCritics
from timbre.nano.training_loop import LoopSettings, Report, StepLosses, TrainingLoop, silent
from timbre.nano.whisper_ear import WhisperEar
from timbre.training.schedule import warm_cosine
from timbre.training.speaker_consistency import SpeakerConsistency
from timbre.training.spectral_losses import MultiResolutionMel, bin_weights, direct_distance, log_magnitude_loss


@dataclass(frozen=True)
class JointSettings:
    """Settings of the second half."""

    max_frames: int = 2400
    """Frames of a batch, padding included."""
    learning_rate: float = 1e-3
    """Highest learning rate of prior, flow and style."""
    generator_rate: float = 3e-4
    """Highest learning rate of the generator, which was trained before."""
    final_share: float = 0.1
    """Share of the highest rates at the last step."""
    warm_up_steps: int = 100
    """Steps over which the rates rise linearly."""
    steps: int = 4000
    """Optimizer steps; the cosine ends at the last."""
    generator_from_step: int = 0
    """First step that trains the generator."""
    generator_every: int = 2
    """The generator is trained at every so many steps; 0: never."""
    segment_frames: int = 32
    """Length of the slices that the generator decodes."""
    spoken_weight: float = 1.0
    """Weight of `JointLoss.spoken_term`."""
    pitch_weight: float = 0.0
    """Weight of `JointLoss.pitch_term`; 0: it is not computed."""
    kl_weight: float = 1.0
    """Weight of the KL divergence, which pulls all channels of the prior's mean to their average."""
    critics_weight: float = 0.0
    """Factor of the shares with which the critics of spectrum_critics.py pull at the prior's mean; 0: no critics."""
    critics_from_step: int = 200
    """First step in which they pull; before, they only learn. The factor rises over as many steps."""
    ear_from_step: int = 200
    """The same for Whisper, DistillMOS and GE2E, which need not learn first; from 0 the factor rises with the rates."""
    critics_rate: float = 4e-4
    """Learning rate of the critics."""
    critics_shares: PushShares = field(default_factory=PushShares)
    """How the critics' pull is divided."""
    ear: Path | None = None
    """Folder of a Whisper model (CTranslate2) that pulls beside the critics, see whisper_ear.py."""
    ear_weight: float = 1.0
    """Factor of its shares."""
    quality_share: float = 0.0
    """Share of DistillMOS, see quality_ear.py; 0: without."""
    speaker_share: float = 0.0
    """Share of GE2E, see speaker_consistency.py; 0: without."""
    guide_weight: float = 0.0
    """Weight of the attention guide of joint_guides.py."""
    wrong_codes: float = 0.0
    """Share of codes that `with_wrong_codes` replaces."""
    widest_spread: float = 0.3
    """The generator decodes latents drawn with up to this share of the prior's spread."""
    adversarial_weight: float = 0.0
    """Weight of the discriminators' gradient against that of the spectral losses; 0: no discriminators."""
    adversarial_from_step: int = 0
    """First step of the discriminators."""
    discriminator_rate: float = 2e-4
    """Learning rate of the discriminators."""
    clip_norm: float = 2.0
    """Largest norm of the gradient."""
    average_decay: float = 0.998
    """Decay of the weights' moving average."""
    seed: int = 6
    """Seed of the discriminators."""
    checkpoint_steps: int = 200
    """Steps between checkpoints."""
    report_steps: int = 100
    """Steps between lines of the log."""


@torch.no_grad()
def start_from_autoencoder(model: Synthesizer, autoencoder: Mapping[str, Tensor]) -> None:
    """Take ``enc_q`` and ``dec`` from the first half; their conditions, which it did not train, start without
    effect."""
    own = model.state_dict()
    taken = {name: value for name, value in autoencoder.items() if name in own}
    missing = {name for name in own if name.split(".")[0] in ("enc_q", "dec")} - taken.keys()
    if missing:
        raise ValueError(f"the autoencoder lacks {sorted(missing)[:3]}")
    model.load_state_dict({**own, **taken})
    assert model.enc_q is not None
    model.enc_q.enc.cond_layer.weight_g.zero_()
    model.enc_q.enc.cond_layer.bias.zero_()  # type: ignore[union-attr]
    model.dec.cond.weight.zero_()
    model.dec.cond.bias.zero_()  # type: ignore[union-attr]


class JointLoss:
    """Terms of the second half; holds what needs no training."""

    def __init__(
        self,
        config: SynthesizerConfig,
        settings: JointSettings,
        device: torch.device,
        guide: TextGuide | None = None,
        discriminators: Discriminators | None = None,
        panel: Panel | None = None,
    ) -> None:
        assert isinstance(config.generator, SourceIstftConfig)
        self.settings, self.hop = settings, config.hop
        self.guide, self.discriminators, self.panel = guide, discriminators, panel
        self.spectrogram = Spectrogram(
            SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size)
        ).to(device)
        self.mels = MultiResolutionMel(config.rate_hz).to(device)
        importance = bin_weights(config.spectrum_bins, config.rate_hz).sqrt()
        self.importance = (importance / importance.mean()).to(device)

    def __call__(
        self,
        model: Synthesizer,
        batch: SentenceBatch,
        with_generator: bool,
        adversarial: bool = False,
        criticised: float = 0.0,
        judged: float | None = None,
    ) -> dict[str, Tensor]:
        """Terms by name. adversarial: the generator also learns from the discriminators, which get their gradients.

        criticised: factor of the critics' shares; the critics, if there are any, get their gradients also at 0.
        judged: the same of Whisper, DistillMOS and GE2E; None: as criticised.
        """
        device = batch.wave.device
        seen = expect(model, batch, self.spectrogram, self.settings.wrong_codes)
        spectrum, mask, condition, mean, prior = seen.spectrum, seen.mask, seen.condition, seen.recorded, seen.prior
        with torch.autocast(device.type, torch.bfloat16):
            z = noisy(mean) * mask
            z_p = model.flow(z, mask, condition)
        log_std = torch.full((1, mean.shape[1], 1), POSTERIOR_LOG_STD, device=device)
        log_std[:, :PITCH_CHANNELS] = math.log(PITCH_NOISE)
        channels = mean.shape[1]
        # A floor on the prior's spread: nothing is gained by knowing silence better than the posterior's own noise.
        prior_log_std = prior.log_std.clamp(min=POSTERIOR_LOG_STD)
        terms = {"kl": kl_loss(z_p, log_std.expand_as(z_p), prior.mean, prior_log_std, mask) / channels}
        with torch.autocast(device.type, torch.bfloat16):
            expected = model.flow.inverse(prior.mean, mask, condition).float()
        terms["spoken"] = self.spoken_term(model, expected, spectrum, mask)
        terms["total"] = self.settings.kl_weight * terms["kl"] + self.settings.spoken_weight * terms["spoken"]
        if self.panel is not None:
            recorded = mean.float()
            assert isinstance(model.dec, SourceIstftGenerator)
            distances = Distances(
                lambda latent: self.spoken_term(model, latent, spectrum, mask),
                lambda latent: self.pitch_term(latent, recorded, batch, mask),
            )
            # Critics hear what is spoken; distances, whose best answer is the mean, see it before the filter.
            moving = model.moving(expected, mask)
            found, push = self.panel.criticise(
                model.dec, moving, recorded, batch, mask, condition, criticised, distances, judged
            )
            terms |= found
            terms["total"] = join_losses(moving, self.settings.spoken_weight * push, terms["total"])
        if self.settings.pitch_weight > 0:
            terms["pitch"] = self.pitch_term(expected, mean.float(), batch, mask)
            terms["total"] = terms["total"] + self.settings.pitch_weight * terms["pitch"]
        if self.guide is not None:
            terms["guide"] = self.guide.loss(batch.places, seen.phone_mask)
            terms["total"] = terms["total"] + self.settings.guide_weight * terms["guide"]
        if with_generator:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                spread = torch.rand(len(mask), 1, 1, device=device) * self.settings.widest_spread
                drawn = prior.mean + torch.randn_like(prior.mean) * torch.exp(prior_log_std) * spread
                spoken = model.moving(model.flow.inverse(drawn, mask, condition), mask).float()
            # Pitch as recorded: the wave to compare with has it.
            spoken = torch.cat([mean[:, :PITCH_CHANNELS], spoken[:, PITCH_CHANNELS:]], dim=1)
            found, wave, target = self.generator_terms(model, batch, z.detach(), spoken, condition.detach())
            terms |= found
            terms["total"] = terms["total"] + terms["magnitude"] + terms["wave"]
            if adversarial and self.discriminators is not None:
                with torch.autocast(device.type, torch.bfloat16):
                    losses = adversarial_pass(self.discriminators, target, wave)
                terms |= losses.terms()
                gradient = self.settings.adversarial_weight * losses.wave_gradient
                terms["total"] = join_losses(wave, gradient, terms["total"])
        return terms

    def spoken_term(self, model: Synthesizer, latent: Tensor, spectrum: Tensor, mask: Tensor) -> Tensor:
        """L1 distance of the log magnitudes that the prior's mean stands for (the direct path) from the recorded ones.

        The KL divergence treats all channels alike, loud formants and the last principal component; this does not.
        latent [B,C,T], spectrum [B,F,T], mask [B,1,T].
        """
        assert isinstance(model.dec, SourceIstftGenerator)
        return direct_distance(model.dec, latent, spectrum, self.importance, mask)

    def pitch_term(self, latent: Tensor, target: Tensor, batch: SentenceBatch, mask: Tensor) -> Tensor:
        """L1 distance of the pitch that the prior's mean stands for from the recorded one: voicing on all frames plus
        log F0 on voiced ones.

        Two of 160 channels of the KL divergence carry all of intonation and tones; alone it leaves them flat. Rows
        without a pitch track do not count. latent, target [B,C,T], mask [B,1,T].
        """
        counted = mask[:, 0] * batch.pitched.view(-1, 1)
        voiced = counted * batch.voiced
        error = (latent[:, :PITCH_CHANNELS] - target[:, :PITCH_CHANNELS]).abs()
        voicing = (error[:, 0] * counted).sum() / counted.sum().clamp(min=1.0)
        return voicing + (error[:, 1] * voiced).sum() / voiced.sum().clamp(min=1.0)

    def generator_terms(
        self, model: Synthesizer, batch: SentenceBatch, copied: Tensor, spoken: Tensor, condition: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Spectral losses of a slice of each row, decoded from both kinds of latent [B,C,T]; condition [B,G,1].

        Also the slices as decoded and as recorded, [B,1,L] each.
        """
        size = min(self.settings.segment_frames, copied.shape[2])
        starts = random_starts(batch.lengths, size)
        half = torch.rand(len(starts), 1, 1, device=copied.device) < 0.5
        z = torch.where(half, slice_rows(copied, starts, size), slice_rows(spoken, starts, size))
        target = slice_rows(batch.wave, starts * self.hop, size * self.hop)
        with torch.autocast(z.device.type, torch.bfloat16):
            log_magnitude, real, imaginary = model.dec.polar(z, condition)  # type: ignore[operator]
        wave = model.dec.synthesise(log_magnitude, real, imaginary, 0)  # type: ignore[operator]
        terms = {
            "magnitude": log_magnitude_loss(log_magnitude, self.spectrogram(target), self.importance),
            "wave": self.mels(wave, target),
        }
        return terms, wave, target


def parameter_groups(model: Synthesizer, settings: JointSettings) -> list[dict[str, Any]]:
    """Everything but posterior and quantizer; the generator, trained before, at its own rate."""
    first = [p for name, p in model.named_parameters() if name.startswith("dec.")]
    rest = [
        p for name, p in model.named_parameters() if not name.startswith(("dec.", "enc_q.", "quantizer.", "ssl_proj."))
    ]
    return [
        {"params": rest, "lr": settings.learning_rate, "full": settings.learning_rate},
        {"params": first, "lr": settings.generator_rate, "full": settings.generator_rate},
    ]


def share_at(settings: JointSettings, step: int) -> float:
    """Share of the full rates: linear warm-up, then a cosine down to ``final_share``."""
    return warm_cosine(
        1.0, step, settings.steps, warm_up_steps=settings.warm_up_steps, final_share=settings.final_share
    )


def criticism_at(settings: JointSettings, step: int) -> tuple[float, float]:
    """Factors of the critics' shares and of those of Whisper, DistillMOS and GE2E: linear rises to the weight."""

    def risen(first: int) -> float:
        share = (step + 1 - first) / max(1, first or settings.warm_up_steps)
        return settings.critics_weight * min(1.0, max(0.0, share))

    return risen(settings.critics_from_step), risen(settings.ear_from_step)


def train_joint(
    model: Synthesizer,
    sampler: SentenceSampler,
    folder: Path,
    settings: JointSettings,
    device: torch.device,
    report: Report = silent,
    measure: Callable[[Synthesizer], dict[str, float]] | None = None,
    name: str = "joint",
) -> Path:
    """Train ``model`` in place for the settings' steps, resuming from ``folder/name.pt``; ends with the
    average."""
    model.to(device).train()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings), settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    optimizers: dict[str, torch.optim.Optimizer] = {"joint": optimizer}
    discriminators = None
    if settings.adversarial_weight > 0:
        torch.manual_seed(settings.seed)
        discriminators = Discriminators(DiscriminatorConfig.nano()).to(device)
        optimizers["judges"] = torch.optim.AdamW(
            discriminators.parameters(), settings.discriminator_rate, betas=(0.8, 0.99)
        )
    critics, panel = None, None
    if settings.critics_weight > 0:
        torch.manual_seed(settings.seed)
        config = model.config
        critics = SpectrumCritics(
            config.rate_hz, config.spectrum_bins, config.codebook_size, config.condition_channels,
            settings.critics_shares,
        ).to(device)  # fmt: skip
        ear = None if settings.ear is None else WhisperEar(settings.ear, config.rate_hz, device)
        quality = QualityEar(config.rate_hz, device) if settings.quality_share > 0 else None
        speaker = SpeakerConsistency(config.rate_hz, device) if settings.speaker_share > 0 else None
        panel = Panel(
            critics, ear, settings.ear_weight, quality=quality, quality_share=settings.quality_share,
            speaker=speaker, speaker_share=settings.speaker_share,
        )  # fmt: skip
        optimizers["critics"] = torch.optim.AdamW(critics.parameters(), settings.critics_rate, betas=(0.8, 0.99))
    heard_by = {"judges": discriminators, "critics": critics}
    loop = TrainingLoop(
        folder / f"{name}.pt", model, optimizers, WeightAverage(model, settings.average_decay),
        LoopSettings(settings.steps, settings.clip_norm, settings.checkpoint_steps, settings.report_steps), report,
        clipped=[parameter for group in optimizer.param_groups for parameter in group["params"]],
        extra={name: network for name, network in heard_by.items() if network is not None},
    )  # fmt: skip
    loop.resume()
    guide = TextGuide(model) if settings.guide_weight > 0 else None
    loss_of = JointLoss(model.config, settings, device, guide, discriminators, panel)

    def losses(step: int) -> StepLosses:
        every = settings.generator_every
        speaks = every > 0 and step >= settings.generator_from_step and step % every == 0
        adversarial = speaks and discriminators is not None and step >= settings.adversarial_from_step
        criticised, judged = criticism_at(settings, step)
        terms = loss_of(model, sampler.batch(step).to(device), speaks, adversarial, criticised, judged)
        return StepLosses(terms["total"], terms)

    loop.run(
        losses,
        lambda step, group: float(group["full"]) * share_at(settings, step),
        None if measure is None else lambda: measure(model),
    )
    if guide is not None:
        guide.remove()
    return loop.finish()
