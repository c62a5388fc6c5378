"""What the registry says of each voice, read at every look and never during a request.

store keys below voices/ -> names, versions, tombstones -> alias records -> a Listing a voice
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from timbre.core.errors import ConfigurationError, InfrastructureError, InputError
from timbre.registry import chain
from timbre.registry.aliases import Alias, parse_alias, read_tagged
from timbre.registry.errors import CorruptError, NewerSchemaError
from timbre.registry.index import AREA, Entry, read_shards, shard_key
from timbre.registry.local_store import Mark
from timbre.registry.names import PRODUCTION, alias_key, check_alias, check_version, check_voice
from timbre.registry.packs import has_tags
from timbre.registry.registry import Registry
from timbre.registry.store import Store, side_by_side, tags_below

WHOLE_S = 30.0
"""Seconds between two whole readings of a store that is followed in between, by its index or its marks."""
_FEW = 64
TICK_S = 3.0
"""Coarsest clock of a file system, with something added: until then a folder's mark may stand for two changes."""


@dataclass(frozen=True)
class Listing:
    """One voice of the registry."""

    name: str
    """Name of the voice, without version or alias."""
    versions: frozenset[str] = frozenset()
    """Ids, unordered."""
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    """Name -> its record."""
    revoked: Mapping[str, Any] | None = None
    """The tombstone, or None."""
    problem: str = ""
    """Why records of this voice could not be read, empty when they could."""

    @property
    def retired(self) -> Alias | None:
        """The record that took the voice out of service, or None."""
        state = self.aliases.get(PRODUCTION)
        return state if state is not None and state.version is None else None


@dataclass
class _Keys:
    versions: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    """Name -> tag, "" where the store's listings have none."""
    events: set[str] = field(default_factory=set)
    links: int = 0
    revoked: bool = False


class Catalogue:
    """Reads the voices of a registry again and again; not thread-safe.

    A store whose listings have tags, and a folder, are read whole at first and every whole_s seconds. In between they
    are read only as far as the index (registry/index.py) or the folder's marks (LocalStore.marks) say that something
    changed; records whose tag did not change are not read again.
    """

    def __init__(
        self, registry: Registry, *, whole_s: float = WHOLE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry, self._whole_s, self._clock = registry, whole_s, clock
        self._known: dict[str, tuple[str, Alias]] = {}
        self._index: dict[str, str] = {}
        self._unread = set[str]()
        self._entries: dict[str, Entry] = {}
        self._marks: dict[str, Mark] = {}
        self._unsettled: dict[str, float] = {}
        self._due = set[str]()
        self._whole_at: float | None = None
        self._begun: Future[dict[str, Listing]] | None = None

    def begin(self) -> None:
        """Starts the first reading in a thread of its own; the first read() takes what it finds, or raises what it
        raised. To be called once, before any read().
        """
        begun = self._begun = Future[dict[str, Listing]]()

        def run() -> None:
            try:
                begun.set_result(self._read({}))
            except BaseException as error:
                begun.set_exception(error)

        # A daemon: a store that never answers must not keep a server from ending.
        threading.Thread(target=run, name="first-reading", daemon=True).start()

    def read(self, before: Mapping[str, Listing]) -> dict[str, Listing]:
        """All voices. before: the last result; a voice with damaged records keeps its last good state.

        Raises InfrastructureError when the store cannot be read, and when it suddenly holds no voice at all: an empty
        mount looks like that, and must not silence every voice.
        """
        begun, self._begun = self._begun, None
        return self._read(before) if begun is None else begun.result()

    def _read(self, before: Mapping[str, Listing]) -> dict[str, Listing]:
        # Index or marks before what they speak of, so that what changes in between is seen as a change the next time.
        marked = hasattr(self._registry.store, "marks") and not has_tags(self._registry.store)
        changed = self._follow_marks() if marked else self._follow_index()
        first = self._whole_at is None
        if changed is None:
            self._whole_at = None
        # Kept until it was read: the store may fail now.
        self._due |= changed or set()
        if before and self._whole_at is not None and self._clock() - self._whole_at < self._whole_s:
            again = self._due | {name for name, listing in before.items() if listing.problem}
            if len(again) <= max(_FEW, len(before) // 2):
                found = self._partly(before, again) if again else dict(before)
                self._due = set()
                return found
        found = self._whole(before)
        # Counted from its end: where reading everything takes long, it must not be all that is done. A first reading of
        # a folder is repeated soon, since its marks may stand for changes within the same tick.
        self._whole_at = self._clock() - (self._whole_s - TICK_S if marked and first else 0.0)
        self._due = set()
        return found

    def _follow_marks(self) -> set[str] | None:
        """Voices that changed since the last call, in a folder; None when voices are gone, and at first.

        What changed stays in doubt for TICK_S: a second change within one tick of the clock leaves the same mark.
        """
        now, before = self._clock(), self._marks
        self._marks = self._registry.store.marks("voices/", "aliases")  # type: ignore[attr-defined]
        if not before or before.keys() - self._marks.keys():
            return None
        self._unsettled |= {name: now for name, mark in self._marks.items() if mark != before.get(name)}
        changed = set(self._unsettled)
        self._unsettled = {name: since for name, since in self._unsettled.items() if now - since < TICK_S}
        return changed

    def _follow_index(self) -> set[str] | None:
        """Voices of which the index says that they changed since the last call; None when it does not tell."""
        shards = tags_below(self._registry.store, AREA) or {}
        stale = [key for key, tag in shards.items() if self._index.get(key) != tag]
        readable = read_shards(self._registry.store, stale)
        entries = {name: entry for name, entry in self._entries.items() if shard_key(name) in shards.keys() - stale}
        entries |= {name: entry for found in readable.values() for name, entry in found.items()}
        changed = {
            name for name in self._entries.keys() | entries.keys() if self._entries.get(name) != entries.get(name)
        }
        gone = self._index.keys() - shards.keys()
        self._unread = (self._unread | set(stale)) - readable.keys() - gone
        self._index, self._entries = shards, entries
        return None if gone or self._unread or not shards else changed

    def _whole(self, before: Mapping[str, Listing]) -> dict[str, Listing]:
        # The witness before the registry, and once for all voices: see chain.recorded.
        told = self._witnessed()
        found = _sorted_in(self._registry.store, "voices/")
        if before and not found:
            raise InfrastructureError(
                f"registry {self._registry.store.url}: it holds no voice any more, {len(before)} before",
                "check that it is mounted; the voices in memory keep speaking",
            )
        names = sorted(found)
        listings = side_by_side(
            self._registry.store,
            lambda name: self._listing(name, found[name], before.get(name), told.get(name, 0)),
            names,
        )
        return dict(zip(names, listings, strict=True))

    def _partly(self, before: Mapping[str, Listing], names: set[str]) -> dict[str, Listing]:
        found = dict(before)
        for name in sorted(names):
            try:
                check_voice(name)
            except InputError:
                continue
            told = self._witnessed(name)
            keys = _sorted_in(self._registry.store, f"voices/{name}/").get(name)
            if keys is not None:
                found[name] = self._listing(name, keys, before.get(name), told.get(name, 0))
        return found

    def _witnessed(self, name: str = "") -> dict[str, int]:
        witness = self._registry.witness
        return (
            chain.witnessed_numbers(witness, name)
            if witness is not None and chain.is_chained(self._registry.store)
            else {}
        )

    def _listing(self, name: str, keys: _Keys, before: Listing | None, told: int) -> Listing:
        registry = self._registry
        if keys.revoked:
            # A tombstone that cannot be read silences the voice all the same.
            try:
                mark = registry.tombstone(name)
            except (CorruptError, NewerSchemaError):
                mark = None
            return Listing(name, frozenset(keys.versions), {}, mark or {"time": "", "actor": "", "reason": ""})
        recorded, wanted = None, set(keys.aliases)
        if chain.is_chained(registry.store):
            recorded = chain.Recorded(frozenset(keys.events), keys.links, told)
            # An alias that somebody took away is asked for too: the history still names its moves.
            wanted |= {PRODUCTION, *(before.aliases if before is not None else ())}
        try:
            states = {
                alias: self._alias(name, alias, keys.aliases.get(alias, ""), recorded) for alias in sorted(wanted)
            }
        except (CorruptError, ConfigurationError) as error:
            kept = before.aliases if before is not None else {}
            return Listing(name, frozenset(keys.versions), kept, None, error.message)
        return Listing(name, frozenset(keys.versions), {alias: state for alias, state in states.items() if state})

    def _alias(self, name: str, alias: str, tag: str, recorded: chain.Recorded | None) -> Alias | None:
        """An alias's state: what was read before under the tag that it has now, else the index's copy under that tag,
        else the record. What the checks do not let pass is read from the record, which then decides.
        """
        store, key = self._registry.store, alias_key(name, alias)
        found = self._known.get(key) if tag else None
        state = found[1] if found is not None and found[0] == tag else None
        try:
            state = state or self._copied(name, key, tag)
            if state is not None:
                _require_newest(store.url, state, recorded)
                self._known[key] = tag, state
                return state
        except (CorruptError, NewerSchemaError):
            pass
        read = read_tagged(store, name, alias)
        if recorded is not None:
            chain.refuse_older_state(store.url, name, alias, read[0].generation if read else 0, recorded)
        if read is None:
            return None
        self._known[key] = read[1], read[0]
        return read[0]

    def _copied(self, name: str, key: str, tag: str) -> Alias | None:
        """What the index's copy of a record says, checked as the record is; None without one under this tag."""
        store, entry = self._registry.store, self._entries.get(name)
        copy = entry.aliases.get(key) if entry is not None else None
        if copy is None or not tag or copy.tag != tag:
            return None
        if (check := getattr(store, "check", None)) is not None:
            check(key, copy.data)
        state = parse_alias(key, copy.data)
        if (keep := getattr(store, "keep", None)) is not None:
            keep(key, copy.data)
        return state


def read_catalogue(registry: Registry, before: Mapping[str, Listing]) -> dict[str, Listing]:
    """All voices of a registry, read once. Otherwise as Catalogue.read."""
    return Catalogue(registry).read(before)


def _require_newest(url: str, state: Alias, recorded: chain.Recorded | None) -> None:
    if recorded is not None:
        chain.refuse_older_state(url, state.voice, state.alias, state.generation, recorded)


def _sorted_in(store: Store, prefix: str) -> dict[str, _Keys]:
    found: dict[str, _Keys] = {}
    tags = tags_below(store, prefix)
    for key in tags if tags is not None else store.list(prefix):
        _sort_in(key.split("/")[1:], found, tags[key] if tags is not None else "")
    return found


def _sort_in(parts: list[str], found: dict[str, _Keys], tag: str) -> None:
    """Files one key under its voice; keys that are no part of the format are left alone."""
    try:
        keys = found.get(parts[0])
        if keys is None:
            keys = found.setdefault(check_voice(parts[0]), _Keys()) if len(parts) > 1 else _Keys()
        if parts[1:] == ["revoked.json"]:
            keys.revoked = True
        elif len(parts) == 3 and parts[2].endswith(".json"):
            name = parts[2].removesuffix(".json")
            if parts[1] == "versions":
                keys.versions.add(check_version(name))
            elif parts[1] == "aliases":
                keys.aliases[check_alias(name)] = tag
            elif parts[1] == "events":
                keys.events.add(parts[2])
            elif parts[1] == "chain":
                keys.links += 1
    except InputError:
        return
