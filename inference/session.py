"""ONNX Runtime sessions with the settings that measured best for this engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timbre.inference.errors import GraphError
from timbre.inference.graph_file import with_weights

# Overridable initializers (the optional LoRA inputs) log one warning each when a session is made.
_ERRORS_ONLY = 3


def open_session(
    path: Path, *, threads: int = 1, replaced: Mapping[str, NDArray[np.float32]] | None = None
) -> ort.InferenceSession:
    """A CPU session over a graph file.

    threads: intra-op threads. replaced: float32 initializers to use instead of those in the file, by name (merged
    adapters), of the same sizes. Raises GraphError when the file is missing or ONNX Runtime refuses it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    if not path.is_file():
        raise GraphError(f"{path}: there is no such graph", "export the base again: timbre base export NAME")
    try:
        source = with_weights(path, replaced) if replaced else str(path)
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except GraphError:
        raise
    except Exception as error:  # the binding raises its own classes, none of them public
        raise GraphError(
            f"{path}: ONNX Runtime {ort.__version__} refuses it: {str(error)[:300]}",
            "export the base again with this version: timbre base export NAME",
        ) from error
