"""The index of a remote registry: what it saves, and that nobody is misled by one that is old, damaged or forged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.core.digests import digest_bytes, digest_value
from timbre.core.errors import InfrastructureError
from timbre.registry import index, mirror
from timbre.registry.actor import Actor
from timbre.registry.aliases import read_alias
from timbre.registry.errors import CorruptError
from timbre.registry.local_store import LocalStore
from timbre.registry.records import encode
from timbre.registry.registry import Registry
from timbre.registry.revocation import revoke
from timbre.registry.signing import SignedStore
from timbre.registry.signing_keys import FileSigner, new_key, read_signer
from timbre.registry.store import Stored
from timbre.registry.stores.cached import CachedStore
from timbre.registry.verification import verify
from timbre.serving.catalogue import Catalogue, Listing, read_catalogue

ADA = Actor("ada")
VOICES = ("ada", "ben", "eve")


class Bucket(LocalStore):
    """A folder whose listings have tags, as those of a bucket, and that notes what is asked of it."""

    nearby = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder, self.asked, self.away = folder, list[str](), False

    def tagged(self, prefix: str) -> Iterator[tuple[str, str]]:
        self._note(f"tags {prefix}")
        yield from [(key, digest_bytes((self.folder / key).read_bytes())) for key in super().list(prefix)]

    def list(self, prefix: str) -> Iterator[str]:
        self._note(f"list {prefix}")
        yield from super().list(prefix)

    def get(self, key: str) -> Stored | None:
        self._note(f"get {key}")
        return super().get(key)

    def _note(self, what: str) -> None:
        if self.away:
            raise InfrastructureError("the store is away", "wait")
        self.asked.append(what)


@dataclass
class Place:
    """A signed registry with three voices in a bucket, as its writers and as a server see it."""

    folder: Path
    bucket: Bucket
    writer: Registry
    reader: Registry

    def voice(self, voice: str, content: str) -> str:
        """Publishes and promotes a version, as a pipeline does; its id."""
        made = self.writer.publish(make_manifest(voice, content), make_files(content), actor=ADA)
        self.writer.promote(voice, made.version, actor=ADA)
        return made.version

    def shard(self, voice: str) -> Path:
        return self.folder / "registry" / index.shard_key(voice)

    def alias(self, voice: str) -> Path:
        return self.folder / "registry" / "voices" / voice / "aliases" / "production.json"


@pytest.fixture
def place(tmp_path: Path, signer: FileSigner) -> Place:
    trusted = {signer.public.id: signer.public}
    bucket = Bucket(tmp_path / "registry")
    witness = LocalStore(tmp_path / "witness")
    writer = Registry(
        SignedStore(Bucket(tmp_path / "registry"), trusted, signer), witness=SignedStore(witness, trusted, signer)
    )
    made = Place(
        tmp_path, bucket, writer, Registry(SignedStore(bucket, trusted), witness=SignedStore(witness, trusted))
    )
    for voice in VOICES:
        made.voice(voice, "one")
        made.voice(voice, "two")
    return made


def speaking(listings: dict[str, Listing]) -> dict[str, str | None]:
    """Voice -> version in production of those that nothing is wrong with."""
    return {
        name: listing.aliases["production"].version if "production" in listing.aliases and not listing.problem else None
        for name, listing in listings.items()
    }


def truth(content: str = "two") -> dict[str, str | None]:
    return {voice: make_manifest(voice, content).version for voice in VOICES}


def test_a_server_that_starts_reads_shards_and_no_alias(place: Place) -> None:
    assert speaking(read_catalogue(place.reader, {})) == truth()
    shards = {f"get {index.shard_key(voice)}" for voice in VOICES}
    assert sorted(place.bucket.asked) == sorted(["tags index/", "tags voices/", *shards])


def test_a_look_at_an_unchanged_registry_is_one_listing_of_the_index(place: Place) -> None:
    catalogue = Catalogue(place.reader)
    before = catalogue.read({})
    place.bucket.asked.clear()
    assert catalogue.read(before) == before
    assert place.bucket.asked == ["tags index/"]


def test_a_look_reads_only_the_voice_that_moved(place: Place) -> None:
    catalogue = Catalogue(place.reader)
    before = catalogue.read({})
    version = place.voice("ben", "three")
    place.bucket.asked.clear()
    after = catalogue.read(before)
    assert speaking(after) == {**truth(), "ben": version}
    assert version in after["ben"].versions
    assert place.bucket.asked == ["tags index/", f"get {index.shard_key('ben')}", "tags voices/ben/"]


def test_a_look_sees_new_and_revoked_voices(place: Place) -> None:
    catalogue = Catalogue(place.reader)
    before = catalogue.read({})
    version = place.voice("kim", "one")
    revoke(place.writer, "eve", actor=ADA, reason="withdrawn")
    place.bucket.asked.clear()
    after = catalogue.read(before)
    assert after["kim"].aliases["production"].version == version
    assert after["eve"].revoked is not None
    assert "tags voices/" not in place.bucket.asked


def test_what_a_dead_writer_left_out_of_the_index_is_seen_with_the_next_whole_reading(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    catalogue = Catalogue(place.reader, whole_s=30, clock=lambda: now)
    before = catalogue.read({})
    with monkeypatch.context() as dead:
        dead.setattr(index, "note", lambda store, voice: False)
        version = place.voice("ben", "three")
    assert speaking(read_catalogue(place.reader, {})) == {**truth(), "ben": version}, "a start is not misled"
    assert catalogue.read(before) == before
    now = 30.0
    assert speaking(catalogue.read(before)) == {**truth(), "ben": version}
    place.writer.settle("ben")
    assert index.problems(place.reader.store) == []
    place.bucket.asked.clear()
    read_catalogue(place.reader, {})
    assert not any("aliases" in item for item in place.bucket.asked), "the next writer healed it"


# -- somebody who can write the bucket, but has no key ----------------------------------------------------------------


def resealed(data: bytes, change: Callable[[dict[str, dict[str, dict[str, list[str]]]]], None]) -> bytes:
    """A shard with something changed and its own digest right again."""
    record = json.loads(data)
    record.pop("digest")
    change(record["voices"])
    return encode({**record, "digest": digest_value(record)})


def attacker(place: Place) -> SignedStore:
    new_key(place.folder / "attacker")
    own = read_signer(place.folder / "attacker")
    return SignedStore(LocalStore(place.folder / "registry"), {own.public.id: own.public}, own)


def put_back_first(place: Place, older: dict[str, bytes]) -> None:
    place.shard("ada").write_bytes(older["shard"])


def forge_unsigned(place: Place, older: dict[str, bytes]) -> None:
    def change(voices: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        for where in voices["ada"]["aliases"]:
            voices["ada"]["aliases"][where][1] = older["alias"].decode()

    place.shard("ada").write_bytes(resealed(place.shard("ada").read_bytes(), change))


def forge_with_own_key(place: Place, older: dict[str, bytes]) -> None:
    forge_unsigned(place, older)
    key = index.shard_key("ada")
    place.shard("ada").write_bytes(attacker(place)._signed(key, place.shard("ada").read_bytes()))


def delete(place: Place, older: dict[str, bytes]) -> None:
    shutil.rmtree(place.folder / "registry" / "index")


def cut(place: Place, older: dict[str, bytes]) -> None:
    place.shard("ada").write_bytes(place.shard("ada").read_bytes()[:-9])


def swap(place: Place, older: dict[str, bytes]) -> None:
    place.shard("ada").write_bytes(place.alias("ben").read_bytes())


EDITS = [put_back_first, forge_unsigned, forge_with_own_key, delete, cut, swap]


@pytest.fixture
def older(place: Place) -> dict[str, bytes]:
    """What the store held before the last move of ada."""
    found = {"shard": place.shard("ada").read_bytes(), "alias": place.alias("ada").read_bytes()}
    place.voice("ada", "three")
    return found


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_index_misleads_no_server(
    place: Place, older: dict[str, bytes], edit: Callable[[Place, dict[str, bytes]], None]
) -> None:
    expected = {**truth(), "ada": make_manifest("ada", "three").version}
    catalogue = Catalogue(place.reader, clock=lambda: 0.0)
    before = catalogue.read({})
    edit(place, older)
    assert speaking(read_catalogue(place.reader, {})) == expected, "a server that starts"
    assert speaking(catalogue.read(before)) == expected, "a server that runs"
    version = place.voice("ada", "four")
    assert speaking(read_catalogue(place.reader, {}))["ada"] == version
    assert index.problems(place.reader.store) == [], "the next writer replaced it"


@pytest.mark.parametrize("edit", [forge_unsigned, forge_with_own_key, cut, swap])
def test_verify_names_an_index_that_nobody_with_the_key_wrote(
    place: Place, older: dict[str, bytes], edit: Callable[[Place, dict[str, bytes]], None]
) -> None:
    edit(place, older)
    found = [finding.key for finding in verify(place.reader) if finding.key.startswith("index/")]
    assert found == [index.shard_key("ada")]


def test_a_copy_under_another_records_tag_is_named_and_not_used(place: Place, older: dict[str, bytes]) -> None:
    """Even one that the key signed: checks of the history hold for copies as for records."""

    def change(voices: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        for where in voices["ada"]["aliases"]:
            voices["ada"]["aliases"][where][1] = older["alias"].decode()

    data = resealed(place.shard("ada").read_bytes(), change)
    store = place.writer.store
    assert isinstance(store, SignedStore)
    place.shard("ada").write_bytes(store._signed(index.shard_key("ada"), data))
    assert speaking(read_catalogue(place.reader, {}))["ada"] == make_manifest("ada", "three").version
    assert "is not that record" in index.problems(place.reader.store)[0][1]


def test_a_copy_that_the_key_did_not_sign_is_not_used(place: Place) -> None:
    """Each copy is checked as its record is, not only the shard that holds it."""
    key, own, store = "voices/ada/aliases/production.json", attacker(place), place.writer.store
    record = json.loads(place.alias("ada").read_bytes())
    record = {name: value for name, value in record.items() if name not in ("digest", "signature")}
    record |= {"generation": record["generation"] + 1, "version": make_manifest("ada", "one").version}
    forged = own._signed(key, encode({**record, "digest": digest_value(record)}))

    def change(voices: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        voices["ada"]["aliases"][key][1] = forged.decode()

    data = resealed(place.shard("ada").read_bytes(), change)
    assert isinstance(store, SignedStore)
    place.shard("ada").write_bytes(store._signed(index.shard_key("ada"), data))
    assert speaking(read_catalogue(place.reader, {})) == truth()


@pytest.mark.parametrize("with_index", [False, True])
def test_an_older_alias_is_refused_with_and_without_the_index_that_fits_it(
    place: Place, older: dict[str, bytes], with_index: bool
) -> None:
    catalogue = Catalogue(place.reader, whole_s=0)
    before = catalogue.read({})
    place.alias("ada").write_bytes(older["alias"])
    if with_index:
        place.shard("ada").write_bytes(older["shard"])
    assert "older state" in read_catalogue(place.reader, {})["ada"].problem
    after = catalogue.read(before)
    assert "older state" in after["ada"].problem
    assert after["ada"].aliases == before["ada"].aliases, "what was known keeps speaking"


def test_a_problem_is_looked_at_again_at_once(place: Place) -> None:
    catalogue = Catalogue(place.reader, clock=lambda: 0.0)
    data = place.alias("ada").read_bytes()
    place.alias("ada").write_bytes(b"damaged")
    before = catalogue.read({})
    assert before["ada"].problem
    place.alias("ada").write_bytes(data)
    assert speaking(catalogue.read(before)) == truth()


# -- writers, mirrors, absence ----------------------------------------------------------------------------------------


def test_writers_of_one_shard_lose_nothing_of_each_other(place: Place) -> None:
    names = [name for number in range(200) if index.shard_key(name := f"voice-{number}") == index.shard_key("ada")][:5]
    with ThreadPoolExecutor(5) as pool:
        versions = dict(zip(names, pool.map(lambda name: place.voice(name, "one"), names), strict=True))
    for name in names:
        place.writer.settle(name)
    entries = index.read_shards(place.reader.store, [index.shard_key("ada")])[index.shard_key("ada")]
    assert {"ada", *names} <= entries.keys()
    place.bucket.asked.clear()
    assert {**truth(), **versions} == speaking(read_catalogue(place.reader, {}))
    assert not any("aliases" in item for item in place.bucket.asked)


def test_an_index_is_rebuilt_whole(place: Place) -> None:
    shutil.rmtree(place.folder / "registry" / "index")
    assert index.rebuild(place.reader.store) == 0, "not without a key"
    assert index.rebuild(place.writer.store) == len({index.shard_key(voice) for voice in VOICES})
    assert index.rebuild(place.writer.store) == 0, "it is right already"
    place.bucket.asked.clear()
    assert speaking(read_catalogue(place.reader, {})) == truth()
    assert not any("aliases" in item for item in place.bucket.asked)


def test_a_mirror_without_a_key_leaves_no_index_that_is_not_true(place: Place, tmp_path: Path) -> None:
    target = Bucket(tmp_path / "mirror")
    mirror.sync(place.reader.store, target)
    assert list(target.list("index/")) == []
    place.writer.settle("ada")
    keyed = SignedStore(Bucket(tmp_path / "mirror"), place.writer.store._trusted, place.writer.store._signer)  # type: ignore[attr-defined]
    index.rebuild(keyed)
    place.voice("ada", "three")
    mirror.sync(place.reader.store, target)
    assert index.shard_key("ada") not in list(target.list("index/"))
    place.voice("ada", "four")
    mirror.sync(place.reader.store, keyed)
    entries = index.read_shards(keyed, [index.shard_key("ada")])[index.shard_key("ada")]
    assert "ada" in entries


def test_a_server_starts_from_its_copies_while_the_store_is_away(place: Place, tmp_path: Path) -> None:
    def behind_cache() -> Registry:
        return Registry(CachedStore(place.reader.store, tmp_path / "copies", retry_s=0), witness=place.reader.witness)

    assert speaking(read_catalogue(behind_cache(), {})) == truth()
    place.bucket.away = True
    registry = behind_cache()
    catalogue = Catalogue(registry)
    before = catalogue.read({})
    assert speaking(before) == truth()
    assert speaking(catalogue.read(before)) == truth()
    alias = read_alias(registry.store, "ada", "production")
    assert alias is not None
    assert alias.version == truth()["ada"]


def test_a_damaged_copy_of_a_shard_costs_nothing_else(place: Place) -> None:
    cut(place, {})
    with pytest.raises(CorruptError):
        place.reader.store.get(index.shard_key("ada"))
    assert speaking(read_catalogue(place.reader, {})) == truth()
