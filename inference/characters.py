"""Character vectors of Mandarin: BERT's third layer from the end, one vector a character, repeated for its phones.

phonemes -> Mandarin segments -> token ids -> bert graph -> [P, H] for the text-to-semantic graph's `features`

Only bases that were trained with them have the graph. It is loaded when the first Mandarin text comes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from safetensors.numpy import load_file

from timbre.inference.device import CPU, Device
from timbre.inference.errors import GraphError
from timbre.inference.exported_base import ExportedBase
from timbre.inference.session import open_session
from timbre.text.phonemes import Phonemes

Floats = NDArray[np.float32]
FIRST, LAST, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
PROJECTION = "bert_proj.weight"
# BERT reads 512 positions, two of them its marks.
_MOST_CHARACTERS = 510


class CharacterVectors:
    """Of a base with a graph `bert`. Thread-safe."""

    def __init__(self, base: ExportedBase, *, profile: str = "fp32", threads: int = 1, device: Device = CPU) -> None:
        self._base, self._profile, self._threads, self._device = base, profile, threads, device
        self._lock = threading.Lock()
        self._session: ort.InferenceSession | None = None
        path = base.graph("bert_tokens")
        try:
            self._ids: Mapping[str, int] = json.loads(path.read_text(encoding="utf-8"))
            self._marks = [self._ids[mark] for mark in (FIRST, LAST, UNKNOWN)]
            self._projection: Floats = load_file(base.graph("bert_projection"))[PROJECTION]
        except (OSError, ValueError, KeyError) as error:
            raise GraphError(f"{path}: {error!r}", f"export it again: timbre base export {base.name}") from error

    @property
    def width(self) -> int:
        """H of what `of` returns."""
        return int(self._projection.shape[0])

    def of(self, phonemes: Phonemes) -> Floats | None:
        """[P, H]: zeros for phones of other languages; None when nothing is Mandarin."""
        parts, found = [], False
        for segment in phonemes.segments:
            if segment.language == "zh" and segment.word2ph is not None and segment.normalized:
                found = True
                vectors = self.projected(self._states(segment.normalized))
                parts.append(np.repeat(vectors, segment.word2ph, axis=0))
            else:
                parts.append(np.zeros((len(segment.phones), self.width), np.float32))
        return np.concatenate(parts) if found else None

    def raw(self, phonemes: Phonemes) -> Floats | None:
        """[W, P]: what a voice keeps of its prompt, not projected; None when nothing is Mandarin."""
        parts, found = [], False
        for segment in phonemes.segments:
            if segment.language == "zh" and segment.word2ph is not None and segment.normalized:
                found = True
                parts.append(np.repeat(self._states(segment.normalized), segment.word2ph, axis=0))
            else:
                parts.append(np.zeros((len(segment.phones), self._projection.shape[1]), np.float32))
        return np.ascontiguousarray(np.concatenate(parts).T) if found else None

    def projected(self, vectors: Floats) -> Floats:
        """BERT's vectors [N, W] -> what the text-to-semantic graph adds to its phones [N, H]."""
        return np.asarray(vectors @ self._projection.T, np.float32)

    def _states(self, characters: str) -> Floats:
        """[C, W]; each character is one token, so that nothing is merged into words or dropped."""
        first, last, unknown = self._marks
        session = self._open()
        parts = []
        for start in range(0, len(characters), _MOST_CHARACTERS):
            ids = [self._ids.get(item, unknown) for item in characters[start : start + _MOST_CHARACTERS]]
            states = session.run(None, {"ids": np.array([[first, *ids, last]], np.int64)})[0]
            parts.append(np.asarray(states[0, 1:-1], np.float32))
        return np.concatenate(parts)

    def _open(self) -> ort.InferenceSession:
        with self._lock:
            if self._session is None:
                path = self._base.graph("bert", self._profile)
                self._session = open_session(path, threads=self._threads, device=self._device)
            return self._session
