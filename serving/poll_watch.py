"""Watches the thread that polls the registry: a read that never returns, and a thread that ended, are reported.

A read that blocks (a pipe in place of a file, a network disk that hangs) stops every later poll, and a revocation would
not be honoured: health, metric and log say so while voices in memory keep speaking.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

from timbre.serving.metrics import Metrics

_LINES = 3


class PollWatch:
    """poll_on: polls until stop is set, and calls read() after every successful poll. stale_s: how old the last
    one may be, beyond twice the polling interval poll_s.
    """

    def __init__(
        self,
        poll_on: Callable[[], None],
        metrics: Metrics,
        log: logging.Logger,
        *,
        stale_s: float,
        poll_s: float,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._poll_on = poll_on
        self._metrics = metrics
        self._log = log
        self._limit_s = max(stale_s, 2 * poll_s)
        self._stop = stop
        self._clock = clock
        self._read_s = clock()
        self._reported = False
        self._polling = self._poller()
        self._watching = threading.Thread(target=self._watch, name="registry-watch", daemon=True)

    def start(self) -> None:
        """Start polling and watching."""
        self._read_s = self._clock()
        self._polling.start()
        self._watching.start()

    def join(self, timeout_s: float) -> None:
        """Waits for both threads to end; a read that blocks is left behind."""
        for thread in (self._watching, self._polling):
            if thread.ident is not None:
                thread.join(timeout_s)

    def read(self) -> None:
        """The registry was read just now."""
        self._read_s = self._clock()

    @property
    def stale_for_s(self) -> float | None:
        """Seconds since the last successful poll, None while it is recent enough."""
        age_s = self._clock() - self._read_s
        return age_s if age_s > self._limit_s else None

    def check(self) -> None:
        """Report a stale poll once, and starts a thread in place of one that ended."""
        age_s = self.stale_for_s
        self._metrics.stale.set(age_s is not None)
        if age_s is not None and not self._reported:
            self._log.error("registry is not read", extra={"seconds": round(age_s), "waits_in": self._waits_in()})
        self._reported = age_s is not None
        if self._polling.ident is not None and not self._polling.is_alive() and not self._stop.is_set():
            self._log.error("the thread that polls the registry ended; a new one starts")
            self._polling = self._poller()
            self._polling.start()

    def _poller(self) -> threading.Thread:
        return threading.Thread(target=self._poll_on, name="registry-poller", daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(min(1.0, self._limit_s / 4)):
            self.check()

    def _waits_in(self) -> str:
        frame = sys._current_frames().get(self._polling.ident or 0)
        stack = traceback.extract_stack(frame)[-_LINES:] if frame is not None else []
        return " < ".join(f"{item.name} ({item.filename.rsplit('/', 1)[-1]}:{item.lineno})" for item in reversed(stack))
