"""How a signed registry is read: without false alarms beside a writer, and with few requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.registry.actor import Actor
from timbre.registry.errors import CorruptError
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Registry
from timbre.registry.signing import SignedStore
from timbre.registry.signing_keys import FileSigner
from timbre.registry.store import Stored
from timbre.serving.catalogue import read_catalogue

ADA = Actor("ada")


class Watched(LocalStore):
    """Notes what is asked of it; after each answer it lets somebody else act."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []
        self.then: Callable[[], object] = lambda: None

    def get(self, key: str) -> Stored | None:
        found = super().get(key)
        self.asked.append(f"get {key}")
        self.then()
        return found

    def list(self, prefix: str) -> Iterator[str]:
        found = [*super().list(prefix)]
        self.asked.append(f"list {prefix}")
        self.then()
        yield from found


def signed(store: LocalStore, witness: LocalStore, signer: FileSigner) -> Registry:
    trusted = {signer.public.id: signer.public}
    return Registry(SignedStore(store, trusted, signer), witness=SignedStore(witness, trusted, signer))


def lives(registry: Registry, *voices: str) -> None:
    for voice in voices:
        for content in ("one", "two"):
            made = registry.publish(make_manifest(voice, content), make_files(content), actor=ADA)
            registry.promote(voice, made.version, actor=ADA)


@pytest.mark.parametrize("after", range(3))
def test_a_writer_who_acts_meanwhile_is_no_attacker(tmp_path: Path, signer: FileSigner, after: int) -> None:
    """Between any two requests of a reader another process publishes and moves the alias."""
    writer = signed(LocalStore(tmp_path / "registry"), LocalStore(tmp_path / "witness"), signer)
    lives(writer, "ada")
    store, witness = Watched(tmp_path / "registry"), Watched(tmp_path / "witness")
    witness.asked = store.asked
    reader = signed(store, witness, signer)

    def act() -> None:
        if len(store.asked) == after + 1:
            store.then = witness.then = lambda: None
            made = writer.publish(make_manifest("ada", "three"), make_files("three"), actor=ADA)
            writer.promote("ada", made.version, actor=ADA)

    store.then = witness.then = act
    state = reader.alias("ada")
    assert len(store.asked) == 3
    assert state is not None
    assert state.version in {make_manifest("ada", content).version for content in ("two", "three")}
    moved = reader.alias("ada")
    assert moved is not None
    assert moved.version == make_manifest("ada", "three").version


def test_a_server_asks_once_for_all_histories_and_once_for_each_alias(tmp_path: Path, signer: FileSigner) -> None:
    store, witness = Watched(tmp_path / "registry"), Watched(tmp_path / "witness")
    registry = signed(store, witness, signer)
    lives(registry, "ada", "ben", "eve")
    store.asked.clear()
    witness.asked.clear()
    before = read_catalogue(registry, {})
    assert {name: found.problem for name, found in before.items()} == {"ada": "", "ben": "", "eve": ""}
    assert witness.asked == ["list heads/"]
    aliases = [f"get voices/{voice}/aliases/production.json" for voice in ("ada", "ben", "eve")]
    assert sorted(store.asked) == [*aliases, "list voices/"]


@pytest.mark.parametrize("gone", ["aliases", "events", "chain"])
def test_a_server_sees_what_was_taken_away(tmp_path: Path, signer: FileSigner, gone: str) -> None:
    registry = signed(LocalStore(tmp_path / "registry"), LocalStore(tmp_path / "witness"), signer)
    lives(registry, "ada", "ben")
    before = read_catalogue(registry, {})
    sorted((tmp_path / "registry" / "voices" / "ada" / gone).iterdir())[-1].unlink()
    found = read_catalogue(registry, before)
    assert found["ada"].problem
    assert found["ada"].aliases == before["ada"].aliases, "what was known keeps speaking"
    assert found["ben"] == before["ben"]
    assert read_catalogue(registry, {})["ada"].aliases == {}, "a server that starts does not load it"
    with pytest.raises(CorruptError):
        registry.resolve("ada")
