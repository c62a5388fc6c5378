"""Digests of large files are read once, and again when the file has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from timbre.core import remembered_digests
from timbre.core.digests import digest_file
from timbre.core.remembered_digests import MEMORY, remembered_digest


def test_a_file_is_read_once_and_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return digest_file(path)

    monkeypatch.setattr(remembered_digests, "digest_file", counted)
    file, link, folder = tmp_path / "model.bin", tmp_path / "link", tmp_path / "memory"
    file.write_bytes(b"weights")
    link.symlink_to(file)
    first = remembered_digest(file, folder)
    assert first == digest_file(file)
    assert remembered_digest(link, folder) == first
    assert len(read) == 1, "a link is the file that it means"
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(1, 1))
    assert remembered_digest(file, folder) == digest_file(file) != first
    (folder / MEMORY).write_text("{torn", encoding="utf-8")
    assert remembered_digest(file, folder) == digest_file(file)
    assert len(read) == 3


def test_a_memory_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    assert remembered_digest(file, file / "no-folder") == digest_file(file)
    assert remembered_digest(file, tmp_path / "fresh" / "bases") == digest_file(file)
    assert not (tmp_path / "fresh").exists(), "looking makes no .timbre"
    with pytest.raises(OSError, match="absent"):
        remembered_digest(tmp_path / "absent", tmp_path)
