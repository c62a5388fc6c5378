"""The training loop of one network: steps, held-out evaluations, early stopping, checkpoints, memory fallbacks.

task + limits -> best adapter, history

Every step draws from generators of its own, so that a run that was killed and started again ends in the same bits.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from timbre.core.cancellation import Cancellation
from timbre.core.errors import InfrastructureError, InputError
from timbre.core.progress import Task as ProgressTask
from timbre.core.recipe import FinetuneRecipe
from timbre.training.finetune.checkpoint import State, load_state, save_state
from timbre.training.finetune.data import Draws
from timbre.training.finetune.memory import MemoryPlan, is_out_of_memory, release
from timbre.training.finetune.parallel import Group
from timbre.training.finetune.precision import Precision
from timbre.training.schedule import warm_cosine

BETAS = (0.9, 0.98)
FINAL_SHARE = 0.1
JUDGES = "discriminator."
"""Prefix of parameters that are trained along but are no part of the result."""

_MOST_PROCESSES = 4096

_ENOUGH_PASSES = 25
"""So many passes over all slices are as many as min_steps asks for: of one minute there is no more to learn."""

EARLY, MAX_STEPS, TIME = "early stopping", "max_steps", "max_minutes"


class Task(Protocol):
    """A network that learns. name: of files and figures. draws: which rows a step takes."""

    name: str
    draws: Draws

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        ...

    def loss(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """Mean terms of some rows of a step; "total" is the one that is minimised."""
        ...

    def validate(self) -> dict[str, float]:
        """Terms over the held-out slices, the same draws every time; {} without any. "total" decides."""
        ...

    def evaluate_train_subset(self) -> dict[str, float]:
        """The same terms over about as many slices of the training set, in the same way; {} without any."""
        ...

    def use_checkpointing(self, enabled: bool) -> None:
        """Recompute activations in the backward pass."""
        ...

    def train(self, mode: bool) -> None:
        """Dropout on or off."""
        ...


@dataclass(frozen=True)
class Environment:
    """What a run works with."""

    group: Group
    """The processes that share each step; one of them on a single device."""
    precision: Precision
    """Of the forward pass."""
    checkpoint: Path
    """File of the state; written by the first process only."""
    checkpointing: bool
    """Whether to recompute activations from the start; a fallback switches it on anyway."""
    seconds: float
    """Wall-clock limit of this network, restarts included."""
    progress: ProgressTask
    """Counts steps."""
    cancel: Cancellation
    """Obeyed after the step, with a checkpoint."""
    log: logging.Logger
    """Gets a line an evaluation and a warning a fallback."""
    clock: Callable[[], float] = time.monotonic
    """Seconds; counted against `seconds`."""


def learning_rate_at(recipe: FinetuneRecipe, step: int) -> float:
    """Linear warm-up, then a cosine down to a tenth at max_steps."""
    return warm_cosine(
        recipe.learning_rate, step, recipe.max_steps, warm_up_steps=recipe.warmup_steps, final_share=FINAL_SHARE
    )


class Loop:
    """One run of one task. `run` may be called again after an interruption, in another process too."""

    def __init__(self, task: Task, recipe: FinetuneRecipe, environment: Environment) -> None:
        self.task, self.recipe, self.environment = task, recipe, environment
        self.parameters = task.parameters()
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), recipe.learning_rate, betas=BETAS, weight_decay=recipe.weight_decay
        )
        self.scaler = environment.precision.scaler()
        self.plan = MemoryPlan(recipe.batch, environment.checkpointing)
        self.state = State(rows=recipe.batch, checkpointing=environment.checkpointing)
        self._shown = 0
        self._rank = environment.group.rank

    def run(self) -> State:
        """Train to the end; the network then carries the best adapter. Raises InfrastructureError when memory runs out
        for good, Interrupted when asked to stop (after a checkpoint), InputError when the loss is not finite.
        """
        self._restore()
        while not self.state.ended:
            began = self.environment.clock()
            try:
                self._one_step()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error) or type(error).__name__
            else:
                reason = ""
            if reason:
                # Outside of the handler: the error's traceback holds the tensors that have to go.
                self._fall_back(reason)
                continue
            self.state.seconds += self.environment.clock() - began
            self._decide()
        self._load(self.state.best or self.state.adapter)
        return self.state

    @contextmanager
    def early(self) -> Iterator[int | None]:
        """While it lasts the network carries the adapter of state.early_step, which it gives; None: there is none, and
        the best one stays.
        """
        step = self.state.early_step
        if step is not None:
            self._load(self.state.marks[step])
        try:
            yield step
        finally:
            self._load(self.state.best or self.state.adapter)

    def _one_step(self) -> None:
        state, recipe, group = self.state, self.recipe, self.environment.group
        if state.step == 0 and not state.history:
            self._evaluate()
        for settings in self.optimizer.param_groups:
            settings["lr"] = learning_rate_at(recipe, state.step)
        rows = group.share(self.task.draws.rows(state.step, recipe.batch * recipe.accumulate))
        terms = self._backward_everywhere(rows)
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters.values()]
        for parameter, gradient in zip(self.parameters.values(), gradients, strict=True):
            parameter.grad = gradient
        group.average(gradients)
        self.scaler.unscale_(self.optimizer)
        norm = self._clip()
        if not self.scaler.is_enabled() and not bool(torch.isfinite(norm)):
            raise InputError(
                f"{self.task.name}: step {state.step}: the gradient is {norm.item():g}",
                "lower finetune.learning_rate, or set finetune.precision to fp32",
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.counted += 1
        for name, value in terms.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        if state.step % recipe.validate_every_steps == 0 or state.step == recipe.max_steps:
            self._evaluate()

    def _clip(self) -> Tensor:
        """Clips the adapter and, apart from it, the discriminators; returns the adapter's norm."""
        own = [p for name, p in self.parameters.items() if not name.startswith(JUDGES)]
        others = [p for name, p in self.parameters.items() if name.startswith(JUDGES)]
        if others:
            torch.nn.utils.clip_grad_norm_(others, self.recipe.gradient_clip)
        return torch.nn.utils.clip_grad_norm_(own, self.recipe.gradient_clip)

    def _backward_everywhere(self, rows: Sequence[int]) -> dict[str, float]:
        """_backward, and MemoryError in every process when it fails in one, so that all fall back together."""
        try:
            terms, reason = self._backward(rows), ""
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            terms, reason = {}, str(error) or type(error).__name__
        if self.environment.group.any(bool(reason)):
            raise MemoryError(reason or "in another process")
        return terms

    def _backward(self, rows: Sequence[int]) -> dict[str, float]:
        """Gradients of the mean over the rows, a few rows at a time; returns the mean terms."""
        sums: dict[str, float] = {}
        for place in range(0, len(rows), self.plan.rows):
            part = rows[place : place + self.plan.rows]
            share = len(part) / len(rows)
            with torch.random.fork_rng(devices=self._devices()):
                torch.manual_seed(self.task.draws.torch_seed(self.state.step, place * _MOST_PROCESSES + self._rank))
                with self.environment.precision.autocast():
                    terms = self.task.loss(self.state.step, part)
                torch.autograd.backward(self.scaler.scale(terms["total"] * share))
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + share * float(value.detach())
        return sums

    def _evaluate(self) -> None:
        """The held-out loss; remembers the adapter when it is the best so far."""
        state = self.state
        self.task.train(False)
        with torch.no_grad(), self.environment.precision.autocast():
            found = self.environment.group.agree(self.task.validate())
        self.task.train(True)
        entry: dict[str, Any] = {"step": state.step, "learning_rate": learning_rate_at(self.recipe, state.step)}
        if state.counted:
            entry["training"] = {name: value / state.counted for name, value in state.sums.items()}
        if found:
            entry["held_out"] = found
        state.history.append(entry)
        state.sums, state.counted = {}, 0
        loss = found.get("total")
        if loss is None or not self.recipe.early_stopping:
            state.best, state.best_step = self._adapter(best=True), state.step
            state.best_loss = float("inf") if loss is None else loss
        elif loss < state.best_loss:
            state.best, state.best_step = self._adapter(best=True), state.step
            state.best_loss, state.evaluations_without_improvement = loss, 0
        else:
            state.evaluations_without_improvement += 1
        if state.step >= max(1, 2 * max(state.marks, default=0)):
            state.marks[state.step] = self._adapter(best=True)
        self._report(entry)

    def _decide(self) -> None:
        """After a step: stop, save, go on."""
        state, recipe, group = self.state, self.recipe, self.environment.group
        stopping = (
            recipe.early_stopping
            and state.evaluations_without_improvement >= recipe.patience
            and state.step >= self._least_steps()
        )
        # Processes have clocks of their own: the first one's counts.
        late = bool(group.agree(state.seconds >= self.environment.seconds))
        if state.step >= recipe.max_steps:
            state.ended = MAX_STEPS
        elif stopping:
            state.ended = EARLY
        elif late:
            state.ended = TIME
        if state.ended and state.counted:
            self._evaluate()
        cancelled = group.any(self.environment.cancel.cancelled)
        if state.ended or cancelled or state.step % recipe.checkpoint_every_steps == 0:
            self._save()
        self.environment.progress.advance(state.step - self._shown)
        self._shown = state.step
        if cancelled:
            group.wait()
            self.environment.cancel.cancel("another process was asked to stop")
            self.environment.cancel.check()

    def _least_steps(self) -> int:
        """min_steps, or fewer where few slices are all there is."""
        passes = math.ceil(_ENOUGH_PASSES * self.task.draws.count / (self.recipe.batch * self.recipe.accumulate))
        return min(self.recipe.min_steps, passes)

    def _fall_back(self, reason: str) -> None:
        """Half the rows at once and gradient checkpointing, from the last checkpoint."""
        self.optimizer.zero_grad(set_to_none=True)
        release()
        if self.plan.exhausted:
            tried = f"{self.plan.rows} rows at once after {self.plan.level} fallbacks"
            raise InfrastructureError(
                f"{self.task.name}: out of memory with {tried}: {reason[:200]}",
                "lower finetune.batch, or use a machine with more memory",
            )
        plan = self.plan.smaller()
        self.environment.log.warning(
            "out of memory: going on with less at once",
            extra={"network": self.task.name, "rows": plan.rows, "step": self.state.step, "fallback": plan.level},
        )
        self._restore()
        self._adopt(plan)
        self._save()

    def _adopt(self, plan: MemoryPlan) -> None:
        self.plan = plan
        self.state.fallbacks, self.state.rows, self.state.checkpointing = plan.level, plan.rows, plan.checkpointing
        self.task.use_checkpointing(plan.checkpointing)

    def _restore(self) -> None:
        """From the checkpoint, or to the start where there is none."""
        state = load_state(self.environment.checkpoint)
        if state is not None and state.adapter.keys() != self.parameters.keys():
            self.environment.log.warning("checkpoint of another network ignored", extra={"network": self.task.name})
            state = None
        if state is None:
            start = self.state.adapter or self._adapter()
            self.state.adapter = start
            plan = MemoryPlan(self.recipe.batch, self.environment.checkpointing)
            state = State(adapter=dict(start), rows=plan.rows, checkpointing=plan.checkpointing)
        self.state = state
        self._load(state.adapter)
        if state.optimizer:
            self.optimizer.load_state_dict(state.optimizer)
        else:
            self.optimizer.state.clear()
        if state.scaler:
            self.scaler.load_state_dict(state.scaler)
        self._adopt(MemoryPlan(state.rows, state.checkpointing, state.fallbacks))
        self.task.train(True)
        self.environment.progress.advance(state.step - self._shown)
        self._shown = state.step

    def _save(self) -> None:
        self.state.adapter = self._adapter()
        self.state.optimizer = self.optimizer.state_dict()
        self.state.scaler = self.scaler.state_dict() if self.scaler.is_enabled() else {}
        if self.environment.group.first:
            save_state(self.environment.checkpoint, self.state)

    def _adapter(self, best: bool = False) -> dict[str, Tensor]:
        return {
            name: parameter.detach().cpu().clone()
            for name, parameter in self.parameters.items()
            if not (best and name.startswith(JUDGES))
        }

    @torch.no_grad()
    def _load(self, adapter: Mapping[str, Tensor]) -> None:
        for name, value in adapter.items():
            self.parameters[name].copy_(value)

    def _devices(self) -> list[torch.device]:
        device = self.environment.group.device
        return [device] if device.type == "cuda" else []

    def _report(self, entry: Mapping[str, Any]) -> None:
        parts = [f"step {entry['step']}"]
        parts += [f"{kind} {entry[kind]['total']:.3f}" for kind in ("training", "held_out") if kind in entry]
        self.environment.progress.note(", ".join(parts))
        self.environment.log.info("evaluation", extra={"network": self.task.name, **entry})
