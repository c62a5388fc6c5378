"""Verification: every stored byte is read and checked; every alias leads to a version whose files are all sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from timbre.core.digests import digest_bytes
from timbre.core.errors import TimbreError
from timbre.registry import chain, events, index, packs
from timbre.registry.file_set import read_folder
from timbre.registry.names import FOLDER_AREAS, blob_key
from timbre.registry.records import unseal
from timbre.registry.references import digests_in, references
from timbre.registry.registry import Registry
from timbre.registry.tombstones import revoked_voices

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong with the registry."""

    key: str
    """The object's key."""
    problem: str
    """What is wrong with it."""
    affects: tuple[str, ...]
    """Voices, versions, bases or stages that it breaks."""


def verify(registry: Registry, voice: str | None = None, progress: Progress | None = None) -> list[Damage]:
    """Reads everything (or one voice with its blobs) and lists what is damaged, missing or dangling; empty when
    sound.
    """
    users: dict[str, list[str]] = {}
    findings: list[Damage] = []
    # What killed writers left is nobody's object, and nothing else reads the whole store. A guarded store passes the
    # method on, which isinstance with a protocol does not see from Python 3.12 on.
    sweep: Callable[[], int] | None = getattr(registry.store, "sweep", None)
    if sweep is not None:
        sweep()
    sizes: dict[str, int] = {}
    for name in [voice] if voice else registry.voices():
        findings += _verify_voice(registry, name, users, sizes)
        findings += _broken_chain(registry, name)
    findings += _leftovers(registry, voice)
    if voice is None:
        for prefix in ("bases/", *(f"{area}/" for area in FOLDER_AREAS)):
            for key in registry.store.list(prefix):
                findings += _verify_folder(registry, key, users, sizes)
        findings += [Damage(key, problem, ("index",)) for key, problem in index.problems(registry.store)]
        findings += [Damage(key, problem, ("pack",)) for key, problem in packs.problems(registry.store)]
    stored = {key.rsplit("/", 1)[-1] for key in registry.store.list("blobs/")} if voice is None else set()
    wanted = sorted(stored | users.keys())
    for count, digest in enumerate(wanted, 1):
        key = blob_key(digest)
        found = registry.store.get(key)
        affects = tuple(sorted(set(users.get(digest, ()))))
        if found is None:
            findings.append(Damage(key, "missing", affects))
        elif digest_bytes(found.data) != digest:
            expected = sizes.get(digest)
            size = "" if expected in (None, len(found.data)) else f" ({len(found.data)} of {expected} bytes)"
            findings.append(Damage(key, f"content changed{size}", affects))
        if progress:
            progress(count, len(wanted))
    return findings


def audit(registry: Registry, voice: str, heads: Iterable[chain.Head] = ()) -> list[Damage]:
    """What a voice's history cannot explain: an alias whose last move has no event, a version without its event.

    heads: of what other witnesses say, Git's notes for example.
    """
    findings = _broken_chain(registry, voice)
    said = [head for head in heads if head.voice == voice]
    findings += [Damage(key, problem, (voice,)) for key, problem in chain.contradictions(registry.store, said)]
    if findings:
        return findings
    seen = {event.id for event in events.read(registry.store, voice)}
    for key in registry.store.list(f"voices/{voice}/aliases/"):
        state = registry.alias(voice, key.rsplit("/", 1)[-1].removesuffix(".json"))
        if state is not None and state.event().id not in seen:
            findings.append(Damage(key, "its last move has no event (the next move adds it)", (voice,)))
    published = {event.version for event in events.read(registry.store, voice) if event.act is events.Act.PUBLISHED}
    for manifest in registry.versions(voice):
        if manifest.version not in published:
            findings.append(
                Damage(manifest.key, "no event records its publication (publish it again to add one)", (voice,))
            )
    return findings


def _broken_chain(registry: Registry, voice: str) -> list[Damage]:
    """Where records are signed: events removed, added, changed or reordered, and older states that were put back."""
    store = registry.store
    if not chain.is_chained(store):
        return []
    found = chain.problems(store, voice)
    try:
        found += chain.contradictions(store, chain.witnessed(registry.witness, voice) if registry.witness else ())
        for key in store.list(f"voices/{voice}/aliases/"):
            registry.alias(voice, key.rsplit("/", 1)[-1].removesuffix(".json"))
        acts = events.read(store, voice)
        there = {key.rsplit("/", 1)[-1].removesuffix(".json") for key in store.list(f"voices/{voice}/versions/")}
        last = {event.version: event.act for event in acts if event.act in (events.Act.PRUNED, events.Act.RESTORED)}
        pruned = {version for version, act in last.items() if act is events.Act.PRUNED}
        published = {event.version for event in acts if event.act is events.Act.PUBLISHED and event.version}
        found += [(f"voices/{voice}/versions/{gone}.json", "a published version is gone")
                  for gone in sorted(published - there - pruned)]  # fmt: skip
        for alias in {event.alias for event in acts if event.alias}:
            state = registry.alias(voice, alias)
            found += _missing_base(registry, voice, state.version if state else None)
    except TimbreError as error:
        found.append((f"voices/{voice}/", error.message))
    return [Damage(key, problem, (voice,)) for key, problem in found]


def _missing_base(registry: Registry, voice: str, version: str | None) -> list[tuple[str, str]]:
    """Publishing puts the base there first, so a version in use without any of its graphs had them taken away."""
    if version is None or registry.tombstone(voice) is not None:
        return []
    where = f"bases/{registry.manifest(voice, version).base_digest}/"
    gone = next(iter(registry.store.list(where)), None) is None
    return [(where, f"the exported base of {voice}@{version} is gone; publish it again: timbre base publish")] * gone


def _verify_voice(registry: Registry, voice: str, users: dict[str, list[str]], sizes: dict[str, int]) -> list[Damage]:
    findings, versions = [], set()
    revoked = registry.store.get(f"voices/{voice}/revoked.json") is not None
    for key in registry.store.list(f"voices/{voice}/"):
        kind, name = key.split("/")[2], key.rsplit("/", 1)[-1].removesuffix(".json")
        try:
            if kind == "versions":
                manifest = registry.manifest(voice, name)
                versions.add(name)
                for entry in manifest.files if not revoked else ():
                    users.setdefault(entry.sha256, []).append(f"{voice}@{name}")
                    sizes[entry.sha256] = entry.size_bytes
            elif kind == "aliases":
                state = registry.alias(voice, name)
                if state is not None and state.version is not None and not _has_version(registry, voice, state.version):
                    findings.append(Damage(key, f"points at version {state.version}, which does not exist", (voice,)))
            else:
                stored = registry.store.get(key)
                if stored is not None:
                    unseal(key, stored.data)
        except TimbreError as error:
            findings.append(Damage(key, error.message, (f"{voice}@{name}" if kind == "versions" else voice,)))
    return findings


def _leftovers(registry: Registry, voice: str | None) -> list[Damage]:
    """Files of revoked voices that are still stored and that nothing else needs."""
    gone = revoked_voices(registry.store) & ({voice} if voice else set(registry.voices()))
    if not gone:
        return []
    needed = references(registry.store)
    left: dict[str, set[str]] = {}
    for name in gone:
        for key in registry.store.list(f"voices/{name}/versions/"):
            for digest in digests_in(registry.store, key) - needed.keys():
                if registry.store.get(blob_key(digest)) is not None:
                    left.setdefault(digest, set()).add(name)
    problem = "left of a revoked voice; remove it with: timbre revoke VOICE"
    return [Damage(blob_key(digest), problem, tuple(sorted(names))) for digest, names in sorted(left.items())]


def _has_version(registry: Registry, voice: str, version: str) -> bool:
    return registry.store.get(f"voices/{voice}/versions/{version}.json") is not None


def _verify_folder(registry: Registry, key: str, users: dict[str, list[str]], sizes: dict[str, int]) -> list[Damage]:
    owner = key.rsplit("/", 1)[0]
    try:
        found = read_folder(registry.store, key)
    except TimbreError as error:
        return [Damage(key, error.message, (owner,))]
    for entry in found[1] if found else ():
        users.setdefault(entry.sha256, []).append(owner)
        sizes[entry.sha256] = entry.size_bytes
    return []
