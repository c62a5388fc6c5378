"""Digests of bytes, files and plain values. All are SHA-256 in lower-case hexadecimal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20


def digest_bytes(data: bytes) -> str:
    """SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, read in chunks of 1 MiB. Raises OSError when the file cannot be read."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no optional whitespace, so that equal values give equal text.

    Raises ValueError on NaN and infinity, TypeError on anything that is not plain data.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_value(value: Any) -> str:
    """SHA-256 of the canonical JSON of a plain value (dict, list, string, number, boolean, None)."""
    return digest_bytes(canonical_json(value).encode())
