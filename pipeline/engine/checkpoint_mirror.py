"""Checkpoints of a running stage kept in the registry's stage cache, so that a reclaimed machine loses one interval.

resume folder, written by the stage -> watched by a thread -> the cache; on another machine: cache -> resume folder
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from timbre.core.errors import TimbreError

INTERVAL_S = 2.0
"""Time between two inspections of the folder: checkpoints are seconds to minutes apart."""


@runtime_checkable
class CheckpointCache(Protocol):
    """A place outside this machine for the state of a running stage."""

    def fetch_checkpoint(self, key: str, destination: Path) -> bool: ...

    def offer_checkpoint(self, key: str, voice: str, stage: str, recordings: str, directory: Path) -> None: ...

    def drop_checkpoints(self, key: str) -> None: ...


@dataclass(frozen=True)
class StageInProgress:
    """Whose state it is."""

    key: str
    """The stage's key."""
    voice: str
    """Name of the voice."""
    stage: str
    """Name of the stage."""
    recordings: str
    """Digest of the voice's recordings: a revocation finds the state by it."""


@contextmanager
def checkpoints_kept(
    cache: object, about: StageInProgress, resume: Path, log: logging.Logger, interval_s: float = INTERVAL_S
) -> Iterator[None]:
    """Restore the folder `resume` from the cache where it is empty, and copy it there as it changes.

    A cache that fails costs a warning, never the run. When the block ends well the copies are removed; else
    the last state stays for the next machine.
    """
    if not isinstance(cache, CheckpointCache):
        yield
        return
    mirror = _Mirror(cache, about, resume, log)
    mirror.restore()
    stop = threading.Event()
    thread = threading.Thread(target=mirror.watch, args=(stop, interval_s), name="checkpoint-mirror", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        stop.set()
        thread.join()
        mirror.copy()
        raise
    stop.set()
    thread.join()
    mirror.drop()


class _Mirror:
    def __init__(self, cache: CheckpointCache, about: StageInProgress, resume: Path, log: logging.Logger) -> None:
        self._cache, self._about, self._resume, self._log = cache, about, resume, log
        self._kept: tuple[tuple[str, int, int], ...] = ()

    def restore(self) -> None:
        if any(self._resume.iterdir()):
            return
        with tempfile.TemporaryDirectory(dir=self._resume.parent, prefix=".resume-copy-") as folder:
            found = Path(folder) / "state"
            try:
                if not self._cache.fetch_checkpoint(self._about.key, found):
                    return
            except TimbreError as error:
                self._warn("checkpoint not taken from the stage cache", error)
                return
            shutil.copytree(found, self._resume, dirs_exist_ok=True)
        self._kept = self._state()
        self._log.info("resuming from the stage cache", extra={"stage": self._about.stage})

    def watch(self, stop: threading.Event, interval_s: float) -> None:
        while not stop.wait(interval_s):
            self.copy()

    def copy(self) -> None:
        """Copy the folder to the cache if it has changed. Files are replaced whole, so that each is read whole."""
        state = self._state()
        if state in ((), self._kept):
            return
        about = self._about
        try:
            with tempfile.TemporaryDirectory(dir=self._resume.parent, prefix=".resume-copy-") as folder:
                snapshot = Path(folder) / "state"
                shutil.copytree(self._resume, snapshot, ignore=shutil.ignore_patterns(".*"))
                self._cache.offer_checkpoint(about.key, about.voice, about.stage, about.recordings, snapshot)
            self._kept = state
        except (TimbreError, OSError, shutil.Error) as error:
            # A file may go while it is copied; the next look takes its successor.
            self._warn("checkpoint not kept in the stage cache", error)

    def drop(self) -> None:
        try:
            self._cache.drop_checkpoints(self._about.key)
        except TimbreError as error:
            self._warn("checkpoints not removed from the stage cache", error)

    def _state(self) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of each file."""
        found = []
        for path in sorted(self._resume.rglob("*")):
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                about = path.stat()
            except FileNotFoundError:
                continue
            found.append((path.relative_to(self._resume).as_posix(), about.st_size, about.st_mtime_ns))
        return tuple(found)

    def _warn(self, what: str, error: Exception) -> None:
        self._log.warning(what, extra={"stage": self._about.stage, "reason": str(error)})
