"""The S3 store on a real server: the common behaviour, parts, versions, rights. A server that ignores conditions."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.registry.s3_servers import CREDENTIALS, S3Server, rclone
from tests.registry.store_behaviour import StoreBehaviour
from timbre.core.errors import ConfigurationError
from timbre.registry.address import RegistryAddress
from timbre.registry.store_at import open_store
from timbre.registry.stores import s3
from timbre.registry.stores.s3 import S3Store

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TIMBRE_S3", raising=False)


def s3_store(server: S3Server, **options: str) -> S3Store:
    store = open_store(RegistryAddress(server.address(f"registry-{next(_NUMBERS)}", **options), os.environ))
    assert isinstance(store, S3Store)
    return store


@pytest.fixture
def store(s3_server: S3Server) -> S3Store:
    return s3_store(s3_server)


class TestS3Store(StoreBehaviour):
    keeps_emptied_folders = True
    # SeaweedFS makes each writer that waits for another one's lock wait a whole second.
    writers = 3
    rounds = 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestS3StoreAtLength(StoreBehaviour):
    keeps_emptied_folders = True
    writers = 16
    rounds = 50


def test_a_listing_has_the_tags_of_its_objects(store: S3Store) -> None:
    for number, key in enumerate(("a+b=c@d.json", "voices/ada/x.json", "voices/ada/events/2026-11-21T09+00.json")):
        assert store.put_if_absent(key, b"x" * number)
    tags = dict(store.tagged(""))
    assert list(tags) == list(store.list("")) == sorted(tags)
    for key, tag in tags.items():
        found = store.get(key)
        assert found is not None
        assert found.tag == tag != ""
    assert len(tags) == 3
    assert list(dict(store.tagged("voices/ada/events/"))) == ["voices/ada/events/2026-11-21T09+00.json"]


def test_a_listing_of_many_pages_is_whole_and_sorted(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side below an area, page after page below a folder; with what lies right below the area."""
    names = ("ada", "ada-b", "ada2", "ben", "eve+co", "z")
    keys = [
        f"voices/{name}/{kind}/{number}.json" for name in names for kind in ("chain", "events") for number in range(2)
    ]
    keys += ["voices/loose.json", "voicesbeside/one.json"]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda key: store.put_if_absent(key, key.encode()), keys))
    whole = {prefix: list(store.tagged(prefix)) for prefix in ("voices/", "voices/ada/", "")}
    assert [key for key, _ in whole["voices/"]] == sorted(key for key in keys if key.startswith("voices/"))
    for page in (1, 3):
        monkeypatch.setattr(s3, "_PAGE", page)
        monkeypatch.setattr(s3, "_FOLDERS_AT_ONCE", 2)
        assert {prefix: list(store.tagged(prefix)) for prefix in whole} == whole
        assert store.folders("voices/") == sorted(names)


@pytest.mark.parametrize("most", [1, 2, 5, 100])
def test_beginnings_cover_each_name_once(most: int) -> None:
    names = ["a", "aa", "aab", "ab", "b", "ba1", "ba2", "ba3", *(f"voice-{number:03}" for number in range(120))]
    found = s3.beginnings(names, most)
    for name in names:
        assert sum(f"{name}/".startswith(part) for part in found) == 1
    assert all(sum(f"{name}/".startswith(part) for name in names) <= most for part in found)
    assert len(s3.beginnings([], most)) == 0


def test_reading_writes_nothing(s3_server: S3Server, store: S3Store) -> None:
    assert store.get("a") is None
    assert list(store.list("")) == []
    assert store.delete("a") is False
    bucket, prefix = store.url.split("/")[2:]
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")


def test_the_probe_is_asked_once_and_leaves_its_proof_only(s3_server: S3Server, store: S3Store) -> None:
    assert store.can_compare_and_swap
    bucket, prefix = store.url.split("/")[2:]
    client = s3_server.client()
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]]
    assert keys == [f"{prefix}/.probe/conditional-writes.json"]
    assert list(store.list("")) == []
    before = client.head_object(Bucket=bucket, Key=keys[0])["ETag"]
    again = open_store(RegistryAddress(f"{store.url}?endpoint={s3_server.endpoint}", os.environ))
    assert again.can_compare_and_swap
    assert client.head_object(Bucket=bucket, Key=keys[0])["ETag"] == before


def test_objects_in_parts_are_conditional_and_come_back(s3_server: S3Server) -> None:
    store = s3_store(s3_server, part_mib="5")
    data, other = bytes(range(256)) * (11 << 12), bytes(reversed(range(256))) * (11 << 12)
    assert store.put_if_absent("blobs/big", data)
    assert not store.put_if_absent("blobs/big", other)
    found = store.get("blobs/big")
    assert found is not None
    assert found.data == data
    tag = store.replace_if("blobs/big", other, found.tag)
    assert tag
    assert store.replace_if("blobs/big", data, found.tag) is None
    assert store.get("blobs/big").data == other  # type: ignore[union-attr]
    bucket, prefix = store.url.split("/")[2:]
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=bucket, Prefix=prefix)


def test_unfinished_uploads_are_invisible_and_swept(s3_server: S3Server, store: S3Store) -> None:
    client, bucket, key = s3_server.client(), store.url.split("/")[2], f"{store.url.split('/')[3]}/blobs/x"
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    assert list(store.list("")) == []
    assert store.get("blobs/x") is None
    assert store.sweep() == 0
    assert store.sweep(older_than_s=-60) == 1
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket, Prefix=key)


@pytest.mark.parametrize(("versions", "left"), [("delete", 0), ("keep", 2)])
def test_deleting_forgets_old_versions(s3_server: S3Server, versions: str, left: int) -> None:
    bucket = f"versioned-{versions}"
    store = open_store(RegistryAddress(s3_server.address("registry", bucket, versions=versions), os.environ))
    client = s3_server.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store.put_if_absent("voice", b"1")
    store.replace_if("voice", b"2", store.get("voice").tag)  # type: ignore[union-attr]
    assert store.delete("voice") is True
    assert store.get("voice") is None
    assert store.delete("voice") is False
    found = client.list_object_versions(Bucket=bucket, Prefix="registry/voice")
    assert len(found.get("Versions", [])) == left


def test_a_reader_reads_and_is_told_that_it_may_not_write(
    s3_server: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_if_absent("a", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "READER01")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "readersecret0001")
    reader = open_store(RegistryAddress(f"{store.url}?endpoint={s3_server.endpoint}", os.environ))
    assert reader.get("a").data == b"1"
    assert list(reader.list("")) == ["a"]
    with pytest.raises(ConfigurationError, match="AccessDenied") as caught:
        reader.put_if_absent("b", b"1")
    assert "s3:GetObject" in caught.value.remedy
    assert store.get("b") is None


def test_wrong_credentials_and_missing_buckets_are_the_operators_business(
    s3_server: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = open_store(RegistryAddress(f"s3://no-such-bucket/x?endpoint={s3_server.endpoint}", os.environ))
    for call in (lambda: gone.put_if_absent("a", b""), lambda: list(gone.list(""))):
        with pytest.raises(ConfigurationError, match="NoSuchBucket"):
            call()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    stranger = open_store(RegistryAddress(f"{store.url}?endpoint={s3_server.endpoint}", os.environ))
    with pytest.raises(ConfigurationError, match="SignatureDoesNotMatch") as caught:
        stranger.get("a")
    assert "credentials" in caught.value.remedy
    assert "wrong" not in str(caught.value)


@pytest.fixture
def lying_server(tmp_path: Path) -> Iterator[S3Server]:
    with rclone(tmp_path) as server:
        yield server


def test_a_store_that_ignores_conditions_is_refused(lying_server: S3Server) -> None:
    store = s3_store(lying_server)
    assert list(store.list("")) == []
    for call in (lambda: store.put_if_absent("a", b"1"), lambda: store.can_compare_and_swap):
        with pytest.raises(ConfigurationError, match="If-None-Match is ignored") as caught:
            call()
    assert "conditional writes" in caught.value.remedy
    assert list(store.list("")) == []
