"""Revocation: consent was withdrawn. A permanent tombstone, and everything stored of the voice is removed."""

from __future__ import annotations

from dataclasses import dataclass

from timbre.registry import events
from timbre.registry.encryption.keyring import destroy_keys, key_store
from timbre.registry.errors import CorruptError
from timbre.registry.events import Act, Event
from timbre.registry.names import blob_key, check_voice, tombstone_key
from timbre.registry.records import seal
from timbre.registry.registry import Actor, Registry
from timbre.registry.stage_cache import delete_stages_of


@dataclass(frozen=True)
class Removal:
    """What a revocation removed: blobs (recordings, adapters, samples), cached stages; kept_blobs belong to other
    voices too.
    """

    blobs: int
    stages: int
    kept_blobs: int


def revoke(registry: Registry, voice: str, *, actor: Actor, reason: str) -> Removal:
    """Marks a voice as revoked for good and removes its stored files.

    The tombstone is written first, so that a crash leaves the voice revoked; running it again finishes the removal.
    Manifests
    and events stay: they hold no recording and prove what happened. Raises NotFoundError when the voice does not exist.
    """
    registry.history(check_voice(voice))
    key = tombstone_key(voice)
    time = registry.now()
    registry.store.put_if_absent(key, seal(key, {"voice": voice, "time": time, "actor": actor.name, "reason": reason}))
    mark = registry.tombstone(voice)
    assert mark is not None
    # What copies of encrypted files there are elsewhere, in backups too, is unreadable from here on.
    destroy_keys(key_store(registry.store), voice)
    own = _blobs_of(registry, [voice])
    others = _blobs_of(registry, [name for name in registry.voices() if name != voice])
    removed = sum(registry.store.delete(blob_key(digest)) for digest in sorted(own - others))
    stages = delete_stages_of(registry.store, voice)
    events.append(
        registry.store,
        Event(
            voice=voice,
            act=Act.REVOKED,
            time=mark["time"],
            actor=mark["actor"],
            reason=mark["reason"],
            commit=actor.commit,
        ),
    )
    return Removal(removed, stages, len(own & others))


def _blobs_of(registry: Registry, voices: list[str]) -> set[str]:
    digests = set()
    for voice in voices:
        for key in registry.store.list(f"voices/{voice}/versions/"):
            try:
                manifest = registry.manifest(voice, key.rsplit("/", 1)[-1].removesuffix(".json"))
            except CorruptError:
                continue
            digests |= {entry.sha256 for entry in manifest.files}
    return digests
