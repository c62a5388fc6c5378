"""Copies between registries: a mirror that follows, a backup that is complete, and its restoration.

Objects are copied in the order in which a registry writes them (blobs, bases, manifests, events, then aliases), so that
a copy that is broken off never shows a version without its files, and resumes where it stopped. Every blob is checked
against its digest on the way. Data keys are not copied: what is encrypted stays readable only where its key is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from timbre.core.digests import digest_bytes
from timbre.core.errors import CheckFailedError, InputError
from timbre.registry import index, packs
from timbre.registry.aliases import read_alias
from timbre.registry.errors import CorruptError
from timbre.registry.file_set import read_folder
from timbre.registry.manifest import Manifest
from timbre.registry.names import blob_key, check_voice, tombstone_key, version_key
from timbre.registry.policy import KEY as POLICY
from timbre.registry.records import seal, unseal
from timbre.registry.registry import Registry
from timbre.registry.revocation import remove_followed
from timbre.registry.signing import COUNTERSIGNED, SignedStore, is_signed_key
from timbre.registry.store import Store, Stored

BACKUP = "backup.json"
Progress = Callable[[int, int], None]


@dataclass
class Copied:
    """What a mirror, backup or restore copied."""

    copied: int = 0
    """Objects written."""
    present: int = 0
    """Objects that were there already."""
    size_bytes: int = 0
    """Of the objects written."""
    revoked: list[str] = field(default_factory=list)
    """Voices whose revocation was followed."""
    left: dict[str, str] = field(default_factory=dict)
    """Keys that were not copied because the target is ahead or the source has no sound copy, with why."""


def sync(source: Store, target: Store, voices: Sequence[str] = (), progress: Progress | None = None) -> Copied:
    """Brings target up to source: all voices with the exported bases, or those named with the bases they speak with.

    Aliases move when the source's generation is higher; a revocation removes the voice's files from the target too.
    Running it again copies what is missing. Raises what the stores raise.
    """
    done = Copied()
    known = Registry(source).voices()
    for voice in voices:
        if check_voice(voice) not in known:
            raise InputError(f"{source.url}: no voice {voice!r}", f"it has: {', '.join(known) or 'none'}")
    there = set(target.list("blobs/"))
    # First, so that nothing revoked is published at the target meanwhile.
    for key in source.list("revoked/"):
        _copy(source, target, key, done)
    names = list(voices) or known
    bases: set[str] = set()
    copied: dict[str, int] = {}
    for number, voice in enumerate(names):
        if progress is not None:
            progress(number, len(names))
        copied[voice] = -done.copied
        if source.get(tombstone_key(voice)) is not None:
            _follow_revocation(source, target, voice, there, done)
        else:
            for key in source.list(f"voices/{voice}/versions/"):
                manifest = _copy_version(source, target, key, there, done)
                bases |= {manifest.base_digest} if manifest is not None else set()
        copied[voice] += done.copied
    for key in source.list("bases/"):
        if voices and key.split("/")[1] not in bases:
            continue
        found = read_folder(source, key)
        if found is not None and _copy_blobs(source, target, (entry.sha256 for entry in found[1]), there, done):
            _copy(source, target, key, done)
    for voice in names:
        before = done.copied
        if voice not in done.revoked:
            _follow(source, target, voice, there, done)
        if copied[voice] or done.copied > before:
            index.note(target, voice)
    return done


def back_up(source: Store, target: Store, time: str, progress: Progress | None = None) -> Copied:
    """A copy of the whole registry in an empty store, sealed by a list of all objects with their digests, written last.

    Raises InputError when target holds something else, CheckFailedError when something could not be copied.
    """
    if target.get(BACKUP) is not None:
        raise InputError(f"{target.url}: holds a finished backup", "name an empty folder or prefix")
    done = sync(source, target, progress=progress)
    if source.get(POLICY) is not None:
        _copy(source, target, POLICY, done)
    if done.left:
        key, why = next(iter(done.left.items()))
        text = f"backup of {source.url}: {len(done.left)} objects left out: {key}: {why}"
        raise CheckFailedError(text, "run: timbre verify")
    copies = (index.AREA, packs.AREA)
    listed = {key: digest_bytes(_bytes(target, key)) for key in target.list("") if not key.startswith(copies)}
    target.put_if_absent(BACKUP, seal(BACKUP, {"time": time, "source": source.url, "objects": listed}))
    return done


def restore(backup: Store, target: Store, progress: Progress | None = None) -> Copied:
    """Copies a finished backup into an empty store, every object checked against the backup's list.

    Raises InputError without a finished backup or when target holds voices, CorruptError when an object of the backup
    is missing or changed: found before anything is written.
    """
    stored = backup.get(BACKUP)
    if stored is None:
        raise InputError(f"{backup.url}: no finished backup ({BACKUP} is missing)", "name a backup that was finished")
    listed: dict[str, str] = unseal(BACKUP, stored.data)["objects"]
    if any(key not in listed for key in target.list("voices/")):
        raise InputError(f"{target.url}: holds voices already", "restore into an empty store, then sync what is newer")
    for key, digest in listed.items():
        found = backup.get(key)
        if found is None or digest_bytes(found.data) != digest:
            raise CorruptError(f"{backup.url}: {key} is missing or changed", "use another backup")
    done = Copied()
    order = sorted(listed, key=lambda key: (_rank(key), key))
    for number, key in enumerate(order):
        if progress is not None:
            progress(number, len(order))
        _copy(backup, target, key, done)
    index.rebuild(target)
    return done


def _rank(key: str) -> int:
    """The order in which a registry writes: files first, versions, aliases, then events and the links over them."""
    kinds = ("/aliases/", "/events/", "/chain/")
    found = next((number for number, kind in enumerate(kinds, 2) if kind in key), 0)
    return found if found else int(key.startswith("voices/"))


def _follow_revocation(source: Store, target: Store, voice: str, there: set[str], done: Copied) -> None:
    done.revoked.append(voice)
    key = tombstone_key(voice)
    _copy(source, target, key, done)
    remove_followed(Registry(target), voice, there)
    for name in source.list(f"voices/{voice}/versions/"):
        _copy(source, target, name, done)
    _follow(source, target, voice, set(), done)


def _follow(source: Store, target: Store, voice: str, there: set[str], done: Copied) -> None:
    """Aliases, then events, then the links over them, as a registry writes them: whatever is broken off, no alias is
    older than its events. What is listed first can only name less than what is read afterwards.
    """
    links = list(source.list(f"voices/{voice}/chain/"))
    events = list(source.list(f"voices/{voice}/events/"))
    if source.get(countersigned := f"{COUNTERSIGNED}{voice}.json") is not None:
        _copy(source, target, countersigned, done)
    for key in source.list(f"voices/{voice}/aliases/"):
        if not _move(source, target, voice, key, there, done):
            return
    for key in (*source.list(f"voices/{voice}/certificates/"), *events, *links):
        _copy(source, target, key, done)


def _copy_version(source: Store, target: Store, key: str, there: set[str], done: Copied) -> Manifest | None:
    """Files, then the manifest; None when the source has no sound copy of them."""
    manifest = _manifest(source, key, done)
    if manifest is None:
        return None
    if not _copy_blobs(source, target, (entry.sha256 for entry in manifest.files), there, done):
        done.left[key] = "a file of it is missing or damaged at the source"
        return None
    _copy(source, target, key, done)
    return manifest


def _written_as_is(target: Store, key: str, data: bytes) -> Store:
    """Where a record is written with the signature that it has: a mirror needs no key, and its bytes are the source's.

    Raises CorruptError when those who read the target would not trust it.
    """
    if not isinstance(target, SignedStore):
        return target
    if is_signed_key(key):
        target.check(key, data)
    return target.inner


def _manifest(source: Store, key: str, done: Copied) -> Manifest | None:
    try:
        return Manifest.from_body(unseal(key, _bytes(source, key)))
    except CorruptError as error:
        done.left[key] = error.message
        return None


def _copy_blobs(source: Store, target: Store, digests: Iterable[str], there: set[str], done: Copied) -> bool:
    """False when one is missing or damaged at the source."""
    for digest in digests:
        key = blob_key(digest)
        if key in there:
            done.present += 1
            continue
        found = source.get(key)
        if found is None or digest_bytes(found.data) != digest:
            done.left[key] = "missing or damaged at the source"
            return False
        target.put_if_absent(key, found.data)
        back = target.get(key)
        if back is None or digest_bytes(back.data) != digest:
            raise CorruptError(f"{target.url}: {key} does not come back as it was stored", "check that store's disk")
        there.add(key)
        done.copied += 1
        done.size_bytes += len(found.data)
    return True


def _copy(source: Store, target: Store, key: str, done: Copied) -> None:
    present = target.get(key)
    data = _bytes(source, key)
    if present is not None:
        done.present += 1
        if present.data != data and not _signed_again(target, key, present, data, done):
            done.left[key] = "the target holds another object under this key"
        return
    _written_as_is(target, key, data).put_if_absent(key, data)
    done.copied += 1
    done.size_bytes += len(data)


def _signed_again(target: Store, key: str, present: Stored, data: bytes, done: Copied) -> bool:
    """Whether a record says the same under another signature (renewal.py), or is a list of what counts without one;
    it then replaces the target's.
    """
    if not is_signed_key(key):
        return False
    try:
        same = key.startswith(COUNTERSIGNED) or unseal(key, present.data) == unseal(key, data)
    except CorruptError:
        return False
    if not same or _written_as_is(target, key, data).replace_if(key, data, present.tag) is None:
        return False
    done.copied += 1
    return True


def _move(source: Store, target: Store, voice: str, key: str, there: set[str], done: Copied) -> bool:
    """False when the version that the alias points to cannot be copied, so that its events must not come either."""
    name = key.rsplit("/", 1)[-1].removesuffix(".json")
    new, old, stored = read_alias(source, voice, name), read_alias(target, voice, name), target.get(key)
    if new is None:
        return True
    if new.version and voice not in done.revoked:
        version = version_key(voice, new.version)
        # It may have moved to a version that was published since this copy began.
        if target.get(version) is None and _copy_version(source, target, version, there, done) is None:
            done.left[key] = f"its version {new.version} could not be copied"
            return False
    if old is None or stored is None or new == old:
        _copy(source, target, key, done)
    elif new.generation <= old.generation:
        done.left[key] = f"the target is at generation {old.generation}, the source at {new.generation}"
    elif _written_as_is(target, key, data := _bytes(source, key)).replace_if(key, data, stored.tag):
        done.copied += 1
    else:
        done.left[key] = "another writer moved it meanwhile"
    return True


def _bytes(store: Store, key: str) -> bytes:
    found = store.get(key)
    if found is None:
        raise CorruptError(f"{store.url}: {key} went away while it was copied", "run the command again")
    return found.data


def plain(done: Copied) -> str:
    """The result as JSON."""
    return json.dumps(done.__dict__, indent=2)
