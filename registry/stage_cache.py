"""The stage cache: outputs of finished stages by their key, so that a retry on another machine does no work twice."""

from __future__ import annotations

import re
from pathlib import Path

from timbre.core.errors import InputError
from timbre.registry.blobs import Transform
from timbre.registry.encryption.keyring import Keyring, missing_key
from timbre.registry.encryption.sealed_file import Place, is_sealed
from timbre.registry.errors import CorruptError
from timbre.registry.file_set import get_folder, put_folder, read_folder
from timbre.registry.names import check_voice
from timbre.registry.store import Store

_KEY = re.compile(r"[0-9a-f]{64}")


def push_stage(store: Store, stage_key: str, voice: str, stage: str, folder: Path, keys: Keyring | None = None) -> bool:
    """Keeps a finished stage's folder under its key; False when another run was first (its output is kept). keys:
    encrypts every file with the voice's key.
    """
    about = {"voice": check_voice(voice), "stage": stage}
    kept = _sealing(keys, voice, stage_key) if keys is not None else None
    return put_folder(store, _record(stage_key), folder, about, kept=kept)


def pull_stage(store: Store, stage_key: str, target: Path, keys: Keyring | None = None) -> bool:
    """Restores a stage's folder at target; False when the cache has none.

    Raises CorruptError when it is damaged: the caller runs the stage instead and says so. Raises ConfigurationError
    when it is encrypted and its key is not at hand.
    """
    found = read_folder(store, _record(stage_key))
    opened = _opening(keys, str(found[0].get("voice", "")), stage_key) if found is not None else None
    return get_folder(store, _record(stage_key), target, opened)


def _sealing(keys: Keyring, voice: str, stage_key: str) -> Transform:
    return lambda path, data: keys.seal(Place(voice, stage_key, path), data)


def _opening(keys: Keyring | None, voice: str, stage_key: str) -> Transform:
    def opened(path: str, data: bytes) -> bytes:
        if not is_sealed(data):
            return data
        if keys is None:
            raise missing_key(f"a cached stage of {voice} is encrypted")
        return keys.open(Place(voice, stage_key, path), data)

    return opened


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
