"""Locks between processes. The kernel releases them when a process ends, however it ends."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from timbre.core.errors import ConfigurationError, InfrastructureError


def _no_message(text: str) -> None:
    return None


@contextmanager
def exclusive(path: Path, what: str, wait_s: float = 0.0, say: Callable[[str], None] = _no_message) -> Iterator[None]:
    """Hold the lock file `path` for the length of a `with` block.

    what: what is locked, in words ("voice ada"); say: called once if another process holds the lock.
    Raises InfrastructureError (exit code 30, worth a retry) when it is still held after `wait_s` seconds,
    ConfigurationError when the lock file is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in (path, _holder_file(path)):
        if file.is_symlink():
            raise ConfigurationError(f"{file}: a symbolic link, expected a lock file", "remove the link")
    lock = FileLock(str(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = _holder(path)
        if wait_s > 0:
            say(f"{what} is in use by {holder}; waiting up to {wait_s:g} s")
        _acquire(lock, path, what, wait_s)
    try:
        _write_holder(_holder_file(path), json.dumps({"pid": os.getpid(), "since": time.time()}).encode())
        yield
    finally:
        _holder_file(path).unlink(missing_ok=True)
        lock.release()


def _acquire(lock: Any, path: Path, what: str, wait_s: float) -> None:
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.2)
    except Timeout:
        message = f"{what} is in use by {_holder(path)}; waited {wait_s:g} s"
        raise InfrastructureError(message, "wait until that run has ended, then run the same command again") from None


def _write_holder(path: Path, data: bytes) -> None:
    """Written through no link, even one that appeared since it was looked for."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o644)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)


def _holder_file(path: Path) -> Path:
    return path.with_suffix(".holder")


def _holder(path: Path) -> str:
    try:
        found = json.loads(_holder_file(path).read_text(encoding="utf-8"))
        return f"process {int(found['pid'])} (for {max(0.0, time.time() - float(found['since'])):.0f} s)"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
