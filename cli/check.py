"""The checks of `timbre doctor`: a name, a state, a value and the next action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timbre.core.errors import TimbreError

OK, NOTE, WARNING, FAILURE = "ok", "note", "warning", "failure"


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    """First column of the list."""
    state: str
    """ok, note (an optional part is missing), warning (some features do not work) or failure (nothing runs)."""
    value: str
    """What was found."""
    remedy: str = ""
    """The next action; empty when ok."""
    part: str = ""
    """The heading that the check is listed under."""


def attempt(name: str, work: Callable[[], str]) -> Check:
    """ok with the text that work returns, or a warning with the reason it failed."""
    try:
        return Check(name, OK, work())
    except TimbreError as error:
        return Check(name, WARNING, error.message, error.remedy)
    except ImportError as error:
        return Check(name, WARNING, f"cannot be imported: {error}", "install the missing packages")
