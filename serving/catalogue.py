"""What the registry says of each voice, read at every look and never during a request.

store keys below voices/ -> names, versions, tombstones -> alias records -> a Listing a voice
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timbre.core.errors import ConfigurationError, InfrastructureError, InputError
from timbre.registry import chain
from timbre.registry.aliases import Alias
from timbre.registry.errors import CorruptError, NewerSchemaError
from timbre.registry.names import PRODUCTION, check_alias, check_version, check_voice
from timbre.registry.registry import Registry
from timbre.registry.store import side_by_side


@dataclass(frozen=True)
class Listing:
    """One voice of the registry."""

    name: str
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
    aliases: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    links: int = 0
    revoked: bool = False


def read_catalogue(registry: Registry, before: Mapping[str, Listing]) -> dict[str, Listing]:
    """All voices of a registry. before: the last result; a voice whose records are damaged now keeps what was known.

    Raises InfrastructureError when the store cannot be read, and when it suddenly holds no voice at all: an empty
    mount looks like that, and must not silence every voice.
    """
    found: dict[str, _Keys] = {}
    # Before the registry, and once for all voices: see chain.recorded.
    chained = chain.is_chained(registry.store)
    told = chain.heads_told(registry.witness) if chained and registry.witness is not None else {}
    for key in registry.store.list("voices/"):
        _sort_in(key.split("/")[1:], found)
    if before and not found:
        raise InfrastructureError(
            f"registry {registry.store.url}: it holds no voice any more, {len(before)} before",
            "look whether it is mounted; the voices in memory keep speaking",
        )
    names = sorted(found)
    listings = side_by_side(
        registry.store, lambda name: _listing(registry, name, found[name], before.get(name), told.get(name, 0)), names
    )
    return dict(zip(names, listings, strict=True))


def _sort_in(parts: list[str], found: dict[str, _Keys]) -> None:
    """Files one key under its voice; keys that are no part of the format are left alone."""
    try:
        keys = found.setdefault(check_voice(parts[0]), _Keys()) if len(parts) > 1 else _Keys()
        if parts[1:] == ["revoked.json"]:
            keys.revoked = True
        elif len(parts) == 3 and parts[2].endswith(".json"):
            name = parts[2].removesuffix(".json")
            if parts[1] == "versions":
                keys.versions.add(check_version(name))
            elif parts[1] == "aliases":
                keys.aliases.add(check_alias(name))
            elif parts[1] == "events":
                keys.events.add(parts[2])
            elif parts[1] == "chain":
                keys.links += 1
    except InputError:
        return


def _listing(registry: Registry, name: str, keys: _Keys, before: Listing | None, told: int) -> Listing:
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
        states = {alias: registry.alias(name, alias, recorded) for alias in sorted(wanted)}
    except (CorruptError, ConfigurationError) as error:
        kept = before.aliases if before is not None else {}
        return Listing(name, frozenset(keys.versions), kept, None, error.message)
    return Listing(name, frozenset(keys.versions), {alias: state for alias, state in states.items() if state})
