"""Sizes as people write and read them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_size(text: str) -> int | None:
    """Bytes of "500M" or "50Gi"; None for what is no size."""
    found = re.fullmatch(r"(\d+)([kmgt]i?)?b?", text.strip().lower())
    return int(found[1]) * _UNITS[found[2] or ""] if found else None


def shown_size(size_bytes: int) -> str:
    """In MB, for messages."""
    return f"{size_bytes / 1e6:.1f} MB"
