"""A signing key that leaked is given up: what was true stays readable, what the thief signed is not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from tests.registry.s3_servers import CREDENTIALS, S3Server
from timbre.core.digests import digest_value
from timbre.core.errors import CheckFailedError, ConfigurationError
from timbre.registry import mirror, renewal
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import publish_base
from timbre.registry.errors import CorruptError
from timbre.registry.events import Act
from timbre.registry.open import open_registry
from timbre.registry.policy import KEY as POLICY
from timbre.registry.policy import store_policy
from timbre.registry.prune import Keep, choose, prune
from timbre.registry.records import encode
from timbre.registry.registry import Registry
from timbre.registry.renewal import renew
from timbre.registry.signing import SignedStore
from timbre.registry.signing_keys import new_key
from timbre.registry.store_at import open_store
from timbre.registry.verification import audit, verify
from timbre.serving.catalogue import read_catalogue

ADA, THIEF = Actor("ada"), Actor("thief")
VOICES = ("ada", "ben")


@dataclass
class Place:
    """A registry signed by the old key, and the new key beside it."""

    folder: Path
    address: str

    def open(self, signing: str, *trusted: str, witness: bool = True) -> Registry:
        """As somebody with these keys sees it. signing: "" for one who only reads."""
        lines = [(self.folder / f"{name}.pub").read_text() for name in trusted]
        (self.folder / "trusted").mkdir(exist_ok=True)
        names = self.folder / "trusted" / "-".join(trusted)
        names.write_text("\n".join(lines))
        environment = {"TIMBRE_TRUSTED_KEYS": str(names)}
        environment |= {"TIMBRE_SIGNING_KEY": str(self.folder / signing)} if signing else {}
        environment |= {"TIMBRE_WITNESS": str(self.folder / "witness")} if witness else {}
        return open_registry(RegistryAddress(self.address, environment))

    @property
    def operator(self) -> Registry:
        return self.open("new", "old", "new")

    @property
    def reader(self) -> Registry:
        return self.open("", "new")

    @property
    def thief(self) -> Registry:
        """Has the old key and writes the store, but not the witness."""
        return self.open("old", "old", "new", witness=False)


def made(folder: Path, address: str) -> Place:
    place = Place(folder, address)
    for name in ("old", "new"):
        (folder / f"{name}.pub").write_text(new_key(folder / name))
    registry = place.open("old", "old")
    (folder / "graphs").mkdir()
    (folder / "graphs" / "t2s.onnx").write_bytes(b"a graph")
    publish_base(registry.store, "b" * 64, folder / "graphs", {"name": "pico"}, "2.3")
    for voice in VOICES:
        for content in ("one", "two"):
            version = registry.publish(make_manifest(voice, content), make_files(content), actor=ADA).version
            registry.promote(voice, version, actor=ADA)
        registry.rollback(voice, actor=ADA, reason="worse")
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return made(tmp_path, str(tmp_path / "registry"))


def production(registry: Registry) -> dict[str, str | None]:
    """What a server that starts would speak with."""
    return {name: item.aliases["production"].version for name, item in read_catalogue(registry, {}).items()}


def check_life_after(place: Place) -> None:
    before = {voice: make_manifest(voice, "one").version for voice in VOICES}
    done = renew(place.operator, actor=ADA)
    assert done.distrusted == {}
    assert done.restored == []
    assert done.unproven == [next(place.operator.store.list("bases/"))]
    reader = place.reader
    assert production(reader) == before
    assert verify(reader) == []
    for voice in VOICES:
        assert audit(reader, voice) == []
        assert reader.history(voice)[-1].act is Act.ROTATED
    place.thief.promote("ada", make_manifest("ada", "two").version, actor=THIEF, by_hand=True)
    with pytest.raises(CorruptError, match="not signed by a key that is trusted"):
        reader.resolve("ada")
    assert {finding.key for finding in verify(reader)} > {"voices/ada/aliases/production.json"}
    again = renew(place.operator, actor=ADA, discard=True)
    assert again.restored == ["voices/ada/aliases/production.json"]
    assert production(reader) == before
    assert verify(reader) == []
    version = place.open("new", "new").publish(make_manifest("ada", "three"), make_files("three"), actor=ADA).version
    place.open("new", "new").promote("ada", version, actor=ADA)
    assert production(reader) == {**before, "ada": version}
    assert [event.act for event in reader.history("ada")].count(Act.ROTATED) == 1


def test_what_was_true_is_read_without_the_old_key_and_what_it_signs_later_is_not(place: Place) -> None:
    check_life_after(place)


@pytest.mark.slow
def test_a_key_is_given_up_in_a_bucket(tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    check_life_after(made(tmp_path, s3_server.address(f"renewal-{tmp_path.name}")))


def test_what_the_thief_wrote_before_is_listed_first_and_moved_away_on_request(place: Place) -> None:
    thief = place.thief
    forged = thief.publish(make_manifest("ada", "forged"), make_files("forged"), actor=THIEF)
    thief.promote("ada", forged.version, actor=THIEF)
    thief.publish(make_manifest("eve", "one"), make_files("one"), actor=THIEF)
    store = open_store(RegistryAddress(place.address, {}))
    before = {key: store.get(key) for key in store.list("")}
    listed = renew(place.operator, actor=ADA).distrusted
    assert {key: store.get(key) for key in store.list("")} == before, "nothing was changed"
    assert forged.key in listed
    assert make_manifest("eve", "one").key in listed
    assert sum("/events/" in key for key in listed) == 3
    done = renew(place.operator, actor=ADA, discard=True)
    assert done.distrusted.keys() == listed.keys()
    assert done.restored == ["voices/ada/aliases/production.json"]
    assert production(place.reader) == {voice: make_manifest(voice, "one").version for voice in VOICES}
    assert verify(place.reader) == []
    kept = [key for key in store.list(renewal.DISTRUSTED) if key.endswith(f"/{forged.key}")]
    found = store.get(kept[0])
    original = before[forged.key]
    assert found is not None
    assert original is not None
    assert found.data == original.data, "kept for those who look into it"


def edited(place: Place, key: str, change: Callable[[dict[str, object]], None]) -> None:
    """A record that the thief changed and signed with the old key."""
    plain, store = open_store(RegistryAddress(place.address, {})), place.thief.store
    there = plain.get(key)
    assert there is not None
    record = json.loads(there.data)
    record.pop("digest")
    change(record)
    assert isinstance(store, SignedStore)
    plain.replace_if(key, store._signed(key, encode({**record, "digest": digest_value(record)})), there.tag)


def test_a_manifest_with_other_files_is_found_with_the_key_and_not_signed_again(place: Place) -> None:
    key = make_manifest("ada", "one").key
    edited(place, key, lambda record: record.update(files=[]))
    assert key in {finding.key for finding in verify(place.open("", "old"))}
    assert renew(place.operator, actor=ADA).distrusted == {key: "its content is not what the history names"}


def test_a_history_that_contradicts_the_witness_stops_everything(place: Place) -> None:
    event = next(key for key in place.thief.store.list("voices/ada/events/") if "rolled-back" in key)
    edited(place, event, lambda record: record.update(reason="better"))
    store = open_store(RegistryAddress(place.address, {}))
    before = {key: store.get(key) for key in store.list("")}
    with pytest.raises(CheckFailedError, match=r"ada.*changed after it was linked"):
        renew(place.operator, actor=ADA, discard=True)
    assert {key: store.get(key) for key in store.list("")} == before


@pytest.mark.parametrize("step", ["_countersign", "_put_alias", "_sign_again"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_renewal_that_is_killed_goes_on(place: Place, step: str, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = getattr(renewal, step), []

    def dies(*arguments: object) -> object:
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(renewal, step, dies)
        renew(place.operator, actor=ADA)
    assert verify(place.open("", "old", "new")) == [], "meanwhile both are trusted"
    renew(place.operator, actor=ADA)
    assert verify(place.reader) == []
    assert production(place.reader) == {voice: make_manifest(voice, "one").version for voice in VOICES}


def test_a_list_that_was_taken_away_or_signed_by_the_thief_lets_nothing_in(place: Place) -> None:
    renew(place.operator, actor=ADA)
    edited(place, "countersigned/ada.json", lambda record: None)
    with pytest.raises(CorruptError, match=r"countersigned/ada\.json is not signed"):
        place.reader.history("ada")
    open_store(RegistryAddress(place.address, {})).delete("countersigned/ada.json")
    with pytest.raises(CorruptError, match="not signed"):
        place.reader.history("ada")
    assert place.reader.history("ben")


def test_a_listed_event_counts_with_its_own_bytes_only(place: Place) -> None:
    renew(place.operator, actor=ADA)
    event = next(key for key in place.reader.store.list("voices/ada/events/") if "rolled-back" in key)
    edited(place, event, lambda record: record.update(reason="better"))
    with pytest.raises(CorruptError, match="not signed by a key that is trusted"):
        place.reader.history("ada")


def test_a_mirror_follows_a_renewal(place: Place, tmp_path: Path) -> None:
    source, target = str(tmp_path / "registry"), str(tmp_path / "mirror")
    plain = open_store(RegistryAddress(target, {}))
    mirror.sync(open_store(RegistryAddress(source, {})), plain)
    renew(place.operator, actor=ADA)
    assert mirror.sync(open_store(RegistryAddress(source, {})), plain).left == {}
    reader = open_registry(RegistryAddress(target, {"TIMBRE_TRUSTED_KEYS": str(tmp_path / "new.pub")}))
    assert verify(reader) == []
    assert production(reader) == {voice: make_manifest(voice, "one").version for voice in VOICES}


def test_policies_are_signed_again_and_named(place: Place, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("review: ['*']\n")
    store_policy(place.open("old", "old").store, tmp_path / "policy.yaml")
    assert POLICY in renew(place.operator, actor=ADA).unproven
    assert place.reader.store.get(POLICY) is not None


def test_without_a_key_or_a_witness_nothing_is_renewed(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="no witness"):
        renew(place.open("new", "old", "new", witness=False), actor=ADA)
    with pytest.raises(ConfigurationError, match="no signing key"):
        renew(place.open("", "old", "new"), actor=ADA)


def test_a_mirror_that_kept_a_pruned_version_reads_it_after_the_renewal(place: Place, tmp_path: Path) -> None:
    """The registry has it no more, so that nobody signs it again; the history still says what it says."""
    target = Place(tmp_path, str(tmp_path / "mirror"))
    mirror.sync(open_store(RegistryAddress(place.address, {})), open_store(RegistryAddress(target.address, {})))
    registry, keep = place.open("old", "old"), Keep(days=0, predecessors=0, without_marks=True)
    prune(registry, choose(registry, keep), keep, actor=ADA)
    pruned = make_manifest("ada", "two").version
    assert pruned not in [manifest.version for manifest in registry.versions("ada")]
    renew(place.operator, actor=ADA, discard=True)
    mirror.sync(place.operator.store, target.open("", "old", "new", witness=False).store)
    reader = target.open("", "new", witness=False)
    assert pruned in [manifest.version for manifest in reader.versions("ada")]
    assert verify(reader) == []
    path = tmp_path / "mirror" / "voices" / "ada" / "versions" / f"{pruned}.json"
    record = json.loads(path.read_bytes()) | {"languages": ["xx"]}
    record.pop("digest")
    path.write_bytes(encode({**record, "digest": digest_value(record)}))
    with pytest.raises(CorruptError, match="not signed by a key that is trusted"):
        target.open("", "new", witness=False).versions("ada")
