"""What a registry holds, in bytes: by voice, for the bases, for cached stages. From records; no blob is read."""

from __future__ import annotations

from dataclasses import dataclass

from timbre.registry.errors import CorruptError
from timbre.registry.file_set import read_folder
from timbre.registry.manifest import Manifest
from timbre.registry.names import FOLDER_AREAS, TRUSTED, check_voice, tombstone_key
from timbre.registry.records import unseal
from timbre.registry.store import Store, folders_below, side_by_side


@dataclass(frozen=True)
class Use:
    """Storage of one voice, or of bases or cached stages."""

    name: str
    """Of the voice; "(bases)", "(stages)" and the like for the rest."""
    versions: int
    """Records: versions of the voice, editions of bases, stages, runs."""
    own_bytes: int
    """Of files that nothing else needs, each counted once."""
    shared_bytes: int
    """Of files that others need too."""


@dataclass(frozen=True)
class Usage:
    """Storage of a whole registry."""

    lines: tuple[Use, ...]
    """Voices first."""
    total_bytes: int
    """Each file once, if it is stored."""
    unreferenced: int
    """Stored blobs that no record names."""
    digests: frozenset[str]
    """Of the stored blobs that a record names."""


def files_of_voice(store: Store, voice: str) -> tuple[list[Manifest], dict[str, int]]:
    """Versions of a voice that can be read, and digest -> bytes of their files; of a revoked one nothing is held."""
    if store.get(tombstone_key(voice)) is not None:
        return [], {}

    def readable(key: str) -> Manifest | None:
        try:
            stored = store.get(key)
            return Manifest.from_body(unseal(key, stored.data)) if stored is not None else None
        except CorruptError:
            return None

    found = side_by_side(store, readable, store.list(f"voices/{check_voice(voice)}/versions/"))
    manifests = [manifest for manifest in found if manifest is not None]
    return manifests, {entry.sha256: entry.size_bytes for manifest in manifests for entry in manifest.files}


def usage(store: Store) -> Usage:
    """The use of every voice, of "bases" and of cached "stages", of those of merge requests, and of records
    of runs where there are any. Damaged records are left out: timbre
    verify names them.
    """
    users: dict[str, tuple[int, dict[str, int]]] = {}
    for voice in folders_below(store, "voices/"):
        manifests, files = files_of_voice(store, voice)
        users[voice] = (len(manifests), files)
    for prefix in ("bases", *FOLDER_AREAS):
        files, count = {}, 0
        for key in store.list(f"{prefix}/"):
            try:
                found = read_folder(store, key)
            except CorruptError:
                continue
            count += 1
            files |= {entry.sha256: entry.size_bytes for entry in (found[1] if found else [])}
        if count or prefix in ("bases", TRUSTED):
            users[f"({prefix})"] = (count, files)
    times: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for _, files in users.values():
        sizes |= files
        for digest in files:
            times[digest] = times.get(digest, 0) + 1
    lines = tuple(
        Use(
            name,
            versions,
            sum(size for digest, size in files.items() if times[digest] == 1),
            sum(size for digest, size in files.items() if times[digest] > 1),
        )
        for name, (versions, files) in users.items()
    )
    stored = {key.rsplit("/", 1)[-1] for key in store.list("blobs/")}
    total = sum(size for digest, size in sizes.items() if digest in stored)
    return Usage(lines, total, len(stored - sizes.keys()), frozenset(stored & sizes.keys()))
