"""Engines by base and profile: each is held once, opened when the first voice needs it and closed when no voice does.

A base has two of them where some of its voices have shown that int8 loses nothing and others have not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import GraphError
from timbre.inference.exported_base import ExportedBase, sound_export, usable_edition
from timbre.inference.open_graphs import open_graphs
from timbre.inference.profiles import chosen_profile
from timbre.registry.bases import obtain_base
from timbre.registry.store import Store

if TYPE_CHECKING:
    from timbre.inference.engine import Engine

_LOCK_S = 600.0
_UNUSED_S = 10.0


EngineKey = tuple[str, str]
"""Digest of a base, profile of its graphs."""


@dataclass
class _Held:
    """An open engine."""

    engine: Engine
    unused_s: float | None = None
    """When the last voice stopped needing it; None while one does."""


class Engines:
    """Opens and closes engines. Thread-safe; close() ends all of them.

    exports: folder of exported bases by digest, shared with other programs of this machine; what is not there comes
    from the store.
    """

    def __init__(
        self,
        store: Store,
        exports: Path,
        settings: EngineSettings,
        clock: Callable[[], float] = time.monotonic,
        *,
        profile: str = "",
    ) -> None:
        """profile: one of PROFILES, "" for that of the settings."""
        self._profile = profile or settings.profile
        self._store = store
        self._exports = exports
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._opening: dict[EngineKey, threading.Lock] = {}
        self._held: dict[EngineKey, _Held] = {}
        self._closed = False

    def key(self, digest: str, *, int8_passed: bool = False) -> EngineKey:
        """Of the engine for a voice on that base. int8_passed: Manifest.int8_passed."""
        return digest, chosen_profile(self._profile, int8_passed, self._settings.device)

    def get(self, digest: str, *, int8_passed: bool = False) -> Engine:
        """The engine for a voice on that base; int8_passed as in `key`. Raises ConfigurationError when neither this
        machine nor the registry has it, CorruptError when it is damaged, InfrastructureError when others fill the
        folder for too long.
        """
        key = self.key(digest, int8_passed=int8_passed)
        with self._lock:
            if self._closed:
                raise GraphError("the server is shutting down", "send the request to another server")
            held = self._held.get(key)
            opening = self._opening.setdefault(key, threading.Lock())
        if held is not None:
            return held.engine
        with opening:
            with self._lock:
                held = self._held.get(key)
            if held is None:
                base, settings = self._export(digest), replace(self._settings, profile=key[1])
                graphs = open_graphs(base, settings)
                # At a start, graphs are opened while this is imported.
                from timbre.inference.engine import Engine

                held = _Held(Engine(base, settings, graphs))
                with self._lock:
                    self._held[key] = held
        return held.engine

    def keep_only(self, keys: Iterable[EngineKey]) -> list[EngineKey]:
        """Closes engines that have not been among keys for a while; returns the keys of those.

        A while, because a request that took an engine a moment ago has not given it work yet.
        """
        wanted, now = set(keys), self._clock()
        with self._lock:
            for key, held in self._held.items():
                held.unused_s = None if key in wanted else held.unused_s or now
            idle = [
                key
                for key, held in self._held.items()
                if held.unused_s is not None
                and now - held.unused_s > _UNUSED_S
                and held.engine.scheduler.depth == (0, 0)
            ]
            closing = [self._held.pop(key).engine for key in idle]
        for engine in closing:
            engine.close()
        return idle

    @property
    def open(self) -> list[Engine]:
        """The engines that are open now."""
        with self._lock:
            return [held.engine for held in self._held.values()]

    def close(self) -> None:
        """Ends every engine; requests that still run end with CancelledError."""
        with self._lock:
            self._closed = True
            closing, self._held = list(self._held.values()), {}
        for held in closing:
            held.engine.close()

    def _export(self, digest: str) -> ExportedBase:
        def sound(folder: Path) -> ExportedBase | None:
            return sound_export(folder, digest)

        return obtain_base(self._store, digest, self._exports, sound=sound, choose=usable_edition, wait_s=_LOCK_S)
