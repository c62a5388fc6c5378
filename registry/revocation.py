"""Revocation: consent was withdrawn. Permanent tombstones, everything stored is removed, and a certificate says what.

voice -> all names with the same recordings -> tombstones -> stage records, blobs -> certificate of deletion
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from timbre.core.digests import digest_value
from timbre.core.errors import TimbreError
from timbre.registry import events
from timbre.registry.encryption.keyring import destroy_keys
from timbre.registry.events import Act, Event
from timbre.registry.file_set import read_folder
from timbre.registry.names import blob_key, check_voice
from timbre.registry.records import seal
from timbre.registry.references import delete_unneeded, digests_in, stage_records
from timbre.registry.registry import Actor, Registry
from timbre.registry.tombstones import mark_recordings, mark_voice

UNREACHABLE = (
    "recordings in Git's history and in every clone of it",
    "copies on other machines' disks: .timbre of runners, package folders of servers (they stop speaking at their next "
    "poll), browsers and downloads",
    "reports and samples that a CI server keeps as artefacts until they expire",
    "backups and mirrors of this registry that were made before, unless they are encrypted and their key is destroyed",
)


@dataclass(frozen=True)
class Certificate:
    """What a revocation destroyed."""

    voice: str
    """The one that was asked for; `names` has it too."""
    time: str
    """UTC, ISO 8601 with microseconds, of this attempt."""
    actor: str
    """Actor.name."""
    reason: str
    """In the actor's words."""
    names: tuple[str, ...]
    """Revoked voices."""
    spared: tuple[str, ...]
    """Active voices of the same recordings that the call did not include."""
    destroyed: tuple[str, ...]
    """Keys of deleted objects."""
    kept_blobs: int
    """Number of files kept because other voices need them."""
    unreachable: tuple[str, ...] = UNREACHABLE
    """Where copies may remain that Timbre cannot remove."""

    @property
    def blobs(self) -> int:
        """Files that are gone: recordings, adapters, samples."""
        return sum(key.startswith("blobs/") for key in self.destroyed)

    @property
    def stages(self) -> int:
        """Cached stages that are gone."""
        return len(self.destroyed) - self.blobs


def revoke(registry: Registry, voice: str, *, actor: Actor, reason: str, all_names: bool = False) -> Certificate:
    """Revokes a voice for good, with every retired name of the same recordings, and removes what is stored of them.

    A voice of the same recordings that is not retired is spared and named in the certificate; all_names revokes it
    too. The tombstones are written first, so that a crash leaves the voices revoked; running it again finishes the
    removal. Manifests and events stay: they hold no recording and prove what happened. Raises NotFoundError when the
    voice does not exist.
    """
    registry.history(check_voice(voice))
    registry.rules.require("revoke", actor)
    store, time = registry.store, registry.now()
    recordings, sources = _made_of(registry, voice)
    alike = {name for name in registry.voices() if name != voice and _shares(registry, name, recordings, sources)}
    spared = set() if all_names else {name for name in alike if _is_live(registry, name)}
    names = sorted({voice} | (alike - spared))
    for name in names:
        mark_voice(store, name, time, actor.name, reason)
    kept_recordings = {item for name in spared for item in _made_of(registry, name)[0]}
    for digest in sorted(recordings - kept_recordings):
        mark_recordings(store, digest, voice, time, actor.name, reason)
    # What copies of encrypted files there are elsewhere, in backups too, is unreadable from here on.
    keyless = {name for name in names if destroy_keys(registry.key_store, name)}
    destroyed, kept = _destroy(registry, names, recordings, kept_recordings, bool(spared), keyless)
    for name in names:
        mark = registry.tombstone(name)
        assert mark is not None
        act = Event(name, Act.REVOKED, mark["time"], mark["actor"], mark["reason"], actor.commit, proof=actor.proof)
        events.append(store, act)
        registry.settle(name)
    found = Certificate(voice, time, actor.name, reason, tuple(names), tuple(sorted(spared)), destroyed, kept)
    _store(registry, found)
    return found


def remove_followed(registry: Registry, voice: str, there: Collection[str]) -> None:
    """Removes what a mirror holds of a voice that was revoked at its source, whose marks and history are copied.

    No record is written here, so that a mirror needs no signing key. there: keys of the blobs that it holds.
    """
    store = registry.store
    digests = {item for key in store.list(f"voices/{voice}/versions/") for item in digests_in(store, key)}
    if not any(blob_key(digest) in there for digest in digests):
        return
    recordings = _made_of(registry, voice)[0]
    speaking = [name for name in registry.voices() if name != voice and registry.tombstone(name) is None]
    kept = {item for name in speaking for item in _made_of(registry, name)[0]}
    _destroy(registry, [voice], recordings - kept, kept, bool(kept & recordings), set())


def _destroy(
    registry: Registry, names: Iterable[str], recordings: set[str], kept: set[str], spares: bool, keyless: set[str]
) -> tuple[tuple[str, ...], int]:
    """Removes blobs, then stage records; keys that are gone, and the number of blobs that others need.

    keyless: names whose data key is destroyed, so that their cached stages serve nobody.
    """
    store, doomed, leaving = registry.store, set[str](), []
    wanted = set(names)
    for key in stage_records(store):
        try:
            found = read_folder(store, key)
        except TimbreError:
            continue
        about = found[0] if found else {}
        its = str(about.get("recordings", ""))
        # A record of an older program does not say whose recordings it holds; a spared voice may live off it.
        shared = (its in kept if its else spares) and about.get("voice") not in keyless
        if (about.get("voice") in wanted or its in recordings) and not shared:
            leaving.append(key)
            doomed |= digests_in(store, key)
    for name in wanted:
        for key in store.list(f"voices/{name}/versions/"):
            doomed |= digests_in(store, key)
    gone = delete_unneeded(store, doomed, leaving)
    # Records last: a crash before this line leaves them to the next attempt, which then finds their blobs by them.
    removed = [key for key in leaving if store.delete(key)]
    return (*removed, *(blob_key(digest) for digest in gone.removed)), len(gone.kept)


def _made_of(registry: Registry, voice: str) -> tuple[set[str], set[str]]:
    """Digests of the recordings that a name ever had, and its sources (all that versions of older programs tell)."""
    recordings, sources = set[str](), set[str]()
    for key in registry.store.list(f"voices/{voice}/versions/"):
        try:
            manifest = registry.manifest(voice, key.rsplit("/", 1)[-1].removesuffix(".json"))
        except TimbreError:
            continue
        sources.add(manifest.source)
        if manifest.recordings:
            recordings.add(manifest.recordings)
    for key in stage_records(registry.store):
        try:
            found = read_folder(registry.store, key)
        except TimbreError:
            continue
        if found and found[0].get("voice") == voice and found[0].get("recordings"):
            recordings.add(str(found[0]["recordings"]))
    return recordings, sources


def _shares(registry: Registry, name: str, recordings: set[str], sources: set[str]) -> bool:
    its_recordings, its_sources = _made_of(registry, name)
    return bool(its_recordings & recordings or its_sources & sources)


def _is_live(registry: Registry, voice: str) -> bool:
    """Whether a voice speaks or waits to: everything but a retired or revoked one."""
    if registry.tombstone(voice) is not None:
        return False
    aliases = [key.rsplit("/", 1)[-1].removesuffix(".json") for key in registry.store.list(f"voices/{voice}/aliases/")]
    states = [registry.alias(voice, alias) for alias in aliases]
    return not states or any(state is not None and state.version is not None for state in states)


def _store(registry: Registry, found: Certificate) -> None:
    body = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(found).items()}
    key = f"voices/{found.voice}/certificates/{digest_value(body)[:16]}.json"
    registry.store.put_if_absent(key, seal(key, body))
