"""Files that speech is written to, checked before anything is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from timbre.core.errors import InputError

SOUND_SUFFIXES = (".wav", ".flac")
BOOK_SUFFIXES = (".m4b", ".m4a")


def check_target(path: Path, suffixes: Sequence[str] = SOUND_SUFFIXES) -> None:
    """Raises InputError for a file that cannot be written."""
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: ends in {path.suffix or 'nothing'}", f"use one of: {', '.join(suffixes)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder", "name a file")
