"""What pruning took away, kept for a while so that it can come back.

record -> trash/<its key>, with its bytes and its files -> the record is deleted -> brought back, or freed (garbage.py)

A trash record lists the files of the record it holds, so that their blobs stay as long as it does.
"""

from __future__ import annotations

import json
from typing import Any

from timbre.core.errors import InputError
from timbre.registry.errors import CorruptError
from timbre.registry.file_set import read_folder
from timbre.registry.names import TRASH, version_key
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store

_KEPT = ("voice", "recordings", "stage")


def throw_away(store: Store, key: str, time: str) -> bool:
    """Moves a version, cached stage or record of a run into the trash; False when it is gone already.

    Killed in between, both are there, and doing it again finishes. Raises CorruptError for a damaged record.
    """
    stored = store.get(key)
    if stored is None:
        return False
    body = unseal(key, stored.data)
    about: dict[str, Any] = body.get("about", body)
    facts = {name: about[name] for name in _KEPT if about.get(name)}
    record = {"about": {**facts, "of": key, "time": time, "record": stored.data.decode()}, "files": body["files"]}
    place = _place(key)
    if not store.put_if_absent(place, seal(place, record)) and _held(store, key) != stored.data:
        # An older record under the same key: it was brought back and changed since.
        store.delete(place)
        store.put_if_absent(place, seal(place, record))
    store.delete(key)
    return True


def bring_back(store: Store, key: str) -> bool:
    """Puts a record back from the trash; False when neither of them has it. What stands in its place now stays."""
    data = _held(store, key)
    if data is None:
        return store.get(key) is not None
    unseal(key, data)
    store.put_if_absent(key, data)
    store.delete(_place(key))
    return True


def keep_version(store: Store, voice: str, version: str) -> None:
    """Brings a version back that was pruned while an alias moved to it."""
    key = version_key(voice, version)
    if store.get(key) is None and not bring_back(store, key):
        raise CorruptError(
            f"registry {store.url}: {key} went away while an alias moved to it",
            remedy="roll the alias back: timbre rollback VOICE, and publish the version again",
        )


def thrown_away(store: Store, prefix: str = "") -> dict[str, str]:
    """Key -> time of everything in the trash whose key begins with prefix."""
    found = {}
    for place in store.list(f"{TRASH}/{prefix}" if prefix.endswith("/") or not prefix else f"{TRASH}/{prefix}/"):
        record = read_folder(store, place)
        if record is not None:
            found[str(record[0]["of"])] = str(record[0]["time"])
    return found


def require_in_trash(store: Store, key: str) -> None:
    """Raises InputError when the trash does not hold this record."""
    if store.get(_place(key)) is None:
        raise InputError(
            f"registry {store.url}: the trash does not hold {key}", "the week is over, or it was brought back before"
        )


def _held(store: Store, key: str) -> bytes | None:
    record = read_folder(store, _place(key))
    if record is None:
        return None
    try:
        data = str(record[0]["record"]).encode()
        json.loads(data)
    except (KeyError, ValueError) as error:
        raise CorruptError(f"registry: {_place(key)}: {error!r}", remedy="restore it from a backup") from error
    return data


def _place(key: str) -> str:
    return f"{TRASH}/{key}"
