"""What clients send and what they mean: null for unset, numbers as text, capitals, queries in GBK."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_SWITCHES = {"true": True, "false": False}
_FIRST_HIGH = 0x80


def as_meant(given: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a request in the types of the model, where nothing else can be meant; what is not clear stays, and
    is then refused by name. Fields that the model does not have stay as they are.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        field = model.model_fields.get(name)
        if field is None:
            found[name] = value
        elif value is not None:
            found[name] = _meant(value, _kinds(field.annotation), field)
    return found


def encodable(text: str) -> str:
    """A text without lone surrogates, which JSON can name and no encoding can write: U+FFFD stands for each."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def make_encodable(given: dict[Any, Any] | list[Any]) -> None:
    """Does so in place with all texts of a JSON value, however deep."""
    open_values: list[Any] = [given]
    while open_values:
        value = open_values.pop()
        if isinstance(value, dict):
            for name, inside in list(value.items()):
                if not name.isascii():
                    del value[name]
                value[encodable(name)] = _encodable(inside, open_values)
        else:
            value[:] = [_encodable(inside, open_values) for inside in value]


def _encodable(value: Any, open_values: list[Any]) -> Any:
    if isinstance(value, dict | list):
        open_values.append(value)
    return encodable(value) if isinstance(value, str) else value


def utf8_query(query: bytes) -> bytes:
    """A query whose percent-encoded bytes are GBK (Chinese Windows) in UTF-8; any other comes back as it is."""
    parts = re.split(rb"([&=])", query)
    plain = [unquote_to_bytes(part.replace(b"+", b" ")) for part in parts]
    if _decodes(plain, "utf-8") or not _decodes(plain, "gb18030"):
        return query
    return b"".join(
        part if part in (b"&", b"=") or max(data, default=0) < _FIRST_HIGH
        else quote_from_bytes(data.decode("gb18030").encode()).encode()
        for part, data in zip(parts, plain, strict=True)
    )  # fmt: skip


def _meant(value: Any, kinds: frozenset[Any], field: FieldInfo) -> Any:
    if isinstance(value, float) and int in kinds and float not in kinds and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if kinds & {int, float} and _NUMBER.fullmatch(text):
        return int(text) if "." not in text else _meant(float(text), kinds, field)
    if bool in kinds and text.lower() in _SWITCHES:
        return _SWITCHES[text.lower()]
    choices = [kind for kind in kinds if isinstance(kind, str)]
    if text.lower() in choices:
        return text.lower()
    numbers = {str(kind): kind for kind in kinds if isinstance(kind, int) and not isinstance(kind, bool)}
    return numbers.get(text, value)


def _kinds(annotation: Any) -> frozenset[Any]:
    """The types and literal values that a field may have."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return frozenset(typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return frozenset().union(*(_kinds(item) for item in typing.get_args(annotation)))
    return frozenset((annotation,))


def _decodes(parts: list[bytes], encoding: str) -> bool:
    try:
        for part in parts:
            part.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
