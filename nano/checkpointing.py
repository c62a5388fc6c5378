"""Training checkpoints that survive a kill at any moment; a resumed run equals an unbroken one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from timbre.core.atomic import write_bytes
from timbre.core.errors import ConfigurationError

START = "start.pt"
"""Networks that a part of the training starts from in place of seeded ones; `timbre pretrain restore` writes it."""

_STAGES = {"content": "content", "acoustic": "acoustic", "semantic": "t2s"}
"""Commands that write the checkpoints, by folder."""


class WeightAverage:
    """Exponential moving average of a network's parameters; measured and shipped in place of the last weights.

    The decay grows with the number of updates, so that the average does not remember the initial weights.
    """

    def __init__(self, network: nn.Module, decay: float = 0.999, ramp: float = 10.0) -> None:
        """ramp: updates after which the decay is one half, until it reaches ``decay``."""
        self.decay, self.ramp = decay, ramp
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's weights."""
        self.updates += 1
        share = 1.0 - min(self.decay, self.updates / (self.updates + self.ramp))
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value, share)
            else:
                self.state[name].copy_(value)


class AveragedWeights:
    """Context: the network carries the average inside and its own weights again afterwards."""

    def __init__(self, network: nn.Module, average: WeightAverage) -> None:
        self._network, self._average = network, average
        self._own: dict[str, Tensor] = {}

    def __enter__(self) -> nn.Module:
        self._own = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        self._network.load_state_dict(self._average.state)
        return self._network

    def __exit__(self, *exception: object) -> None:
        self._network.load_state_dict(self._own)


@dataclass
class Clock:
    """Progress of a run, restarts included."""

    step: int = 0
    """Optimizer steps."""
    minutes: float = 0.0
    """Time of the steps, without measurements and checkpoints."""


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizers: Mapping[str, torch.optim.Optimizer],
    average: WeightAverage,
    clock: Clock,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that the next step depends on, atomically. ``extra``: plain containers and tensors."""
    content = {
        "network": network.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "average": {"state": average.state, "updates": average.updates},
        "clock": {"step": clock.step, "minutes": clock.minutes},
        "random": torch.get_rng_state(),
        "extra": dict(extra or {}),
    }
    write_checkpoint(path, content)


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file; the old one stays until the new one is complete."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_bytes(path, buffer.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; one of the content encoder by earlier versions in the form of today's."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if "encoder" not in content:
        return content
    return {
        "network": content["encoder"],
        "optimizers": {"content": content["optimizer"]},
        "average": {"state": content["average"], "updates": content["step"]},
        "clock": {"step": content["step"], "minutes": content["seconds"] / 60.0},
        "random": torch.get_rng_state(),  # not stored: the encoder draws from generators seeded by the step
        "extra": {},
    }


def load_checkpoint(
    path: Path, network: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer], average: WeightAverage
) -> tuple[Clock, dict[str, Any]]:
    """Restore what `save_checkpoint` wrote. ConfigurationError when the checkpoint is of another network."""
    content = read_checkpoint(path)
    try:
        network.load_state_dict(content["network"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(content["optimizers"][name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"{path}: does not fit the network: {error}", remedy="move the checkpoint away to start over"
        ) from error
    for name, value in content["average"]["state"].items():
        average.state[name].copy_(value)
    average.updates = content["average"]["updates"]
    torch.set_rng_state(content["random"])
    return Clock(**content["clock"]), content["extra"]


def restored(network: nn.Module, folder: Path) -> bool:
    """Load START of a part's folder; False where there is none."""
    path = folder / START
    if not path.is_file():
        return False
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return True


def averaged(network: nn.Module, path: Path) -> nn.Module:
    """Load the average of a training checkpoint. ConfigurationError when it is absent or of another network."""
    if not path.is_file():
        raise ConfigurationError(f"{path}: not found", remedy=f"timbre pretrain {_STAGES.get(path.parent.name, 'all')}")
    try:
        network.load_state_dict(read_checkpoint(path)["average"]["state"])
    except RuntimeError as error:
        raise ConfigurationError(f"{path}: {error}", remedy="move it away and train again") from error
    return network.eval()
