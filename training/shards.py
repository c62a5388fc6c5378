"""Features of many slices in a few safetensors files of bounded size.

slice id -> tensors by name  <->  features/0001.safetensors, ... with keys "<id>/<name>"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from timbre.core.errors import InfrastructureError

Tensors = dict[str, NDArray[Any]]
FOLDER = "features"
_MIB = 1024 * 1024


class ShardWriter:
    """Takes slices one after another and starts a new file when the next slice would pass the limit."""

    def __init__(self, folder: Path, limit_mib: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._limit = folder, limit_mib * _MIB
        self._waiting: Tensors = {}
        self._bytes = 0
        self.files = 0

    def add(self, identity: str, tensors: Mapping[str, NDArray[Any]]) -> None:
        """One slice. Its id must hold no slash. A slice larger than the limit gets a file of its own."""
        if "/" in identity:
            raise ValueError(f"slice id {identity!r} holds a slash")
        size = sum(array.nbytes for array in tensors.values())
        if self._waiting and self._bytes + size > self._limit:
            self.flush()
        self._waiting |= {f"{identity}/{name}": np.ascontiguousarray(array) for name, array in tensors.items()}
        self._bytes += size

    def flush(self) -> None:
        """Write what waits; call it once more at the end."""
        if self._waiting:
            self.files += 1
            save_file(self._waiting, self._folder / f"{self.files:04d}.safetensors")
            self._waiting, self._bytes = {}, 0


def read_shards(folder: Path) -> dict[str, Tensors]:
    """Slice id -> its tensors, of every file in the folder. Raises InfrastructureError for a damaged file."""
    found: dict[str, Tensors] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            content = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise InfrastructureError(f"{path}: not readable: {error}", "run stage 2 again: --rebuild") from error
        for key, array in content.items():
            identity, _, name = key.partition("/")
            found.setdefault(identity, {})[name] = array
    return found
