"""Base folders that are part of the package, for work outside a voice repository, and where their weights are then."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

PACKAGED_BASES = _PACKAGE / "bases"
DEFAULT_WEIGHTS_ROOT = Path(".timbre") / "bases"
