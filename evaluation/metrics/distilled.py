"""Predicted mean opinion of quality: DistillMOS (Stahl and Gamper 2025), distilled from XLS-R SQA. The extra `mos`.

[T] at 16 kHz -> 1 (bad) to 5 (excellent)
"""

from __future__ import annotations

import contextlib
import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timbre.core.digests import digest_file
from timbre.evaluation.metrics.errors import UnmeasurableError

Samples = NDArray[np.float32]
EXTRA = "mos"
_RATE_HZ = 16_000
_LEAST_S = 1.0
_SILENT = 1e-5
_WEIGHTS = "weights/distill_mos_v7.pt"


def available() -> bool:
    """Whether the package is installed here."""
    return find_spec("distillmos") is not None


def distilled_mos(samples: Samples) -> float:
    """Opinion of [T] at 16 kHz. Raises UnmeasurableError below one second or for silence, ImportError without the
    package.
    """
    if len(samples) < _LEAST_S * _RATE_HZ:
        raise UnmeasurableError(f"distilled MOS: {len(samples) / _RATE_HZ:.2f} s is below the {_LEAST_S:g} s it needs")
    if not np.isfinite(samples).all() or float(np.max(np.abs(samples))) < _SILENT:
        raise UnmeasurableError("distilled MOS: the clip is silent or not finite")
    import torch

    with torch.inference_mode():
        return float(_model()(torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None])[0])


def weights_file() -> Path | None:
    """The weights, None where the package is not installed.

    Looked up, not imported: stage 4's key asks for it in every run, and the package brings torch.
    """
    found = find_spec("distillmos")
    return Path(found.origin).parent / _WEIGHTS if found is not None and found.origin else None


def model_digest() -> str:
    """SHA-256 of the weights, to be written beside their values; "" where the package is not installed."""
    path = weights_file()
    return "" if path is None else digest_file(path)


@cache
def _model() -> Any:
    import distillmos

    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
        return distillmos.ConvTransformerSQAModel().eval()
