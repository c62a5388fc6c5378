"""Text-to-semantic stage: phones -> codes, in two steps with one network shape.

1. ``train_follower``: recogniser classes as stand-ins for codes (semantic_data.py). Teaches to follow a text in time.
2. ``train_semantic``: the real codes. Starts from the follower: the row of a code is the mixture of the rows of the classes
   that sound when the code is heard.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gptsovits.configuration_t2s import T2SConfig
from gptsovits.text_to_semantic import T2SBatch, TextToSemantic
from text.recognition import CLASSES
from training.pretrain.checkpointing import AveragedWeights, Clock, WeightAverage, load_checkpoint, save_checkpoint
from training.pretrain.semantic_data import Example, ExampleSampler, Ids

CLASS_COUNT = len(CLASSES)


@dataclass(frozen=True)
class SemanticSettings:
    """Settings of both steps. max_positions: phones and codes of a batch, padding included."""

    max_positions: int = 3000
    learning_rate: float = 8e-4
    final_share: float = 0.1
    warm_up_steps: int = 200
    minutes: float = 30.0
    clip_norm: float = 1.0
    average_decay: float = 0.998
    seed: int = 5
    join_share: float = 0.3
    label_smoothing: float = 0.0
    checkpoint_minutes: float = 5.0
    report_minutes: float = 2.0


def with_vocabulary(config: T2SConfig, rows: int) -> T2SConfig:
    """The same network for a codebook of so many rows; the end token comes after them."""
    return replace(config, vocabulary=rows + 1, end_token=rows)


def class_shares(pairs: Iterable[tuple[Ids, Ids]], rows: int) -> torch.Tensor:
    """How often each recogniser class sounds under each code: [rows, classes], each row sums to 1.

    pairs: (codes, classes), both at 25 Hz and cut to the shorter. A code that never occurs is shared evenly.
    """
    counts = np.full((rows, CLASS_COUNT), 0.01)
    for codes, classes in pairs:
        length = min(len(codes), len(classes))
        np.add.at(counts, (codes[:length], classes[:length]), 1.0)
    return torch.from_numpy(counts / counts.sum(1, keepdims=True)).float()


@torch.no_grad()
def start_from_follower(model: TextToSemantic, follower: TextToSemantic, shares: torch.Tensor) -> None:
    """Copy the follower; code rows become mixtures of class rows, [rows,classes]; the end token keeps its row.

    A little noise tells codes of one class apart.
    """
    state = follower.state_dict()
    for name in ("ar_audio_embedding.word_embeddings.weight", "ar_predict_layer.weight"):
        table = state[name]
        mixed = shares.to(table) @ table[:CLASS_COUNT]
        mixed = mixed + 0.1 * table.std() * torch.randn_like(mixed)
        state[name] = torch.cat([mixed, table[CLASS_COUNT : CLASS_COUNT + 1]])
    model.load_state_dict(state)


def learning_rate_at(settings: SemanticSettings, clock: Clock) -> float:
    """Linear warm-up in steps, then a cosine in minutes down to ``final_share``."""
    warm = min(1.0, (clock.step + 1) / settings.warm_up_steps)
    done = min(1.0, clock.minutes / settings.minutes)
    floor = settings.final_share
    return settings.learning_rate * warm * (floor + (1 - floor) * 0.5 * (1.0 + math.cos(math.pi * done)))


@torch.no_grad()
def development_loss(model: TextToSemantic, examples: Sequence[Example], max_positions: int) -> tuple[float, float]:
    """(nats a code, share of codes predicted right) of examples that are not trained on."""
    rows = targets = correct = 0.0
    for index in range(0, len(examples), 16):
        batch = ExampleSampler(examples[index : index + 16], 10**9, 0, 0.0).batch(0)
        loss = model.loss(batch_to(batch, next(model.parameters()).device))
        rows += float(loss.rows.sum())
        targets += float(loss.targets.sum())
        correct += float(loss.correct.sum())
    return rows / max(1.0, targets), correct / max(1.0, targets)


def batch_to(batch: T2SBatch, device: torch.device) -> T2SBatch:
    """The same batch on another device."""
    return T2SBatch(
        batch.phones.to(device), batch.phone_lengths.to(device), batch.codes.to(device), batch.code_lengths.to(device)
    )


def train(
    model: TextToSemantic, examples: Sequence[Example], development: Sequence[Example], folder: Path, name: str,
    settings: SemanticSettings, device: torch.device, report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train ``model`` in place until the minutes are used up, resuming from ``folder/name.pt``; ends with the average.

    One line a report in ``folder/name.jsonl``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pt"
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    average, clock = WeightAverage(model, settings.average_decay), Clock()
    if path.is_file():
        clock, _ = load_checkpoint(path, model, {"t2s": optimizer}, average)
    sampler = ExampleSampler(examples, settings.max_positions, settings.seed, settings.join_share)
    nats = correct = targets = 0.0
    saved = told = clock.minutes
    while clock.minutes < settings.minutes:
        began = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(settings, clock)
        with torch.autocast(device.type, torch.bfloat16):
            loss = model.loss(batch_to(sampler.batch(clock.step), device))
        optimizer.zero_grad(set_to_none=True)
        loss.mean.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        if torch.isfinite(norm):
            optimizer.step()
        average.update(model)
        nats += float(loss.total.detach())
        correct += float(loss.correct.sum())
        targets += float(loss.targets.sum())
        clock.step += 1
        clock.minutes += (time.monotonic() - began) / 60.0
        finished = clock.minutes >= settings.minutes
        if finished or clock.minutes - told >= settings.report_minutes:
            row: dict[str, Any] = {
                "step": clock.step, "minutes": round(clock.minutes, 2), "nats": round(nats / max(1.0, targets), 4),
                "correct": round(correct / max(1.0, targets), 4),
            }  # fmt: skip
            if development:
                with AveragedWeights(model, average):
                    model.eval()
                    dev = development_loss(model, development, settings.max_positions)
                    model.train()
                row |= {"dev_nats": round(dev[0], 4), "dev_correct": round(dev[1], 4)}
            with (folder / f"{name}.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
            report(json.dumps(row))
            nats = correct = targets = 0.0
            told = clock.minutes
        if finished or clock.minutes - saved >= settings.checkpoint_minutes:
            save_checkpoint(path, model, {"t2s": optimizer}, average, clock)
            saved = clock.minutes
    model.load_state_dict(average.state)
    model.eval()
    return path
