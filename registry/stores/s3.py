"""A store in an S3 bucket: objects under a prefix, written by conditional requests.

put_if_absent is `If-None-Match: *`, replace_if is `If-Match` with the entity tag. Every write carries a random token
in the object's metadata: when an answer is lost and the library's second attempt hears "precondition failed", the token
says whether the first attempt had written. The first write of a process makes sure that the store honours these
conditions (probe.py). Objects above part_mib are sent in parts, visible only when complete.
"""

from __future__ import annotations

import builtins
import html
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.registry.store import Stored, check_key
from timbre.registry.stores.probe import Proof, prove
from timbre.registry.stores.s3_errors import code_of, status_of, translated
from timbre.registry.stores.s3_options import S3Options, S3Place

_WRITER = "timbre-writer"
_PARTS_AT_ONCE = 4
_PAGE = 1000
_LISTINGS_AT_ONCE = 16
_FOLDERS_AT_ONCE = 20
_LOG = logging.getLogger("timbre.registry")


@dataclass(frozen=True)
class _Page:
    items: list[tuple[str, str]]
    """Keys with their tags."""
    folders: list[str]
    """Names of the folders below the beginning, where they were asked for."""
    more: bool
    """Whether another page follows."""


class S3Store:
    """Store over the objects of a bucket whose keys begin with the place's prefix. Safe to use from many threads."""

    def __init__(self, place: S3Place, sleep: Callable[[float], None] = time.sleep) -> None:
        self._place = place
        self._sleep = sleep
        self._lock = Lock()
        self._made: Any = None
        self._proof: Proof | None = None

    @property
    def url(self) -> str:
        """s3://bucket/prefix."""
        return self._place.url

    @property
    def can_compare_and_swap(self) -> bool:
        """Whether the probe saw conditional writes honoured. Raises what proved() raises."""
        self.proved()
        return True

    def proved(self) -> Proof:
        """What the probe found out about this bucket, asked once a process. Raises ConfigurationError when the store
        ignores conditions.
        """
        client = self._client()
        with self._lock:
            if self._proof is None:
                with translated(self.url, "probe its conditional writes"):
                    self._proof = prove(client, self._place.bucket, self._place.prefix, self._extra(), self.url)
            return self._proof

    def get(self, key: str) -> Stored | None:
        """The object's bytes with its entity tag, or None. An answer that is cut off is asked for again."""
        check_key(key)
        for attempt in range(self._place.options.attempts):
            try:
                with translated(self.url, f"read {key}"):
                    return self._get(key)
            except InfrastructureError:
                if attempt + 1 == self._place.options.attempts:
                    raise
                self._sleep(random.uniform(0, min(8.0, 0.2 * 2**attempt)))
        raise AssertionError("unreachable")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Writes with If-None-Match: *; False when the key was taken."""
        check_key(key)
        proof = self.proved()
        with translated(self.url, f"write {key}"):
            if len(data) > self._place.options.part_mib << 20 and proof.multipart:
                return self._put_parts(key, data, {"IfNoneMatch": "*"}) is not None
            return self._put(key, data, {"IfNoneMatch": "*"}) is not None

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        """Writes with If-Match; the new entity tag, or None when the object has another tag or is gone."""
        check_key(key)
        proof = self.proved()
        with translated(self.url, f"replace {key}"):
            condition = {"IfMatch": f'"{tag}"' if proof.quoted else tag}
            if len(data) > self._place.options.part_mib << 20 and proof.multipart:
                return self._put_parts(key, data, condition)
            return self._put(key, data, condition)

    def list(self, prefix: str) -> Iterator[str]:
        """Sorted keys under a folder prefix; keys with a segment that starts with a dot are not ours."""
        for key, _ in self.tagged(prefix):
            yield key

    def tagged(self, prefix: str) -> Iterator[tuple[str, str]]:
        """As list, each key with the tag that `get` would give: a listing tells what changed without reading it.

        An area of the registry ("voices/") that does not fit into one page is listed side by side, by the beginnings of
        its folders' names: page after page, a listing takes its latency for every thousand keys. What lies below one
        folder is listed in one go, so that what was written first is listed first.
        """
        folder = prefix.rstrip("/")
        if folder:
            check_key(folder)
        whole = f"{folder}/" if folder else ""
        pages = self._pages(whole)
        found = next(pages)
        if found.more and folder and "/" not in folder:
            names, items = self._right_below(whole)
            parts = [f"{whole}{part}" for part in beginnings(names, _FOLDERS_AT_ONCE)]
            with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
                listed = pool.map(lambda part: [item for page in self._pages(part) for item in page.items], parts)
                yield from sorted({**dict(items), **{key: tag for part in listed for key, tag in part}}.items())
            return
        # Not every store lists in the order of keys: SeaweedFS has ada/ before ada-b/.
        yield from sorted([*found.items, *(item for page in pages for item in page.items)])

    def _pages(self, beginning: str, **more: str) -> Iterator[_Page]:
        """Keys that begin so, with their tags, page by page; at least one page."""
        start = self._place.prefix
        pages = self._client().get_paginator("list_objects_v2")
        with translated(self.url, f"list {beginning or 'it'}"):
            where, size = {"Bucket": self._place.bucket, "Prefix": start + beginning}, {"PageSize": _PAGE}
            for page in pages.paginate(**where, PaginationConfig=size, **more):
                keys = (
                    (item["Key"][len(start) :], _plain_tag(item.get("ETag", ""))) for item in page.get("Contents", ())
                )
                items = [item for item in keys if item[0] and not item[0].endswith("/") and "/." not in f"/{item[0]}"]
                folders = [item["Prefix"][len(start + beginning) : -1] for item in page.get("CommonPrefixes", ())]
                yield _Page(
                    items, [name for name in folders if not name.startswith(".")], bool(page.get("IsTruncated"))
                )

    def folders(self, prefix: str) -> builtins.list[str]:
        """Sorted names of the folders right below a folder prefix: one request for a thousand of them."""
        return sorted(self._right_below(f"{check_key(prefix.rstrip('/'))}/")[0])

    def _right_below(self, whole: str) -> tuple[builtins.list[str], builtins.list[tuple[str, str]]]:
        """Names of folders, and keys of objects with their tags."""
        pages = builtins.list(self._pages(whole, Delimiter="/"))
        return [name for page in pages for name in page.folders], [item for page in pages for item in page.items]

    def delete(self, key: str) -> bool:
        """Removes the object, in a versioned bucket also its old versions unless versions=keep."""
        check_key(key)
        where = self._where(key)
        with translated(self.url, f"delete {key}"):
            there = self._head(key) is not None
            if there:
                answer = self._client().delete_object(**where)
                if answer.get("VersionId") and self._place.options.versions == "delete":
                    self._delete_versions(where["Key"])
        return there

    def sweep(self, *, older_than_s: float = 3600.0) -> int:
        """Aborts uploads in parts that killed writers left; returns how many. Young ones may be in use and stay."""
        limit = datetime.now(UTC) - timedelta(seconds=older_than_s)
        removed = 0
        with translated(self.url, "sweep unfinished uploads"):
            client = self._client()
            pages = client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=self._place.prefix):
                for item in page.get("Uploads", ()):
                    if item["Initiated"] <= limit:
                        client.abort_multipart_upload(
                            Bucket=self._place.bucket, Key=item["Key"], UploadId=item["UploadId"]
                        )
                        removed += 1
        return removed

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                options = self._place.options
                with translated(self.url, "set the client up"):
                    session = boto3.session.Session(profile_name=options.profile or None)
                    self._made = session.client("s3", **_client_arguments(options))
                    self._made.meta.events.register("before-parse.s3.ListObjectsV2", _read_contents)
            return self._made

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self._place.bucket, "Key": self._place.prefix + key}

    def _extra(self) -> dict[str, str]:
        options = self._place.options
        extra = {"ServerSideEncryption": options.encryption} if options.encryption else {}
        return extra | ({"SSEKMSKeyId": options.kms_key} if options.kms_key else {})

    def _get(self, key: str) -> Stored | None:
        try:
            answer = self._client().get_object(**self._where(key))
        except ClientError as error:
            if code_of(error) in ("NoSuchKey", "404"):
                return None
            raise
        return Stored(answer["Body"].read(), _plain_tag(answer["ETag"]))

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(self._client().head_object(**self._where(key)))
        except ClientError as error:
            if status_of(error) == 404:
                return None
            raise

    def _put(self, key: str, data: bytes, condition: dict[str, str]) -> str | None:
        writer = secrets.token_hex(8)

        def write() -> Any:
            metadata = {_WRITER: writer}
            return self._client().put_object(
                **self._where(key), Body=data, Metadata=metadata, **condition, **self._extra()
            )

        return self._conditionally(key, writer, write)

    def _put_parts(self, key: str, data: bytes, condition: dict[str, str]) -> str | None:
        client, where, writer = self._client(), self._where(key), secrets.token_hex(8)
        size = self._place.options.part_mib << 20
        upload = client.create_multipart_upload(**where, Metadata={_WRITER: writer}, **self._extra())["UploadId"]

        def send(number: int) -> dict[str, Any]:
            piece = data[(number - 1) * size : number * size]
            answer = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=piece)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        def complete() -> Any:
            with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
                parts = list(pool.map(send, range(1, -(-len(data) // size) + 1)))
            return client.complete_multipart_upload(
                **where, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
            )

        written = None
        try:
            written = self._conditionally(key, writer, complete)
        finally:
            if written is None:
                self._abort(where, upload)
        return written

    def _abort(self, where: dict[str, str], upload: str) -> None:
        try:
            with translated(self.url, "abort an upload"):
                self._client().abort_multipart_upload(**where, UploadId=upload)
        except (ConfigurationError, InfrastructureError) as error:
            _LOG.debug("an unfinished upload stays until it is swept", extra={"reason": error.message})

    def _conditionally(self, key: str, writer: str, write: Callable[[], Any]) -> str | None:
        """The entity tag of what write() wrote, or None when its condition failed."""
        attempts, doubtful = self._place.options.attempts, False
        for attempt in range(attempts):
            try:
                return _plain_tag(write()["ETag"])
            except ClientError as error:
                tries = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
                doubtful = doubtful or bool(tries)
                if status_of(error) == 409 and attempt + 1 < attempts:  # another conditional write is under way
                    doubtful = True
                elif status_of(error) in (404, 412) and code_of(error) not in ("NoSuchBucket", "NoSuchUpload"):
                    return self._own(key, writer) if doubtful else None
                elif status_of(error) >= 500 or code_of(error) == "NoSuchUpload":
                    if (own := self._own(key, writer)) is not None:
                        return own
                    raise
                else:
                    raise
            except (ConnectionError, HTTPClientError):
                if (own := self._own(key, writer)) is not None:
                    return own
                raise
            self._sleep(random.uniform(0, min(4.0, 0.1 * 2**attempt)))
        raise AssertionError("unreachable")

    def _own(self, key: str, writer: str) -> str | None:
        """The entity tag when the object is the one that this writer wrote."""
        found = self._head(key)
        written = found is not None and found.get("Metadata", {}).get(_WRITER) == writer
        return _plain_tag(found["ETag"]) if found is not None and written else None

    def _delete_versions(self, whole: str) -> None:
        client = self._client()
        pages = client.get_paginator("list_object_versions").paginate(Bucket=self._place.bucket, Prefix=whole)
        for page in pages:
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                if item["Key"] == whole:
                    client.delete_object(Bucket=self._place.bucket, Key=whole, VersionId=item["VersionId"])


def _client_arguments(options: S3Options) -> dict[str, Any]:
    """Keyword arguments of boto3's client("s3") but for the session's."""
    config = Config(
        connect_timeout=options.connect_s,
        read_timeout=options.read_s,
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        max_pool_connections=32,
        s3={"addressing_style": options.addressing},
        request_checksum_calculation=options.checksum,
        response_checksum_validation=options.checksum,
        proxies={"http": options.proxy, "https": options.proxy} if options.proxy else None,
    )
    return {
        "config": config,
        "endpoint_url": options.endpoint or None,
        "region_name": options.region or None,
        "verify": options.ca or None,
    }


def _read_contents(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **others: object) -> None:
    """Takes keys and tags out of a page of a listing before botocore parses it, which converts every field of a
    thousand objects, dates first, and takes ten times as long. What is no such page is left to it.
    """
    if response_dict.get("status_code") != 200:
        return
    # Text in XML never holds "<", so that elements without attributes can be cut out without a parser.
    before, *items = response_dict["body"].split(b"<Contents>")
    rest, found = [before], []
    for item in items:
        inside, _, after = item.partition(b"</Contents>")
        found.append({"Key": _text(inside, b"Key"), "ETag": _text(inside, b"ETag")})
        rest.append(after)
    if found:
        customized_response_dict["Contents"] = found
        response_dict["body"] = b"".join(rest)


def _text(element: bytes, name: bytes) -> str:
    """The text of the first element of this name inside another, "" without one."""
    text = element.partition(b"<" + name + b">")[2].partition(b"</" + name + b">")[0].decode()
    return html.unescape(text) if "&" in text else text


def beginnings(names: Iterable[str], most: int, length: int = 0) -> list[str]:
    """Beginnings of folders that cover all these names and no key twice, each at most `most` of the names. A name that
    another one begins with stands with its slash.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name[: length + 1] if len(name) > length else f"{name}/", []).append(name)
    return [
        part
        for beginning, group in groups.items()
        for part in ([beginning] if len(group) <= most else beginnings(group, most, length + 1))
    ]


def _plain_tag(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')
