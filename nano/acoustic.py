"""Acoustic stage of the nano base, first half: trains the autoencoder, measures it, keeps checkpoints.

The second half (prior, flow, style) is joint.py and starts when the corpus has codes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS
from timbre.nano.acoustic_data import SegmentSampler, sample_waves
from timbre.nano.autoencoder import Autoencoder, AutoencoderLoss, LossWeights
from timbre.nano.checkpointing import AveragedWeights, Clock, WeightAverage, load_checkpoint, save_checkpoint
from timbre.nano.copy_quality import copy_quality, evaluation_waves
from timbre.nano.corpus import Corpus
from timbre.nano.latent_basis import fit_basis, start_from_basis
from timbre.nano.pitch_tracks import PitchTracks
from timbre.training.schedule import warm_cosine

BASIS_CLIPS = 600


@dataclass(frozen=True)
class AcousticSettings:
    """Settings of the first half."""

    batch: int = 16
    frames: int = 32
    learning_rate: float = 1e-3
    warm_up_steps: int = 200
    steps: int = 6000
    posterior: bool = False
    """Whether its latent is trained; else it stays the corpus's principal components, and only its pitch is."""
    clip_norm: float = 2.0
    average_decay: float = 0.999
    seed: int = 4
    checkpoint_steps: int = 200
    measure_steps: int = 500
    eval_clips_per_corpus: int = 4
    part_weights: dict[str, float] = field(default_factory=dict)
    weights: LossWeights = field(default_factory=LossWeights)


def learning_rate_at(settings: AcousticSettings, clock: Clock) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    return warm_cosine(
        settings.learning_rate, clock.step, settings.steps, warm_up_steps=settings.warm_up_steps, final_share=0.1
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
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train for ``settings.steps``, resuming from ``folder``; returns the checkpoint's path.

    Writes ``autoencoder.pt`` (checkpoint) and ``autoencoder.jsonl`` (one line a measurement) into ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "autoencoder.pt"
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
    average = WeightAverage(model, settings.average_decay)
    clock = Clock()
    if path.is_file():
        clock, _ = load_checkpoint(path, model, {"autoencoder": optimizer}, average)
    sampler = SegmentSampler(corpus, PitchTracks.of(corpus), settings.frames, settings.seed, settings.part_weights)
    loss_of = AutoencoderLoss(config, settings.weights, device, settings.posterior)
    count = settings.eval_clips_per_corpus
    waves = evaluation_waves(speech, count, config.hop) if count else []
    sums: dict[str, float] = {}
    counted = 0

    def note() -> None:
        nonlocal sums, counted
        row: dict[str, Any] = {"step": clock.step, "minutes": round(clock.minutes, 2)}
        row |= {name: round(value / max(1, counted), 4) for name, value in sums.items()}
        if waves:
            with AveragedWeights(model, average):
                model.eval()
                row |= measure(model, waves)
                row["pesq_nb_unrefined"] = measure(model, waves, 0)["pesq_nb"]
                model.train()
        with (folder / "autoencoder.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        report(json.dumps(row))
        sums, counted = {}, 0

    while clock.step < settings.steps:
        began = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(settings, clock)
        terms = loss_of(model, sampler.batch(clock.step, settings.batch).to(device))
        optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        if torch.isfinite(norm):
            optimizer.step()
        average.update(model)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        counted += 1
        clock.step += 1
        clock.minutes += (time.monotonic() - began) / 60.0
        if clock.step % settings.checkpoint_steps == 0:
            save_checkpoint(path, model, {"autoencoder": optimizer}, average, clock)
        if clock.step % settings.measure_steps == 0 and clock.step < settings.steps:
            note()
    save_checkpoint(path, model, {"autoencoder": optimizer}, average, clock)
    note()
    return path
