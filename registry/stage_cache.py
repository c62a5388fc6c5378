"""The stage cache: outputs of finished stages by their key, so that a retry on another machine does no work twice."""

from __future__ import annotations

import re
from pathlib import Path

from timbre.core.errors import InputError
from timbre.registry.blobs import Transform
from timbre.registry.encryption.keyring import Keyring, missing_key
from timbre.registry.encryption.sealed_file import Place, is_sealed
from timbre.registry.errors import CorruptError, RevokedError
from timbre.registry.events import utc_now
from timbre.registry.file_set import get_folder, put_folder, read_folder
from timbre.registry.names import TRUSTED, UNTRUSTED, check_voice
from timbre.registry.references import delete_unneeded, digests_in
from timbre.registry.store import Store
from timbre.registry.tombstones import refuse_revoked

__all__ = ["TRUSTED", "UNTRUSTED", "pull_stage", "push_stage"]

_KEY = re.compile(r"[0-9a-f]{64}")


def push_stage(
    store: Store,
    stage_key: str,
    voice: str,
    stage: str,
    folder: Path,
    keys: Keyring | None = None,
    recordings: str = "",
    area: str = TRUSTED,
) -> bool:
    """Keeps a finished stage's folder under its key; False when another run was first (its output is kept).

    keys: encrypts every file with the voice's key. recordings: digest of the recordings that it was made of. area:
    which cache. Raises RevokedError when consent for the voice or for the recordings was withdrawn, also while the
    folder was being stored: what was stored is removed.
    """
    key = _record(stage_key, area)
    refuse_revoked(store, check_voice(voice), recordings)
    about = {"voice": voice, "stage": stage, "time": utc_now()} | ({"recordings": recordings} if recordings else {})
    kept = _sealing(keys, voice, stage_key) if keys is not None else None
    written = put_folder(store, key, folder, about, kept=kept)
    try:
        refuse_revoked(store, voice, recordings)
    except RevokedError:
        if written:
            delete_unneeded(store, digests_in(store, key), [key])
            store.delete(key)
        raise
    return written


def pull_stage(store: Store, stage_key: str, target: Path, keys: Keyring | None = None, area: str = TRUSTED) -> bool:
    """Restores a stage's folder at target; False when the cache has none.

    Raises CorruptError when it is damaged: the caller runs the stage instead and says so. Raises ConfigurationError
    when it is encrypted and its key is not at hand.
    """
    found = read_folder(store, _record(stage_key, area))
    opened = _opening(keys, str(found[0].get("voice", "")), stage_key) if found is not None else None
    return get_folder(store, _record(stage_key, area), target, opened)


def push_checkpoint(
    store: Store,
    stage_key: str,
    voice: str,
    stage: str,
    folder: Path,
    keys: Keyring | None = None,
    recordings: str = "",
    area: str = TRUSTED,
) -> None:
    """Keep the state of a stage that is running, in place of its earlier ones.

    Arguments and errors as push_stage's. A machine that is killed meanwhile leaves the earlier state or both; the
    newest that is whole counts.
    """
    refuse_revoked(store, check_voice(voice), recordings)
    about = {"voice": voice, "stage": stage, "time": utc_now()} | ({"recordings": recordings} if recordings else {})
    kept = _sealing(keys, voice, stage_key) if keys is not None else None
    earlier = _checkpoints(store, stage_key, area)
    number = _number(earlier[-1]) + 1 if earlier else 1
    while not put_folder(store, _checkpoint(stage_key, area, number), folder, about, kept=kept):
        number += 1
    _drop(store, earlier)
    try:
        refuse_revoked(store, voice, recordings)
    except RevokedError:
        drop_checkpoints(store, stage_key, area)
        raise


def pull_checkpoint(
    store: Store, stage_key: str, target: Path, keys: Keyring | None = None, area: str = TRUSTED
) -> bool:
    """Restore the newest whole state of a running stage at target; False when there is none."""
    for key in reversed(_checkpoints(store, stage_key, area)):
        try:
            found = read_folder(store, key)
            if found is None:
                continue
            return get_folder(store, key, target, _opening(keys, str(found[0].get("voice", "")), stage_key))
        except CorruptError:
            continue
    return False


def drop_checkpoints(store: Store, stage_key: str, area: str = TRUSTED) -> None:
    """Remove every state of a stage: it is done, or its voice is revoked."""
    _drop(store, _checkpoints(store, stage_key, area))


def _drop(store: Store, records: list[str]) -> None:
    if records:
        delete_unneeded(store, {digest for key in records for digest in digests_in(store, key)}, records)
        for key in records:
            store.delete(key)


def _checkpoints(store: Store, stage_key: str, area: str) -> list[str]:
    """Keys of a stage's states, oldest first."""
    folder = _record(stage_key, area).removesuffix("stage.json")
    return sorted((key for key in store.list(folder) if key.startswith(f"{folder}checkpoint-")), key=_number)


def _checkpoint(stage_key: str, area: str, number: int) -> str:
    return _record(stage_key, area).removesuffix("stage.json") + f"checkpoint-{number:06d}.json"


def _number(key: str) -> int:
    digits = key.rpartition("-")[2].removesuffix(".json")
    return int(digits) if digits.isdecimal() else 0


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


def _record(stage_key: str, area: str) -> str:
    if not _KEY.fullmatch(stage_key):
        raise InputError(
            f"stage key {stage_key[:80]!r}: expected 64 hexadecimal digits", remedy="use the key from stage.json"
        )
    return f"{area}/{stage_key}/stage.json"
