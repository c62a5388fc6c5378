"""Exported bases: the ONNX graphs of a base under its digest, from where torch-free servers take them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from core.errors import ConfigurationError, InputError
from registry.file_set import get_folder, put_folder, read_folder
from registry.store import Store

_DIGEST = re.compile(r"[0-9a-f]{64}")


def publish_base(store: Store, base_digest: str, folder: Path, about: dict[str, Any]) -> bool:
    """Stores an exported base's folder under its digest; False when it is there already."""
    return put_folder(store, _record(base_digest), folder, about)


def fetch_base(store: Store, base_digest: str, target: Path) -> dict[str, Any]:
    """Restores an exported base at target (all digests checked, all at once) and returns what is said about it.

    Raises ConfigurationError when the registry has no such base, CorruptError when it is damaged.
    """
    found = read_folder(store, _record(base_digest))
    if found is None:
        raise ConfigurationError(
            f"registry {store.url}: there is no exported base with digest {base_digest[:12]}",
            remedy="publish it from a machine with torch: timbre base publish NAME",
        )
    if not target.exists():
        get_folder(store, _record(base_digest), target)
    return found[0]


def list_bases(store: Store) -> dict[str, dict[str, Any]]:
    """Digest -> what is said about each exported base."""
    found = {}
    for key in store.list("bases/"):
        record = read_folder(store, key)
        if record is not None:
            found[key.split("/")[1]] = record[0]
    return found


def _record(base_digest: str) -> str:
    if not _DIGEST.fullmatch(base_digest):
        raise InputError(
            f"base digest {base_digest[:80]!r}: expected 64 hexadecimal digits", remedy="take it from package.json"
        )
    return f"bases/{base_digest}/base.json"
