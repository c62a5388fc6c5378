"""Versions, aliases, events, revocation and verification of the registry."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks import writers
from tests.registry.conftest import make_files, make_manifest
from timbre.core.errors import CheckFailedError, ConfigurationError, InputError
from timbre.registry.bases import fetch_base, list_bases, publish_base
from timbre.registry.errors import CorruptError, NewerSchemaError, NotFoundError, RetiredError, RevokedError
from timbre.registry.events import Act
from timbre.registry.local_store import LocalStore
from timbre.registry.manifest import Manifest
from timbre.registry.names import blob_key, check_voice
from timbre.registry.records import seal, unseal
from timbre.registry.registry import Actor, Registry
from timbre.registry.revocation import revoke
from timbre.registry.stage_cache import pull_stage, push_stage
from timbre.registry.verification import audit, verify

ADA = Actor("ada", "c1")


def published(registry: Registry, content: str = "one", **changes: object) -> Manifest:
    manifest = make_manifest(content=content, **changes)  # type: ignore[arg-type]
    return registry.publish(manifest, make_files(content), actor=ADA)


def test_publish_promote_resolve_read(registry: Registry, tmp_path: Path) -> None:
    manifest = published(registry)
    promotion = registry.promote("ada", manifest.version, actor=ADA, reason="first")
    assert promotion.moved
    assert promotion.alias is not None
    assert promotion.alias.generation == 1
    assert registry.resolve("ada") == registry.resolve("ada", manifest.version) == manifest
    assert registry.read_file(manifest, "README.md") == b"one"
    registry.fetch(manifest, tmp_path / "package")
    assert (tmp_path / "package" / "t2s" / "adapter.bin").read_bytes() == make_files()["t2s/adapter.bin"]
    assert json.loads((tmp_path / "package" / "package.json").read_text())["version"] == manifest.version
    assert [event.act for event in registry.history("ada")] == [Act.PUBLISHED, Act.PROMOTED]


def test_the_first_to_publish_wins(registry: Registry) -> None:
    manifest = published(registry)
    again = registry.publish(make_manifest(), {"other": b"bytes"}, actor=Actor("late"))
    assert again == manifest
    assert again.entry("other") is None
    assert len(registry.history("ada")) == 1


def test_blobs_are_shared_between_versions(registry: Registry) -> None:
    first, second = published(registry, "one"), published(registry, "three")
    shared = {entry.sha256 for entry in first.files} & {entry.sha256 for entry in second.files}
    assert len(shared) == 1
    assert len(list(registry.store.list("blobs/"))) == 5


def test_a_revert_finds_its_source_and_failed_versions_do_not_count(registry: Registry) -> None:
    good = published(registry, "one")
    bad = published(registry, "three", passed=False)
    assert registry.find_source("ada", good.source) == good
    assert registry.find_source("ada", bad.source) is None
    assert registry.find_source("ada", "0" * 64) is None
    with pytest.raises(CheckFailedError, match="stoi"):
        registry.promote("ada", bad.version, actor=ADA)


def test_review_holds_the_alias_until_somebody_approves(registry: Registry) -> None:
    manifest = published(registry, review=True)
    held = registry.promote("ada", manifest.version, actor=ADA)
    assert not held.moved
    assert "--approve" in held.reason
    assert registry.alias("ada") is None
    assert registry.promote("ada", manifest.version, actor=ADA, approved_by="grace").moved
    assert registry.history("ada")[-1].approved_by == "grace"


def test_a_stale_pipeline_publishes_but_does_not_promote(registry: Registry) -> None:
    old, new = published(registry, "one"), published(registry, "three")
    order = ["c0", "c1", "c2"]

    def is_ancestor(earlier: str, later: str) -> bool:
        return order.index(earlier) <= order.index(later)

    assert registry.promote("ada", new.version, actor=Actor("ci", "c2"), is_ancestor=is_ancestor).moved
    late = registry.promote("ada", old.version, actor=Actor("ci", "c1"), is_ancestor=is_ancestor)
    assert not late.moved
    assert "newer commit c2" in late.reason
    assert registry.resolve("ada") == new


def test_promoting_twice_for_one_commit_moves_once(registry: Registry) -> None:
    manifest = published(registry)
    assert registry.promote("ada", manifest.version, actor=ADA).moved
    assert not registry.promote("ada", manifest.version, actor=ADA).moved
    assert len(registry.history("ada")) == 2


def test_rollback_returns_to_the_previous_version_and_keeps_the_order_of_commits(registry: Registry) -> None:
    first, second = published(registry, "one"), published(registry, "three")
    with pytest.raises(NotFoundError, match="no version before"):
        registry.rollback("ada", actor=ADA)
    registry.promote("ada", first.version, actor=Actor("ci", "c1"))
    registry.promote("ada", second.version, actor=Actor("ci", "c2"))
    state = registry.rollback("ada", actor=Actor("grace"), reason="sounds worse")
    assert (state.version, state.previous, state.commit, state.generation) == (first.version, second.version, "c2", 3)
    assert registry.rollback("ada", actor=ADA, to=second.version).version == second.version
    assert registry.history("ada")[-2].act is Act.ROLLED_BACK


def test_retired_voices_come_back_and_revoked_ones_do_not(registry: Registry) -> None:
    manifest = published(registry)
    registry.promote("ada", manifest.version, actor=ADA)
    assert registry.retire("ada", actor=Actor("ci", "c2"), reason="folder deleted").moved
    with pytest.raises(RetiredError, match="folder deleted"):
        registry.resolve("ada")
    assert registry.promote("ada", manifest.version, actor=Actor("ci", "c3")).moved
    assert registry.resolve("ada") == manifest

    other = registry.publish(make_manifest("bob"), make_files(), actor=ADA)
    removal = revoke(registry, "ada", actor=Actor("grace"), reason="consent withdrawn")
    assert (removal.blobs, removal.kept_blobs) == (0, 3)
    for act in (
        lambda: registry.resolve("ada"),
        lambda: registry.promote("ada", manifest.version, actor=ADA),
        lambda: registry.publish(make_manifest(content="three"), make_files(), actor=ADA),
        lambda: registry.rollback("ada", actor=ADA),
    ):
        with pytest.raises(RevokedError, match="consent withdrawn"):
            act()
    assert registry.history("ada")[-1].act is Act.REVOKED
    assert registry.read_file(other, "README.md") == b"one"
    assert verify(registry) == []


def test_revocation_removes_recordings_and_cached_stages(registry: Registry, tmp_path: Path) -> None:
    published(registry)
    folder = tmp_path / "stage"
    folder.mkdir()
    (folder / "slice.wav").write_bytes(b"a voice")
    push_stage(registry.store, "a" * 64, "ada", "validate", folder)
    removal = revoke(registry, "ada", actor=ADA, reason="consent withdrawn")
    assert (removal.blobs, removal.stages) == (4, 1)
    assert list(registry.store.list("blobs/")) == []
    assert list(registry.store.list("stages/")) == []
    assert revoke(registry, "ada", actor=ADA, reason="again").blobs == 0
    assert [event.reason for event in registry.history("ada") if event.act is Act.REVOKED] == ["consent withdrawn"]


def test_unknown_names_give_near_ones(registry: Registry) -> None:
    published(registry)
    with pytest.raises(NotFoundError) as caught:
        registry.resolve("adda")
    assert "did you mean ada" in caught.value.remedy
    with pytest.raises(NotFoundError, match="no alias 'staging'"):
        registry.resolve("ada", "staging")
    with pytest.raises(NotFoundError, match="no version"):
        registry.resolve("ada", "0" * 12)


@pytest.mark.parametrize("name", ["", "Ada", "a/b", "..", "a b", "a;rm", "-ada", "ada-", "a" * 64, "a\u0308da", "a\n"])
def test_names_with_other_characters_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="voice name"):
        check_voice(name)


def test_a_store_without_compare_and_swap_refuses_aliases(registry: Registry) -> None:
    class Unsafe(LocalStore):
        can_compare_and_swap = property(lambda self: False)  # type: ignore[assignment]

    manifest = published(registry)
    store = Unsafe(Path(registry.store.url))
    with pytest.raises(ConfigurationError, match="compare-and-swap"):
        Registry(store).promote("ada", manifest.version, actor=ADA)
    assert Registry(store, unsafe_aliases=True).promote("ada", manifest.version, actor=ADA).moved


def test_a_missing_event_is_found_and_healed_by_the_next_move(registry: Registry) -> None:
    first, second = published(registry, "one"), published(registry, "three")
    registry.promote("ada", first.version, actor=ADA)
    lost = [key for key in registry.store.list("voices/ada/events/") if "promoted" in key]
    registry.store.delete(lost[0])
    assert [finding.problem[:13] for finding in audit(registry, "ada")] == ["its last move"]
    registry.promote("ada", second.version, actor=Actor("ci", "c2"))
    assert audit(registry, "ada") == []
    assert len([event for event in registry.history("ada") if event.act is Act.PROMOTED]) == 2


def test_every_stored_byte_is_guarded(registry: Registry) -> None:
    """Each object in turn is flipped, truncated, emptied and replaced by another; verify names it and only it."""
    manifest, other = published(registry), registry.publish(make_manifest("bob"), {"x": b"bob's"}, actor=ADA)
    registry.promote("ada", manifest.version, actor=ADA)
    registry.promote("bob", other.version, actor=ADA)
    assert verify(registry) == []
    root = Path(registry.store.url)
    keys = list(registry.store.list(""))
    for key in keys:
        path = root / key
        sound = path.read_bytes()
        swapped = (root / next(k for k in keys if k != key and k.split("/")[0] == key.split("/")[0])).read_bytes()
        flipped = bytes([sound[0] ^ 1]) + sound[1:]
        for damage in (flipped, sound[:-1], b"", swapped, sound + b" x"):
            if damage == sound:
                continue
            path.write_bytes(damage)
            found = verify(registry)
            assert key in {finding.key for finding in found}, (key, damage[:40])
            victim = "ada" if ("/ada/" in key or any(blob_key(e.sha256) == key for e in manifest.files)) else "bob"
            whole = "bob" if victim == "ada" else "ada"
            assert registry.resolve(whole)
        path.write_bytes(sound)
    assert verify(registry) == []


def test_damage_is_found_on_load(registry: Registry, tmp_path: Path) -> None:
    manifest = published(registry)
    registry.promote("ada", manifest.version, actor=ADA)
    blob = Path(registry.store.url) / blob_key(manifest.files[0].sha256)
    sound = blob.read_bytes()
    blob.write_bytes(sound[:-1])
    for load in (
        lambda: registry.read_file(manifest, manifest.files[0].path),
        lambda: registry.fetch(manifest, tmp_path / "p"),
        lambda: registry.promote("ada", manifest.version, actor=Actor("ci", "c9")),
    ):
        with pytest.raises(CorruptError, match=r"README\.md was changed or truncated"):
            load()
    blob.unlink()
    with pytest.raises(CorruptError, match=r"README\.md is missing"):
        registry.read_file(manifest, "README.md")
    published(registry)
    assert registry.read_file(manifest, "README.md") == b"one"


def test_records_know_their_place_and_age() -> None:
    data = seal("voices/a/versions/x.json", {"n": 1})
    assert unseal("voices/a/versions/x.json", data) == {"n": 1}
    with pytest.raises(CorruptError, match="holds the record of"):
        unseal("voices/b/versions/x.json", data)
    for bad in (b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, data.replace(b'"n": 1', b'"n": 2')):
        with pytest.raises(CorruptError):
            unseal("voices/a/versions/x.json", bad)
    from timbre.core.digests import digest_value

    newer = {"schema_version": 2, "key": "k", "n": 1}
    with pytest.raises(NewerSchemaError, match=r"schema version 2"):
        unseal("k", json.dumps({**newer, "digest": digest_value(newer)}).encode())


def test_a_manifest_with_other_fields_is_refused(registry: Registry) -> None:
    body = make_manifest().to_body()
    assert Manifest.from_body(body) == make_manifest()
    with pytest.raises(CorruptError, match="unknown fields"):
        Manifest.from_body({**body, "extra": 1})
    with pytest.raises(CorruptError, match="missing fields"):
        Manifest.from_body({name: value for name, value in body.items() if name != "source"})


def test_stages_and_bases_come_back_whole_or_not_at_all(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.bin").write_bytes(b"a" * 1000)
    (folder / "stage.json").write_bytes(b"{}")
    assert push_stage(registry.store, "a" * 64, "ada", "extract", folder)
    assert not push_stage(registry.store, "a" * 64, "ada", "extract", folder)
    assert pull_stage(registry.store, "a" * 64, tmp_path / "back") is True
    assert (tmp_path / "back" / "deep" / "a.bin").read_bytes() == b"a" * 1000
    assert pull_stage(registry.store, "b" * 64, tmp_path / "none") is False
    assert publish_base(registry.store, "d" * 64, folder, {"name": "pico"}, "2.1")
    assert fetch_base(registry.store, "d" * 64, tmp_path / "base", "2.1") == {"name": "pico"}
    assert list_bases(registry.store) == {"d" * 64: {"name": "pico"}}
    with pytest.raises(ConfigurationError, match="no exported base"):
        fetch_base(registry.store, "e" * 64, tmp_path / "x", "2.1")
    for key in list(registry.store.list("blobs/")):
        (Path(registry.store.url) / key).write_bytes(b"damaged")
    with pytest.raises(CorruptError):
        pull_stage(registry.store, "a" * 64, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_sixteen_writers_on_one_alias_fifty_rounds(tmp_path: Path) -> None:
    """Each round 16 threads try to move the alias from the generation they all saw: exactly one succeeds."""
    assert writers.rounds(lambda: Registry(LocalStore(tmp_path / "registry")), 16, 50) == []
    assert verify(Registry(LocalStore(tmp_path / "registry"))) == []


_VICTIM = """
import sys
from pathlib import Path
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Actor, Registry
from benchmarks import writers
from tests.registry.conftest import make_files, make_manifest
registry = Registry(LocalStore(Path(sys.argv[1])))
print("ready", flush=True)
number = int(sys.argv[2])
while True:
    number += 1
    content = f"run-{number}"
    manifest = registry.publish(make_manifest(content=content), make_files(content), actor=Actor("ci", content))
    registry.promote("ada", manifest.version, actor=Actor("ci", content))
"""


def seconds_of_a_version(folder: Path) -> float:
    """How long publishing and promoting take here, where a busy disk makes each flush slow."""
    registry = Registry(LocalStore(folder))
    began = time.monotonic()
    for number in range(10):
        content = f"pace-{number}"
        manifest = registry.publish(make_manifest(content=content), make_files(content), actor=ADA)
        registry.promote("ada", manifest.version, actor=ADA)
    return (time.monotonic() - began) / 10


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_kill_9_at_200_random_points_leaves_no_half_version(tmp_path: Path) -> None:
    """Each process publishes and promotes in a loop until it is killed; after each kill everything must be sound."""
    import random

    rng = random.Random(7)
    registry = Registry(LocalStore(tmp_path / "registry"))
    root = Path(__file__).parents[2]
    longest_s = max(0.25, 3 * seconds_of_a_version(tmp_path / "pace"))
    moved = 0
    for kill in range(200):
        victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, str(tmp_path / "registry"), str(kill * 1_000_000)],
            cwd=root, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"ready\n"
        threading.Event().wait(rng.uniform(0.0, longest_s))
        victim.kill()
        victim.wait()
        victim.stdout.close()
        if kill % 20 == 19:
            assert verify(registry) == [], f"after kill {kill}"
        state = registry.alias("ada") if "ada" in registry.voices() else None
        if state is not None:
            moved = max(moved, state.generation)
            manifest = registry.resolve("ada")
            assert all(registry.read_file(manifest, entry.path) is not None for entry in manifest.files)
    assert moved > 50, "the processes were killed before they did anything: lengthen the delay"
    survivor = registry.publish(make_manifest(content="last"), make_files("last"), actor=ADA)
    assert registry.promote("ada", survivor.version, actor=ADA).moved
    assert verify(registry) == []
    assert [f for f in audit(registry, "ada") if "last move" in f.problem] == []


def test_a_rollback_asks_what_a_promotion_asks(registry: Registry) -> None:
    """A version with red gates, or one whose review nobody gave, is not reached by going back to it."""
    good = published(registry)
    registry.promote("ada", good.version, actor=ADA)
    red, unseen = published(registry, "two", passed=False), published(registry, "three", review=True)
    for manifest, why in ((red, "failed its gates"), (unseen, "needs a review")):
        with pytest.raises(CheckFailedError, match=why):
            registry.rollback("ada", actor=ADA, to=manifest.version)
    registry.promote("ada", unseen.version, actor=ADA, approved_by="grace")
    registry.promote("ada", good.version, actor=ADA)
    assert registry.rollback("ada", actor=ADA, to=unseen.version).version == unseen.version


def test_a_clock_that_is_behind_does_not_undo_a_retraining(registry: Registry) -> None:
    first = published(registry)
    again = dataclasses.replace(make_manifest(content="two"), source=first.source, created="2020-01-01T00:00:00")
    again = registry.publish(again, make_files("two"), actor=ADA)
    assert again.created < first.created
    assert registry.find_source("ada", first.source) == again
    assert [item.version for item in registry.versions("ada")] == [first.version, again.version]


def test_verify_removes_what_killed_writers_left(registry: Registry) -> None:
    published(registry)
    left = Path(registry.store.url) / "blobs" / ".tmp-1-abc"
    left.write_bytes(b"half")
    verify(registry)
    assert left.exists(), "it may still be in use"
    os.utime(left, (0, 0))
    assert verify(registry) == []
    assert not left.exists()
