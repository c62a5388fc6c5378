"""Append-only events: who did what to a voice, when, at which commit and why.

An event's id begins with the UTC time of what it records and ends with a name derived from it, never from chance:
writing the
same event twice changes nothing. A process that dies between an act and its event is therefore repaired by the
next process.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from timbre.registry.actor import CLAIMED
from timbre.registry.errors import CorruptError
from timbre.registry.names import check_voice, event_key
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store, side_by_side


class Act(StrEnum):
    """What happened."""

    PUBLISHED = "published"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    RETIRED = "retired"
    REVOKED = "revoked"
    PRUNED = "pruned"
    RESTORED = "restored"
    ROTATED = "rotated"


@dataclass(frozen=True)
class Event:
    """One act."""

    voice: str
    """To which it was done."""
    act: Act
    """What was done."""
    time: str
    """UTC, ISO 8601 with microseconds (utc_now)."""
    actor: str
    """Actor.name."""
    reason: str
    """In the actor's words; "" where none were given."""
    commit: str | None = None
    """The commit it was done for; None outside git."""
    alias: str | None = None
    """None for acts that concern none."""
    version: str | None = None
    """The version concerned, or pointed at now; None where there is none."""
    previous: str | None = None
    """The version that the alias pointed at before; None for the first move and other acts."""
    generation: int | None = None
    """Number of the alias's move; None for acts that concern none."""
    approved_by: str | None = None
    """Name of who approved the version; None where no approval was needed."""
    by_hand: bool = False
    """Promoted because a person said so, not by a pipeline."""
    proof: str = CLAIMED
    """What shows who the actor is (registry/actor.py)."""

    @property
    def id(self) -> str:
        """Sortable by time; equal acts have equal ids."""
        stamp = self.time.replace(":", "").replace("+0000", "Z")
        what = (self.alias and f"{self.alias}-g{self.generation}") or self.version or "voice"
        return f"{stamp}-{self.act}-{what}"


def utc_now() -> str:
    """Now in UTC, ISO 8601 with microseconds; strings of equal length that sort by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def append(store: Store, event: Event) -> bool:
    """Writes an event; False when this very event was there already."""
    key = event_key(event.voice, event.id)
    return store.put_if_absent(key, seal(key, plain(event)))


def plain(record: Any) -> dict[str, Any]:
    """The body of an Event or an Alias. by_hand and proof stand only where they say something: programs that do not
    know them yet can read the rest.
    """
    silent = {"by_hand": False, "proof": CLAIMED}
    return {name: value for name, value in asdict(record).items() if name not in silent or value != silent[name]}


def read(store: Store, voice: str) -> list[Event]:
    """All events of a voice, oldest first. Raises CorruptError on a damaged one."""
    found = []
    keys = list(store.list(f"voices/{check_voice(voice)}/events/"))
    for key, stored in zip(keys, side_by_side(store, store.get, keys), strict=True):
        if stored is None:
            continue
        body = unseal(key, stored.data)
        try:
            found.append(Event(**{**body, "act": Act(body["act"])}))
        except (TypeError, ValueError, KeyError) as error:
            raise CorruptError(f"registry: {key}: {error}", remedy="restore this object from a backup") from error
    return sorted(found, key=lambda event: (event.time, event.generation or 0))
