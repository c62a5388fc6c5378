"""Seeded weights that are the same bits on every machine and in every language.

A tensor's values depend on a seed string, the tensor's name and its shape alone, so a network of official size can be
compared or timed without storing its weights. The recipe is that of the reference vectors: CRC-32 of the name as a
start, a 32-bit integer mixer (the "lowbias32" family) of each flat index, scaled by a rule that depends on the name.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_CHUNK_VALUES = 1 << 21
_GOLDEN = np.uint32(2654435769)


def recipe_range(key: str, shape: Sequence[int]) -> tuple[float, float]:
    """Offset and amplitude of the tensor's values; the first rule that fits the name wins."""
    last = key.rsplit(".", 1)[-1]
    fan = math.prod(shape[1:]) if len(shape) > 1 else 1
    rules: tuple[tuple[bool, float, float], ...] = (
        (last == "num_batches_tracked", 0.0, 0.0),
        (last in ("inited", "cluster_size"), 1.0, 0.0),
        (last in ("embed", "embed_avg"), 0.0, math.sqrt(3)),
        (key.endswith(("word_embeddings.weight", "text_embedding.weight")), 0.0, math.sqrt(3)),
        (last == "weight_g", 1.0, 0.1),
        (last == "weight_v", 0.0, 1.0),
        (last in ("emb_rel_k", "emb_rel_v"), 0.0, 0.3),
        (last == "gamma", 1.0, 0.1),
        (last == "beta", 0.0, 0.1),
        (last == "alpha", 1.0, 0.1),
        (last == "running_mean", 0.0, 0.1),
        (last == "running_var", 1.0, 0.2),
        (key == "prelu.weight", 0.25, 0.05),
        ("bias" in last, 0.0, 0.05),
        (len(shape) == 1, 1.0, 0.1),
        (last == "in_proj_weight", 0.0, 2 * math.sqrt(3 / fan)),
    )
    for fits, offset, amplitude in rules:
        if fits:
            return offset, amplitude
    return 0.0, math.sqrt(3 / fan)


def recipe_array(seed_string: str, key: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """Values of the tensor named key, float32, in row-major order."""
    offset, amplitude = recipe_range(key, shape)
    count = math.prod(shape)
    start = np.uint32(zlib.crc32(f"{seed_string}/{key}".encode()))
    values = np.empty(count, dtype=np.float32)
    for begin in range(0, count, _CHUNK_VALUES):
        end = min(begin + _CHUNK_VALUES, count)
        x = np.arange(begin, end, dtype=np.uint32)
        x *= _GOLDEN
        x += start
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
        unit = 2.0 * (x.astype(np.float64) / 4294967296.0) - 1.0
        values[begin:end] = offset + amplitude * unit
    return values.reshape(tuple(shape))


def recipe_tensor(seed_string: str, key: str, shape: Sequence[int]) -> Tensor:
    """The same as a tensor: float32, or int64 zero for a batch counter."""
    if key.rsplit(".", 1)[-1] == "num_batches_tracked":
        return torch.zeros(tuple(shape), dtype=torch.int64)
    return torch.from_numpy(recipe_array(seed_string, key, shape))


def recipe_state(seed_string: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """A whole state dict for the given names and shapes."""
    return {key: recipe_tensor(seed_string, key, shape) for key, shape in shapes.items()}


def fill_by_recipe(module: nn.Module, seed_string: str) -> nn.Module:
    """Set every entry of the module's state dict (upstream's names at the border) by the recipe; returns the module."""
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    module.load_state_dict(recipe_state(seed_string, shapes), strict=True)
    return module
