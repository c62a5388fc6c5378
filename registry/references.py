"""Who needs which blob, over all manifests of all voices, stage records and bases; the only place that deletes blobs.

records of the store -> digest -> keys of the records that need it -> blobs that nothing needs are removed

A record that cannot be read still protects: every digest that stands in its bytes counts as needed. Writers and this
deletion need no lock. What is deleted is held until the records were counted again, and put back when a new one needs
it; a writer that found a blob in place looks again after its record is written (blobs.mend), and puts it back itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from timbre.core.errors import TimbreError
from timbre.registry.names import FOLDER_AREAS, blob_key
from timbre.registry.records import unseal
from timbre.registry.store import Store
from timbre.registry.tombstones import revoked_voices

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# Bytes that are held in memory at most until they are known not to be needed.
_BATCH_BYTES = 256 << 20


@dataclass(frozen=True)
class Deleted:
    """What deleting blobs did."""

    removed: tuple[str, ...]
    """Digests of deleted blobs."""
    kept: tuple[str, ...]
    """Digests of blobs that other records need."""


def references(store: Store, leaving: Collection[str] = ()) -> dict[str, set[str]]:
    """Digest -> keys of the records that need this blob.

    leaving: keys of records that are about to go, which do not count; manifests of revoked voices never count, for
    they stay as proof without their files.
    """
    found: dict[str, set[str]] = {}
    for key in _records(store):
        if key in leaving:
            continue
        for digest in digests_in(store, key):
            found.setdefault(digest, set()).add(key)
    return found


def digests_in(store: Store, key: str) -> set[str]:
    """Digests of the files that a manifest, stage or base record lists; of a damaged one, all that stand in it."""
    stored = store.get(key)
    if stored is None:
        return set()
    try:
        files: list[dict[str, Any]] = unseal(key, stored.data)["files"]
        return {str(entry["sha256"]) for entry in files}
    except (TimbreError, KeyError, TypeError):
        return {match.decode() for match in _DIGEST.findall(stored.data)}


def delete_unneeded(store: Store, digests: Iterable[str], leaving: Collection[str] = ()) -> Deleted:
    """Removes those of these blobs that no record needs. leaving: as references() has it."""
    wanted = sorted(set(digests))
    needed = references(store, leaving)
    removed: list[str] = []
    for batch in _batches(store, [digest for digest in wanted if digest not in needed]):
        for digest in batch:
            store.delete(blob_key(digest))
        again = references(store, leaving)
        for digest, data in batch.items():
            if digest in again:
                store.put_if_absent(blob_key(digest), data)
            else:
                removed.append(digest)
    return Deleted(tuple(removed), tuple(digest for digest in wanted if digest in needed))


def stage_records(store: Store) -> Iterator[str]:
    """Keys of all cached stages and records of runs, of trusted and of other runs."""
    for area in FOLDER_AREAS:
        yield from store.list(f"{area}/")


def _batches(store: Store, digests: Iterable[str]) -> Iterator[dict[str, bytes]]:
    """Content of the blobs that are there, in portions of limited size."""
    batch: dict[str, bytes] = {}
    for digest in digests:
        found = store.get(blob_key(digest))
        if found is None:
            continue
        batch[digest] = found.data
        if sum(map(len, batch.values())) >= _BATCH_BYTES:
            yield batch
            batch = {}
    if batch:
        yield batch


def _records(store: Store) -> Iterator[str]:
    revoked = revoked_voices(store)
    for key in store.list("voices/"):
        parts = key.split("/")
        if len(parts) == 4 and parts[2] == "versions" and parts[1] not in revoked:
            yield key
    yield from stage_records(store)
    yield from store.list("bases/")
