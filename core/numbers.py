"""Numbers in records that other programs wrote."""

from __future__ import annotations

from typing import Any


def number(value: Any) -> float | None:
    """A number as float; None for anything else, true and false too."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
