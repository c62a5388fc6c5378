"""Digests of large files that are asked for in every run: read again only when the file has changed.

path, size and time of change -> a small JSON file of digests -> SHA-256
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from timbre.core.atomic import write_json
from timbre.core.digests import digest_file
from timbre.core.json_file import read_object

MEMORY = ".digests.json"


def remembered_digest(path: Path, folder: Path) -> str:
    """SHA-256 of a file. folder: where MEMORY lies, made if its parent is there; one that cannot be written costs the
    time of reading the file.

    For keys, where a stale answer only repeats or skips work: a file of the same size whose time of change was put back
    is taken for the old one. What is loaded is checked with digest_file. Raises OSError for a file that cannot be read.
    """
    real = path.resolve(strict=True)
    about = real.stat()
    seen = [about.st_size, about.st_mtime_ns]
    memory = read_object(folder / MEMORY)
    entry = memory.get(str(real))
    if isinstance(entry, dict) and entry.get("seen") == seen and isinstance(entry.get("sha256"), str):
        return str(entry["sha256"])
    digest = digest_file(real)
    # Looking at a repository in which nothing ran leaves it as it is: its .timbre is made by the first run.
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        write_json(folder / MEMORY, memory | {str(real): {"seen": seen, "sha256": digest}})
    return digest
