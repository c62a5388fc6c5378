"""Mirrors, backups and their restoration, and what a registry takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.core.errors import CheckFailedError, InfrastructureError, InputError
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import publish_base
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.encryption.master import new_master, read_master
from timbre.registry.errors import CorruptError, RevokedError
from timbre.registry.local_store import LocalStore
from timbre.registry.mirror import BACKUP, back_up, restore, sync
from timbre.registry.open import open_registry
from timbre.registry.records import seal, unseal
from timbre.registry.registry import Actor, Registry
from timbre.registry.revocation import revoke
from timbre.registry.signing import SignedStore
from timbre.registry.signing_keys import new_key, read_trusted
from timbre.registry.usage import usage
from timbre.registry.verification import audit, verify

ADA = Actor("ada")


def publish(registry: Registry, voice: str, content: str) -> str:
    manifest = registry.publish(make_manifest(voice, content), make_files(voice + content), actor=ADA)
    assert registry.promote(voice, manifest.version, actor=ADA).moved
    return manifest.version


@pytest.fixture
def filled(registry: Registry) -> Registry:
    for voice, content in itertools.product(("ada", "ben"), ("one", "three")):
        publish(registry, voice, content)
    return registry


@pytest.fixture
def target(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "target")


class Breaking(LocalStore):
    """Fails after some writes."""

    left = 0

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if Breaking.left == 0:
            raise InfrastructureError("the network is gone")
        Breaking.left -= 1
        return super().put_if_absent(key, data)


def test_a_mirror_is_equal_and_follows(filled: Registry, target: LocalStore) -> None:
    first = sync(filled.store, target)
    assert first.copied
    assert not first.left
    assert verify(Registry(target)) == []
    for voice in ("ada", "ben"):
        assert Registry(target).resolve(voice) == filled.resolve(voice)
        assert Registry(target).history(voice) == filled.history(voice)
    assert sync(filled.store, target).copied == 0
    filled.rollback("ada", actor=ADA)
    assert sync(filled.store, target).copied == 2  # the alias and its event
    assert Registry(target).resolve("ada") == filled.resolve("ada")


def test_a_filtered_mirror_holds_one_voice_and_its_base(filled: Registry, target: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "export.json").write_text("{}")
    for digest in ("b" * 64, "c" * 64):
        publish_base(filled.store, digest, tmp_path / "export", {"name": "pico"}, "1.0")
    sync(filled.store, target, ["ada"])
    assert Registry(target).voices() == ["ada"]
    assert [key.split("/")[1] for key in target.list("bases/")] == ["b" * 64]
    with pytest.raises(InputError, match="it has: ada, ben"):
        sync(filled.store, target, ["eve"])


def test_a_broken_copy_shows_nothing_half_and_goes_on(filled: Registry, tmp_path: Path) -> None:
    for writes in itertools.count():
        Breaking.left = writes
        target = Breaking(tmp_path / "target")
        try:
            sync(filled.store, target)
            break
        except InfrastructureError:
            assert [f for f in verify(Registry(target)) if "unused" not in f.problem] == []
    assert writes > 5
    assert verify(Registry(target)) == []


def test_a_target_that_is_ahead_is_left_alone(filled: Registry, target: LocalStore) -> None:
    sync(filled.store, target)
    there = Registry(target)
    there.rollback("ada", actor=ADA)
    there.rollback("ada", actor=ADA, to=filled.versions("ada")[-1].version)
    before = there.alias("ada")
    done = sync(filled.store, target)
    assert there.alias("ada") == before
    assert "generation" in done.left["voices/ada/aliases/production.json"]


def test_damage_is_not_mirrored(filled: Registry, target: LocalStore) -> None:
    victim = filled.resolve("ada")
    blob = next(entry for entry in victim.files if entry.path == "t2s/adapter.bin").sha256
    (Path(filled.store.url) / "blobs" / blob[:2] / blob).write_bytes(b"changed")
    done = sync(filled.store, target)
    assert done.left[victim.key]
    assert target.get(victim.key) is None
    assert Registry(target).resolve("ben") == filled.resolve("ben")


def test_a_revocation_reaches_the_mirror(filled: Registry, target: LocalStore) -> None:
    sync(filled.store, target)
    blobs = {entry.sha256 for manifest in filled.versions("ada") for entry in manifest.files}
    kept = {entry.sha256 for manifest in filled.versions("ben") for entry in manifest.files}
    revoke(filled, "ada", actor=ADA, reason="consent withdrawn")
    assert sync(filled.store, target).revoked == ["ada"]
    assert not {key.rsplit("/", 1)[-1] for key in target.list("blobs/")} & (blobs - kept)
    with pytest.raises(RevokedError):
        Registry(target).resolve("ada")
    assert Registry(target).resolve("ben") == filled.resolve("ben")


def test_a_backup_restored_into_an_empty_store_is_the_registry(
    filled: Registry, target: LocalStore, tmp_path: Path
) -> None:
    back_up(filled.store, target, "2026-11-28T12:00:00.000000+00:00")
    with pytest.raises(InputError, match="finished backup"):
        back_up(filled.store, target, "later")
    empty = LocalStore(tmp_path / "empty")
    restore(target, empty)
    again = Registry(empty)
    assert sorted(empty.list("")) == sorted(filled.store.list(""))
    assert verify(again) == []
    assert again.resolve("ada") == filled.resolve("ada")
    assert again.history("ben") == filled.history("ben")
    with pytest.raises(InputError, match="already"):
        other = Registry(LocalStore(tmp_path / "other"))
        publish(other, "eve", "one")
        restore(target, other.store)


@pytest.mark.parametrize("harm", ["removed", "changed", "unfinished"])
def test_a_damaged_backup_is_refused_before_anything_is_written(
    filled: Registry, target: LocalStore, tmp_path: Path, harm: str
) -> None:
    back_up(filled.store, target, "now")
    victim = Path(target.url) / (BACKUP if harm == "unfinished" else next(target.list("voices/ben/events/")))
    victim.write_bytes(b"{}") if harm == "changed" else victim.unlink()
    empty = LocalStore(tmp_path / "empty")
    with pytest.raises((CorruptError, InputError), match="missing"):
        restore(target, empty)
    assert list(empty.list("")) == []


def test_backups_forget_a_voice_whose_key_was_destroyed(tmp_path: Path, target: LocalStore) -> None:
    store = LocalStore(tmp_path / "live")
    keys = Keyring(store, read_master(new_master()))
    registry = Registry(store, keys=keys)
    for voice in ("ada", "ben"):
        publish(registry, voice, "one")
    back_up(store, target, "now")
    assert not list(target.list("keys/"))
    revoke(registry, "ada", actor=ADA, reason="consent withdrawn")
    restored = LocalStore(tmp_path / "restored")
    restore(target, restored)
    with_keys = Registry(restored, keys=Keyring(store, keys.master))
    assert with_keys.read_file(with_keys.resolve("ben"), "README.md") == b"benone"
    with pytest.raises(Exception, match="data key"):
        with_keys.read_file(with_keys.resolve("ada"), "README.md")


def test_a_backup_of_a_damaged_registry_says_so(filled: Registry, target: LocalStore) -> None:
    victim = filled.resolve("ada").files[0].sha256
    (Path(filled.store.url) / "blobs" / victim[:2] / victim).unlink()
    with pytest.raises(CheckFailedError, match="left out"):
        back_up(filled.store, target, "now")
    assert target.get(BACKUP) is None


def test_usage_counts_each_file_once(filled: Registry) -> None:
    found = usage(filled.store)
    lines = {line.name: line for line in found.lines}
    stored = [filled.store.get(key) for key in filled.store.list("blobs/")]
    assert lines["ada"].versions == 2
    assert lines["ada"].shared_bytes == len(b"prompt shared by all")
    assert found.total_bytes == sum(len(blob.data) for blob in stored if blob is not None)
    assert found.unreferenced == 0
    filled.store.put_if_absent("blobs/aa/" + "a" * 64, b"left by a killed writer")
    assert usage(filled.store).unreferenced == 1


def test_a_mirror_of_a_signed_registry_needs_no_key_and_holds_its_history(tmp_path: Path) -> None:
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key"))
    reading = {"TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}
    source = open_registry(
        RegistryAddress(str(tmp_path / "source"), {**reading, "TIMBRE_SIGNING_KEY": str(tmp_path / "key")})
    )
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "export.json").write_text("{}")
    publish_base(source.store, "b" * 64, tmp_path / "export", {"name": "pico"}, "1.0")
    for voice in ("ada", "ben"):
        publish(source, voice, "one")
    mirror = open_registry(RegistryAddress(str(tmp_path / "mirror"), reading))
    assert not sync(source.store, mirror.store).left
    assert verify(mirror) == []
    assert audit(mirror, "ada") == []
    link = max((tmp_path / "mirror" / "voices" / "ada" / "chain").iterdir())
    link.unlink()
    assert verify(mirror)
    sync(source.store, mirror.store)
    assert verify(mirror) == []
    revoke(source, "ada", actor=ADA, reason="withdrawn")
    sync(source.store, mirror.store)
    assert verify(mirror) == []
    with pytest.raises(RevokedError):
        mirror.resolve("ada")
    forged = LocalStore(tmp_path / "source")
    alias = "voices/ben/aliases/production.json"
    (tmp_path / "source" / alias).write_bytes(seal(alias, {**unseal(alias, forged.get(alias).data), "actor": "eve"}))  # type: ignore[union-attr]
    with pytest.raises(CorruptError, match="not signed"):
        sync(forged, open_registry(RegistryAddress(str(tmp_path / "new"), reading)).store)


def test_a_mirror_and_a_backup_know_revoked_recordings(filled: Registry, target: LocalStore) -> None:
    """Recordings that are revoked stay so under every name, also where they never were published before."""
    import dataclasses

    manifest = dataclasses.replace(make_manifest("eve", "one"), recordings="e" * 64)
    filled.publish(manifest, make_files("eve"), actor=ADA)
    revoke(filled, "eve", actor=ADA, reason="withdrawn")
    sync(filled.store, target)
    again = dataclasses.replace(make_manifest("eva", "one"), recordings="e" * 64)
    with pytest.raises(RevokedError):
        Registry(target).publish(again, make_files("eve"), actor=ADA)


def test_a_signed_mirror_that_is_broken_off_is_never_an_older_state(tmp_path: Path) -> None:
    """The mirror holds a state and follows the next, broken off at every write: the voice stays readable throughout."""
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key"))
    reading = {"TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}
    source = open_registry(
        RegistryAddress(str(tmp_path / "source"), {**reading, "TIMBRE_SIGNING_KEY": str(tmp_path / "key")})
    )
    publish(source, "ada", "one")
    trusted = open_registry(RegistryAddress(str(tmp_path / "mirror"), reading))
    sync(source.store, trusted.store)
    publish(source, "ada", "two")
    source.rollback("ada", actor=ADA)
    for writes in itertools.count():
        Breaking.left = writes
        target = SignedStore(Breaking(tmp_path / "mirror"), read_trusted(tmp_path / "trusted"))
        try:
            sync(source.store, target)
            break
        except InfrastructureError:
            assert trusted.resolve("ada").voice == "ada", f"broken off after {writes} writes"
    assert writes > 3
    assert trusted.resolve("ada") == source.resolve("ada")


def test_an_alias_that_moves_while_it_is_mirrored_leads_to_a_whole_version(filled: Registry, tmp_path: Path) -> None:
    class Moving(LocalStore):
        """Publishes a version when the first alias is asked for."""

        moved = False

        def list(self, prefix: str) -> Iterator[str]:
            if prefix == "voices/ada/aliases/" and not Moving.moved:
                Moving.moved = True
                publish(filled, "ada", "meanwhile")
            return super().list(prefix)

    target = LocalStore(tmp_path / "target")
    assert not sync(Moving(Path(filled.store.url)), target).left
    mirror = Registry(target)
    assert mirror.resolve("ada") == filled.resolve("ada")
    assert [f for f in verify(mirror) if "unused" not in f.problem] == []
