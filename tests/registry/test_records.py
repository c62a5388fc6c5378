"""One way to write a record, and what is not written that way is damage."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from timbre.registry.errors import CorruptError
from timbre.registry.records import encode, seal, unseal

PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(some.dictionaries(some.text(), PLAIN, max_size=5))
def test_bytes_are_those_of_the_library(record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        expected = text.encode()
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            encode(record)
        return
    assert encode(record) == expected


class Kind(enum.StrEnum):
    ONE = "one"


def test_enumerations_and_what_is_no_data() -> None:
    assert json.loads(encode({"kind": Kind.ONE, "pair": (1, [])})) == {"kind": "one", "pair": [1, []]}
    for wrong, error in (({"a": float("nan")}, ValueError), ({"a": {1}}, TypeError), ({"a": {1: 2}}, TypeError)):
        with pytest.raises(error):
            encode(wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'  "a": 1', b'   "a": 1'),
        (b'"a": 1', b'"a":1'),
        (b'"a": 1', b'"a": 1.0'),
        (b'"a": 1', b'"a": 2,\n  "a": 1'),
        ("é".encode(), b"\\u00e9"),
        (b"}\n", b"}"),
    ],
)
def test_a_record_that_was_written_otherwise_is_damage(old: bytes, new: bytes) -> None:
    data = seal("k", {"a": 1, "text": "é"})
    assert unseal("k", data) == {"a": 1, "text": "é"}
    assert data.count(old) == 1
    with pytest.raises(CorruptError, match="was changed"):
        unseal("k", data.replace(old, new))
