"""Text-to-semantic stage: phones -> codes. Training of the network, and what keeps it on the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from timbre.gptsovits.text_to_semantic.network import T2SBatch, TextToSemantic
from timbre.nano.checkpointing import WeightAverage
from timbre.nano.semantic_data import Example, ExampleSampler
from timbre.nano.training_loop import LoopSettings, Report, StepLosses, TrainingLoop, silent
from timbre.training.schedule import warm_cosine


@dataclass(frozen=True)
class SemanticSettings:
    """Settings of stage t2s."""

    max_positions: int = 3000
    """Phones and codes of a batch, padding included."""
    learning_rate: float = 8e-4
    """Highest learning rate."""
    final_share: float = 0.1
    """Share of it at the last step."""
    warm_up_steps: int = 80
    """Steps over which the rate rises linearly."""
    steps: int = 5000
    """Optimizer steps; the cosine ends at the last."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    average_decay: float = 0.998
    """Decay of the weights' moving average."""
    seed: int = 5
    """Seed of the batches."""
    join_share: float = 0.3
    """Share of rows that join two examples of a speaker, as with a prompt."""
    span_share: float = 0.0
    """Share of the other rows that are a part of an example."""
    guide: float = 0.0
    """Weight of `AttentionGuide`."""
    code_drop: float = 0.0
    """Chance that a past code is hidden, see `CodeDrop`."""
    checkpoint_steps: int = 200
    """Steps between checkpoints."""
    report_steps: int = 200
    """Steps between lines of the log."""


class AttentionGuide:
    """Trains one attention head of some layers to attend to the next phone, where it is known.

    Left alone, attention finds the text after thousands of steps; with this it does within hundreds. The idea is
    that of guided attention (Tachibana et al. 2018), with the true places instead of a diagonal.
    """

    def __init__(self, model: TextToSemantic, layers: tuple[int, ...] = (1, 3), head: int = 0) -> None:
        self._heads, self._head = model.config.heads, head
        self._seen: dict[int, torch.Tensor] = {}
        self._hooks = [
            model.h.layers[index].self_attn.in_proj.register_forward_hook(self._keeper(index))  # type: ignore[union-attr]
            for index in layers
            if index < len(model.h.layers)
        ]

    def _keeper(self, index: int) -> Callable[..., None]:
        def keep(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
            self._seen[index] = output

        return keep

    def loss(self, batch: T2SBatch, places: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy of the attention over text after the forward pass of ``batch``. places int64 [B, T], -1
        unknown.

        The position of code j attends to the phone of code j + 1, the last one to its own.
        """
        phones = batch.phones.shape[1]
        last = places.gather(1, (batch.code_lengths - 1).unsqueeze(1))
        following = torch.cat([places[:, 1:], torch.full_like(last, -1)], dim=1)
        following = following.scatter(1, (batch.code_lengths - 1).unsqueeze(1), last)
        hidden = torch.arange(phones, device=places.device)[None] >= batch.phone_lengths[:, None]
        total = torch.zeros((), device=places.device)
        for output in self._seen.values():
            split = output.float().view(output.shape[0], output.shape[1], 3, self._heads, -1)
            queries, keys = split[:, phones:, 0, self._head], split[:, :phones, 1, self._head]
            scores = queries @ keys.transpose(1, 2) / math.sqrt(split.shape[-1])
            scores = scores.masked_fill(hidden[:, None], -1e4)
            known = (following >= 0).sum().clamp(min=1)
            summed = torch.nn.functional.cross_entropy(
                scores.flatten(0, 1), following.flatten(), ignore_index=-1, reduction="sum"
            )
            total = total + summed / known
        count = max(1, len(self._seen))
        self._seen.clear()
        return total / count

    def remove(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()


class CodeDrop:
    """Hides past codes, each with a chance of ``share``, while the network trains.

    A code that cannot be copied from the past must come from the text; and when the network's own codes take the place
    of the recorded ones, a wrong one weighs less.
    """

    def __init__(self, model: TextToSemantic, share: float) -> None:
        self._share = share
        self._hook = model.ar_audio_embedding.register_forward_hook(self._hide)

    def _hide(self, module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return output
        return output * (torch.rand(*output.shape[:-1], 1, device=output.device) >= self._share)

    def remove(self) -> None:
        """Take the hook off."""
        self._hook.remove()


def learning_rate_at(settings: SemanticSettings, step: int) -> float:
    """Linear warm-up, then a cosine down to ``final_share``."""
    return warm_cosine(
        settings.learning_rate, step, settings.steps,
        warm_up_steps=settings.warm_up_steps, final_share=settings.final_share,
    )  # fmt: skip


@torch.no_grad()
def development_loss(model: TextToSemantic, examples: Sequence[Example], max_positions: int) -> tuple[float, float]:
    """(nats a code, share of codes predicted right) of examples that are not trained on."""
    rows = targets = correct = 0.0
    for index in range(0, len(examples), 16):
        batch = ExampleSampler(examples[index : index + 16], 10**9, 0, 0.0).batch(0)
        device = next(model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16):
            loss = model.loss(batch_to(batch, device))
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
    model: TextToSemantic,
    examples: Sequence[Example],
    development: Sequence[Example],
    folder: Path,
    name: str,
    settings: SemanticSettings,
    device: torch.device,
    report: Report = silent,
) -> Path:
    """Train ``model`` in place for the settings' steps, resuming from ``folder/name.pt``; ends with the average.

    One line a report in ``folder/name.jsonl``.
    """
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    loop = TrainingLoop(
        folder / f"{name}.pt", model, {"t2s": optimizer}, WeightAverage(model, settings.average_decay),
        LoopSettings(settings.steps, settings.clip_norm, settings.checkpoint_steps, settings.report_steps), report,
    )  # fmt: skip
    loop.resume()
    sampler = ExampleSampler(
        examples, settings.max_positions, settings.seed, settings.join_share, span_share=settings.span_share
    )
    guide = AttentionGuide(model) if settings.guide > 0 else None
    drop = CodeDrop(model, settings.code_drop) if settings.code_drop > 0 else None

    def losses(step: int) -> StepLosses:
        batch, places = sampler.guided_batch(step)
        batch = batch_to(batch, device)
        with torch.autocast(device.type, torch.bfloat16):
            loss = model.loss(batch)
        targets = loss.targets.sum()
        total, terms = loss.mean, {"nats": (loss.total, targets), "correct": (loss.correct.sum(), targets)}
        if guide is None:
            return StepLosses(total, terms)
        guided = guide.loss(batch, places.to(device))
        return StepLosses(total + settings.guide * guided, {**terms, "guide": guided})

    def measured() -> dict[str, float]:
        nats, correct = development_loss(model, development, settings.max_positions)
        return {"dev_nats": round(nats, 4), "dev_correct": round(correct, 4)}

    loop.run(losses, lambda step, group: learning_rate_at(settings, step), measured if development else None)
    for hook in (guide, drop):
        if hook is not None:
            hook.remove()
    return loop.finish()
