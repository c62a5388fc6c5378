"""Signatures and the chain: what somebody who can write the store, but has no key, gets accepted (nothing)."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.core.digests import digest_value
from timbre.core.errors import ConfigurationError, TimbreError
from timbre.registry import chain
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import list_bases, publish_base
from timbre.registry.errors import CorruptError
from timbre.registry.local_store import LocalStore
from timbre.registry.open import open_registry
from timbre.registry.records import encode
from timbre.registry.registry import Actor, Registry
from timbre.registry.revocation import revoke
from timbre.registry.signing import SignedStore, adopt_records
from timbre.registry.signing_keys import new_key, read_signer
from timbre.registry.verification import audit, verify

ACTOR = Actor("ada", "c1")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key") + "  # the operator's\n")
    return {
        "TIMBRE_SIGNING_KEY": str(tmp_path / "key"),
        "TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted"),
        "TIMBRE_WITNESS": str(tmp_path / "witness"),
    }


def filled(folder: Path, environment: dict[str, str], tmp_path: Path) -> Registry:
    """A life: two voices, publish, promote, roll back, retire; a base with a graph."""
    registry = open_registry(RegistryAddress(str(folder), environment))
    for voice in ("ada", "ben"):
        for content in ("one", "two"):
            made = registry.publish(make_manifest(voice, content), make_files(content + voice), actor=ACTOR)
            registry.promote(voice, made.version, actor=ACTOR)
        registry.rollback(voice, actor=ACTOR, reason="worse")
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    (graphs / "t2s.onnx").write_bytes(b"a graph" * 100)
    (graphs / "export.json").write_text("{}")
    publish_base(registry.store, "b" * 64, graphs, {"name": "pico"}, "2.3")
    return registry


def test_what_is_signed_reads_as_before(tmp_path: Path, keys: dict[str, str]) -> None:
    registry = filled(tmp_path / "registry", keys, tmp_path)
    reader = open_registry(RegistryAddress(str(tmp_path / "registry"), {**keys, "TIMBRE_SIGNING_KEY": ""}))
    assert reader.resolve("ada").version == make_manifest("ada", "one").version
    assert verify(reader) == []
    assert audit(reader, "ada") == []
    plain = open_registry(RegistryAddress(str(tmp_path / "registry"), {}))
    assert plain.resolve("ada") == registry.resolve("ada"), "a program without keys reads it too"
    with pytest.raises(ConfigurationError, match="without a signature"):
        reader.promote("ada", make_manifest("ada", "two").version, actor=ACTOR)
    revoke(registry, "ben", actor=ACTOR, reason="withdrawn")
    assert verify(reader) == []


def _forge(data: bytes, choose: random.Random, key: str = "") -> bytes:
    """A record with one value changed, its own digest right again; the signature, if any, is that of the true one."""
    record = json.loads(data)
    name = choose.choice([name for name in record if name not in ("digest", "signature", "schema_version", "key")])
    value = record[name]
    record[name] = (not value) if isinstance(value, bool) else (value + 1) if isinstance(value, int) else f"{value}x"
    if key:
        record["key"] = key
    if choose.random() < 0.3:
        record.pop("signature", None)
    record.pop("digest")
    return encode({**record, "digest": digest_value(record)})


def _edit(folder: Path, choose: random.Random, attacker: SignedStore, older: dict[str, bytes]) -> str:
    """One hostile edit of the store; what it was."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.json"))}
    files = {key: path for key, path in files.items() if key.startswith(("voices/", "bases/"))}
    key = choose.choice(list(files))
    kind = choose.choice(("forge", "own key", "remove", "swap", "replay", "blob", "add", "cut", "retire"))
    if kind == "replay" and older:
        key = choose.choice(list(older))
        (folder / key).write_bytes(older[key])
    elif kind == "blob":
        blob = choose.choice([path for path in sorted((folder / "blobs").rglob("*")) if path.is_file()])
        blob.write_bytes(blob.read_bytes() + b"x")
        key = blob.name
    elif kind == "own key":
        record = {n: v for n, v in json.loads(_forge(files[key].read_bytes(), choose)).items() if n != "digest"}
        files[key].write_bytes(attacker._signed(key, encode(record)))
    elif kind == "remove":
        files[key].unlink()
    elif kind == "swap":
        other = choose.choice([name for name in files if name != key])
        files[key].write_bytes(files[other].read_bytes())
    elif kind == "add":
        events = [name for name in files if "/events/" in name]
        key = choose.choice(events)
        new = key.replace(".json", "0.json")
        (folder / new).write_bytes(_forge(files[key].read_bytes(), choose, new))
    elif kind == "cut":
        # The last link with its event, and the alias as it was before: a history that ends earlier.
        links = sorted(name for name in files if name.startswith("voices/ada/chain/"))
        (folder / json.loads(files[links[-1]].read_bytes())["event"]).unlink()
        files[links[-1]].unlink()
        (folder / "voices/ada/aliases/production.json").write_bytes(older["voices/ada/aliases/production.json"])
        key = links[-1]
    elif kind == "retire":
        (folder / "voices/ben/aliases/production.json").unlink()
        key = "voices/ben/aliases/production.json"
    else:
        files[key].write_bytes(_forge(files[key].read_bytes(), choose))
    return f"{kind} {key}"


@pytest.mark.parametrize("edits", [25, pytest.param(300, marks=pytest.mark.slow)])
def test_of_hostile_edits_without_the_key_none_is_accepted(tmp_path: Path, keys: dict[str, str], edits: int) -> None:
    folder = tmp_path / "registry"
    registry = filled(folder, keys, tmp_path)
    older = {}
    for voice in ("ada", "ben"):
        alias = f"voices/{voice}/aliases/production.json"
        older[alias] = (folder / alias).read_bytes()
        registry.promote(voice, make_manifest(voice, "two").version, actor=ACTOR, by_hand=True)
    new_key(tmp_path / "attacker")
    signer = read_signer(tmp_path / "attacker")
    attacker = SignedStore(LocalStore(folder), {signer.public.id: signer.public}, signer)
    reader = open_registry(RegistryAddress(str(folder), {**keys, "TIMBRE_SIGNING_KEY": ""}))
    assert verify(reader) == []
    choose, accepted = random.Random(13), []
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for _ in range(edits):
        what = _edit(folder, choose, attacker, older)
        try:
            found = verify(reader)
        except TimbreError:
            found = ["refused"]  # type: ignore[list-item]
        if not found:
            accepted.append(what)
        for path in [path for path in folder.rglob("*") if path.is_file() and path not in kept]:
            path.unlink()
        for path, data in kept.items():
            if not path.is_file() or path.read_bytes() != data:
                path.write_bytes(data)
    assert accepted == []
    assert verify(reader) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "voices/ada/aliases/production.json").unlink(),
        lambda folder: [path.unlink() for path in sorted((folder / "voices/ada/events").iterdir())[-1:]],
        lambda folder: [path.unlink() for path in sorted((folder / "voices/ada/chain").iterdir())[-1:]],
    ],
)
def test_a_server_refuses_at_the_load(tmp_path: Path, keys: dict[str, str], edit: Callable[[Path], None]) -> None:
    folder = tmp_path / "registry"
    filled(folder, keys, tmp_path)
    reader = open_registry(RegistryAddress(str(folder), {**keys, "TIMBRE_SIGNING_KEY": ""}))
    edit(folder)
    with pytest.raises(CorruptError):
        reader.resolve("ada")


def test_an_older_alias_that_was_put_back_is_refused(tmp_path: Path, keys: dict[str, str]) -> None:
    registry = filled(tmp_path / "registry", keys, tmp_path)
    alias = tmp_path / "registry/voices/ada/aliases/production.json"
    old = alias.read_bytes()
    registry.promote("ada", make_manifest("ada", "two").version, actor=ACTOR, by_hand=True)
    alias.write_bytes(old)
    with pytest.raises(CorruptError, match="older state"):
        registry.resolve("ada")


def test_a_forged_base_is_not_listed(tmp_path: Path, keys: dict[str, str]) -> None:
    registry = filled(tmp_path / "registry", keys, tmp_path)
    path = next((tmp_path / "registry/bases").rglob("*.json"))
    path.write_bytes(_forge(path.read_bytes(), random.Random(1)))
    with pytest.raises(CorruptError, match="not signed"):
        list_bases(registry.store)


def test_a_link_that_a_killed_writer_left_out_is_written_by_the_next(tmp_path: Path, keys: dict[str, str]) -> None:
    registry = filled(tmp_path / "registry", keys, tmp_path)
    sorted((tmp_path / "registry/voices/ada/chain").iterdir())[-1].unlink()
    shutil.rmtree(tmp_path / "witness")
    assert [item.problem for item in audit(registry, "ada")] == [
        "an event that the history does not name (the next move links it, if it is true)"
    ]
    registry.settle("ada")
    assert audit(registry, "ada") == []
    assert chain.witnessed(registry.witness, "ada") != []


def test_a_registry_without_signatures_is_adopted(tmp_path: Path, keys: dict[str, str]) -> None:
    plain = open_registry(RegistryAddress(str(tmp_path / "registry"), {}))
    made = plain.publish(make_manifest(), make_files(), actor=ACTOR)
    plain.promote("ada", made.version, actor=ACTOR)
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), keys))
    with pytest.raises(CorruptError, match="not signed"):
        registry.resolve("ada")
    assert adopt_records(registry.store) == 4
    assert adopt_records(registry.store) == 0
    registry.settle("ada")
    assert registry.resolve("ada") == made
    assert [item.key for item in verify(registry)] == [f"bases/{'b' * 64}/"], "this one never had its base"


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    new_key(tmp_path / "key")
    with pytest.raises(ConfigurationError, match="already"):
        new_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read"):
        read_signer(tmp_path / "key")


def test_verify_sweeps_what_killed_writers_left(tmp_path: Path, keys: dict[str, str]) -> None:
    registry = filled(tmp_path / "registry", keys, tmp_path)
    left = tmp_path / "registry" / "voices" / "ada" / ".tmp-1-dead"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    assert verify(registry) == []
    assert not left.exists()
