"""The slices of a voice in memory, and which of them a training step takes.

features/*.safetensors + extract.json -> VoiceData -> rows of a step

Draws depend on seed, purpose and position alone, so that a resumed run and a run in smaller batches see the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from timbre.core.base import Base
from timbre.core.errors import InfrastructureError, InputError
from timbre.training.shards import FOLDER, Tensors, read_shards

EXTRACT_FILE = "extract.json"
Item = TypeVar("Item")

_REMEDY = "run stage 2 again: timbre extract VOICE --rebuild"


@dataclass(frozen=True)
class Row:
    """One slice."""

    id: str
    """Of the slice."""
    held_out: bool
    """Never trained on."""
    phones: Tensor
    """[P]."""
    codes: Tensor
    """int64 [N]."""
    wave: Tensor
    """[S], -1 to 1."""
    ge2e: Tensor
    """[256]."""
    speaker: Tensor | None
    """[W], the speaker vector that conditions the base, None on bases without."""
    bert: Tensor | None
    """float32 [W, P], or None."""
    pitch: Tensor | None
    """[T] in Hz, 0 where unvoiced, or None."""


@dataclass(frozen=True)
class VoiceData:
    """Slices of a voice by their use."""

    training: tuple[Row, ...]
    """At least one."""
    held_out: tuple[Row, ...]
    """May be empty: there is then no early stopping."""
    prompt: Row
    """The slice that conditions synthesis."""
    rate: float
    """Seconds a phone."""
    pauses_s: tuple[float, float, float]
    """At a weak mark, at a strong one, around a sentence."""
    about: Mapping[str, Any]
    """extract.json's entry of the prompt (text, language, reason)."""


def load_voice_data(folder: Path, base: Base) -> VoiceData:
    """What stage 2 wrote. Raises InfrastructureError for damaged files, InputError without a slice to train on."""
    path = folder / EXTRACT_FILE
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        entries, prompt = about["slices"], about["prompt"]
        tensors = read_shards(folder / FOLDER)
        rows = [_row(entry, tensors[entry["id"]], base.speaker_encoder) for entry in entries]
        rate = float(about["seconds_per_phone"])
        weak, strong, edges = (float(item) for item in about["pauses_s"])
        chosen = next(row for row in rows if row.id == prompt["id"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise InfrastructureError(f"{path}: not what stage 2 writes: {error!r}", _REMEDY) from error
    usable = [row for row in rows if len(row.codes) >= 2 and len(row.phones) >= 1]
    training = tuple(row for row in usable if not row.held_out)
    if not training:
        raise InputError(f"{path}: {len(rows)} slices, none of them to train on", "record more sentences")
    return VoiceData(
        training, tuple(row for row in usable if row.held_out), chosen, rate, (weak, strong, edges), prompt
    )


def _row(entry: Mapping[str, Any], tensors: Tensors, speaker_encoder: str) -> Row:
    def optional(name: str) -> Tensor | None:
        return torch.from_numpy(tensors[name]).float() if name in tensors else None

    ge2e = torch.from_numpy(tensors["ge2e"])
    speaker = {"none": None, "ge2e": ge2e}.get(speaker_encoder, optional("sv"))
    return Row(
        str(entry["id"]), bool(entry["held_out"]), torch.from_numpy(tensors["phones"]),
        torch.from_numpy(tensors["codes"]), torch.from_numpy(tensors["wave"]).float() / 32768.0, ge2e, speaker,
        optional("bert"), optional("pitch"),
    )  # fmt: skip


@dataclass(frozen=True)
class Draws:
    """Which slices a step takes: all of them once before any comes again, in a new order each time."""

    count: int
    """Number of slices."""
    seed: int
    """Of the order."""
    purpose: int
    """Number of the network: networks draw independently of each other."""

    def rows(self, step: int, amount: int) -> list[int]:
        """Indices of the `amount` slices of a step."""
        places = range(step * amount, (step + 1) * amount)
        orders: dict[int, np.ndarray[Any, np.dtype[np.int64]]] = {}
        chosen = []
        for place in places:
            epoch, position = divmod(place, self.count)
            if epoch not in orders:
                orders[epoch] = np.random.default_rng((self.seed, self.purpose, epoch)).permutation(self.count)
            chosen.append(int(orders[epoch][position]))
        return chosen

    def random(self, step: int, place: int) -> np.random.Generator:
        """A generator for further choices about one row of a step."""
        return np.random.default_rng((self.seed, self.purpose, 1 << 20, step, place))

    def torch_seed(self, step: int, place: int) -> int:
        """Seed of torch's draws (noise, dropout) for the rows from `place` on of a step."""
        return int(np.random.SeedSequence((self.seed, self.purpose, 1 << 21, step, place)).generate_state(1)[0])


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items, evenly spread over all of them; all when there are fewer."""
    if count <= 0:
        return []
    return list(items[:: max(1, len(items) // count)])[:count]


def pad_rows(rows: Sequence[Tensor]) -> Tensor:
    """Rows [..., n] of unequal length -> [B, ..., longest], zeros on the right."""
    longest = max(row.shape[-1] for row in rows)
    return torch.stack([torch.nn.functional.pad(row, (0, longest - row.shape[-1])) for row in rows])
