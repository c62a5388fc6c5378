"""Sealed records: JSON objects that know their own key and digest, so that a swapped or edited file is seen at once."""

from __future__ import annotations

import json
from typing import Any

from timbre.core.digests import digest_value
from timbre.registry.errors import CorruptError, NewerSchemaError

SCHEMA_VERSION = 1


def seal(key: str, body: dict[str, Any]) -> bytes:
    """body with its schema version, key and the digest of all of it, as indented UTF-8 JSON.

    Raises ValueError when body uses one of the four reserved names.
    """
    if reserved := {"schema_version", "key", "digest", "signature"} & body.keys():
        raise ValueError(f"record {key}: the names {sorted(reserved)} are reserved")
    record = {"schema_version": SCHEMA_VERSION, "key": key, **body}
    return encode({**record, "digest": digest_value(record)})


def unseal(key: str, data: bytes) -> dict[str, Any]:
    """The body that seal() put under this key.

    Raises CorruptError when the bytes are not JSON, the digest differs or the record belongs under another key, and
    NewerSchemaError when a newer program wrote it.
    """
    remedy = "restore this object from a backup, or publish the voice again"
    try:
        record = json.loads(data)
        digest = record.pop("digest")
        body_digest = digest_value(record)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise CorruptError(f"registry: {key} is not a sealed record ({type(error).__name__})", remedy=remedy) from error
    if not isinstance(digest, str) or digest != body_digest:
        raise CorruptError(f"registry: {key} was changed after it was written (digest differs)", remedy=remedy)
    if record.get("key") != key:
        raise CorruptError(f"registry: {key} holds the record of {record.get('key')!r}", remedy=remedy)
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        raise NewerSchemaError(
            f"registry: {key} has schema version {version!r}; this program reads {SCHEMA_VERSION}",
            remedy="upgrade timbre on this machine",
        )
    if encode({**record, "digest": digest}) != data:
        raise CorruptError(f"registry: {key} was changed after it was written (its bytes differ)", remedy=remedy)
    return {name: value for name, value in record.items() if name not in ("schema_version", "key", "signature")}


def encode(record: dict[str, Any]) -> bytes:
    """The bytes of a record, digest and all; there is one way to write it."""
    return (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
