"""Notes in the registry which versions this server speaks with, once a day each: pruning keeps those."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from timbre.core.errors import TimbreError
from timbre.registry.served import EVERY, mark_served
from timbre.registry.store import Store

_AGAIN_S = 3600.0


class ServedMarks:
    """note() is called by workers, flush() by the thread that polls the registry. A store that may not be written is
    warned of once; marks are tried again an hour later.
    """

    def __init__(self, store: Store, log: logging.Logger, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._spoken: dict[tuple[str, str], float] = {}
        self._marked: dict[tuple[str, str], float] = {}
        self._not_before = 0.0
        self._warned = False

    def note(self, voice: str, version: str) -> None:
        """A version spoke now."""
        with self._lock:
            self._spoken[voice, version] = self._clock()

    def flush(self) -> None:
        """Mark the versions that spoke and have no mark of today. Raises no user-facing error."""
        now = self._clock()
        if now < self._not_before:
            return
        with self._lock:
            due = [
                item for item in self._spoken.items() if item[1] - self._marked.get(item[0], 0) >= EVERY.total_seconds()
            ]
        for (voice, version), spoken in due:
            try:
                mark_served(
                    self._store, voice, version, datetime.fromtimestamp(spoken, UTC).isoformat("T", "microseconds")
                )
            except TimbreError as error:
                self._not_before = now + _AGAIN_S
                if not self._warned:
                    self._log.warning("use of versions is not reported", extra={"reason": error.message})
                self._warned = True
                return
            self._marked[voice, version] = spoken
            with self._lock:
                if self._spoken.get((voice, version)) == spoken:
                    del self._spoken[voice, version]
