"""Data that is part of the package: recipes and base folders, for work without a voice repository around."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

PACKAGED_BASES = _PACKAGE / "bases"
PACKAGED_RECIPES = _PACKAGE / "recipes"
