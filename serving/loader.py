"""Voice packages in memory: fetched, checked and read once, the least recently used dropped first.

manifest -> files by digest -> temporary folder -> inference's reader -> Speaker
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from timbre.inference.voice import Voice, load_voice
from timbre.registry.manifest import Manifest
from timbre.registry.registry import Registry
from timbre.serving.engines import Engines
from timbre.serving.metrics import Metrics

if TYPE_CHECKING:
    from timbre.inference.engine import Engine

_NOT_SPOKEN_WITH = ("samples/", "README.md", "report.html")
Key = tuple[str, str]
"""Voice name and version."""


@dataclass(frozen=True)
class Speaker:
    """A voice ready to speak."""

    manifest: Manifest | None
    """None for a voice that is not in the registry."""
    voice: Voice
    """Tensors and readings, merged for `engine` alone."""
    engine: Engine
    """Of the voice's base, shared with all its voices."""

    @property
    def name(self) -> str:
        """NAME@VERSION."""
        return self.voice.key


class Loader:
    """Thread-safe; two requests for one version load it once. held, held_bytes: most packages kept in memory and, from
    two on, most bytes of them together.
    """

    def __init__(self, registry: Registry, engines: Engines, metrics: Metrics, held: int, held_bytes: int) -> None:
        self._registry = registry
        self._engines = engines
        self._metrics = metrics
        self._most, self._most_bytes = held, held_bytes
        self._lock = threading.Lock()
        self._loading: dict[Key, threading.Lock] = {}
        self._held: OrderedDict[Key, Speaker] = OrderedDict()

    def load(self, key: Key, keep: Callable[[], bool]) -> Speaker:
        """The package of (voice, version); it stays in memory if keep() says so when it is there.

        Raises what the registry, the engines and load_voice raise.
        """
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            with self._lock:
                found = self._held.get(key)
            if found is None:
                try:
                    found = self._fetch(*key)
                    self._hold(key, found, keep)
                finally:
                    with self._lock:
                        self._loading.pop(key, None)
        return found

    def drop(self, gone: Callable[[str], bool]) -> list[Speaker]:
        """Free the memory of every version whose voice gone(name) marks."""
        with self._lock:
            return [self._held.pop(key) for key in list(self._held) if gone(key[0])]

    @property
    def held(self) -> dict[Key, Speaker]:
        """A copy of what is in memory."""
        with self._lock:
            return dict(self._held)

    def _fetch(self, name: str, version: str) -> Speaker:
        started = time.perf_counter()
        try:
            manifest = self._registry.manifest(name, version)
            engine = self._engines.get(manifest.base_digest, int8_passed=manifest.int8_passed)
            with tempfile.TemporaryDirectory(prefix="timbre-") as folder:
                self._registry.fetch(manifest, Path(folder), without=_NOT_SPOKEN_WITH)
                voice = load_voice(Path(folder), engine.base, name=name, version=version)
        except Exception:
            self._metrics.loads.labels("failed").inc()
            raise
        self._metrics.loads.labels("ok").inc()
        self._metrics.load_seconds.observe(time.perf_counter() - started)
        return Speaker(manifest, voice, engine)

    def _hold(self, key: Key, speaker: Speaker, keep: Callable[[], bool]) -> None:
        with self._lock:
            # Asked under the lock: a voice that was revoked while it loaded must not stay.
            if keep():
                self._held[key] = speaker
                while len(self._held) > self._most or (len(self._held) > 1 and self._bytes() > self._most_bytes):
                    self._held.popitem(last=False)

    def _bytes(self) -> int:
        return sum(speaker.voice.size_bytes for speaker in self._held.values())
