"""One process or several, one GPU each, behind the same few verbs (accelerate).

Every process holds the whole network and an equal share of a step's rows; gradients of the adapter, a few MB, are
averaged; the first process decides and broadcasts its decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator, notebook_launcher
from accelerate.utils import broadcast_object_list
from torch import Tensor


class Group:
    """The processes of a run. rank: number of this one, 0 writes files and shows progress."""

    def __init__(self, cpu: bool = False) -> None:
        self._accelerator = Accelerator(cpu=cpu)
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, rows: Sequence[int]) -> list[int]:
        """This process's part of the rows of a step; no process goes without."""
        own = list(rows[self.rank :: self.size])
        return own or [rows[self.rank % len(rows)]]

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Averages over the processes, in place."""
        if self.size == 1:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        mean: Any = self._accelerator.reduce(flat, reduction="mean")
        for gradient, part in zip(gradients, torch.split(mean, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process. Every process must ask."""
        if self.size == 1:
            return flag
        total: Any = self._accelerator.reduce(torch.tensor([float(flag)], device=self.device), reduction="sum")
        return bool(total.item() > 0)

    def agree(self, value: Any) -> Any:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        box = [value]
        broadcast_object_list(box, from_process=0)
        return box[0]

    def wait(self) -> None:
        """Until every process is here."""
        self._accelerator.wait_for_everyone()


def launch(work: Callable[[], None], gpus: int | None = None) -> None:
    """Calls `work` in one process for each GPU of this machine; in this process where there is none or one.

    `work` writes its results to files: with several processes nothing else comes back.
    """
    count = torch.cuda.device_count() if gpus is None else gpus
    if count < 2:
        work()
        return
    notebook_launcher(work, num_processes=count)
