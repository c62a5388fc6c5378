"""Skipped tests under CI=true: allowed by tests/allowed_skips.txt, or a failure of the run.

A green run says nothing about what it skipped. On a person's machine skips are counted and shown; in CI a program that
is missing must not hide that the push, the images or the pages were never tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("allowed_skips.txt")


@dataclass(frozen=True)
class Skip:
    """test: node id; reason: as the test gave it."""

    test: str
    reason: str


def allowed_reasons(text: str) -> list[re.Pattern[str]]:
    """Patterns of a list; lines that begin with # are remarks."""
    return [re.compile(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def unexpected(skips: Iterable[Skip], allowed: list[re.Pattern[str]]) -> list[Skip]:
    """Skips whose reason no pattern finds."""
    return [skip for skip in skips if not any(pattern.search(skip.reason) for pattern in allowed)]
