"""Watches the thread that looks at the registry: a read that never returns, and a thread that ended, are reported.

A read that blocks (a pipe in place of a file, a network disk that hangs) stops every later look, and a revocation would
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
    """look_on: looks until stop is set, and calls read() after every look that succeeded. stale_s: how old the last
    one may be, beyond twice the polling interval poll_s.
    """

    def __init__(
        self,
        look_on: Callable[[], None],
        metrics: Metrics,
        log: logging.Logger,
        *,
        stale_s: float,
        poll_s: float,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_on = look_on
        self._metrics = metrics
        self._log = log
        self._limit_s = max(stale_s, 2 * poll_s)
        self._stop = stop
        self._clock = clock
        self._read_s = clock()
        self._reported = False
        self._looking = self._looker()
        self._watching = threading.Thread(target=self._watch, name="registry-watch", daemon=True)

    def start(self) -> None:
        """Starts looking and watching."""
        self._read_s = self._clock()
        self._looking.start()
        self._watching.start()

    def join(self, timeout_s: float) -> None:
        """Waits for both threads to end; a read that blocks is left behind."""
        for thread in (self._watching, self._looking):
            if thread.ident is not None:
                thread.join(timeout_s)

    def read(self) -> None:
        """The registry was read just now."""
        self._read_s = self._clock()

    @property
    def stale_for_s(self) -> float | None:
        """Seconds since the last look that succeeded, None while it is recent enough."""
        age_s = self._clock() - self._read_s
        return age_s if age_s > self._limit_s else None

    def check(self) -> None:
        """Reports a stale look once, and starts a thread in place of one that ended."""
        age_s = self.stale_for_s
        self._metrics.stale.set(age_s is not None)
        if age_s is not None and not self._reported:
            self._log.error("registry is not read", extra={"seconds": round(age_s), "waits_in": self._waits_in()})
        self._reported = age_s is not None
        if self._looking.ident is not None and not self._looking.is_alive() and not self._stop.is_set():
            self._log.error("the thread that looks at the registry ended; a new one starts")
            self._looking = self._looker()
            self._looking.start()

    def _looker(self) -> threading.Thread:
        return threading.Thread(target=self._look_on, name="registry-poller", daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(min(1.0, self._limit_s / 4)):
            self.check()

    def _waits_in(self) -> str:
        frame = sys._current_frames().get(self._looking.ident or 0)
        stack = traceback.extract_stack(frame)[-_LINES:] if frame is not None else []
        return " < ".join(f"{item.name} ({item.filename.rsplit('/', 1)[-1]}:{item.lineno})" for item in reversed(stack))
