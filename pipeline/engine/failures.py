"""Which failures are worth another try, and what a raw failure of the machine means to the person who reads it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from timbre.core.cancellation import Interrupted
from timbre.core.errors import (
    EXIT_BUG,
    EXIT_INFRASTRUCTURE,
    ConfigurationError,
    InfrastructureError,
    TimbreError,
)
from timbre.core.extras import missing_library

# Killed by the kernel (out of memory) or by the CI's own time-out: the process could not say 30 itself.
EXIT_KILLED = 137
EXIT_TERMINATED = 143
RETRIED_EXIT_CODES = (EXIT_INFRASTRUCTURE, EXIT_KILLED, EXIT_TERMINATED)
MAX_RETRIES = 2
FIRST_PAUSE_S = 5.0

Result = TypeVar("Result")

_FREE = "free disk space or raise the quota, then run again"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_MACHINE = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EBUSY, errno.EAGAIN)


def explain(error: BaseException) -> BaseException:
    """A TimbreError that says what happened to the machine, or the error itself when it is one, or a bug."""
    if isinstance(error, TimbreError):
        return error
    # torch has its own out-of-memory class; its name is enough, and importing torch to ask would take seconds.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return InfrastructureError("out of memory", "free memory, lower finetune.batch, or use a larger machine")
    if isinstance(error, ConnectionError | TimeoutError):
        return InfrastructureError(f"network: {error}", "check the connection, then run the same command again")
    if isinstance(error, ModuleNotFoundError):
        return missing_library(error) or error
    if isinstance(error, OSError) and error.errno is not None:
        return _explain_os(error)
    if _tells_of_a_full_disk(error):
        return InfrastructureError(f"disk full: {str(error)[:200]}", _FREE)
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted", "run the same command again; finished work is kept")
    return error


def _tells_of_a_full_disk(error: BaseException) -> bool:
    """Copies of folders, sound files and tensors report a full disk in words: their errors carry no number."""
    text = str(error)
    return isinstance(error, Exception) and any(os.strerror(number) in text for number in _FULL)


def _explain_os(error: OSError) -> BaseException:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return InfrastructureError(f"{where}disk full", _FREE)
    if error.errno in _FORBIDDEN:
        return ConfigurationError(f"{where}{error.strerror}", "give this user write permission there")
    if error.errno in _MACHINE:
        return InfrastructureError(f"{where}{error.strerror}", "run the same command again")
    return error


def exit_code(error: BaseException) -> int:
    """The exit code that a failure ends the process with."""
    explained = explain(error)
    return explained.exit_code if isinstance(explained, TimbreError) else EXIT_BUG


def with_retries(
    work: Callable[[], Result],
    retries: int,
    on_retry: Callable[[BaseException, int, float], None],
    sleep: Callable[[float], None],
) -> Result:
    """The result of `work`, tried again after failures of the machine only (exit code 30).

    retries: further tries, at most MAX_RETRIES; the pause before them doubles from FIRST_PAUSE_S.
    on_retry: called with the error, the number of the next attempt and the pause. Interruptions are never retried.
    """
    for attempt in range(min(retries, MAX_RETRIES) + 1):
        try:
            return work()
        except Exception as error:
            last = attempt == min(retries, MAX_RETRIES)
            if last or isinstance(error, Interrupted) or exit_code(error) != EXIT_INFRASTRUCTURE:
                raise
            pause_s = FIRST_PAUSE_S * 2**attempt
            on_retry(error, attempt + 1, pause_s)
            sleep(pause_s)
    raise AssertionError("unreachable")
