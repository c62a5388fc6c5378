"""The graphs of a base that speaking needs, opened side by side: ONNX Runtime lets other threads work meanwhile.

A server opens them while the modules that run them are still being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from timbre.inference.device import CPU, Device
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.exported_base import ExportedBase
from timbre.inference.session import open_session
from timbre.inference.voice_graph import BaseGraph


@dataclass(frozen=True)
class VoiceGraphs:
    """Those that a voice's adapter may change."""

    prior: BaseGraph
    """Codes, phones and condition to latent frames."""
    generator: BaseGraph
    """Latent frames to sound, or to spectra."""
    weights: Mapping[str, NDArray[np.float32]]
    """Initializer -> the base's values, which adapters are added to; empty where none may be."""


@dataclass(frozen=True)
class OpenGraphs:
    """Of one base in one profile."""

    voice: VoiceGraphs
    """What a voice may change."""
    t2s: ort.InferenceSession
    """Phones to codes."""
    content: ort.InferenceSession | None
    """Sound to phones; None for a base without recogniser."""


def open_graphs(base: ExportedBase, settings: EngineSettings) -> OpenGraphs:
    """Raises GraphError when a file is missing or ONNX Runtime refuses it."""
    threads, device = settings.threads, settings.device
    with ThreadPoolExecutor(thread_name_prefix="opening") as opening:
        voice = _open_voice_graphs(opening, base, settings.profile, threads, device)
        t2s = opening.submit(open_session, base.graph("t2s", settings.profile), threads=threads)
        content = None
        if base.recogniser_classes:
            content = opening.submit(open_session, base.graph("content"), threads=threads, device=device)
        return OpenGraphs(voice(), t2s.result(), content.result() if content else None)


def open_voice_graphs(
    base: ExportedBase, profile: str = "fp32", *, threads: int = 1, device: Device = CPU
) -> VoiceGraphs:
    """Raises GraphError as open_graphs."""
    with ThreadPoolExecutor(thread_name_prefix="opening") as opening:
        return _open_voice_graphs(opening, base, profile, threads, device)()


def _open_voice_graphs(
    opening: ThreadPoolExecutor, base: ExportedBase, profile: str, threads: int, device: Device
) -> Callable[[], VoiceGraphs]:
    """Begins to open them; what is returned waits for them. The prior takes longest, and is the first."""
    names: list[str] = []
    if base.has("weights"):
        with safe_open(base.graph("weights"), "numpy") as file:
            names = list(file.keys())
    prior, generator = (
        opening.submit(BaseGraph, base.graph(name, profile), names, threads=threads, device=device)
        for name in ("prior", "generator")
    )
    weights = opening.submit(load_file, base.graph("weights")) if names else None
    return lambda: VoiceGraphs(prior.result(), generator.result(), weights.result() if weights else {})
