"""Sizes as people write them on a command line."""

from __future__ import annotations

import re

from timbre.core.errors import InputError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def read_size(text: str, option: str) -> int | None:
    """Bytes of "500M" or "50Gi"; None for "". Raises InputError that names the option."""
    if not text.strip():
        return None
    found = re.fullmatch(r"(\d+)([kmgt]i?)?b?", text.strip().lower())
    if found is None:
        raise InputError(f"{option} is {text[:40]!r}", "write a number of bytes, or for example 500M or 50Gi")
    return int(found[1]) * _UNITS[found[2] or ""]
