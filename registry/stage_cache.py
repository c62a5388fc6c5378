"""The stage cache: outputs of finished stages by their key, so that a retry on another machine does no work twice."""

from __future__ import annotations

import re
from pathlib import Path

from timbre.core.errors import InputError
from timbre.registry.errors import CorruptError
from timbre.registry.file_set import get_folder, put_folder, read_folder
from timbre.registry.names import check_voice
from timbre.registry.store import Store

_KEY = re.compile(r"[0-9a-f]{64}")


def push_stage(store: Store, stage_key: str, voice: str, stage: str, folder: Path) -> bool:
    """Keeps a finished stage's folder under its key; False when another run was first (its output is kept)."""
    return put_folder(store, _record(stage_key), folder, {"voice": check_voice(voice), "stage": stage})


def pull_stage(store: Store, stage_key: str, target: Path) -> bool:
    """Restores a stage's folder at target; False when the cache has none.

    Raises CorruptError when it is damaged: the caller runs the stage instead and says so.
    """
    return get_folder(store, _record(stage_key), target)


def delete_stages_of(store: Store, voice: str) -> int:
    """Removes all cached stages of a voice with the blobs they hold; returns how many. Damaged records go too."""
    doomed, kept, keys = set(), set(), []
    for key in store.list("stages/"):
        try:
            found = read_folder(store, key)
        except CorruptError:
            continue
        if found is None:
            continue
        about, entries = found
        digests = {entry.sha256 for entry in entries}
        if about.get("voice") == voice:
            keys.append(key)
            doomed |= digests
        else:
            kept |= digests
    for key in keys:
        store.delete(key)
    for digest in sorted(doomed - kept):
        store.delete(f"blobs/{digest[:2]}/{digest}")
    return len(keys)


def _record(stage_key: str) -> str:
    if not _KEY.fullmatch(stage_key):
        raise InputError(
            f"stage key {stage_key[:80]!r}: expected 64 hexadecimal digits", remedy="use the key from stage.json"
        )
    return f"stages/{stage_key}/stage.json"
