"""Aliases: the only mutable objects. They move by compare-and-swap and carry their own last move.

The record of the move is inside the alias, its event is written right after. The next move of the alias writes a
missing event first, so the history has no holes even when a process died in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.registry.actor import CLAIMED
from timbre.registry.errors import ConflictError, CorruptError
from timbre.registry.events import Act, Event, append, plain
from timbre.registry.names import alias_key
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store


@dataclass(frozen=True)
class Alias:
    """Where an alias points and how it came there."""

    voice: str
    """Also in the record's key."""
    alias: str
    """Its name, such as "production"."""
    version: str | None
    """None when the voice is retired."""
    commit: str | None
    """The commit that this state stands for (None outside git)."""
    generation: int
    """Counts moves from 1."""
    previous: str | None
    """The version before this move."""
    act: Act
    """The kind of move that led here."""
    time: str
    """UTC, ISO 8601 with microseconds."""
    actor: str
    """Actor.name of who moved it."""
    reason: str
    """In that actor's words; "" where none were given."""
    approved_by: str | None = None
    """Name of who approved the version; None where no approval was needed."""
    by_hand: bool = False
    """As in Event."""
    proof: str = CLAIMED
    """As in Event."""

    def event(self) -> Event:
        """The event of the move that led here."""
        return Event(
            voice=self.voice,
            act=self.act,
            time=self.time,
            actor=self.actor,
            reason=self.reason,
            commit=self.commit,
            alias=self.alias,
            version=self.version,
            previous=self.previous,
            generation=self.generation,
            approved_by=self.approved_by,
            by_hand=self.by_hand,
            proof=self.proof,
        )


Decide = Callable[[Alias | None], Alias | None]


def read_alias(store: Store, voice: str, alias: str) -> Alias | None:
    """The alias's state, or None when it was never set. Raises CorruptError on a damaged record."""
    found = read_tagged(store, voice, alias)
    return found[0] if found else None


def move_alias(
    store: Store, voice: str, alias: str, decide: Decide, *, attempts: int = 8, unsafe: bool = False
) -> Alias | None:
    """Moves an alias by compare-and-swap: decide(current) gives the new state, or None to leave it as it is.

    decide is called again with the newer state whenever another writer was first, at most `attempts` times. Its
    result's generation and previous are set here. Returns the new state, or None when decide declined. Raises
    ConfigurationError on a store that cannot compare-and-swap unless unsafe, ConflictError when all attempts lost.
    """
    if not store.can_compare_and_swap and not unsafe:
        raise ConfigurationError(
            f"registry {store.url}: this store cannot compare-and-swap, so two pipelines could overwrite each other's "
            "alias",
            remedy="use a store with conditional writes for the registry",
        )
    key = alias_key(voice, alias)
    for _ in range(attempts):
        found = read_tagged(store, voice, alias)
        current = found[0] if found else None
        if current is not None:
            append(store, current.event())
        wanted = decide(current)
        if wanted is None:
            return None
        new = replace(
            wanted,
            generation=current.generation + 1 if current else 1,
            previous=current.version if current else None,
        )
        data = seal(key, plain(new))
        written = store.put_if_absent(key, data) if found is None else store.replace_if(key, data, found[1])
        if written:
            append(store, new.event())
            return new
    raise ConflictError(
        f"registry {store.url}: alias {alias!r} of {voice!r} was changed by others {attempts} times in a row",
        remedy="run the command again",
    )


def read_tagged(store: Store, voice: str, alias: str) -> tuple[Alias, str] | None:
    """As read_alias, with the object's tag."""
    key = alias_key(voice, alias)
    stored = store.get(key)
    return (parse_alias(key, stored.data), stored.tag) if stored is not None else None


def parse_alias(key: str, data: bytes) -> Alias:
    """The state in a record. Raises CorruptError."""
    body: dict[str, Any] = unseal(key, data)
    try:
        return Alias(**{**body, "act": Act(body["act"])})
    except (TypeError, ValueError, KeyError) as error:
        raise CorruptError(f"registry: {key}: {error}", remedy="move the alias again with: timbre promote") from error
