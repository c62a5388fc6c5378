"""Digests of bytes, files and plain values. All are SHA-256 in lower-case hexadecimal."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_CHUNK_BYTES, _SMALLEST_BYTES = 16 << 20, 64 << 10
"""Each read and each update waits for its turn among the threads of a program that is busy: a few large ones wait less
than many small ones.
"""


def digest_bytes(data: bytes) -> str:
    """SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, read in chunks of 16 MiB. Raises OSError when the file cannot be read."""
    state = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        part = memoryview(bytearray(min(_CHUNK_BYTES, max(_SMALLEST_BYTES, os.fstat(stream.fileno()).st_size))))
        while count := stream.readinto(part):
            state.update(part[:count])
    return state.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no optional whitespace, so that equal values give equal text.

    Raises ValueError on NaN and infinity, TypeError on anything that is not plain data.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_value(value: Any) -> str:
    """SHA-256 of the canonical JSON of a plain value (dict, list, string, number, boolean, None)."""
    return digest_bytes(canonical_json(value).encode())
