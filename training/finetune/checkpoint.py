"""Everything that the next step depends on, in one file that is replaced atomically."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from timbre.core.atomic import write_bytes

_EARLY_SHARE = 0.6


@dataclass
class State:
    """Where a run is."""

    step: int = 0
    """Updates done."""
    adapter: dict[str, Tensor] = field(default_factory=dict)
    """Values by name, discriminators included."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    """Its state dict."""
    scaler: dict[str, Any] = field(default_factory=dict)
    """State dict of the gradient scaler; empty unless the precision is fp16."""
    sums: dict[str, float] = field(default_factory=dict)
    """Terms of the training loss, summed over the `counted` steps."""
    counted: int = 0
    """Steps since the last evaluation."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry an evaluation."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """Values of the adapter at `best_step`, without discriminators."""
    best_step: int = -1
    """-1 before the first evaluation."""
    best_loss: float = float("inf")
    """Held-out total at `best_step`; infinity without held-out slices."""
    evaluations_without_improvement: int = 0
    """Since the best one."""
    seconds: float = 0.0
    """Trained so far over all restarts."""
    fallbacks: int = 0
    """How often memory ran out."""
    rows: int = 0
    """Slices in memory at once, halved by each fallback."""
    checkpointing: bool = False
    """Whether activations are recomputed in the backward pass."""
    ended: str = ""
    """Why the run is over, "" while it is not."""
    marks: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Adapters of earlier evaluations by step, each at least twice as far as the one before."""

    @property
    def early_step(self) -> int | None:
        """The last mark at most _EARLY_SHARE of the way to the best evaluation; None where there is none."""
        return max((step for step in self.marks if step <= _EARLY_SHARE * self.best_step), default=None)


def save_state(path: Path, state: State) -> None:
    """Replaces the file. Readers, and a process that is killed meanwhile, see the old or the new one."""
    buffer = io.BytesIO()
    torch.save(vars(state), buffer)
    write_bytes(path, buffer.getvalue())


def load_state(path: Path) -> State | None:
    """The state in the file; None when there is none or it is not one of ours (then training starts over)."""
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return State(**content)
    except (RuntimeError, TypeError, EOFError, ValueError, KeyError, OSError, AttributeError):
        return None
    except Exception as error:
        # The restricted unpickler has a class of its own for what it refuses.
        if type(error).__name__ == "UnpicklingError":
            return None
        raise
