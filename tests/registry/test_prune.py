"""Retention: what goes, what never goes, how it comes back, and garbage collection beside writers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.core.errors import InputError
from timbre.registry import trash
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.events import Act
from timbre.registry.garbage import collect
from timbre.registry.local_store import LocalStore
from timbre.registry.manifest import Manifest
from timbre.registry.names import blob_key
from timbre.registry.open import open_registry
from timbre.registry.prune import Keep, choose, prune, restore_version, undo
from timbre.registry.records import unseal
from timbre.registry.registry import Registry
from timbre.registry.revocation import revoke
from timbre.registry.served import any_served, last_served, mark_served
from timbre.registry.signing_keys import new_key
from timbre.registry.stage_cache import pull_stage, push_stage
from timbre.registry.store import Stored
from timbre.registry.verification import audit, verify
from timbre.serving.served import ServedMarks

ADA = Actor("ada")
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEEP = Keep(days=90, predecessors=1, without_marks=True)


class Clock:
    """Stands at NOW, or days before it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.isoformat(timespec="microseconds")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def old(tmp_path: Path, clock: Clock) -> Registry:
    """Five versions of ada, promoted one after the other 200 to 196 days ago; the last is in production."""
    return filled(Registry(LocalStore(tmp_path / "registry"), clock=clock), clock)


def filled(registry: Registry, clock: Clock, voice: str = "ada") -> Registry:
    import dataclasses

    for number in range(5):
        clock.now = NOW - timedelta(days=200 - number)
        manifest = dataclasses.replace(make_manifest(voice, f"v{number}"), created=clock())
        registry.publish(manifest, make_files(f"{voice}{number}"), actor=ADA)
        registry.promote(voice, manifest.version, actor=ADA)
    clock.now = NOW
    return registry


def version(number: int, voice: str = "ada") -> str:
    return make_manifest(voice, f"v{number}").version


def pruned(registry: Registry, keep: Keep = KEEP) -> list[str]:
    gone = prune(registry, choose(registry, keep), keep, actor=ADA)
    return sorted(key.rsplit("/", 1)[-1].removesuffix(".json") for key in gone)


def test_what_an_alias_and_its_predecessors_need_stays(old: Registry) -> None:
    before = choose(old, KEEP)
    assert [item.key.split("/")[-1][:12] for item in before.chosen] == [version(n) for n in range(3)]
    assert before.chosen[0].why == "not used for 200 days"
    assert len(old.versions("ada")) == 5, "choosing changes nothing"
    assert pruned(old) == sorted(version(n) for n in range(3))
    assert {item.version for item in old.versions("ada")} == {version(3), version(4)}
    assert old.rollback("ada", actor=ADA).version == version(3)
    assert verify(old) == []
    assert audit(old, "ada") == []


def test_a_retired_voice_keeps_what_a_revert_brings_back(old: Registry) -> None:
    old.retire("ada", actor=ADA)
    assert version(4) not in pruned(old, Keep(predecessors=0, without_marks=True))
    assert old.promote("ada", version(4), actor=Actor("ci", "c9")).moved


def test_another_alias_and_young_versions_count(old: Registry, clock: Clock) -> None:
    old.promote("ada", version(0), actor=ADA, alias="staging")
    clock.now = NOW + timedelta(days=89)
    assert version(0) not in pruned(old), "staging points to it"
    assert pruned(old, Keep(days=500, without_marks=True)) == []


def test_what_servers_speak_with_stays(old: Registry, tmp_path: Path) -> None:
    elsewhere = LocalStore(tmp_path / "marks")
    marked = Registry(old.store, clock=old.now, served=elsewhere)
    keep = Keep(predecessors=0)
    with pytest.raises(InputError, match="no server ever said"):
        choose(marked, keep)
    mark_served(elsewhere, "ada", version(1), (NOW - timedelta(days=3)).isoformat())
    assert any_served(elsewhere)
    assert not any_served(old.store)
    chosen = {item.key.split("/")[-1][:12] for item in choose(marked, keep).chosen}
    assert chosen == {version(0), version(2), version(3)}


def test_a_server_marks_once_a_day(old: Registry, caplog: pytest.LogCaptureFixture) -> None:
    now = NOW.timestamp()
    marks = ServedMarks(old.store, logging.getLogger("served"), clock=lambda: now)
    for hours in (0, 1, 23, 25):
        now = (NOW + timedelta(hours=hours)).timestamp()
        marks.note("ada", version(1))
        marks.flush()
        expected = NOW + timedelta(hours=25 if hours == 25 else 0)
        assert datetime.fromisoformat(last_served(old.store, "ada")[version(1)]) == expected
    assert verify(old) == []

    class ReadOnly(LocalStore):
        def put_if_absent(self, key: str, data: bytes) -> bool:
            raise InputError("read-only")

    marks = ServedMarks(ReadOnly(Path(old.store.url)), logging.getLogger("served"), clock=lambda: now)
    for _ in range(3):
        marks.note("ada", version(2))
        marks.flush()
        now += 7200
    assert [record.getMessage() for record in caplog.records] == ["use of versions is not reported"]


def test_what_was_pruned_comes_back(old: Registry) -> None:
    whole = old.manifest("ada", version(0))
    pruned(old)
    assert old.find_source("ada", whole.source) is None
    restore_version(old, "ada", version(0), actor=ADA)
    assert old.manifest("ada", version(0)) == whole
    assert old.read_file(whole, "README.md") == b"ada0"
    assert len(undo(old, "voices/ada/", actor=ADA)) == 2
    assert len(old.versions("ada")) == 5
    assert list(old.store.list("trash/")) == []
    with pytest.raises(InputError, match="does not hold"):
        restore_version(old, "ada", version(0), actor=ADA)
    assert [event.act for event in old.history("ada") if event.version == version(0)][-2:] == [Act.PRUNED, Act.RESTORED]
    assert verify(old) == []


def test_the_trash_is_freed_after_a_week(old: Registry, clock: Clock) -> None:
    files = {n: old.manifest("ada", version(n)).files for n in range(5)}
    pruned(old)
    collect(old.store, clock())
    assert len(list(old.store.list("trash/"))) == 3
    clock.now += timedelta(days=8)
    freed = collect(old.store, clock())
    assert len(freed.emptied) == 3
    assert list(old.store.list("trash/")) == []
    stored = {key.rsplit("/", 1)[-1] for key in old.store.list("blobs/")}
    assert stored == {entry.sha256 for n in (3, 4) for entry in files[n]}
    assert verify(old) == []


def test_the_trash_is_signed_and_a_pruned_version_is_not_a_stolen_one(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key"))
    keys = {"TIMBRE_SIGNING_KEY": str(tmp_path / "key"), "TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}
    opened = open_registry(RegistryAddress(str(tmp_path / "registry"), keys))
    registry = filled(Registry(opened.store, clock=clock), clock)
    pruned(registry)
    gone = [finding for finding in audit(registry, "ada") if "exported base" not in finding.problem]
    assert gone == []
    restore_version(registry, "ada", version(0), actor=ADA)
    (tmp_path / "registry" / "voices" / "ada" / "versions" / f"{version(0)}.json").unlink()
    assert "a published version is gone" in {finding.problem for finding in audit(registry, "ada")}
    place = next(iter(registry.store.list("trash/")))
    plain = LocalStore(tmp_path / "registry")
    stored = plain.get(place)
    assert stored is not None
    plain.delete(place)
    body = unseal(place, stored.data)
    from timbre.registry.records import seal

    plain.put_if_absent(place, seal(place, body))
    with pytest.raises(Exception, match="not signed"):
        undo(registry, actor=ADA)


class Meddling(LocalStore):
    """Does something right before an object is deleted."""

    before: Callable[[str], None] = staticmethod(lambda key: None)

    def delete(self, key: str) -> bool:
        Meddling.before(key)
        return super().delete(key)


def test_an_alias_that_moves_while_its_version_is_pruned_keeps_it(old: Registry) -> None:
    meddled = Registry(Meddling(Path(old.store.url)), clock=old.now)

    def move(key: str) -> None:
        Meddling.before = staticmethod(lambda key: None)
        old.promote("ada", version(0), actor=ADA, by_hand=True)

    Meddling.before = staticmethod(move)
    choice = choose(meddled, KEEP)
    gone = prune(meddled, choice, KEEP, actor=ADA)
    assert not any(version(0) in key for key in gone)
    assert old.resolve("ada").version == version(0)
    assert verify(old) == []


def test_a_move_to_a_version_that_was_just_pruned_brings_it_back(old: Registry) -> None:
    class Late(LocalStore):
        def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
            pruned(old)
            return super().replace_if(key, data, tag)

    late = Registry(Late(Path(old.store.url)), clock=old.now)
    assert late.promote("ada", version(0), actor=ADA, by_hand=True).moved
    assert old.resolve("ada").version == version(0)
    assert verify(old) == []


@pytest.mark.parametrize("writes", range(6))
def test_a_prune_that_is_killed_is_finished_by_the_next(old: Registry, writes: int) -> None:
    class Dying(LocalStore):
        left = writes

        def _live(self) -> None:
            if Dying.left == 0:
                raise KeyboardInterrupt
            Dying.left -= 1

        def put_if_absent(self, key: str, data: bytes) -> bool:
            self._live()
            return super().put_if_absent(key, data)

        def delete(self, key: str) -> bool:
            self._live()
            return super().delete(key)

    dying = Registry(Dying(Path(old.store.url)), clock=old.now)
    with pytest.raises(KeyboardInterrupt):
        pruned(dying)
    assert verify(old) == []
    assert old.resolve("ada").version == version(4)
    pruned(old)
    assert {item.version for item in old.versions("ada")} == {version(3), version(4)}
    assert len(undo(old, actor=ADA)) == 3
    assert verify(old) == []


def test_a_voice_that_cannot_be_read_is_left_alone(old: Registry, clock: Clock) -> None:
    filled(old, clock, "ben")
    alias = Path(old.store.url) / "voices/ada/aliases/production.json"
    alias.write_bytes(alias.read_bytes()[:-5])
    choice = choose(old, KEEP)
    assert set(choice.left) == {"ada"}
    assert {item.key.split("/")[1] for item in choice.chosen} == {"ben"}


def test_revocation_reaches_the_trash(old: Registry) -> None:
    files = {entry.sha256 for n in range(5) for entry in old.manifest("ada", version(n)).files}
    pruned(old)
    revoke(old, "ada", actor=ADA, reason="withdrawn")
    assert not files & {key.rsplit("/", 1)[-1] for key in old.store.list("blobs/")}
    assert list(old.store.list("trash/")) == []
    assert verify(old) == []


def test_cached_stages_and_runs_go_by_age_and_size(old: Registry, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    for name in "abc":
        (folder / "out.bin").write_bytes(name.encode() * 1000)
        push_stage(old.store, name * 64, "ada", "extract", folder)
    assert choose(old, Keep(days=999, without_marks=True)).chosen == ()
    keep = Keep(days=999, stage_bytes=2000, without_marks=True)
    (chosen,) = choose(old, keep).chosen
    assert "too many bytes" in chosen.why
    assert prune(old, choose(old, keep), keep, actor=ADA) == [chosen.key]
    key = chosen.key.split("/")[1]
    assert not pull_stage(old.store, key, tmp_path / "none")
    assert undo(old, actor=ADA) == [chosen.key]
    assert pull_stage(old.store, key, tmp_path / "back")
    clock.now = datetime.now(UTC) + timedelta(days=91)
    assert len(choose(old, Keep(days=999, without_marks=True)).chosen) == 3


def test_garbage_goes_after_two_looks_and_never_what_a_writer_is_about_to_need(old: Registry, clock: Clock) -> None:
    left = b"left by a killed writer"
    from timbre.registry.blobs import put_bytes

    entry = put_bytes(old.store, "x", left)
    coming = put_bytes(old.store, "y", b"a record of it comes")
    assert collect(old.store, clock()).waiting == 2
    clock.now += timedelta(hours=23)
    assert collect(old.store, clock()).removed == ()
    old.publish(make_manifest("ada", "new"), {"y": b"a record of it comes"}, actor=ADA)
    clock.now += timedelta(hours=2)
    assert collect(old.store, clock()).removed == (entry.sha256,)
    assert old.store.get(blob_key(coming.sha256)) is not None
    assert collect(old.store, clock()).waiting == 0


def test_a_writer_that_uses_garbage_again_gets_its_blob_back(old: Registry, clock: Clock) -> None:
    """The blob is an old unneeded one; its new record is written between the count and the deletion."""
    from timbre.registry.blobs import put_bytes

    put_bytes(old.store, "x", b"again")
    collect(old.store, clock())
    clock.now += timedelta(days=2)
    made: list[Manifest] = []

    class Racing(LocalStore):
        def get(self, key: str) -> Stored | None:
            found = super().get(key)
            if key.startswith("blobs/") and not made:
                made.append(make_manifest("ada", "late"))
                made[0] = old.publish(made[0], {"x": b"again"}, actor=ADA)
            return found

    assert collect(Racing(Path(old.store.url)), clock()).removed == ()
    assert old.read_file(made[0], "x") == b"again"
    assert verify(old) == []


def test_the_trash_holds_the_newest_record_of_a_key(old: Registry) -> None:
    """Pruned, published again under the same version, pruned again: what comes back is the later publication."""
    key = old.manifest("ada", version(0)).key
    assert trash.throw_away(old.store, key, old.now())
    again = old.publish(make_manifest("ada", "v0"), make_files("again"), actor=ADA)
    assert trash.throw_away(old.store, key, old.now())
    assert trash.bring_back(old.store, key)
    assert old.manifest("ada", version(0)) == again
    assert not trash.throw_away(old.store, "voices/ada/versions/000000000000.json", old.now())
