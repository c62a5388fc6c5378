"""The loop of every training of this room: learning rate, loss, update, average, checkpoint, log.

A training supplies its networks, its loss of a step and what it measures; the rest is the same for all. A run that is
resumed from its checkpoint equals an unbroken one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from timbre.nano.checkpointing import AveragedWeights, Clock, WeightAverage, load_checkpoint, save_checkpoint

Report = Callable[[str], None]


def silent(line: str) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True)
class LoopSettings:
    """Length of a training and of its intervals, in optimizer steps."""

    steps: int
    """Steps in all, restarts included."""
    clip_norm: float
    """Largest norm of the gradient; longer ones are scaled down."""
    checkpoint_steps: int
    """Steps between checkpoints; the last step writes one too."""
    report_steps: int
    """Steps between lines of the log; the last step writes one too."""


@dataclass(frozen=True)
class StepLosses:
    """What a step returns."""

    total: Tensor
    """Scalar to minimise."""
    terms: Mapping[str, Tensor | tuple[Tensor, Tensor]]
    """Scalars of the log by name, reported as means: over the steps that have them, or of a sum over its count."""


@dataclass
class _Means:
    """Running means since the last line of the log."""

    sums: dict[str, float] = field(default_factory=dict)
    """Sum by name."""
    counts: dict[str, float] = field(default_factory=dict)
    """Number of summands by name, or the sum of their counts."""

    def add(self, terms: Mapping[str, Tensor | tuple[Tensor, Tensor]]) -> None:
        for name, term in terms.items():
            value, count = (float(part.detach()) for part in term) if isinstance(term, tuple) else (term.item(), 1.0)
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0.0) + count

    def row(self) -> dict[str, float]:
        return {name: round(value / max(1.0, self.counts[name]), 4) for name, value in self.sums.items()}


class TrainingLoop:
    """Trains a network that its owner has built; ``path`` is the checkpoint, ``log`` gets one JSON line a report."""

    def __init__(
        self,
        path: Path,
        network: nn.Module,
        optimizers: Mapping[str, torch.optim.Optimizer],
        average: WeightAverage,
        settings: LoopSettings,
        report: Report = silent,
        *,
        log: Path | None = None,
        clipped: list[nn.Parameter] | None = None,
        extra: Mapping[str, nn.Module] | None = None,
    ) -> None:
        """optimizers: the first follows the schedule of `run`, others keep their rates. clipped: parameters whose
        gradient is limited; default: all of ``network``. extra: networks of the checkpoint that are not averaged.
        """
        self.path, self.network, self.optimizers, self.average = path, network, dict(optimizers), average
        self.settings, self.report = settings, report
        self.log = log or path.with_suffix(".jsonl")
        self.clipped = list(network.parameters()) if clipped is None else clipped
        self.extra = dict(extra or {})
        self.clock = Clock()
        self.stop = False
        """Set by a signal handler: finish the step, save, return."""
        self._saved_at = -1
        path.parent.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Continue from the checkpoint if there is one."""
        if not self.path.is_file():
            return False
        self.clock, extra = load_checkpoint(self.path, self.network, self.optimizers, self.average)
        for name, network in self.extra.items():
            network.load_state_dict(extra[name])
        self._saved_at = self.clock.step
        return True

    def save(self) -> None:
        """Write the checkpoint; the old one stays until it is complete."""
        extra = {name: network.state_dict() for name, network in self.extra.items()}
        save_checkpoint(self.path, self.network, self.optimizers, self.average, self.clock, extra)
        self._saved_at = self.clock.step

    def run(
        self,
        losses: Callable[[int], StepLosses],
        rate: Callable[[int, Mapping[str, Any]], float],
        measure: Callable[[], Mapping[str, float]] | None = None,
        until: int | None = None,
    ) -> None:
        """Train up to step ``until`` (default: all steps).

        losses: of a step, counted from 0; it may also fill gradients of networks in ``extra``. rate: learning rate of
        a step and a parameter group. measure: values for the log, called while the network carries the average.
        """
        settings, means = self.settings, _Means()
        last = settings.steps if until is None else min(until, settings.steps)
        while self.clock.step < last and not self.stop:
            means.add(self._step(losses, rate))
            finished = self.clock.step >= last
            if finished or self.clock.step % settings.checkpoint_steps == 0:
                self.save()
            if finished or self.clock.step % settings.report_steps == 0:
                self._write(means.row(), measure)
                means = _Means()
        if self._saved_at != self.clock.step:
            self.save()

    def finish(self) -> Path:
        """Put the average into the network, for evaluation; returns the checkpoint's path."""
        self.network.load_state_dict(self.average.state)
        self.network.eval()
        return self.path

    def _step(
        self, losses: Callable[[int], StepLosses], rate: Callable[[int, Mapping[str, Any]], float]
    ) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
        began, step = time.monotonic(), self.clock.step
        for group in next(iter(self.optimizers.values())).param_groups:
            group["lr"] = rate(step, group)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        found = losses(step)
        found.total.backward()
        norm = nn.utils.clip_grad_norm_(self.clipped, self.settings.clip_norm)
        terms = dict(found.terms)
        if torch.isfinite(norm):
            terms["norm"] = norm
            for optimizer in self.optimizers.values():  # one whose parameters got no gradient changes nothing
                optimizer.step()
        self.average.update(self.network)
        self.clock.step += 1
        self.clock.minutes += (time.monotonic() - began) / 60.0
        return terms

    def _write(self, means: Mapping[str, float], measure: Callable[[], Mapping[str, float]] | None) -> None:
        row: dict[str, Any] = {"step": self.clock.step, "minutes": round(self.clock.minutes, 2), **means}
        if measure is not None:
            with AveragedWeights(self.network, self.average):
                self.network.eval()
                row |= measure()
                self.network.train()
        line = json.dumps(row)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self.report(line)
