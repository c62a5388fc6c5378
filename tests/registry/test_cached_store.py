"""The cache in front of a store: what it answers while the store is away, and what it forgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from tests.registry.store_behaviour import StoreBehaviour
from timbre.core.errors import InfrastructureError
from timbre.registry.errors import RevokedError
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Actor, Registry
from timbre.registry.revocation import revoke
from timbre.registry.store import Stored
from timbre.registry.stores.cached import CachedStore

ADA = Actor("ada")


class Leaving(LocalStore):
    """Cannot be reached while `away`; counts what it is asked."""

    away = False
    asked = 0

    def get(self, key: str) -> Stored | None:
        self._ask()
        return super().get(key)

    def list(self, prefix: str):  # type: ignore[no-untyped-def]
        self._ask()
        return super().list(prefix)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise InfrastructureError("the store is gone")


@pytest.fixture
def inner(tmp_path: Path) -> Leaving:
    return Leaving(tmp_path / "inner")


@pytest.fixture
def store(inner: Leaving, tmp_path: Path) -> CachedStore:
    return CachedStore(inner, tmp_path / "cache", retry_s=0)


class TestCachedStore(StoreBehaviour):
    rounds = 5


@pytest.fixture
def registry(inner: Leaving) -> Registry:
    registry = Registry(inner)
    for voice in ("ada", "ben"):
        manifest = registry.publish(make_manifest(voice), make_files(voice), actor=ADA)
        registry.promote(voice, manifest.version, actor=ADA)
    return registry


def read_all(registry: Registry, voice: str) -> dict[str, bytes]:
    manifest = registry.resolve(voice)
    return {entry.path: registry.read_file(manifest, entry.path) for entry in manifest.files}


def test_what_was_read_is_read_again_while_the_store_is_away(
    registry: Registry, inner: Leaving, store: CachedStore, tmp_path: Path
) -> None:
    cached = Registry(store)
    before = read_all(cached, "ada")
    inner.away = True
    assert read_all(cached, "ada") == before
    assert store.problem == "the store is gone"
    assert store.away_since
    restarted = Registry(CachedStore(inner, tmp_path / "cache"))
    assert read_all(restarted, "ada") == before
    with pytest.raises(InfrastructureError, match="gone"):
        read_all(cached, "ben")
    inner.away = False
    assert read_all(cached, "ben")
    assert store.problem == ""
    assert store.away_since is None


def test_a_store_that_is_away_is_not_asked_for_every_object(registry: Registry, inner: Leaving, tmp_path: Path) -> None:
    now = [0.0]
    cached = Registry(CachedStore(inner, tmp_path / "cache", clock=lambda: now[0]))
    read_all(cached, "ada")
    inner.away, inner.asked = True, 0
    for _ in range(10):
        read_all(cached, "ada")
    assert inner.asked == 1
    now[0] = 6.0
    read_all(cached, "ada")
    assert inner.asked == 2


def test_moves_are_seen_at_once_and_unchanging_objects_are_asked_once(
    registry: Registry, inner: Leaving, store: CachedStore
) -> None:
    cached = Registry(store)
    first = read_all(cached, "ada")
    inner.asked = 0
    assert read_all(cached, "ada") == first
    assert inner.asked == 2  # listing, alias
    manifest = registry.publish(make_manifest("ada", "three"), make_files("three"), actor=ADA)
    registry.promote("ada", manifest.version, actor=ADA)
    assert cached.resolve("ada").version == manifest.version


def test_a_damaged_copy_is_not_believed(registry: Registry, inner: Leaving, store: CachedStore, tmp_path: Path) -> None:
    before = read_all(Registry(store), "ada")
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file() and ("blobs" in path.parts or "versions" in path.parts):
            path.write_bytes(path.read_bytes()[:-1] + b"#")
    assert read_all(Registry(store), "ada") == before


def test_a_revocation_empties_the_cache(registry: Registry, store: CachedStore, tmp_path: Path) -> None:
    cached = Registry(store)
    kept = read_all(cached, "ben")
    gone = read_all(cached, "ada")
    revoke(registry, "ada", actor=ADA, reason="consent withdrawn")
    with pytest.raises(RevokedError):
        cached.resolve("ada")
    left = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not [data for data in gone.values() if data in left and data not in kept.values()]
    assert all(data in left for data in kept.values())


def test_the_cache_is_private_and_bounded(registry: Registry, inner: Leaving, tmp_path: Path) -> None:
    read_all(Registry(CachedStore(inner, tmp_path / "cache")), "ada")
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    CachedStore(inner, tmp_path / "cache", limit_bytes=30)
    assert sum(path.stat().st_size for path in (folder / "objects" / "blobs").glob("*/*")) <= 30
