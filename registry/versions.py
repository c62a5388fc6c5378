"""Reads the manifests of a voice: one, or all of them with few requests (packs.py)."""

from __future__ import annotations

from pathlib import Path

from timbre.registry import packs
from timbre.registry.errors import CorruptError
from timbre.registry.manifest import Manifest
from timbre.registry.names import check_voice, version_key
from timbre.registry.records import unseal
from timbre.registry.store import Store, side_by_side


def read_manifest(store: Store, voice: str, version: str) -> Manifest | None:
    """One version's manifest, or None. Raises CorruptError when it is damaged."""
    key = version_key(voice, version)
    stored = store.get(key)
    if stored is None:
        return None
    manifest = Manifest.from_body(unseal(key, stored.data))
    if (manifest.voice, manifest.version) != (voice, version):
        raise CorruptError(f"registry: {key} describes {manifest.voice}@{manifest.version}", remedy="publish it again")
    return manifest


def read_versions(store: Store, voice: str) -> list[Manifest]:
    """All versions of a voice, oldest first. Raises CorruptError on a damaged manifest."""
    seen = packs.view(store, check_voice(voice))
    keys = seen.list(f"voices/{voice}/versions/")
    found = side_by_side(seen, lambda key: read_manifest(seen, voice, Path(key).stem), keys)
    return sorted(
        (manifest for manifest in found if manifest is not None),
        key=lambda manifest: (manifest.sequence, manifest.created, manifest.version),
    )


def next_sequence(store: Store, voice: str) -> int:
    """One more than any version of the voice has; damaged ones do not count."""

    def sequence(key: str) -> int:
        try:
            manifest = read_manifest(seen, voice, Path(key).stem)
        except CorruptError:
            return 0
        return manifest.sequence if manifest is not None else 0

    seen = packs.view(store, check_voice(voice))
    return max(side_by_side(seen, sequence, seen.list(f"voices/{voice}/versions/")), default=0) + 1
