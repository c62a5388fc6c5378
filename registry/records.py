"""Sealed records: JSON objects that know their own key and digest, so that a swapped or edited file is seen at once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
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
    """The bytes of a record, digest and all; there is one way to write it: json.dumps with an indent of two and sorted
    keys. Raises ValueError for a number that is not finite, TypeError for what is no plain data.
    """
    return (_indented(record, "\n") + "\n").encode()


def _indented(value: Any, pad: str) -> str:
    """What json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) gives, in less than half
    the time: with an indent the library leaves its C encoder, and each record that is read is written to be compared.
    """
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain(value)
    inner = pad + "  "
    if type(value) is dict:
        parts = []
        for name in sorted(value):
            item = value[name]
            plain = _PLAIN.get(type(item))
            text = plain(item) if plain is not None else _indented(item, inner)
            parts.append(f"{inner}{encode_basestring(name)}: {text}")
        return "{" + ",".join(parts) + pad + "}" if parts else "{}"
    if type(value) in (list, tuple):
        return "[" + ",".join([inner + _indented(item, inner) for item in value]) + pad + "]" if value else "[]"
    # Subclasses of text and numbers, as enumerations are; anything else is refused there.
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"out of range float values are not JSON compliant: {value!r}")
    return repr(value)


_PLAIN: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring, float: _number, int: repr, bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}  # fmt: skip
