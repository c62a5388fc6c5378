"""The local store: the common behaviour, and what is particular to files."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from tests.registry.store_behaviour import StoreBehaviour
from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.registry.address import RegistryAddress
from timbre.registry.local_store import LocalStore
from timbre.registry.store_at import open_store


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "registry")


class TestLocalStore(StoreBehaviour):
    pass


def test_nothing_is_created_by_reading(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "registry")
    assert store.get("a") is None
    assert list(store.list("")) == []
    assert not (tmp_path / "registry").exists()


def test_a_full_disk_names_the_remedy_and_leaves_nothing(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_if_absent("a/one", b"kept")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfrastructureError, match="No space left") as caught:
        store.put_if_absent("a/two", b"lost")
    assert "free disk space" in caught.value.remedy
    monkeypatch.undo()
    assert list(store.list("")) == ["a/one"]
    assert not list((Path(store.url)).rglob(".tmp-*"))


def test_leftovers_of_killed_writers_are_invisible_and_swept(store: LocalStore) -> None:
    store.put_if_absent("a/one", b"1")
    old, young = Path(store.url) / "a" / ".tmp-1-old", Path(store.url) / "a" / ".tmp-2-young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (time.time() - 7200,) * 2)
    assert list(store.list("")) == ["a/one"]
    assert store.sweep() == 1
    assert young.exists()
    assert not old.exists()


def test_addresses(tmp_path: Path) -> None:
    assert open_store(RegistryAddress(str(tmp_path), os.environ)).url == str(tmp_path)
    assert open_store(RegistryAddress(f"file://{tmp_path}", os.environ)).url == str(tmp_path)
    for bad in ("", "ftp://host/x"):
        with pytest.raises(ConfigurationError, match="registry"):
            open_store(RegistryAddress(bad, os.environ))
