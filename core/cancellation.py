"""A flag that asks running work to stop at its next safe point."""

from __future__ import annotations

import threading

from timbre.core.errors import InfrastructureError


class Interrupted(InfrastructureError):
    """Somebody asked the work to stop (exit code 30); trying again at once would ignore them."""


class Cancellation:
    """Set by a signal handler or another thread; looked at by long loops through `check`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def cancel(self, reason: str) -> None:
        """Ask the work to stop; the first reason is kept."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises Interrupted (exit code 30, worth a retry) when the work was asked to stop."""
        if self._event.is_set():
            raise Interrupted(f"interrupted: {self.reason}", "run the same command again; finished work is kept")
