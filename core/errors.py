"""Errors with remedies for people and exit codes for CI.

Every error says what is wrong (with the file or field, the value and the limit) and what to do next. Its class decides
the exit code of the process, and the exit code decides whether CI tries again: only 30 (and the kernel's 137 and 143)
is retried.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_BUG = 1
EXIT_BAD_INPUT = 10
EXIT_CHECK_FAILED = 20
EXIT_INFRASTRUCTURE = 30
EXIT_CONFIGURATION = 40


class TimbreError(Exception):
    """Base of every error that is meant for a person.

    message: what is wrong, naming the file or field, the value and the limit.
    remedy: the next action, in the imperative; shown on a line of its own.
    """

    exit_code: int = EXIT_BUG

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.remedy}" if self.remedy else self.message


class InputError(TimbreError):
    """The person who pushed must act (exit code 10)."""

    exit_code = EXIT_BAD_INPUT


class CheckFailedError(TimbreError):
    """A gate or a check said no (exit code 20)."""

    exit_code = EXIT_CHECK_FAILED


class InfrastructureError(TimbreError):
    """Network, interruption, memory: the same command may succeed later (exit code 30)."""

    exit_code = EXIT_INFRASTRUCTURE


class ConfigurationError(TimbreError):
    """The operator must act: credentials, missing weights, no such base (exit code 40)."""

    exit_code = EXIT_CONFIGURATION
