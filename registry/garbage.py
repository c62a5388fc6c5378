"""Frees what nothing needs: the trash after a while, and blobs that no record names.

Safe beside writers: a writer stores blobs first and its record last, so that a blob without a record may be one whose
record comes. A blob goes only when it was found unneeded before, a day ago or longer, and references.py holds what it
deletes until the records were counted again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from timbre.registry.errors import CorruptError
from timbre.registry.names import TRASH
from timbre.registry.records import seal, unseal
from timbre.registry.references import delete_unneeded, digests_in, references
from timbre.registry.store import Store
from timbre.registry.trash import thrown_away

MARKS = "gc.json"
TRASH_DAYS = 7.0
GRACE_HOURS = 24.0


@dataclass(frozen=True)
class Freed:
    """What a garbage collection deleted."""

    emptied: tuple[str, ...]
    """Records that left the trash."""
    removed: tuple[str, ...]
    """Digests of deleted blobs."""
    waiting: int
    """Unreferenced blobs, deleted if they still are after the grace period."""


def collect(store: Store, now: str, *, trash_days: float = TRASH_DAYS, grace_hours: float = GRACE_HOURS) -> Freed:
    """Empties the trash and frees blobs. now: UTC, ISO 8601. Killed at any moment, the next call goes on."""
    at = datetime.fromisoformat(now)
    old = [key for key, time in thrown_away(store).items() if at - _time(time, at) >= timedelta(days=trash_days)]
    leaving = [f"{TRASH}/{key}" for key in old]
    digests = {digest for key in leaving for digest in digests_in(store, key)}
    # Records first: killed here, their blobs are garbage like any other, and nothing without its files comes back.
    for key in leaving:
        store.delete(key)
    removed = list(delete_unneeded(store, digests).removed) if digests else []
    marks = _marks(store)
    needed = references(store)
    unneeded = {key.rsplit("/", 1)[-1] for key in store.list("blobs/")} - needed.keys()
    doomed = {item for item in unneeded if at - _time(marks.get(item, now), at) >= timedelta(hours=grace_hours)}
    removed += delete_unneeded(store, doomed).removed
    waiting = {item: marks.get(item, now) for item in unneeded - set(removed)}
    _store_marks(store, waiting)
    return Freed(tuple(old), tuple(removed), len(waiting))


def _marks(store: Store) -> dict[str, str]:
    stored = store.get(MARKS)
    try:
        return dict(unseal(MARKS, stored.data)["unneeded"]) if stored is not None else {}
    except (CorruptError, KeyError, TypeError, ValueError):
        return {}


def _store_marks(store: Store, waiting: dict[str, str]) -> None:
    """Another collector that was first has marks that are as good."""
    stored, data = store.get(MARKS), seal(MARKS, {"unneeded": waiting})
    if stored is None:
        if waiting:
            store.put_if_absent(MARKS, data)
    elif stored.data != data:
        store.replace_if(MARKS, data, stored.tag)


def _time(time: str, now: datetime) -> datetime:
    """A time that cannot be read counts as now: nothing goes too early by it."""
    try:
        return min(datetime.fromisoformat(time), now)
    except (ValueError, TypeError):
        return now


__all__ = ["GRACE_HOURS", "TRASH_DAYS", "Freed", "collect"]
