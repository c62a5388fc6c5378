"""A version names its commit only when its recordings are those of that commit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from timbre.pipeline.ci.git import Repository
from timbre.pipeline.release.package import committed
from timbre.pipeline.stages.table import Origin

COMMIT = "c" * 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "voices" / "ada").mkdir(parents=True)
    (root / "voices" / "ada" / "1.wav").write_bytes(b"one")
    (root / ".gitignore").write_text("*.flac\n*.log\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "voice")
    return root


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


def named(root: Path) -> str:
    folder = root / "voices" / "ada"
    voice: Any = SimpleNamespace(
        path=folder, files=lambda: {path.name for path in folder.iterdir() if path.suffix != ".log"}
    )
    return committed(Origin(commit=COMMIT), voice, Repository(root)).commit


def changed(root: Path) -> None:
    (root / "voices" / "ada" / "1.wav").write_bytes(b"two")


def untracked(root: Path) -> None:
    (root / "voices" / "ada" / "2.wav").write_bytes(b"two")


def staged(root: Path) -> None:
    untracked(root)
    git(root, "add", "-A")


def ignored(root: Path) -> None:
    (root / "voices" / "ada" / "2.flac").write_bytes(b"two")


def unreadable(root: Path) -> None:
    (root / ".git" / "index").write_bytes(b"damaged")


@pytest.mark.parametrize("change", [changed, untracked, staged, ignored, unreadable])
def test_recordings_that_are_in_no_commit_name_none(root: Path, change: Callable[[Path], None]) -> None:
    assert named(root) == COMMIT
    change(root)
    assert named(root) == ""


def test_an_ignored_file_that_is_no_part_of_the_voice_counts_for_nothing(root: Path) -> None:
    (root / "voices" / "ada" / "notes.log").write_text("a note")
    assert named(root) == COMMIT


def test_outside_git_the_ci_server_is_believed(root: Path) -> None:
    shutil.rmtree(root / ".git")
    assert named(root) == COMMIT
