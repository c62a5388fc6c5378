"""One comparison with a reference tensor, and the folder that the reference tensors lie in.

A folder of reference vectors holds `vectors.safetensors` (inputs `in.*`, outputs `out.*`), `config.json`, and either
`state_dict.safetensors` or nothing (weights by recipe), with `fingerprint*.json` to prove that the weights are right.
"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

ABSOLUTE_LIMIT = 1e-4
RELATIVE_LIMIT = 1e-3
# Weights are compared with the first values and the float64 sum of every tensor; only the order of the sum may differ.
FINGERPRINT_LIMIT = 1e-6


@dataclass(frozen=True)
class Check:
    """One verdict."""

    set_name: str
    """Folder name of the vector set."""
    tensor: str
    """Name in vectors.safetensors, or of an identity between our own results."""
    kind: str
    """Absolute (largest |ours - reference|), relative (the same over the largest |reference|), integer (number of
    entries that differ), weights (deviation from the fingerprint)."""
    error: float
    """In the unit of `kind`; infinite where no comparison could be made."""
    limit: float
    """Largest error that passes, in the same unit."""
    note: str = ""
    """Why it could not be made, or where the worst value lies; "" otherwise."""

    @property
    def passed(self) -> bool:
        """True when the error is a number within the limit (NaN never passes)."""
        return self.error <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an infinite or undefined error becomes None."""
        return {
            "set": self.set_name,
            "tensor": self.tensor,
            "kind": self.kind,
            "max_error": self.error if math.isfinite(self.error) else None,
            "limit": self.limit,
            "passed": self.passed,
            "note": self.note,
        }


class MissingVectorError(LookupError):
    """A tensor that the comparison needs is not in the folder."""


@dataclass
class VectorSet:
    """A folder of reference vectors. It remembers which outputs were compared, so that none is passed over."""

    folder: Path
    """Where the files are."""
    name: str
    """The folder's own, for reports."""
    config: Mapping[str, Any]
    """config.json: sizes of the network, seeds, options."""
    vectors: Mapping[str, Tensor]
    """Inputs `in.*` and outputs `out.*`."""
    compared: set[str] = field(default_factory=set)
    """Names that a check was asked about; others are misses (not_compared)."""

    @classmethod
    def open(cls, folder: Path) -> VectorSet:
        """Read config and vectors. Raises OSError, ValueError or SafetensorError when a file is missing or broken."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"{folder / 'config.json'}: expected an object, found {type(config).__name__}")
        return cls(folder, folder.name, config, load_file(str(folder / "vectors.safetensors")))

    @property
    def seed_string(self) -> str:
        """Seed of the weight recipe."""
        return str(self.config["seed_string"])

    def has(self, name: str) -> bool:
        """Whether the vector is there."""
        return name in self.vectors

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.vectors:
            raise MissingVectorError(f"{self.folder / 'vectors.safetensors'}: no tensor {name}")
        return self.vectors[name]

    def stored_state(self) -> dict[str, Tensor] | None:
        """Stored weights as float32 (float16 files are upcast), or None when the set's weights come by recipe."""
        path = self.folder / "state_dict.safetensors"
        if not path.exists():
            return None
        state = load_file(str(path))
        return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}

    # -- comparisons ---------------------------------------------------------------------------------------------

    def absolute(self, tensor: str, ours: Tensor, limit: float = ABSOLUTE_LIMIT) -> Check:
        """Largest |ours - reference|."""
        return self._compare(tensor, ours, "absolute", limit)

    def relative(self, tensor: str, ours: Tensor, limit: float = RELATIVE_LIMIT) -> Check:
        """Largest |ours - reference| over the largest |reference|: for losses, gradients and their norms."""
        return self._compare(tensor, ours, "relative", limit)

    def equal(self, tensor: str, ours: Tensor) -> Check:
        """Number of integer entries that differ; none may."""
        return self._compare(tensor, ours, "integer", 0.0)

    def extra(self, tensor: str, kind: str, error: float, limit: float, note: str = "") -> Check:
        """A verdict on something that is no stored tensor (an identity between two of our own results)."""
        return Check(self.name, tensor, kind, error, limit, note)

    def failure(self, tensor: str, note: str) -> Check:
        """A comparison that could not be made: a miss."""
        return Check(self.name, tensor, "absolute", math.inf, ABSOLUTE_LIMIT, note)

    def _compare(self, tensor: str, ours: Tensor, kind: str, limit: float) -> Check:
        self.compared.add(tensor)
        if tensor not in self.vectors:
            return Check(self.name, tensor, kind, math.inf, limit, "missing in vectors.safetensors")
        reference = self.vectors[tensor]
        if tuple(ours.shape) != tuple(reference.shape):
            note = f"shape {list(ours.shape)}, reference {list(reference.shape)}"
            return Check(self.name, tensor, kind, math.inf, limit, note)
        if reference.numel() == 0:
            return Check(self.name, tensor, kind, math.inf, limit, "reference tensor is empty")
        if kind == "integer":
            if reference.is_floating_point() or ours.is_floating_point():
                return Check(self.name, tensor, kind, math.inf, limit, "expected integers on both sides")
            return Check(self.name, tensor, kind, float((ours.cpu() != reference).sum()), limit)
        mine, theirs = ours.detach().cpu().double(), reference.double()
        error = float((mine - theirs).abs().max())
        if kind == "relative":
            scale = float(theirs.abs().max())
            error = error / scale if scale > 0 else (0.0 if error == 0 else math.inf)
        return Check(self.name, tensor, kind, error, limit)

    # -- completeness --------------------------------------------------------------------------------------------

    def not_compared(self, left_out: Sequence[str] = ()) -> Iterator[Check]:
        """A miss for every stored output that nothing compared; left_out: patterns of names left out on purpose."""
        for name in sorted(self.vectors):
            if not name.startswith("out.") or name in self.compared:
                continue
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in left_out):
                continue
            yield self.failure(name, "no comparison knows this tensor")

    def weights(
        self, state: Mapping[str, Tensor], fingerprint: str = "fingerprint.json", label: str = "weights"
    ) -> Check:
        """Compare weights with the fingerprint file: names and shapes equal, first values and sums within 1e-6.

        The sum's deviation is relative to max(1, sum of magnitudes), as a float64 sum may be taken in another order.
        """
        path = self.folder / fingerprint
        if not path.exists():
            return Check(self.name, label, "weights", math.inf, FINGERPRINT_LIMIT, f"missing {fingerprint}")
        expected: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        odd = sorted(set(expected) ^ set(state))
        if odd:
            side = "weights lack" if odd[0] in expected else "fingerprint lacks"
            note = f"{len(odd)} names differ; {side} {odd[0]}"
            return Check(self.name, label, "weights", math.inf, FINGERPRINT_LIMIT, note)
        worst, where = 0.0, ""
        for key, entry in expected.items():
            value = state[key].detach().double().reshape(-1)
            if list(state[key].shape) != list(entry["shape"]):
                note = f"{key}: shape {list(state[key].shape)}, fingerprint {entry['shape']}"
                return Check(self.name, label, "weights", math.inf, FINGERPRINT_LIMIT, note)
            first = torch.tensor(entry["first4"], dtype=torch.float64)
            error = float((value[: len(first)] - first).abs().max()) if len(first) else 0.0
            error = max(error, abs(float(value.sum()) - entry["sum"]) / max(1.0, float(value.abs().sum())))
            if not error <= worst:
                worst, where = error, key
        note = f"{len(expected)} tensors" + (f", worst {where}" if worst > 0 else "")
        return Check(self.name, label, "weights", worst, FINGERPRINT_LIMIT, note)
