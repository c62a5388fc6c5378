"""Proof that a bucket honours conditional writes. A store that accepts If-None-Match and ignores it loses versions.

Objects of the probe lie below `<prefix>.probe/`, which the store's list() does not show, and are removed again. What
was proved is written there, so that a machine's first write costs one request and not a probe: it counts for a week and
only for the endpoint that it was proved at.
"""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from timbre.core.errors import ConfigurationError
from timbre.registry.stores.s3_errors import code_of, status_of

_FOLDER = ".probe/"
_PROVED = "conditional-writes.json"
_LASTS_S = 7 * 86400.0
_WRITERS = 2


@dataclass(frozen=True)
class Proof:
    """What a store honours."""

    quoted: bool
    """Whether entity tags in If-Match are quoted."""
    multipart: bool
    """Whether completing a multipart upload is conditional; if not, objects are sent whole."""


def prove(client: Any, bucket: str, prefix: str, extra: dict[str, str], url: str) -> Proof:
    """The proof that lies in the bucket, or that of a new probe. client: boto3's. extra: arguments of every write.

    Raises ConfigurationError when two writers can both win; botocore's errors pass.
    """
    known = _Objects(client, bucket, f"{prefix}{_FOLDER}", extra)
    endpoint = client.meta.endpoint_url
    if (found := known.read_proof(endpoint)) is not None:
        return found
    probe = _Objects(client, bucket, f"{prefix}{_FOLDER}{secrets.token_hex(8)}/", extra)
    try:
        proof = Proof(_replaces(probe, url), _completes(probe))
        _wins_once(probe, url, proof.quoted)
    finally:
        probe.clear()
    known.put(_PROVED, json.dumps({**asdict(proof), "endpoint": endpoint, "time": time.time()}).encode())
    return proof


def _replaces(probe: _Objects, url: str) -> bool:
    """Whether entity tags are quoted in If-Match."""
    if probe.put("alias", b"1", IfNoneMatch="*") is None:
        raise _refusal(url, "If-None-Match is refused on a key that does not exist")
    if probe.put("alias", b"2", IfNoneMatch="*") is not None:
        raise _refusal(url, "If-None-Match is ignored: an object that exists was overwritten")
    tag = probe.tag("alias")
    if probe.put("alias", b"3", IfMatch='"00000000000000000000000000000000"') is not None:
        raise _refusal(url, "If-Match is ignored: a writer with a stale tag overwrote the object")
    if probe.put("absent", b"1", IfMatch=f'"{tag}"') is not None:
        raise _refusal(url, "If-Match is ignored: it created an object that was gone")
    for quoted in (True, False):
        if probe.put("alias", b"4", IfMatch=f'"{tag}"' if quoted else tag) is not None:
            return quoted
    raise _refusal(url, "If-Match is refused although the tag is current")


def _completes(probe: _Objects) -> bool:
    """Whether an upload in parts keeps an object that exists."""
    return not probe.complete("alias", b"5")


def _wins_once(probe: _Objects, url: str, quoted: bool) -> None:
    with ThreadPoolExecutor(_WRITERS) as pool:
        created = pool.map(lambda n: probe.put("race", b"%d" % n, IfNoneMatch="*"), range(_WRITERS))
        _one(list(created), url, "created one object")
        tag = f'"{probe.tag("race")}"' if quoted else probe.tag("race")
        replaced = pool.map(lambda n: probe.put("race", b"+%d" % n, IfMatch=tag), range(_WRITERS))
        _one(list(replaced), url, "replaced one object")


def _one(tags: list[str | None], url: str, what: str) -> None:
    won = sum(tag is not None for tag in tags)
    if won != 1:
        raise _refusal(url, f"{won} of {len(tags)} writers {what} at once, instead of one")


def _refusal(url: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"registry {url}: {found}; two pipelines would overwrite each other's versions and aliases",
        remedy="use a store with conditional writes, for example AWS S3 or SeaweedFS (docs/registry.md lists them)",
    )


class _Objects:
    """Objects below one prefix of the bucket."""

    def __init__(self, client: Any, bucket: str, prefix: str, extra: dict[str, str]) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._extra = extra

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    def read_proof(self, endpoint: str) -> Proof | None:
        """What was proved at this endpoint within the last week."""
        try:
            found = json.loads(self._client.get_object(**self._where(_PROVED))["Body"].read())
            fresh = found["endpoint"] == endpoint and 0 <= time.time() - found["time"] < _LASTS_S
            return Proof(bool(found["quoted"]), bool(found["multipart"])) if fresh else None
        except ClientError as error:
            if status_of(error) == 404 and code_of(error) != "NoSuchBucket":
                return None
            raise
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, name: str, data: bytes, **condition: str) -> str | None:
        """The entity tag of what was written, or None when the condition failed. A missing If-Match target answers 404
        on some stores and 412 on others; 409 says that another writer is at work.
        """
        try:
            answer = self._client.put_object(**self._where(name), Body=data, **condition, **self._extra)
        except ClientError as error:
            if condition and status_of(error) in (404, 409, 412) and code_of(error) != "NoSuchBucket":
                return None
            raise
        return str(answer["ETag"])

    def tag(self, name: str) -> str:
        """The object's entity tag without quotes."""
        return str(self._client.head_object(**self._where(name))["ETag"]).strip('"')

    def complete(self, name: str, data: bytes) -> bool:
        """Whether an upload in parts with If-None-Match: * was completed over the object. A refusal of any kind counts
        as no.
        """
        where = self._where(name)
        upload = self._client.create_multipart_upload(**where, **self._extra)["UploadId"]
        try:
            part = self._client.upload_part(**where, UploadId=upload, PartNumber=1, Body=data)
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            self._client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*")
        except ClientError:
            self._client.abort_multipart_upload(**where, UploadId=upload)
            return False
        return True

    def clear(self) -> None:
        """Removes the probe's objects; what cannot be removed is small and hidden."""
        for name in ("alias", "absent", "race"):
            try:
                self._client.delete_object(**self._where(name))
            except (ClientError, BotoCoreError):
                return
