"""Looks at a registry in a folder: nothing is read while nothing changed, and no change is missed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.core.errors import InfrastructureError
from timbre.registry.actor import Actor
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Registry
from timbre.registry.revocation import revoke
from timbre.registry.store import Stored
from timbre.serving.catalogue import TICK_S, WHOLE_S, Catalogue, Listing

ADA = Actor("ada")
VOICES = ("ada", "ben", "eve")


class Watched(LocalStore):
    """A folder that notes what is asked of it, and that can be away."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.away = list[str](), False

    def get(self, key: str) -> Stored | None:
        self._note(f"get {key}")
        return super().get(key)

    def list(self, prefix: str) -> Iterator[str]:
        self._note(f"list {prefix}")
        return super().list(prefix)

    def _note(self, what: str) -> None:
        if self.away:
            raise InfrastructureError("the store is away", "wait")
        self.asked.append(what)


@dataclass
class Server:
    """A folder with three voices, and who looks at it, with a clock of its own."""

    folder: Path
    store: Watched
    writer: Registry
    now: float = 0.0
    listings: dict[str, Listing] = field(default_factory=dict)
    catalogue: Catalogue = field(init=False)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(Registry(self.store), clock=lambda: self.now)

    def look(self, after_s: float = 1.0) -> list[str]:
        """What is asked of the store at the next look."""
        self.now += after_s
        self.store.asked.clear()
        self.listings = self.catalogue.read(self.listings)
        return list(self.store.asked)

    def publish(self, voice: str, content: str) -> str:
        made = self.writer.publish(make_manifest(voice, content), make_files(content), actor=ADA)
        self.writer.promote(voice, made.version, actor=ADA)
        return made.version

    def speaking(self, voice: str) -> str | None:
        return self.listings[voice].aliases["production"].version

    def alias(self, voice: str) -> Path:
        return self.folder / "voices" / voice / "aliases" / "production.json"


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server that looked often enough to be at rest."""
    folder = tmp_path / "registry"
    made = Server(folder, Watched(folder), Registry(LocalStore(folder)))
    for voice in VOICES:
        made.publish(voice, "one")
        made.publish(voice, "two")
    made.look()
    made.look(TICK_S)
    assert made.look() == []
    return made


def test_the_first_reading_is_repeated_once_the_clock_went_on(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    made = Server(folder, Watched(folder), Registry(LocalStore(folder)))
    made.publish("ada", "one")
    assert "list voices/" in made.look()
    assert made.look() == []
    assert "list voices/" in made.look(TICK_S)
    assert made.look() == []


def test_a_look_reads_only_the_voice_that_moved(server: Server) -> None:
    version = server.publish("ben", "three")
    assert server.look() == ["list voices/ben/", "get voices/ben/aliases/production.json"]
    assert server.speaking("ben") == version
    assert version in server.listings["ben"].versions
    server.look(TICK_S)
    assert server.look() == []


def test_new_and_revoked_voices_are_seen(server: Server) -> None:
    version = server.publish("kim", "one")
    revoke(server.writer, "eve", actor=ADA, reason="withdrawn")
    assert "list voices/" not in server.look()
    assert server.speaking("kim") == version
    assert server.listings["eve"].revoked is not None


def test_a_voice_that_was_removed_is_gone(server: Server) -> None:
    for path in sorted((server.folder / "voices" / "ben").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (server.folder / "voices" / "ben").rmdir()
    server.look()
    assert sorted(server.listings) == ["ada", "eve"]


def written_in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def put_in_its_place(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    about = path.stat()
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("write", [written_in_place, put_in_its_place])
def test_an_alias_that_something_else_wrote_is_read(server: Server, write: Callable[[Path, bytes], None]) -> None:
    older = server.alias("ada").read_bytes()
    version = server.publish("ada", "three")
    newer = server.alias("ada").read_bytes()
    server.look()
    server.look(TICK_S)
    assert server.speaking("ada") == version
    write(server.alias("ada"), older)
    server.look()
    assert server.speaking("ada") == make_manifest("ada", "two").version
    server.look(TICK_S)
    write(server.alias("ada"), newer)
    server.look()
    assert server.speaking("ada") == version


def test_a_second_change_within_a_tick_of_the_clock_is_seen(server: Server) -> None:
    """Both leave the same times behind, as on a file system with a coarse clock."""
    server.publish("ada", "three")
    marks = server.store.marks("voices/", "aliases")
    server.look()
    (server.folder / "voices" / "ada" / "versions" / "0123456789ab.json").write_text("{}")
    server.store.marks = lambda prefix, replaced: marks  # type: ignore[method-assign]
    server.look()
    assert "0123456789ab" in server.listings["ada"].versions


def test_what_changed_while_the_store_failed_is_read_afterwards(server: Server) -> None:
    version = server.publish("ada", "three")
    server.store.away = True
    for _ in range(8):
        with pytest.raises(InfrastructureError):
            server.look()
    server.store.away = False
    server.look()
    assert server.speaking("ada") == version


def test_everything_is_read_now_and_then(server: Server) -> None:
    assert "list voices/" in server.look(WHOLE_S)


def test_a_folder_that_is_not_mounted_silences_nobody(server: Server) -> None:
    server.folder.rename(server.folder.with_name("elsewhere"))
    with pytest.raises(InfrastructureError, match="holds no voice any more"):
        server.look()
    server.folder.with_name("elsewhere").rename(server.folder)
    server.look()
    assert sorted(server.listings) == sorted(VOICES)


@pytest.fixture
def fresh(server: Server) -> Catalogue:
    """Of the same folder, before its first look."""
    return Catalogue(Registry(server.store), clock=lambda: server.now)


def test_a_reading_that_has_begun_is_what_the_first_look_finds(server: Server, fresh: Catalogue) -> None:
    fresh.begin()
    first = fresh.read({})
    assert set(first) == set(VOICES)
    version = server.publish("ada", "three")
    assert first["ada"].aliases["production"].version != version
    server.now += 1.0
    assert fresh.read(first)["ada"].aliases["production"].version == version, "the second look reads"


def test_a_reading_that_has_begun_is_not_read_again(server: Server, fresh: Catalogue) -> None:
    server.store.asked.clear()
    fresh.begin()
    fresh.read({})
    assert server.store.asked.count("list voices/") == 1


def test_a_reading_that_has_begun_and_failed_fails_the_first_look_alone(server: Server, fresh: Catalogue) -> None:
    server.store.away = True
    fresh.begin()
    with pytest.raises(InfrastructureError, match="away"):
        fresh.read({})
    server.store.away = False
    assert set(fresh.read({})) == set(VOICES)
