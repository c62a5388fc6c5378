"""Gives up a signing key that leaked: what it signed until a witness last heard of it stays, nothing later does.

witness's heads -> links and events by digest, back to the first -> countersigned/VOICE.json, signed by the new key
                -> aliases as the last of these events left them, manifests as these links name them -> signed again
later events and links, other versions, cached stages -> distrusted/

Who has the old key signs anything, so no signature of it proves anything by itself. The witness lies where such a
writer cannot write; its head holds the digest of a link, and this link those of all before it, of their events, and of
what the published manifests say. Manifests of links that do not name them (written by older programs), policies, bases
and marks of revocation have nothing but the old signature: they are signed again and named in the result, for a person
to compare. Killed at any moment, the next call goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from timbre.core.digests import digest_bytes
from timbre.core.errors import CheckFailedError, ConfigurationError, TimbreError
from timbre.registry import chain, events, index, packs
from timbre.registry.actor import Actor
from timbre.registry.aliases import Alias
from timbre.registry.errors import CorruptError
from timbre.registry.events import Act, Event, plain
from timbre.registry.names import STAGE_AREAS, alias_key, version_key
from timbre.registry.records import seal, unseal
from timbre.registry.registry import Registry
from timbre.registry.signing import COUNTERSIGNED, SIGNING_KEY, SignedStore, history_of, is_signed_key
from timbre.registry.store import Stored

DISTRUSTED = "distrusted/"


@dataclass
class Renewal:
    """What was done, by key of the record."""

    signed: list[str] = field(default_factory=list)
    """Signed again."""
    countersigned: int = 0
    """Events, links and heads that count by a list."""
    unproven: list[str] = field(default_factory=list)
    """Of those signed again, the ones that only the old signature speaks for."""
    distrusted: dict[str, str] = field(default_factory=dict)
    """Moved away, or to be moved away, with why."""
    restored: list[str] = field(default_factory=list)
    """Aliases that were put back to what the history says."""
    failed: dict[str, str] = field(default_factory=dict)
    """Voices whose history contradicts the witness, with why: nothing of them was signed again."""


def renew(registry: Registry, *, actor: Actor, discard: bool = False) -> Renewal:
    """Signs with the registry's key what another key signed, as far as the witness vouches for it.

    discard: moves away what it does not vouch for; without it the first call with such records changes nothing and
    lists them. Raises ConfigurationError without a signing key and a witness, CheckFailedError for the contents of
    `failed`.
    """
    store, witness = registry.store, registry.witness
    if not isinstance(store, SignedStore) or not store.can_sign:
        raise ConfigurationError("no signing key is named", f"set {SIGNING_KEY} to the new key (timbre sign new FILE)")
    if not isinstance(witness, SignedStore):
        raise ConfigurationError(
            "no witness is named", "set TIMBRE_WITNESS: nothing else tells true records from forged"
        )
    done = Renewal()
    plans = [plan for voice in registry.voices() if (plan := _planned(registry, voice, done)) is not None]
    others = [key for key in store.list("") if _is_other(store, key)]
    stages = [key for key in others if key.split("/")[0] in STAGE_AREAS]
    done.distrusted |= dict.fromkeys(stages, "a cached stage: it can be made again")
    if done.failed:
        voice, why = next(iter(done.failed.items()))
        raise CheckFailedError(
            f"{len(done.failed)} voices contradict the witness, the first: {voice}: {why}",
            "restore these voices from a backup (timbre registry restore), then run the command again",
        )
    if done.distrusted and not discard:
        return done
    for plan in plans:
        _countersign(store, witness, plan, done)
    for key in list(done.distrusted):
        _move_away(store, key)
    for plan in plans:
        for key, alias in plan.aliases.items():
            _put_alias(store, key, alias, done)
        for key in plan.manifests:
            _sign_again(store, key, done)
    for key in others:
        if key not in done.distrusted and _sign_again(store, key, done):
            done.unproven.append(key)
    for plan in plans:
        done.unproven += plan.unproven
        reason = f"records are signed by key {store.signer_id} from here on"
        said = events.read(store, plan.voice)
        if not any(event.act is Act.ROTATED and event.reason == reason for event in said):
            act = Event(plan.voice, Act.ROTATED, registry.now(), actor.name, reason, actor.commit, proof=actor.proof)
            events.append(store, act)
        registry.settle(plan.voice)
    index.rebuild(store)
    return done


@dataclass
class _Plan:
    voice: str
    records: dict[str, str] = field(default_factory=dict)
    """Key -> SHA-256 of the events and links that count."""
    heads: dict[str, str] = field(default_factory=dict)
    """The same of the witness."""
    events: list[Event] = field(default_factory=list)
    aliases: dict[str, Alias] = field(default_factory=dict)
    manifests: list[str] = field(default_factory=list)
    """Keys of those that are signed again."""
    said: dict[str, str] = field(default_factory=dict)
    """Key -> SHA-256 of what a manifest says that a link names, pruned ones too."""
    unproven: list[str] = field(default_factory=list)


def _planned(registry: Registry, voice: str, done: Renewal) -> _Plan | None:
    """What of a voice counts; None when its history is not the one that the witness knows, or the witness knows none:
    such a voice is the thief's, whole.
    """
    store, witness = registry.store, registry.witness
    assert isinstance(store, SignedStore)
    assert isinstance(witness, SignedStore)
    try:
        heads = chain.witnessed(witness, voice)
        for key, why in chain.contradictions(store, heads):
            raise CorruptError(f"{key}: {why}", "")
        plan = _Plan(voice)
        last = max((head.number for head in heads), default=0)
        before = ""
        for number in range(1, last + 1):
            before = _follow(store, voice, number, before, plan)
        plan.heads = {key: digest_bytes(_raw(witness, key).data) for key in witness.list(f"heads/{voice}/")}
    except TimbreError as error:
        done.failed[voice] = error.message
        return None
    moves = sorted((event for event in plan.events if event.alias), key=lambda event: event.generation or 0)
    plan.aliases = {alias_key(voice, str(event.alias)): _left_by(event) for event in moves}
    published = {
        version_key(voice, event.version): event
        for event in plan.events
        if event.act is Act.PUBLISHED and event.version
    }
    for key in store.list(f"voices/{voice}/"):
        kind, ours = key.split("/")[2], store.signed_by(_raw(store, key).data) == store.signer_id
        if kind in ("events", "chain"):
            if key not in plan.records and not ours:
                done.distrusted[key] = "later than what the witness knows"
        elif kind == "versions":
            why = _wrong(registry, voice, key, published.get(key), plan.said.get(key))
            if why and not ours:
                done.distrusted[key] = why
            else:
                plan.manifests.append(key)
                plan.unproven += [key] if key not in plan.said and not ours else []
        elif kind == "aliases" and key not in plan.aliases and not ours:
            done.distrusted[key] = "no event that the witness knows moved it"
    return plan if plan.events else None


def _follow(store: SignedStore, voice: str, number: int, before: str, plan: _Plan) -> str:
    """One link and its event, which count; the link's digest. Raises CorruptError where they do not fit the others."""
    key = f"voices/{voice}/chain/{number:08d}.json"
    link = _raw(store, key)
    body = unseal(key, link.data)
    if body.get("number") != number or body.get("before") != before:
        raise CorruptError(f"{key}: this link does not follow the one before it", "")
    where = str(body["event"])
    event = _raw(store, where)
    if digest_bytes(event.data) != body["sha256"]:
        raise CorruptError(f"{where}: an event was changed after it was linked", "")
    found = unseal(where, event.data)
    plan.events.append(Event(**{**found, "act": Act(found["act"])}))
    plan.records |= {key: digest_bytes(link.data), where: str(body["sha256"])}
    if "manifest" in body:
        plan.said[str(body["manifest"])] = str(body["manifest_sha256"])
    return digest_bytes(link.data)


def _wrong(registry: Registry, voice: str, key: str, event: Event | None, digest: str | None) -> str:
    """What speaks against a manifest, in words; empty when nothing does."""
    if event is None:
        return "no event that the witness knows published it"
    try:
        manifest = registry.manifest(voice, key.rsplit("/", 1)[-1].removesuffix(".json"))
    except TimbreError as error:
        return error.message
    if digest is not None and chain.said(key, _raw(registry.store, key).data) != digest:
        return "its content is not what the history names"
    return "" if manifest.event(event.reason) == event else "it says other things than its event"


def _left_by(event: Event) -> Alias:
    """The state in which an event left its alias."""
    assert event.alias is not None
    assert event.generation is not None
    return Alias(
        event.voice, event.alias, event.version, event.commit, event.generation, event.previous, event.act, event.time,
        event.actor, event.reason, event.approved_by, event.by_hand, event.proof,
    )  # fmt: skip


def _countersign(store: SignedStore, witness: SignedStore, plan: _Plan, done: Renewal) -> None:
    for where, records in ((store, plan.records), (witness, plan.heads)):
        key, old = f"{COUNTERSIGNED}{plan.voice}.json", {
            name: digest for name, digest in records.items()
            if where.signed_by(_raw(where, name).data) != where.signer_id
        }  # fmt: skip
        if not old:
            continue
        there = where.inner.get(key)
        data = seal(key, {"voice": plan.voice, "records": old, "manifests": plan.said if where is store else {}})
        if there is None:
            where.put_if_absent(key, data)
        else:
            where.replace_if(key, data, there.tag)
        done.countersigned += len(old)


def _put_alias(store: SignedStore, key: str, alias: Alias, done: Renewal) -> None:
    """An alias as the history left it, signed by the new key."""
    there, data = store.inner.get(key), seal(key, plain(alias))
    if there is None:
        store.put_if_absent(key, data)
        done.restored.append(key)
        return
    if store.signed_by(there.data) == store.signer_id:
        return
    try:
        same = unseal(key, there.data) == unseal(key, data)
    except CorruptError:
        same = False
    store.replace_if(key, data, there.tag)
    (done.signed if same else done.restored).append(key)


def _sign_again(store: SignedStore, key: str, done: Renewal) -> bool:
    """False for a record that this key signed already."""
    there = _raw(store, key)
    if store.signed_by(there.data) == store.signer_id:
        return False
    store.check(key, there.data)
    unseal(key, there.data)
    store.replace_if(key, there.data, there.tag)
    done.signed.append(key)
    return True


def _move_away(store: SignedStore, key: str) -> None:
    """Under distrusted/ it stays for those who want to know what was forged; nothing reads it there."""
    there = store.inner.get(key)
    if there is not None:
        store.inner.put_if_absent(f"{DISTRUSTED}{digest_bytes(there.data)[:16]}/{key}", there.data)
        store.delete(key)


def _is_other(store: SignedStore, key: str) -> bool:
    """Records that stand in no voice's history and are not written again by each renewal."""
    if not is_signed_key(key) or history_of(key) or key.startswith((COUNTERSIGNED, index.AREA, packs.AREA)):
        return False
    parts = key.split("/")
    return parts[0] != "voices" or len(parts) < 4 or parts[2] not in ("versions", "aliases")


def _raw(store: object, key: str) -> Stored:
    """An object as it lies there. Raises CorruptError when it is gone."""
    assert isinstance(store, SignedStore)
    found = store.inner.get(key)
    if found is None:
        raise CorruptError(f"{key}: it is gone", "run the command again")
    return found
