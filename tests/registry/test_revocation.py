"""Revocation: what it destroys, under which names, and what it must leave alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.registry.conftest import make_files, make_manifest
from timbre.registry.errors import RevokedError
from timbre.registry.manifest import Manifest
from timbre.registry.names import blob_key
from timbre.registry.registry import Actor, Registry
from timbre.registry.revocation import revoke
from timbre.registry.stage_cache import pull_stage, push_stage
from timbre.registry.verification import verify

ACTOR = Actor("ada", "c1")
RECORDINGS = "d" * 64


def stage(tmp_path: Path, name: str, content: bytes) -> Path:
    folder = tmp_path / f"stage-{name}"
    folder.mkdir(exist_ok=True)
    (folder / "slice.wav").write_bytes(content)
    return folder


def publish(registry: Registry, voice: str, files: dict[str, bytes], *, promote: bool = True) -> Manifest:
    """A version of those recordings; every name has the same ones."""
    manifest = dataclasses.replace(make_manifest(voice, "one"), source="5" * 64, recordings=RECORDINGS)
    manifest = registry.publish(manifest, files, actor=ACTOR)
    if promote:
        registry.promote(voice, manifest.version, actor=ACTOR)
    return manifest


def rename(registry: Registry, tmp_path: Path) -> Manifest:
    """voices/ada became voices/ben: ada is retired, ben published from the stages that ada's run left in the cache."""
    files = make_files("one") | {"samples/slice.wav": b"a voice"}
    push_stage(registry.store, "a" * 64, "ada", "validate", stage(tmp_path, "ada", b"a voice"), recordings=RECORDINGS)
    push_stage(
        registry.store,
        "b" * 64,
        "ada",
        "finetune",
        stage(tmp_path, "t2s", files["t2s/adapter.bin"]),
        recordings=RECORDINGS,
    )
    publish(registry, "ada", files)
    ben = publish(registry, "ben", files)
    registry.retire("ada", actor=ACTOR, reason="voices/ada is voices/ben now")
    return ben


def test_revoking_the_old_name_leaves_the_published_new_one_whole(registry: Registry, tmp_path: Path) -> None:
    ben = rename(registry, tmp_path)
    certificate = revoke(registry, "ada", actor=ACTOR, reason="withdrawn")
    assert [finding for finding in verify(registry) if "ben" in str(finding)] == []
    for path in ("t2s/adapter.bin", "samples/slice.wav", "prompt.bin", "README.md"):
        assert registry.read_file(registry.resolve("ben"), path)
    assert registry.resolve("ben") == ben
    assert registry.tombstone("ben") is None
    assert certificate.spared == ("ben",)
    assert certificate.names == ("ada",)


def test_revoking_the_new_name_reaches_the_old_one(registry: Registry, tmp_path: Path) -> None:
    rename(registry, tmp_path)
    certificate = revoke(registry, "ben", actor=ACTOR, reason="withdrawn")
    assert certificate.names == ("ada", "ben")
    assert list(registry.store.list("blobs/")) == []
    assert list(registry.store.list("stages/")) == []
    assert registry.tombstone("ada") is not None
    assert verify(registry) == []


def test_all_names_revokes_those_that_speak_too(registry: Registry, tmp_path: Path) -> None:
    rename(registry, tmp_path)
    assert revoke(registry, "ada", actor=ACTOR, reason="withdrawn", all_names=True).names == ("ada", "ben")
    assert list(registry.store.list("blobs/")) == []
    assert registry.tombstone("ben") is not None


def test_a_blob_of_a_base_and_of_a_damaged_manifest_is_kept(registry: Registry, tmp_path: Path) -> None:
    """What a damaged record names cannot be counted by its fields, so every digest in its bytes counts."""
    files = make_files("one")
    publish(registry, "ada", files)
    other = make_manifest("eve", "other")
    eve = registry.publish(other, files | {"README.md": b"eve"}, actor=ACTOR)
    key = f"voices/eve/versions/{eve.version}.json"
    damaged = (Path(registry.store.url) / key).read_bytes().replace(b'"rate_hz": 16000', b'"rate_hz": 16001')
    (Path(registry.store.url) / key).write_bytes(damaged)
    revoke(registry, "ada", actor=ACTOR, reason="withdrawn")
    assert all(registry.store.get(blob_key(entry.sha256)) for entry in eve.files)


def test_a_publish_under_way_cleans_up_after_itself(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(registry, "ada", make_files("one"))
    late = dataclasses.replace(make_manifest("ada", "late"), recordings=RECORDINGS)
    real = registry.store.put_if_absent

    def slow(key: str, data: bytes) -> bool:
        if key == late.key:
            monkeypatch.setattr(registry.store, "put_if_absent", real)
            revoke(Registry(registry.store), "ada", actor=ACTOR, reason="withdrawn")
        return real(key, data)

    monkeypatch.setattr(registry.store, "put_if_absent", slow)
    with pytest.raises(RevokedError):
        registry.publish(late, {"samples/late.wav": b"a recording"}, actor=ACTOR)
    assert list(registry.store.list("blobs/")) == []


def test_a_publish_under_another_name_of_those_recordings_is_refused(registry: Registry) -> None:
    publish(registry, "ada", make_files("one"))
    revoke(registry, "ada", actor=ACTOR, reason="withdrawn")
    with pytest.raises(RevokedError, match="withdrawn"):
        publish(registry, "carl", make_files("one"))
    assert list(registry.store.list("blobs/")) == []


def test_a_stage_that_ends_after_the_revocation_is_not_kept(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(registry, "ada", make_files("one"))
    revoke(registry, "ada", actor=ACTOR, reason="withdrawn")
    for voice in ("ada", "carl"):
        with pytest.raises(RevokedError):
            push_stage(
                registry.store, "a" * 64, voice, "validate", stage(tmp_path, "x", b"a voice"), recordings=RECORDINGS
            )
    assert list(registry.store.list("blobs/")) == []
    assert not pull_stage(registry.store, "a" * 64, tmp_path / "new")


def test_verify_names_what_a_revocation_left(registry: Registry, tmp_path: Path) -> None:
    manifest = publish(registry, "ada", make_files("one"))
    revoke(registry, "ada", actor=ACTOR, reason="withdrawn")
    entry = manifest.files[0]
    registry.store.put_if_absent(blob_key(entry.sha256), make_files("one")[entry.path])
    assert [(item.key, item.affects) for item in verify(registry)] == [(blob_key(entry.sha256), ("ada",))]
    assert [item.key for item in verify(registry, "ada")] == [blob_key(entry.sha256)]


def test_a_certificate_lists_what_is_gone_and_what_cannot_be_reached(registry: Registry, tmp_path: Path) -> None:
    rename(registry, tmp_path)
    found = revoke(registry, "ben", actor=ACTOR, reason="withdrawn")
    assert len(found.destroyed) == len(set(found.destroyed)) == found.blobs + found.stages == 6
    assert any("Git" in place for place in found.unreachable)
    stored = list(registry.store.list("voices/ben/certificates/"))
    body = json.loads((Path(registry.store.url) / stored[0]).read_bytes())
    assert body["destroyed"] == list(found.destroyed)
