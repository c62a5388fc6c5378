"""Packs: copies of a voice's events, links and manifests in one object, so that its history is two requests to a bucket
and not one a record.

listing with tags of voices/NAME/ + packs/NAME.json -> records of the voice

A pack saves requests and decides nothing, like the index (index.py): the store's listing says which records there are,
a copy counts only under the tag that this listing gives for its record, and only if it passes the check of signatures
that the record has to pass. Every other record is read itself. A pack that is missing, old, damaged or forged therefore
costs time. Writers bring it up to date after what they wrote, under compare-and-swap.

Stores whose listings have no tags (a folder, the Hub) have no packs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from timbre.core.errors import TimbreError
from timbre.core.voice_names import is_voice_name
from timbre.registry.errors import CorruptError
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store, Stored, side_by_side, tags_below

AREA = "packs/"
_FOLDERS = ("chain", "events", "versions")
_ATTEMPTS = 5
_LOG = logging.getLogger("timbre.registry")


@dataclass(frozen=True)
class Copy:
    """A record as it was when the store gave it this tag."""

    tag: str
    """As the store's listing gives it; another one makes the copy void."""
    data: bytes
    """The sealed record, byte for byte."""


def pack_key(voice: str) -> str:
    """Where the copies of a voice's records lie."""
    return f"{AREA}{voice}.json"


def has_tags(store: Store) -> bool:
    """Whether a store's listings have tags, so that it can have packs and an index."""
    return hasattr(store, "tagged")


class View:
    """A voice's records as one listing names them: the verbs of a store that read, over copies where these count."""

    def __init__(self, store: Store, tags: Mapping[str, str], copies: Mapping[str, Copy]) -> None:
        self._store, self._tags, self._copies = store, tags, copies
        # Without a record to ask for, threads would only cost time: see store.side_by_side.
        self.nearby = all(self._copy(key) is not None for key in tags if _is_packed(key))

    @property
    def url(self) -> str:
        """The store's."""
        return self._store.url

    def list(self, prefix: str) -> Iterator[str]:
        """Keys below a prefix of the voice, as they were listed."""
        return (key for key in self._tags if key.startswith(prefix))

    def get(self, key: str) -> Stored | None:
        """A record: the copy under the tag that was listed, else what the store holds. Raises as the store's `get`."""
        copy = self._copy(key)
        if copy is not None:
            try:
                if (check := getattr(self._store, "check", None)) is not None:
                    check(key, copy.data)
                return Stored(copy.data, copy.tag)
            except CorruptError:
                pass
        return self._store.get(key)

    def _copy(self, key: str) -> Copy | None:
        copy = self._copies.get(key)
        return copy if copy is not None and copy.tag and copy.tag == self._tags.get(key) else None


def view(store: Store, voice: str) -> Store:
    """What reads a voice's records with the fewest requests: a View, the store itself where listings have no tags."""
    if not has_tags(store):
        return store
    # Either may be the older one: a copy counts only under the tag that is listed.
    with ThreadPoolExecutor(1) as beside:
        copies = beside.submit(_read, store, voice)
        tags = tags_below(store, f"voices/{voice}/") or {}
    return cast("Store", View(store, tags, copies.result()))


def note(store: Store, voice: str) -> bool:
    """Brings a voice's pack up to date; False when it was left as it is. Raises nothing: what was written counts
    without it.
    """
    if not has_tags(store):
        return False
    key = pack_key(voice)
    try:
        for _ in range(_ATTEMPTS):
            # Read before the listing: of two writers the one that listed first loses.
            stored = there(store, key)
            before = _believed(key, stored)
            tags = tags_below(store, f"voices/{voice}/") or {}
            new = _made(store, {name: tag for name, tag in tags.items() if _is_packed(name)}, before)
            if new == before or not may_write(store, (copy.data for copy in new.values())):
                return False
            data = seal(key, {"records": {name: [copy.tag, copy.data.decode()] for name, copy in new.items()}})
            if stored is None:
                written = store.put_if_absent(key, data)
            else:
                written = store.replace_if(key, data, stored.tag) is not None
            if written:
                return True
    except (TimbreError, UnicodeDecodeError) as error:
        _LOG.warning("a pack is not up to date", extra={"reason": str(error)})
    return False


def complete(store: Store, voices: Iterable[str]) -> int:
    """Makes the packs of voices that have none; how many were made."""
    packed = set(store.list(AREA))
    return sum(note(store, voice) for voice in voices if pack_key(voice) not in packed)


def problems(store: Store) -> list[tuple[str, str]]:
    """(key, what is wrong): packs that cannot be believed, and copies that are no records of the registry. A pack that
    is merely old is no problem.
    """
    found = []
    for key in store.list(AREA):
        try:
            stored = store.get(key)
            for name, copy in (_parse(key, stored.data) if stored is not None else {}).items():
                if (check := getattr(store, "check", None)) is not None:
                    check(name, copy.data)
                unseal(name, copy.data)
        except TimbreError as error:
            found.append((key, error.message))
    return found


def may_write(store: Store, copies: Iterable[bytes]) -> bool:
    """Whether readers would believe copies that are written here: not without a key where records are signed (a
    mirror).
    """
    if getattr(store, "signs", False):
        return bool(getattr(store, "can_sign", False))
    return not any(b'"signature"' in data for data in copies)


def there(store: Store, key: str) -> Stored | None:
    """An object of copies; one whose signature cannot be believed is removed, and None."""
    try:
        return store.get(key)
    except CorruptError:
        store.delete(key)
        return None


def _is_packed(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 4 and parts[2] in _FOLDERS


def _made(store: Store, tags: Mapping[str, str], before: Mapping[str, Copy]) -> dict[str, Copy]:
    new = {name: before[name] for name, tag in tags.items() if name in before and before[name].tag == tag}
    missing = [name for name in tags if name not in new]
    for name, found in zip(missing, side_by_side(store, store.get, missing), strict=True):
        if found is not None:
            new[name] = Copy(found.tag, found.data)
    return new


def _believed(key: str, stored: Stored | None) -> dict[str, Copy]:
    try:
        return _parse(key, stored.data) if stored is not None else {}
    except CorruptError:
        return {}


def _read(store: Store, voice: str) -> dict[str, Copy]:
    """Copies of a voice's records; none of a pack that cannot be read and believed."""
    if not is_voice_name(voice):
        return {}
    key = pack_key(voice)
    try:
        stored = store.get(key)
        return _parse(key, stored.data) if stored is not None else {}
    except TimbreError as error:
        _LOG.warning("a pack is not used", extra={"reason": error.message})
        return {}


def _parse(key: str, data: bytes) -> dict[str, Copy]:
    """Raises CorruptError."""
    body = unseal(key, data)
    try:
        return {str(name): Copy(str(tag), str(text).encode()) for name, (tag, text) in body["records"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptError(f"registry: {key}: {error}", "remove it; the next writer makes it again") from error
