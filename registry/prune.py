"""Retention: which versions, cached stages and records of runs nothing needs any more, and their way into the trash.

registry, marks of servers, rules -> what may go, with why -> trash (a week) -> garbage.py frees the bytes

Never chosen: what an alias points to, the versions before it that its rules keep, and what is young, by publication,
by the last move of an alias to it, or by the last time that a server spoke with it. A voice whose records cannot be
read is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from timbre.core.errors import CheckFailedError, InputError, TimbreError
from timbre.registry import events, trash
from timbre.registry.actor import Actor
from timbre.registry.events import Act, Event
from timbre.registry.file_set import read_folder
from timbre.registry.names import PRODUCTION, RUN_AREAS, STAGE_AREAS, version_key
from timbre.registry.registry import Registry
from timbre.registry.served import any_served, last_served
from timbre.registry.store import Store


@dataclass(frozen=True)
class Keep:
    """Which versions, cached stages and run records stay."""

    days: float = 90
    """Age below which versions stay."""
    predecessors: int = 3
    """How many versions before the one that an alias points to stay."""
    stage_days: float = 90
    """Age below which cached stages stay."""
    stage_bytes: int | None = None
    """Size of all cached stages together, None for any."""
    run_days: float = 400
    """Age below which run records stay."""
    without_marks: bool = False
    """Prune versions even if no server has left a mark."""


@dataclass(frozen=True)
class Chosen:
    """A record to prune."""

    key: str
    """Of a manifest, a stage's record or a run's."""
    size_bytes: int
    """Of its files, except those that other records need."""
    why: str
    """The reason, in words."""


@dataclass(frozen=True)
class Choice:
    """What may go."""

    chosen: tuple[Chosen, ...]
    """Versions first, then stages and runs."""
    left: dict[str, str] = field(default_factory=dict)
    """Voices that are left alone -> why."""


def choose(registry: Registry, keep: Keep, voices: Iterable[str] = ()) -> Choice:
    """What these rules let go, of all voices (then cached stages and runs too) or of those named. Changes nothing.

    Raises InputError when no server ever left a mark, unless keep allows it.
    """
    if not keep.without_marks and not any_served(registry.served):
        raise InputError(
            f"{registry.served.url}: no server ever said what it spoke with, so that every version would count as "
            "unused",
            "let servers write there (TIMBRE_SERVED), or pass --without-marks",
        )
    now = _instant(registry.now())
    chosen: list[Chosen] = []
    left: dict[str, str] = {}
    named = list(voices)
    for voice in named or registry.voices():
        try:
            if registry.tombstone(voice) is None:
                chosen += _versions(registry, voice, keep, now)
        except TimbreError as error:
            left[voice] = error.message
    if not named:
        chosen += _stages(registry.store, keep, now)
        chosen += _runs(registry.store, keep, now)
    return Choice(tuple(chosen), left)


def prune(registry: Registry, choice: Choice, keep: Keep, *, actor: Actor, reason: str = "") -> list[str]:
    """Moves what was chosen into the trash; keys that went. A version that an alias needs by now stays.

    Raises NotAllowedError when a policy does not let the actor promote, and what the store raises; running it again
    goes on.
    """
    registry.rules.require("promote", actor)
    store, gone = registry.store, []
    for item in choice.chosen:
        parts = item.key.split("/")
        if parts[0] != "voices":
            gone += [item.key] * trash.throw_away(store, item.key, registry.now())
            continue
        voice, version = parts[1], parts[3].removesuffix(".json")
        if version in _needed(registry, voice, keep) or registry.store.get(item.key) is None:
            continue
        why = reason or item.why
        act = Event(voice, Act.PRUNED, registry.now(), actor.name, why, version=version, proof=actor.proof)
        events.append(store, act)
        trash.throw_away(store, item.key, registry.now())
        if version in _needed(registry, voice, keep):
            # An alias moved there meanwhile, and its mover may have looked before the version went.
            restore_version(registry, voice, version, actor=actor, reason="an alias needs it")
        else:
            gone.append(item.key)
        registry.settle(voice)
    return gone


def restore_version(registry: Registry, voice: str, version: str, *, actor: Actor, reason: str = "") -> None:
    """Brings a pruned version back. Raises InputError when the trash does not hold it any more."""
    registry.rules.require("promote", actor)
    key = version_key(voice, version)
    trash.require_in_trash(registry.store, key)
    act = Event(voice, Act.RESTORED, registry.now(), actor.name, reason, version=version, proof=actor.proof)
    events.append(registry.store, act)
    trash.bring_back(registry.store, key)
    registry.settle(voice)


def undo(registry: Registry, prefix: str = "", *, actor: Actor) -> list[str]:
    """Brings back everything in the trash whose key begins with the folder prefix; the keys."""
    keys = sorted(trash.thrown_away(registry.store, prefix))
    for key in keys:
        parts = key.split("/")
        if parts[0] == "voices":
            restore_version(registry, parts[1], parts[3].removesuffix(".json"), actor=actor, reason="prune undone")
        else:
            trash.bring_back(registry.store, key)
    return keys


def _versions(registry: Registry, voice: str, keep: Keep, now: datetime) -> Iterator[Chosen]:
    needed = _needed(registry, voice, keep)
    used = {
        event.version: event.time for event in registry.history(voice) if event.version and event.act is not Act.PRUNED
    }
    spoken = last_served(registry.served, voice)
    for manifest in registry.versions(voice):
        version = manifest.version
        if version in needed:
            continue
        last = max(
            _instant(time) for time in (manifest.created, used.get(version, ""), spoken.get(version, "")) if time
        )
        # A clock that was ahead must not keep a version for ever, and one that was behind costs it nothing: trash.
        if (days := _days(min(last, now), now)) >= keep.days:
            what = "spoken with" if version in spoken else "used"
            yield Chosen(manifest.key, manifest.size_bytes, f"not {what} for {days:.0f} days")


def _needed(registry: Registry, voice: str, keep: Keep) -> set[str]:
    """Versions that aliases point to and the last different ones before, by the moves of each alias."""
    needed = set[str]()
    store = registry.store
    names = {key.rsplit("/", 1)[-1].removesuffix(".json") for key in store.list(f"voices/{voice}/aliases/")}
    acts = events.read(store, voice)
    for alias in names | {PRODUCTION}:
        state = registry.alias(voice, alias)
        moves = sorted((act for act in acts if act.alias == alias), key=lambda act: act.generation or 0)
        order = [version for act in moves for version in (act.previous, act.version) if version]
        order += [version for version in ((state.previous, state.version) if state else ()) if version]
        latest = list(dict.fromkeys(reversed(order)))
        # A retired alias points nowhere: the version that a revert brings back counts as the one it points to.
        needed |= set(latest[: keep.predecessors + 1])
    return needed


def _stages(store: Store, keep: Keep, now: datetime) -> list[Chosen]:
    """By age, then the oldest until the rest fits. A stage of an older program says no time and counts as oldest."""
    found: list[tuple[datetime, str, int]] = []
    for area in STAGE_AREAS:
        for key in store.list(f"{area}/"):
            if key.startswith(tuple(f"{runs}/" for runs in RUN_AREAS)):
                continue
            record = _record(store, key)
            if record is not None:
                about, size = record
                found.append((min(_instant(about), now), key, size))
    found.sort()
    total = sum(size for _, _, size in found)
    chosen = []
    for last, key, size in found:
        days = _days(last, now)
        over = keep.stage_bytes is not None and total > keep.stage_bytes
        if days >= keep.stage_days or over:
            why = f"made {days:.0f} days ago" if days >= keep.stage_days else "the oldest of too many bytes"
            chosen.append(Chosen(key, size, why))
            total -= size
    return chosen


def _runs(store: Store, keep: Keep, now: datetime) -> Iterator[Chosen]:
    oldest = (now - timedelta(days=keep.run_days)).strftime("%Y-%m-%dT%H%M%S")
    for area in RUN_AREAS:
        for key in store.list(f"{area}/"):
            if key.rpartition("/")[2] < oldest and (record := _record(store, key)) is not None:
                yield Chosen(key, record[1], f"older than {keep.run_days:.0f} days")


def _record(store: Store, key: str) -> tuple[str, int] | None:
    """Time and size of a record over files; None for a damaged one, which timbre verify names."""
    try:
        found = read_folder(store, key)
    except TimbreError:
        return None
    return None if found is None else (str(found[0].get("time", "")), sum(entry.size_bytes for entry in found[1]))


def _instant(time: str) -> datetime:
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return datetime(2000, 1, 1, tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _days(then: datetime, now: datetime) -> float:
    return (now - then) / timedelta(days=1)


def require_sound(choice: Choice) -> None:
    """Raises CheckFailedError when a voice was left alone because its records cannot be read."""
    if choice.left:
        voice, why = next(iter(choice.left.items()))
        raise CheckFailedError(f"{len(choice.left)} voices were left alone, the first: {voice}: {why}", "timbre verify")
