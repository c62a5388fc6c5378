"""What an adapter learned of the voice, and what of its recordings alone.

trained task, the same task without its adapter -> losses on held-out slices and on slices that were trained on

Two figures, both 1 for an adapter that does nothing:
    held_out_loss   held-out loss with the adapter over that without
    memorisation    the same ratio over that of the slices which were trained on: how much less unknown sentences gained

The base knows neither kind of slice, so that dividing by its losses takes out how hard the few held-out sentences are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import PeftModel

from timbre.training.finetune.loop import Task
from timbre.training.finetune.precision import Precision


@dataclass(frozen=True)
class Retention:
    """Mean total losses of one network, each above 0."""

    held_out: float
    """On held-out slices, with the adapter."""
    held_out_before: float
    """On the same, without it."""
    training: float
    """On about as many slices that were trained on, with the adapter."""
    training_before: float
    """On the same, without it."""

    @property
    def held_out_loss(self) -> float:
        """Below 1 when unknown sentences of the voice gained."""
        return self.held_out / self.held_out_before

    @property
    def memorisation(self) -> float:
        """Above 1 when known sentences gained more than unknown ones."""
        return self.held_out_loss * self.training_before / self.training

    def plain(self) -> dict[str, Any]:
        """Its part of training.json."""
        figures = {**asdict(self), "held_out_loss": self.held_out_loss, "memorisation": self.memorisation}
        return {name: round(value, 6) for name, value in figures.items()}


def measure_retention(task: Task, model: PeftModel, precision: Precision) -> Retention | None:
    """Looks at both kinds of slices with and without the adapter; None where a kind has no slices or no finite loss.

    task: trained, carrying the adapter that is kept. model: its network with the adapter, which can be switched off.
    """
    task.train(False)
    with torch.no_grad(), precision.autocast():
        after = [task.validate().get("total"), task.evaluate_train_subset().get("total")]
        with model.disable_adapter():
            before = [task.validate().get("total"), task.evaluate_train_subset().get("total")]
    losses = [loss for loss in (after[0], before[0], after[1], before[1]) if loss is not None and 0 < loss < 1e9]
    return Retention(*losses) if len(losses) == 4 else None
