"""Sizes as people write them on a command line."""

from __future__ import annotations

from timbre.core.errors import InputError
from timbre.core.sizes import parse_size


def read_size(text: str, option: str) -> int | None:
    """Bytes of "500M" or "50Gi"; None for "". Raises InputError that names the option."""
    if not text.strip():
        return None
    found = parse_size(text)
    if found is None:
        raise InputError(f"{option} is {text[:40]!r}", "write a number of bytes, or for example 500M or 50Gi")
    return found
