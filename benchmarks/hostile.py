"""Hostile edits by somebody who can write the store but has no key: on a folder, S3 (SeaweedFS) and the Hub (our stub).

python -m benchmarks.hostile [--edits 300] [--seed 13] [--only folder|s3|hub]

Each edit changes, removes, swaps, adds, replays or re-signs manifests, events, links, aliases, graphs or files of a
signed registry with a witness; then everything is read as a server and an auditor read it. Accepted is an edit after
which nothing was refused or found. Where there is an index (S3), every second edit is one of the index, or of the index
and an alias together; accepted is one after which a server would speak with anything but the truth. Exit code 1 when
one was.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.three_stores import STORES, addresses
from tests.registry.conftest import make_files, make_manifest
from timbre.core.digests import digest_value
from timbre.core.errors import TimbreError
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.aliases import Alias
from timbre.registry.bases import publish_base
from timbre.registry.index import shard_key
from timbre.registry.open import open_registry
from timbre.registry.packs import has_tags
from timbre.registry.records import encode
from timbre.registry.registry import Registry
from timbre.registry.signing import SignedStore
from timbre.registry.signing_keys import new_key, read_signer
from timbre.registry.store import Store
from timbre.registry.store_at import open_store
from timbre.registry.stores.hub_options import HubPlace, read_place
from timbre.registry.verification import verify
from timbre.serving.catalogue import Catalogue, Listing, read_catalogue

ACTOR = Actor("ada", "c1")
VOICES = ("ada", "ben")
_AREAS = ("voices/", "bases/", "blobs/", "index/")
KINDS = ("forge", "own key", "remove", "swap", "replay", "file", "add", "cut", "no alias")
INDEX_KINDS = (
    "forge",
    "own key",
    "remove",
    "swap",
    "replay",
    "other record",
    "other tag",
    "garbage",
    "no voice",
    "both",
)
Served = Mapping[str, tuple[Mapping[str, Alias], frozenset[str], bool]]


@dataclass
class Attack:
    """plain: the store without signatures; own: signs with a key of the attacker's.

    overwrite: puts bytes under a key, whatever is there and whatever they are.
    objects: what the registry holds, by key; older: states of before the last move; choose: which edit comes next.
    """

    plain: Store
    own: SignedStore
    overwrite: Callable[[str, bytes], None]
    objects: Mapping[str, bytes]
    older: Mapping[str, bytes]
    choose: random.Random

    def edit_index(self) -> tuple[str, set[str]]:
        """One edit of the index; what it was, and the keys it touched."""
        kind = self.choose.choice(INDEX_KINDS)
        shards = sorted(key for key in self.objects if key.startswith("index/"))
        key = self.choose.choice(shards)
        alias = "voices/ada/aliases/production.json"
        if kind == "replay":
            key = self.choose.choice([item for item in shards if item in self.older])
            self._write(key, self.older[key])
        elif kind == "own key":
            body = {name: value for name, value in json.loads(self._forged(key)).items() if name != "digest"}
            self._write(key, self.own._signed(key, encode(body)))
        elif kind == "remove":
            for shard in shards:
                self.plain.delete(shard)
            return f"index {kind}", set(shards)
        elif kind == "swap":
            self._write(key, self.objects[self.choose.choice([item for item in self.objects if item != key])])
        elif kind == "garbage":
            self._write(key, self.choose.randbytes(self.choose.randrange(0, 500)))
        elif kind == "both":
            # An older state with the older index that fits it.
            for item in (alias, *(shard for shard in shards if shard in self.older)):
                self._write(item, self.older[item])
            return f"index {kind}", {alias, *shards}
        elif kind in ("other record", "other tag", "no voice"):
            self._write(key, self._renamed(key, kind))
        else:
            self._write(key, self._forged(key))
        return f"index {kind} {key}", {key}

    def _renamed(self, key: str, kind: str) -> bytes:
        """A shard that gives an alias an older state or another voice's under its present tag, or leaves voices out;
        signed by its old signature, by the attacker's key or not at all.
        """
        record = json.loads(self.objects[key])
        for entry in record["voices"].values():
            for where, (tag, text) in entry["aliases"].items():
                texts = [self.older[item].decode() for item in self.older if item.startswith("voices/")]
                entry["aliases"][where] = ["0" * 32, text] if kind == "other tag" else [tag, self.choose.choice(texts)]
        if kind == "no voice":
            record["voices"] = {}
        signature = record.pop("signature")
        record.pop("digest")
        how = self.choose.randrange(3)
        if how == 0:
            return self.own._signed(key, encode(record))
        record |= {"signature": signature} if how == 1 else {}
        return encode({**record, "digest": digest_value(record)})

    def edit(self) -> tuple[str, set[str]]:
        """One edit; what it was, and the keys it touched."""
        kind = self.choose.choice(KINDS)
        records = [key for key in self.objects if key.startswith(("voices/", "bases/"))]
        key = self.choose.choice(records)
        if kind == "replay":
            key = self.choose.choice(sorted(key for key in self.older if key.startswith("voices/")))
            self._write(key, self.older[key])
        elif kind == "file":
            key = self.choose.choice([item for item in self.objects if item.startswith("blobs/")])
            self._write(key, self.objects[key] + b"x")
        elif kind == "own key":
            body = {name: value for name, value in json.loads(self._forged(key)).items() if name != "digest"}
            self._write(key, self.own._signed(key, encode(body)))
        elif kind == "remove":
            self.plain.delete(key)
        elif kind == "swap":
            self._write(key, self.objects[self.choose.choice([item for item in records if item != key])])
        elif kind == "add":
            before = self.choose.choice([item for item in records if "/events/" in item])
            key = before.replace(".json", "0.json")
            self._write(key, self._forged(before, key))
        elif kind == "cut":
            return f"{kind} {key}", self._cut()
        elif kind == "no alias":
            key = "voices/ben/aliases/production.json"
            self.plain.delete(key)
        else:
            self._write(key, self._forged(key))
        return f"{kind} {key}", {key}

    def restore(self, keys: set[str]) -> None:
        """The store as it was."""
        for key in keys:
            if key in self.objects:
                self._write(key, self.objects[key])
            else:
                self.plain.delete(key)

    def _cut(self) -> set[str]:
        """The last link with its event, and the alias as it was before: a history that ends earlier."""
        link = max(key for key in self.objects if key.startswith("voices/ada/chain/"))
        event, alias = json.loads(self.objects[link])["event"], "voices/ada/aliases/production.json"
        self.plain.delete(link)
        self.plain.delete(event)
        self._write(alias, self.older[alias])
        return {link, event, alias}

    def _forged(self, key: str, place: str = "") -> bytes:
        """A record with one value changed and its own digest right again; the signature stays, or goes."""
        record = json.loads(self.objects[key])
        name = self.choose.choice([n for n in record if n not in ("digest", "signature", "schema_version", "key")])
        value = record[name]
        record[name] = (
            (not value) if isinstance(value, bool) else (value + 1) if isinstance(value, int) else f"{value}x"
        )
        record["key"] = place or record["key"]
        if self.choose.random() < 0.3:
            record.pop("signature", None)
        record.pop("digest")
        return encode({**record, "digest": digest_value(record)})

    def _write(self, key: str, data: bytes) -> None:
        if (there := self.plain.get(key)) is None or there.data != data:
            self.overwrite(key, data)


def overwriting(address: str, store: Store) -> Callable[[str, bytes], None]:
    """How an attacker overwrites a key of the store at that address."""
    if not address.startswith("hf://"):
        return partial(_replace, store)
    # The store's own writer makes a model card of every manifest, and an attacker's need not be one.
    return partial(_upload, read_place(address))


def _replace(store: Store, key: str, data: bytes) -> None:
    there = store.get(key)
    if there is None:
        store.put_if_absent(key, data)
    else:
        store.replace_if(key, data, there.tag)


def _upload(place: HubPlace, key: str, data: bytes) -> None:
    from huggingface_hub import CommitOperationAdd, HfApi

    HfApi(endpoint=place.options.endpoint or None).create_commit(
        place.repository, [CommitOperationAdd(key, data)], commit_message="Edit", revision=place.options.branch
    )


def prepare(address: str, folder: Path, seed: int) -> tuple[Attack, Registry]:
    """A signed registry with two voices and their base, and how an attacker sees it. folder: for keys and witness."""
    (folder / "trusted").write_text(new_key(folder / "key"))
    reading = {"TIMBRE_TRUSTED_KEYS": str(folder / "trusted"), "TIMBRE_WITNESS": str(folder / "witness")}
    registry = open_registry(RegistryAddress(address, {**reading, "TIMBRE_SIGNING_KEY": str(folder / "key")}))
    (folder / "graphs").mkdir()
    (folder / "graphs" / "t2s.onnx").write_bytes(b"a graph" * 100)
    publish_base(registry.store, "b" * 64, folder / "graphs", {"name": "pico"}, "2.3")
    plain, older = open_store(RegistryAddress(address, {})), {}
    for voice in VOICES:
        for content in ("one", "two"):
            made = registry.publish(make_manifest(voice, content), make_files(content + voice), actor=ACTOR)
            registry.promote(voice, made.version, actor=ACTOR)
        registry.rollback(voice, actor=ACTOR, reason="worse")
        changing = [f"voices/{voice}/aliases/production.json", *([shard_key(voice)] if has_tags(plain) else [])]
        older.update({key: _bytes(plain, key) for key in changing})
        registry.promote(voice, make_manifest(voice, "two").version, actor=ACTOR, by_hand=True)
    new_key(folder / "attacker")
    signer = read_signer(folder / "attacker")
    own = SignedStore(plain, {signer.public.id: signer.public}, signer)
    objects = {key: _bytes(plain, key) for key in plain.list("") if key.startswith(_AREAS)}
    attack = Attack(plain, own, overwriting(address, plain), objects, older, random.Random(seed))
    return attack, open_registry(RegistryAddress(address, reading))


def accepted(attack: Attack, reader: Registry, edits: int, say: Callable[[str], None] | None = None) -> list[str]:
    """Edits after which nothing was refused or found. Raises AssertionError when the registry is not sound before."""
    assert verify(reader) == []
    found, indexed = [], has_tags(attack.plain)
    truth = plain(read_catalogue(reader, {}))
    running = Catalogue(reader, whole_s=0)
    before = running.read({})
    for number in range(edits):
        of_index = indexed and number % 2 == 1
        what, keys = attack.edit_index() if of_index else attack.edit()
        before, started = running.read(before), read_catalogue(reader, {})
        refused = of_index or any(listing.problem for listing in started.values()) or noticed(reader)
        if misled(plain(started), truth) or misled(plain(before), truth) or not refused:
            found.append(what)
        attack.restore(keys)
        if say is not None and (number + 1) % 50 == 0:
            say(f"after {number + 1} edits {len(found)} accepted")
    assert verify(reader) == []
    return found


def plain(listings: Mapping[str, Listing]) -> Served:
    """Of each voice the aliases, versions, and whether it is revoked."""
    return {
        name: (listing.aliases, listing.versions, listing.revoked is not None) for name, listing in listings.items()
    }


def misled(found: Served, truth: Served) -> bool:
    """Whether an alias leads where it does not lead in truth; one that is refused leads nowhere."""
    return any(state != truth[name][0].get(alias) for name in found for alias, state in found[name][0].items())


def noticed(reader: Registry) -> bool:
    """Whether an auditor sees that something is wrong."""
    try:
        return bool(verify(reader))
    except TimbreError:
        return True


def _bytes(store: Store, key: str) -> bytes:
    found = store.get(key)
    assert found is not None
    return found.data


def main() -> None:
    """Prints the result of each store; exits with 1 when an edit was accepted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--only", choices=STORES, default=None)
    given = parser.parse_args()
    failed = False
    for kind, address, folder in addresses(given.only, "hostile"):
        began = time.perf_counter()
        attack, reader = prepare(address, folder, given.seed)
        found = accepted(attack, reader, given.edits, partial(print, f"{kind}:", flush=True))
        took = time.perf_counter() - began
        print(f"{kind}: {given.edits} hostile edits: {len(found)} accepted (limit 0), {took:.0f} s", flush=True)
        for line in found:
            print(f"  {line}")
        failed |= bool(found)
    if failed:
        raise SystemExit("missed")
    print("passed")


if __name__ == "__main__":
    main()
