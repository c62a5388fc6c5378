"""A graph of the base with a voice's weights in it: one session for all voices where it can be, else one a voice.

Most graphs run as fast with weights that a run brings as with their own (on nano: the prior exactly, the generator 1.4
ms a piece slower), so their session is opened once: a voice costs the memory of its merged weights, and its first use
the time to merge them. Two-dimensional convolutions run blocked, with weights packed when the session is made: a graph
of them is opened for each voice, and so is every graph on a device with memory of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from timbre.inference.device import CPU, Device
from timbre.inference.errors import GraphError
from timbre.inference.graph_file import with_inputs
from timbre.inference.session import open_session

Floats = NDArray[np.float32]
_NONE: Mapping[str, Floats] = {}
# What a session of its own holds: the weights, and those that were packed beside them.
_COPIES = 2


@dataclass(frozen=True)
class VoiceGraph:
    """A graph that speaks with one voice's weights. Thread-safe."""

    session: ort.InferenceSession
    """Of the base, or the voice's own."""
    weights: Mapping[str, Floats]
    """Initializer -> what every run brings in its place; empty where the session has them, and for the base."""
    size_bytes: int
    """Memory that this voice takes; 0 for the base's own graph."""

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> Sequence[Any]:
        """As ort.InferenceSession.run."""
        found: Sequence[Any] = self.session.run(outputs, {**feeds, **self.weights})
        return found


class BaseGraph:
    """One graph of a base, and what voices make of it. Thread-safe. names: initializers that voices may change."""

    def __init__(self, path: Path, names: Sequence[str], *, threads: int, device: Device) -> None:
        self._path, self._threads, self._device = path, threads, device
        content = with_inputs(path, frozenset(names)) if device.providers == CPU.providers else None
        session = open_session(path, threads=threads, content=content, device=device)
        self._offered = {item.name for item in session.get_overridable_initializers()} if content else set[str]()
        self.shared = content is not None
        """Whether all voices use one session."""
        self.plain = VoiceGraph(session, _NONE, 0)
        """With the base's own weights."""

    def with_weights(self, weights: Mapping[str, Floats]) -> VoiceGraph:
        """The graph with these in place of the base's own. Raises GraphError for one that the graph does not have."""
        if not weights:
            return self.plain
        if not self.shared:
            session = open_session(self._path, threads=self._threads, replaced=weights, device=self._device)
            return VoiceGraph(session, _NONE, _COPIES * self._path.stat().st_size)
        if unknown := weights.keys() - self._offered:
            raise GraphError(
                f"{self._path}: it has no initializer {sorted(unknown)[0]!r}",
                "load the voice with the base it was made for, or export the base again",
            )
        return VoiceGraph(self.plain.session, dict(weights), sum(item.nbytes for item in weights.values()))
