"""Packs of a voice's records: what they save, and that nobody is misled by one that is old, damaged or forged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from tests.registry.test_index import ADA, Bucket, Place, attacker, place
from timbre.core.digests import digest_value
from timbre.registry import index, mirror, packs
from timbre.registry.events import Event
from timbre.registry.local_store import LocalStore
from timbre.registry.packs import pack_key
from timbre.registry.records import encode
from timbre.registry.registry import Registry
from timbre.registry.signing import SignedStore
from timbre.registry.verification import audit, verify

__all__ = ["place"]


def pack(place: Place, voice: str = "ada") -> Path:
    return place.folder / "registry" / pack_key(voice)


def truth(place: Place, voice: str = "ada") -> list[Event]:
    """The history from its records alone."""
    store = place.reader.store
    assert isinstance(store, SignedStore)
    return Registry(SignedStore(LocalStore(place.folder / "registry"), store._trusted)).history(voice)


def test_a_history_is_two_requests(place: Place) -> None:
    assert place.reader.history("ada") == truth(place)
    assert sorted(place.bucket.asked) == [f"get {pack_key('ada')}", "tags voices/ada/"]


def test_versions_are_two_requests(place: Place) -> None:
    found = [manifest.version for manifest in place.reader.versions("ada")]
    assert found == [make_manifest("ada", content).version for content in ("one", "two")]
    assert sorted(place.bucket.asked) == [f"get {pack_key('ada')}", "tags voices/ada/"]


def test_a_resolution_is_one_listing_and_two_records(place: Place) -> None:
    version = place.reader.resolve("ada").version
    alias, manifest = f"voices/ada/aliases/{'production'}.json", f"voices/ada/versions/{version}.json"
    assert place.bucket.asked == ["list voices/ada/", f"get {alias}", f"get {manifest}"]


def test_a_publication_asks_no_more_for_each_version_that_was_there(place: Place) -> None:
    bucket = Bucket(place.folder / "registry")
    writer = place.writer.store
    assert isinstance(writer, SignedStore)
    registry = Registry(SignedStore(bucket, writer._trusted, writer._signer), witness=place.writer.witness)
    counts = []
    for number in range(6):
        bucket.asked.clear()
        registry.publish(make_manifest("ada", f"more {number}"), make_files(f"more {number}"), actor=ADA)
        counts.append(len(bucket.asked))
    assert len(set(counts)) == 1


def test_a_record_that_a_dead_writer_left_out_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as dead:
        dead.setattr(packs, "note", lambda store, voice: False)
        place.voice("ada", "three")
    place.bucket.asked.clear()
    assert place.reader.history("ada") == truth(place)
    assert len([item for item in place.bucket.asked if "/events/" in item]) == 2
    place.writer.settle("ada")
    place.bucket.asked.clear()
    assert place.reader.history("ada") == truth(place)
    assert len(place.bucket.asked) == 2, "the next writer healed it"


def test_a_record_that_was_removed_is_gone(place: Place) -> None:
    path = sorted((place.folder / "registry" / "voices" / "ada" / "events").iterdir())[0]
    path.unlink()
    assert len(place.reader.history("ada")) == 3
    assert f"voices/ada/events/{path.name}" in [finding.key for finding in audit(place.reader, "ada")]


# -- somebody who can write the bucket, but has no key ----------------------------------------------------------------


def forged_event(place: Place) -> bytes:
    """The pack with one event that says something else."""
    record = json.loads(pack(place).read_bytes())
    record.pop("digest")
    key = next(name for name in record["records"] if "/events/" in name)
    event = json.loads(record["records"][key][1])
    event.pop("digest")
    event["actor"] = "mallory"
    record["records"][key][1] = encode({**event, "digest": digest_value(event)}).decode()
    return encode({**record, "digest": digest_value(record)})


def put_back_first(place: Place, older: bytes) -> None:
    pack(place).write_bytes(older)


def forge(place: Place, older: bytes) -> None:
    pack(place).write_bytes(forged_event(place))


def forge_with_own_key(place: Place, older: bytes) -> None:
    pack(place).write_bytes(attacker(place)._signed(pack_key("ada"), forged_event(place)))


def cut(place: Place, older: bytes) -> None:
    pack(place).write_bytes(pack(place).read_bytes()[:-9])


def swap(place: Place, older: bytes) -> None:
    pack(place).write_bytes(pack(place, "ben").read_bytes())


def delete(place: Place, older: bytes) -> None:
    pack(place).unlink()


Edit = Callable[[Place, bytes], None]


@pytest.fixture
def older(place: Place) -> bytes:
    """The pack before the last move of ada."""
    found = pack(place).read_bytes()
    place.voice("ada", "three")
    return found


@pytest.mark.parametrize("edit", [put_back_first, forge, forge_with_own_key, cut, swap, delete])
def test_an_edited_pack_misleads_nobody(place: Place, older: bytes, edit: Edit) -> None:
    expected = truth(place)
    edit(place, older)
    assert place.reader.history("ada") == expected
    assert [item.version for item in place.reader.versions("ada")] == [
        make_manifest("ada", content).version for content in ("one", "two", "three")
    ]
    place.voice("ada", "four")
    assert place.reader.history("ada") == truth(place)
    assert packs.problems(place.reader.store) == [], "the next writer replaced it"
    place.bucket.asked.clear()
    place.reader.history("ada")
    assert len(place.bucket.asked) == 2


@pytest.mark.parametrize("edit", [forge, forge_with_own_key, cut, swap])
def test_verify_names_a_pack_that_nobody_with_the_key_wrote(place: Place, older: bytes, edit: Edit) -> None:
    edit(place, older)
    found = [finding.key for finding in verify(place.reader) if finding.key.startswith(packs.AREA)]
    assert found == [pack_key("ada")]


def test_a_copy_that_the_key_did_not_sign_is_not_used(place: Place) -> None:
    """Each copy is checked as its record is, not only the pack that holds it."""
    expected, store = truth(place), place.writer.store
    assert isinstance(store, SignedStore)
    pack(place).write_bytes(store._signed(pack_key("ada"), forged_event(place)))
    assert place.reader.history("ada") == expected
    assert packs.problems(place.reader.store)[0][0] == pack_key("ada")


# -- mirrors, backups, older registries -------------------------------------------------------------------------------


def test_packs_that_are_missing_are_made_with_the_index(place: Place) -> None:
    shutil.rmtree(place.folder / "registry" / "packs")
    index.rebuild(place.writer.store)
    place.bucket.asked.clear()
    assert place.reader.history("ben") == truth(place, "ben")
    assert len(place.bucket.asked) == 2


def test_a_mirror_without_a_key_has_no_packs_and_a_backup_none(place: Place, tmp_path: Path) -> None:
    target = Bucket(tmp_path / "mirror")
    mirror.sync(place.reader.store, target)
    assert list(target.list(packs.AREA)) == []
    backup = LocalStore(tmp_path / "backup")
    mirror.back_up(place.reader.store, backup, "2026-11-21T09:00:00.000000+00:00")
    assert list(backup.list(packs.AREA)) == []
