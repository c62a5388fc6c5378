"""Arithmetic of the forward pass on a device, and whether to recompute activations."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

_SMALL_GPU_BYTES = 24 * 1024**3


@dataclass(frozen=True)
class Precision:
    """Number format of training."""

    name: str
    """fp32, bf16 or fp16. Parameters, losses and updates always stay in float32."""
    device: str
    """torch's type of the device: "cpu" or "cuda"."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Around every forward pass."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device, torch.bfloat16 if self.name == "bf16" else torch.float16)

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps float16 gradients from vanishing; does nothing with the others."""
        return torch.amp.GradScaler(self.device, enabled=self.name == "fp16")


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """`auto`: bfloat16 where the device computes in it, else float16 on GPUs and float32 on processors."""
    name = wanted
    if wanted == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            # Without matrix units for it, bfloat16 on a processor is slower than float32.
            name = "bf16" if device.type == "cpu" and _has_matrix_units() else "fp32"
    return Precision(name, device.type)


def _has_matrix_units() -> bool:
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        found = getattr(torch.cpu, probe, None)
        if found is not None and found():
            return True
    return False


def choose_checkpointing(wanted: str, device: torch.device) -> bool:
    """`auto`: on GPUs with less than 24 GB."""
    if wanted != "auto":
        return wanted == "on"
    return device.type == "cuda" and torch.cuda.get_device_properties(device).total_memory < _SMALL_GPU_BYTES
