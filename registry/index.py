"""An index of a remote registry: copies of the aliases' records, and a mark of each voice that changes with it.

listing with tags of voices/NAME/ -> mark; aliases with their tags -> index/<0..f>.json, by the digest of the name

It saves requests and decides nothing. A copy counts only under the tag that the store's own listing gives for the
record now, and only if it passes every check that the record itself has to pass; a mark only says which voice to read
again before all are read again. An index that is missing, old, damaged or forged therefore costs time. Writers bring
it up to date after what they wrote, under compare-and-swap; one that dies before leaves it to the next.

Stores whose listings have no tags (a folder, the Hub) have no index.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from timbre.core.digests import digest_bytes, digest_value
from timbre.core.errors import TimbreError
from timbre.core.voice_names import is_voice_name
from timbre.registry import packs
from timbre.registry.errors import CorruptError
from timbre.registry.packs import Copy, has_tags, may_write, there
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store, Stored, side_by_side, tags_below

AREA = "index/"
_ATTEMPTS = 5
_LOG = logging.getLogger("timbre.registry")


@dataclass(frozen=True)
class Entry:
    """One voice."""

    mark: str = ""
    """Changes with every object of the voice."""
    aliases: Mapping[str, Copy] = field(default_factory=dict)
    """Key -> copy."""


def shard_key(voice: str) -> str:
    """Where a voice stands: sixteen objects, so that writers of different voices seldom wait for each other."""
    return f"{AREA}{digest_bytes(voice.encode())[0]}.json"


def read_shards(store: Store, keys: Iterable[str]) -> dict[str, dict[str, Entry]]:
    """Key -> voice -> entry of those shards that can be read and believed."""

    def read(key: str) -> dict[str, Entry] | None:
        try:
            stored = store.get(key)
            return _parse(key, stored.data) if stored is not None else None
        except TimbreError as error:
            _LOG.warning("an index is not used", extra={"reason": error.message})
            return None

    wanted = list(keys)
    found = zip(wanted, side_by_side(store, read, wanted), strict=True)
    return {key: entries for key, entries in found if entries is not None}


def note(store: Store, voice: str) -> bool:
    """Brings the index, and the pack of the voice (packs.py), up to date with a voice; False when the index was left as
    it is. Raises nothing: what was written counts without it.
    """
    if not has_tags(store):
        return False
    with ThreadPoolExecutor(1) as beside:
        beside.submit(packs.note, store, voice)
        return _note(store, voice)


def _note(store: Store, voice: str) -> bool:
    key = shard_key(voice)
    try:
        for _ in range(_ATTEMPTS):
            stored = there(store, key)
            before = _entries(key, stored)
            entry = _made(store, tags_below(store, f"voices/{voice}/") or {}, before.get(voice))
            if entry == before.get(voice):
                return False
            if not may_write(store, _copies([entry])):
                store.delete(key)
                return False
            if _write(store, key, stored, {**before, voice: entry}):
                return True
    except TimbreError as error:
        _LOG.warning("the index is not up to date", extra={"reason": error.message})
    return False


def rebuild(store: Store) -> int:
    """Brings the whole index up to date, and makes packs that are missing; the number of objects of the index that were
    written: 0 also for a store that has none, and for who cannot sign it. Raises what the store raises.
    """
    if not has_tags(store):
        return 0
    waiting, written = {f"{AREA}{digit:x}.json" for digit in range(16)}, 0
    for _ in range(_ATTEMPTS):
        # Read before the listing: a voice that is written meanwhile changes its shard, and this one loses.
        shards = {key: there(store, key) for key in sorted(waiting)}
        voices = _by_voice(store)
        for key, stored in shards.items():
            before = _entries(key, stored)
            new = {
                name: _made(store, tags, before.get(name)) for name, tags in voices.items() if shard_key(name) == key
            }
            if not may_write(store, _copies(new.values())):
                return written
            if new != before:
                if not _write(store, key, stored, new):
                    continue
                written += 1
            waiting.discard(key)
        if not waiting:
            break
    packs.complete(store, _by_voice(store))
    return written


def problems(store: Store) -> list[tuple[str, str]]:
    """(key, what is wrong): shards that cannot be believed, and copies that differ from their records although the
    store gives both the same tag. One that is merely old is no problem.
    """
    tags = tags_below(store, AREA) or {}
    found = []
    for key in tags:
        try:
            stored = store.get(key)
            entries = _parse(key, stored.data) if stored is not None else {}
            for where, copy in (item for entry in entries.values() for item in entry.aliases.items()):
                record = store.get(where)
                if record is not None and record.tag == copy.tag and record.data != copy.data:
                    found.append((key, f"its copy of {where} is not that record"))
        except TimbreError as error:
            found.append((key, error.message))
    return found


def _write(store: Store, key: str, stored: Stored | None, entries: Mapping[str, Entry]) -> bool:
    """False when another writer was first."""
    data = seal(key, {"voices": {name: _plain(entry) for name, entry in entries.items()}})
    if stored is None:
        return store.put_if_absent(key, data)
    return store.replace_if(key, data, stored.tag) is not None


def _entries(key: str, stored: Stored | None) -> dict[str, Entry]:
    try:
        return _parse(key, stored.data) if stored is not None else {}
    except CorruptError:
        return {}


def _copies(entries: Iterable[Entry]) -> Iterator[bytes]:
    return (copy.data for entry in entries for copy in entry.aliases.values())


def _made(store: Store, tags: Mapping[str, str], before: Entry | None) -> Entry:
    copies: dict[str, Copy] = {}
    for key, tag in tags.items():
        if key.split("/")[2] != "aliases":
            continue
        known = before.aliases.get(key) if before is not None else None
        if known is not None and known.tag == tag:
            copies[key] = known
            continue
        stored = store.get(key)
        if stored is not None:
            copies[key] = Copy(stored.tag, stored.data)
    return Entry(digest_value(sorted(tags.items()))[:16], copies)


def _by_voice(store: Store) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, tag in (tags_below(store, "voices/") or {}).items():
        voice = key.split("/")[1]
        if is_voice_name(voice) and key.count("/") > 1:
            found.setdefault(voice, {})[key] = tag
    return found


def _parse(key: str, data: bytes) -> dict[str, Entry]:
    """Raises CorruptError."""
    body = unseal(key, data)
    try:
        return {
            str(voice): Entry(
                str(entry["mark"]),
                {str(where): Copy(str(tag), str(text).encode()) for where, (tag, text) in entry["aliases"].items()},
            )
            for voice, entry in body["voices"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptError(f"registry: {key}: {error}", "rebuild it with: timbre registry gc") from error


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "mark": entry.mark,
        "aliases": {key: [copy.tag, copy.data.decode()] for key, copy in entry.aliases.items()},
    }
