"""Acoustic stage of the nano base, first half: trains the autoencoder, measures it, keeps checkpoints.

The second half (prior, flow, style) is joint.py and starts when the corpus has codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS
from timbre.nano.acoustic_data import SegmentSampler, sample_waves
from timbre.nano.autoencoder import Autoencoder, AutoencoderLoss, LossWeights
from timbre.nano.checkpointing import WeightAverage
from timbre.nano.copy_quality import copy_quality, evaluation_waves
from timbre.nano.corpus import Corpus
from timbre.nano.latent_basis import fit_basis, start_from_basis
from timbre.nano.pitch_tracks import PitchTracks
from timbre.nano.training_loop import LoopSettings, Report, StepLosses, TrainingLoop, silent
from timbre.training.schedule import warm_cosine

BASIS_CLIPS = 600


@dataclass(frozen=True)
class AcousticSettings:
    """Settings of the first half."""

    batch: int = 16
    """Segments a step."""
    frames: int = 32
    """Length of a segment in frames of the spectrogram."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    warm_up_steps: int = 200
    """Steps over which the rate rises linearly."""
    steps: int = 6000
    """Optimizer steps; the cosine ends at the last."""
    posterior: bool = False
    """Whether the latent is trained; else it stays the corpus's principal components, and only its pitch is trained."""
    clip_norm: float = 2.0
    """Largest norm of the gradient."""
    average_decay: float = 0.999
    """Decay of the weights' moving average."""
    seed: int = 4
    """Seed of weights and segments."""
    checkpoint_steps: int = 200
    """Steps between checkpoints."""
    measure_steps: int = 500
    """Steps between measurements of copy synthesis."""
    eval_clips_per_corpus: int = 4
    """Evaluation clips of each corpus to measure; 0: none."""
    part_weights: dict[str, float] = field(default_factory=dict)
    """How often clips of a part are drawn, by part; 1 for the others."""
    weights: LossWeights = field(default_factory=LossWeights)
    """Weights of the loss's terms."""


def learning_rate_at(settings: AcousticSettings, step: int) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    return warm_cosine(
        settings.learning_rate, step, settings.steps, warm_up_steps=settings.warm_up_steps, final_share=0.1
    )


def build(config: SynthesizerConfig, corpus: Corpus, seed: int) -> Autoencoder:
    """Seeded network whose direct paths are the principal components of the corpus."""
    torch.manual_seed(seed)
    model = Autoencoder(config)
    clips = list(corpus.select(split="train"))
    step = max(1, len(clips) // BASIS_CLIPS)
    waves = sample_waves(corpus, clips[::step], 40 * config.hop)
    magnitudes = model.spectrogram(waves).transpose(1, 2).reshape(-1, config.spectrum_bins)
    basis = fit_basis(magnitudes, config.latent_channels - PITCH_CHANNELS, config.rate_hz)
    start_from_basis(model.enc_q, model.dec, basis)
    return model


def measure(model: Autoencoder, waves: list[Any], refinements: int | None = None) -> dict[str, float]:
    """PESQ and STOI of copy synthesis of ``waves``."""
    device = next(model.parameters()).device

    def copy(wave: Any) -> Any:
        made = model.copy(torch.from_numpy(np.ascontiguousarray(wave)).to(device).view(1, 1, -1), refinements)
        return made.view(-1).cpu().numpy()

    return copy_quality(copy, waves)


def train_autoencoder(
    corpus: Corpus,
    speech: Path,
    folder: Path,
    config: SynthesizerConfig,
    settings: AcousticSettings,
    device: torch.device,
    start: Mapping[str, torch.Tensor] | None = None,
    report: Report = silent,
) -> Path:
    """Train for ``settings.steps``, resuming from ``folder``; returns the checkpoint's path.

    Writes ``autoencoder.pt`` (checkpoint) and ``autoencoder.jsonl`` (one line a measurement) into ``folder``.
    """
    if start is None:
        model = build(config, corpus, settings.seed).to(device)
    else:
        torch.manual_seed(settings.seed)
        model = Autoencoder(config).to(device)
        model.load_state_dict(start)
    groups = [
        {"params": list(model.dec.parameters()), "weight_decay": 0.01},
        {"params": list(model.enc_q.parameters()), "weight_decay": 0.0},  # what is not trained must not shrink
    ]
    optimizer = torch.optim.AdamW(groups, settings.learning_rate, betas=(0.9, 0.99))
    loop = TrainingLoop(
        folder / "autoencoder.pt", model, {"autoencoder": optimizer}, WeightAverage(model, settings.average_decay),
        LoopSettings(settings.steps, settings.clip_norm, settings.checkpoint_steps, settings.measure_steps), report,
    )  # fmt: skip
    loop.resume()
    sampler = SegmentSampler(corpus, PitchTracks.of(corpus), settings.frames, settings.seed, settings.part_weights)
    loss_of = AutoencoderLoss(config, settings.weights, device, settings.posterior)
    count = settings.eval_clips_per_corpus
    waves = evaluation_waves(speech, count, config.hop) if count else []

    def losses(step: int) -> StepLosses:
        terms = loss_of(model, sampler.batch(step, settings.batch).to(device))
        return StepLosses(terms["total"], terms)

    def measured() -> dict[str, float]:
        return measure(model, waves) | {"pesq_nb_unrefined": measure(model, waves, 0)["pesq_nb"]}

    loop.run(losses, lambda step, group: learning_rate_at(settings, step), measured if waves else None)
    return loop.path
