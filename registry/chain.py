"""The chain of a voice's events: which there were, in which order, each link over the one before and signed.

event -> link <number>.json: digest of the link before, key and digest of the event; of a publication also the digest
                             of what the manifest says
      -> head -> witness

Links are numbered and written once, so of two writers one gets a number and the other goes on to the next. A process
that dies between an event and its link is healed by the next that links. The chain shows a removed, changed, added or
reordered event; that its end was cut off shows only against a witness: heads kept in a second store, where who can
write the registry cannot, and in Git's notes of the commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from timbre.core.digests import digest_bytes, digest_value
from timbre.core.errors import TimbreError
from timbre.registry import packs
from timbre.registry.errors import CorruptError
from timbre.registry.events import Act
from timbre.registry.names import check_voice, version_key
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store, side_by_side

_ATTEMPTS = 64
_HEAD = re.compile(r"heads/([^/]+)/([0-9]{8})\.json")


@dataclass(frozen=True)
class Head:
    """The last link of a voice."""

    voice: str
    """The chain's."""
    number: int
    """0 where there is none."""
    digest: str
    """SHA-256 of its bytes."""


@dataclass(frozen=True)
class Recorded:
    """What names of objects say of a voice's history."""

    events: frozenset[str]
    """Names of the files of its events."""
    links: int
    """How many there are."""
    witnessed: int
    """Number of the last link that the witness knows; 0 without a witness."""


def is_chained(store: Store) -> bool:
    """Whether events of this store are linked: where records are signed (registry/signing.py)."""
    return bool(getattr(store, "signs", False))


def link(store: Store, voice: str) -> Head:
    """Links every event of a voice that no link names yet, in the order of their keys; the head afterwards."""
    for _ in range(_ATTEMPTS):
        # One listing: links before the events that they name, as its keys are sorted.
        seen = packs.view(store, check_voice(voice))
        linked, head = _read(seen, voice)
        waiting = [key for key in seen.list(f"voices/{voice}/events/") if key not in linked]
        if not waiting:
            return head
        for key in waiting:
            stored = store.get(key)
            if stored is None:
                continue
            number = head.number + 1
            where = _key(voice, number)
            body = {"number": number, "before": head.digest, "event": key, "sha256": digest_bytes(stored.data)}
            body |= _published(store, key, stored.data)
            if not store.put_if_absent(where, seal(where, body)):
                break
            written = store.get(where)
            assert written is not None
            head = Head(voice, number, digest_bytes(written.data))
    return head


def problems(store: Store, voice: str) -> list[tuple[str, str]]:
    """(key, what is wrong) for every event and link that does not fit the others; empty when the chain is whole."""
    found: list[tuple[str, str]] = []
    before, named = "", {}
    manifests: dict[str, str] = {}
    keys = list(store.list(f"voices/{check_voice(voice)}/chain/"))
    for number, key in enumerate(keys, 1):
        if key != _key(voice, number):
            return [*found, (_key(voice, number), "a link of the history is missing")]
        try:
            stored = store.get(key)
            body = unseal(key, stored.data) if stored is not None else {}
        except TimbreError as error:
            return [*found, (key, error.message)]
        if stored is None or body.get("number") != number or body.get("before") != before:
            return [*found, (key, "this link does not follow the one before it")]
        before = digest_bytes(stored.data)
        named[str(body["event"])] = str(body["sha256"])
        if "manifest" in body:
            manifests[str(body["manifest"])] = str(body["manifest_sha256"])
    events = list(store.list(f"voices/{voice}/events/"))
    found += [(key, "an event is missing that the history names") for key in sorted(named.keys() - set(events))]
    for key in events:
        try:
            event = store.get(key)
        except TimbreError as error:
            found.append((key, error.message))
            continue
        if key not in named:
            found.append((key, "an event that the history does not name (the next move links it, if it is true)"))
        elif event is not None and digest_bytes(event.data) != named[key]:
            found.append((key, "an event was changed after it was linked"))
    return found + _changed(store, manifests)


def said(key: str, data: bytes) -> str:
    """SHA-256 of what a record says, whichever key signed it. Raises CorruptError."""
    return digest_value(unseal(key, data))


def bear_witness(witness: Store, head: Head) -> None:
    """Writes a head to a second place; what was written there before is never replaced."""
    if head.number:
        key = f"heads/{head.voice}/{head.number:08d}.json"
        witness.put_if_absent(key, seal(key, {"voice": head.voice, "number": head.number, "sha256": head.digest}))


def witnessed(witness: Store, voice: str) -> list[Head]:
    """Heads of a voice that the witness knows, oldest first. Raises CorruptError for a damaged or unsigned head."""
    found = []
    for key in witness.list(f"heads/{check_voice(voice)}/"):
        stored = witness.get(key)
        if stored is not None:
            body = unseal(key, stored.data)
            found.append(Head(voice, int(body["number"]), str(body["sha256"])))
    return found


def contradictions(store: Store, heads: Iterable[Head]) -> list[tuple[str, str]]:
    """(key, what is wrong) where the chain lacks a link that a witness knows, or has another in its place."""
    found = []
    for head in heads:
        key = _key(check_voice(head.voice), head.number)
        try:
            there = store.get(key)
        except TimbreError as error:
            found.append((key, error.message))
            continue
        if there is None:
            found.append((key, "the end of the history was cut off: a witness knows this link"))
        elif digest_bytes(there.data) != head.digest:
            found.append((key, "a witness knows another link"))
    return found


def recorded(store: Store, voice: str, witness: Store | None = None) -> Recorded:
    """What names of objects say of a voice's history; to be asked before an alias is read."""
    number = witnessed_numbers(witness, voice).get(voice, 0) if witness is not None else 0
    return recorded_in(store.list(f"voices/{check_voice(voice)}/"), number)


def recorded_in(keys: Iterable[str], witnessed: int) -> Recorded:
    """The same of one listing of the voice that came after the witness's. A writer adds event, link and head in this
    order. Read in the other one, as sorted keys are, a writer at work looks like nothing.
    """
    parts = [key.split("/") for key in keys]
    events = frozenset(part[3] for part in parts if len(part) == 4 and part[2] == "events")
    return Recorded(events, sum(len(part) == 4 and part[2] == "chain" for part in parts), witnessed)


def witnessed_numbers(witness: Store, voice: str = "") -> dict[str, int]:
    """Voice -> number of the last link that the witness knows, by one listing; of one voice or of all."""
    found: dict[str, int] = {}
    for key in witness.list(f"heads/{check_voice(voice)}/" if voice else "heads/"):
        if match := _HEAD.fullmatch(key):
            found[match[1]] = max(found.get(match[1], 0), int(match[2]))
    return found


def refuse_older_state(url: str, voice: str, alias: str, generation: int, recorded: Recorded) -> None:
    """Raises CorruptError when an alias of this generation (0: there is none) is an older state that was put back, or
    when the history behind it was cut. Only names of objects are looked at, so that a server can ask at every load.
    """
    pattern = re.compile(rf"-{re.escape(alias)}-g([0-9]+)\.json$")
    last = max((int(match[1]) for name in recorded.events if (match := pattern.search(name))), default=0)
    remedy = f"find out who wrote there (timbre audit {voice}), then restore the registry from a backup"
    if generation < last:
        message = f"alias {alias!r} of {voice!r} is an older state (generation {generation} of {last})"
        raise CorruptError(f"registry {url}: {message}", remedy=remedy)
    if len(recorded.events) < recorded.links or recorded.links < recorded.witnessed:
        raise CorruptError(f"registry {url}: the history of {voice!r} was cut", remedy=remedy)


def _published(store: Store, key: str, data: bytes) -> dict[str, str]:
    """What a link says of the manifest that an event published; nothing for other events, and without the manifest."""
    event = unseal(key, data)
    if event.get("act") != Act.PUBLISHED or not event.get("version"):
        return {}
    where = version_key(str(event["voice"]), str(event["version"]))
    stored = store.get(where)
    return {"manifest": where, "manifest_sha256": said(where, stored.data)} if stored is not None else {}


def _changed(store: Store, manifests: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for key, digest in manifests.items():
        try:
            stored = store.get(key)
            if stored is not None and said(key, stored.data) != digest:
                found.append((key, "this manifest is not the one that the history names"))
        except TimbreError as error:
            found.append((key, error.message))
    return found


def _read(store: Store, voice: str) -> tuple[set[str], Head]:
    linked, digest, number = set[str](), "", 0
    keys = list(store.list(f"voices/{check_voice(voice)}/chain/"))
    for key, stored in zip(keys, side_by_side(store, store.get, keys), strict=True):
        if stored is None:
            continue
        body: dict[str, Any] = unseal(key, stored.data)
        linked.add(str(body["event"]))
        digest, number = digest_bytes(stored.data), int(body["number"])
    return linked, Head(voice, number, digest)


def _key(voice: str, number: int) -> str:
    return f"voices/{voice}/chain/{number:08d}.json"
