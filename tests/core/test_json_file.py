"""Files that this program wrote and something damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from timbre.core.json_file import read_object


@pytest.mark.parametrize("content", [None, b"", b'{"a": 1', b"[1]", b'"text"', b"\xff\xfe"])
def test_what_is_no_object_reads_as_empty(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert read_object(path) == {}


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"音": 1}', encoding="utf-8")
    assert read_object(tmp_path / "a.json") == {"音": 1}
    assert read_object(tmp_path) == {}, "a folder"
