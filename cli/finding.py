"""What `timbre doctor` finds: a name, a state, a value and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timbre.core.errors import TimbreError

OK, NOTE, WARNING, FAILURE = "ok", "note", "warning", "failure"


@dataclass(frozen=True)
class Finding:
    """state: ok, note (optional part missing), warning (some features unavailable) or failure (nothing will
    run); remedy: empty when ok; part: the heading it stands under.
    """

    name: str
    state: str
    value: str
    remedy: str = ""
    part: str = ""


def attempt(name: str, work: Callable[[], str]) -> Finding:
    """ok with the text that work returns, or a warning with the reason it failed."""
    try:
        return Finding(name, OK, work())
    except TimbreError as error:
        return Finding(name, WARNING, error.message, error.remedy)
    except ImportError as error:
        return Finding(name, WARNING, f"cannot be imported: {error}", "install the missing packages")
