"""ONNX Runtime sessions with the settings that measured best for this engine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timbre.core.logs import LOGGER
from timbre.inference.device import CPU, Device, lost_provider
from timbre.inference.errors import GraphError
from timbre.inference.graph_file import with_weights

# Overridable initializers (the optional LoRA inputs) log one warning each when a session is made.
_ERRORS_ONLY = 3
_log = logging.getLogger(f"{LOGGER}.engine")


def open_session(
    path: Path,
    *,
    threads: int = 1,
    replaced: Mapping[str, NDArray[np.float32]] | None = None,
    content: bytes | None = None,
    device: Device = CPU,
) -> ort.InferenceSession:
    """A session over a graph file.

    threads: intra-op threads. replaced: float32 initializers to use instead of those in the file, by name (merged
    adapters), of the same sizes. content: bytes to open instead of the file's, None for those. device: where it runs;
    a provider that is missing, or that cannot take the graph (memory of the device is full), is left out with a
    warning. Raises GraphError when the file is missing or ONNX Runtime refuses it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    if not path.is_file():
        raise GraphError(f"{path}: there is no such graph", "export the base again: timbre base export NAME")
    try:
        source = with_weights(path, replaced) if replaced else content or str(path)
        return _opened(source, options, device, path)
    except GraphError:
        raise
    except Exception as error:  # the binding raises its own classes, none of them public
        raise GraphError(
            f"{path}: ONNX Runtime {ort.__version__} refuses it: {str(error)[:300]}",
            "export the base again with this version: timbre base export NAME",
        ) from error


def _opened(source: str | bytes, options: ort.SessionOptions, device: Device, path: Path) -> ort.InferenceSession:
    try:
        session = ort.InferenceSession(source, options, providers=device.session_providers)
    except Exception as error:
        if device.providers == CPU.providers:
            raise
        _log.warning(
            "a graph runs on the processor",
            extra={"graph": path.name, "device": device.name, "reason": str(error)[:300]},
        )
        return ort.InferenceSession(source, options, providers=CPU.session_providers)
    if lost := lost_provider(device, session):
        _log.warning("a graph runs on the processor", extra={"graph": path.name, "device": device.name, "lost": lost})
    return session
