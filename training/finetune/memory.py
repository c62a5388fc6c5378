"""What to do when memory runs out: half the rows at once, gradient checkpointing on, from the last checkpoint.

A step still takes the same slices, in smaller pieces whose gradients are added, so training goes on as it would have
but for the noise drawn for each piece.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace

import torch

MAX_FALLBACKS = 2
_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


@dataclass(frozen=True)
class MemoryPlan:
    """How one step fits into memory."""

    rows: int
    """Slices in one backward pass."""
    checkpointing: bool
    """Recompute activations."""
    level: int = 0
    """Fallbacks taken so far."""

    @property
    def exhausted(self) -> bool:
        """Whether no further fallback is allowed."""
        return self.level >= MAX_FALLBACKS

    def smaller(self) -> MemoryPlan:
        """The next fallback."""
        return replace(self, rows=max(1, self.rows // 2), checkpointing=True, level=self.level + 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the host."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


def release() -> None:
    """Gives back what a failed step left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
