"""Files and directories that appear complete or not at all, also after a power cut or `kill -9`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WINDOWS = os.name == "nt"
_REPLACE_S = 5.0


def write_bytes(path: Path, data: bytes, private: bool = False) -> None:
    """Replace `path` by a file with this content; readers see the old or the new file, never a part. private: as
    `replacing` has it. Raises OSError.
    """
    with replacing(path, private) as partial:
        partial.write_bytes(data)


@contextmanager
def replacing(path: Path, private: bool = False) -> Iterator[Path]:
    """A hidden file beside `path`, with its suffix, for a library that writes to a path; it replaces `path` when the
    block ends well, and is removed when it does not. private: only its owner can read it (mode 0600) at every moment,
    else others can from the end on. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        _sync_file(Path(name))
        # mkstemp makes the file private, and below .timbre/ it stays so: recordings and voices lie there. Other outputs
        # are meant to be read by others (a web server, another user's CI job).
        if not private and ".timbre" not in path.parts:
            Path(name).chmod(0o644)
        replace_file(Path(name), path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace_file(new: Path, path: Path) -> None:
    """Rename over a file that others may be reading. Windows refuses that while one of them has it open, which lasts
    milliseconds: there it is tried again for some seconds. Raises OSError.
    """
    deadline = time.monotonic() + _REPLACE_S
    while True:
        try:
            new.replace(path)
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """`write_text` of indented JSON with a final newline. Raises ValueError on NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def publish_directory(partial: Path, final: Path) -> None:
    """Rename a finished directory into place; an existing `final` is replaced.

    The old directory is renamed aside first (to a hidden sibling that a later clean-up removes), since a rename cannot
    replace a directory that is not empty: for a moment neither is there, which a reader takes for "not done yet".
    """
    _sync_tree(partial)
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = None
    if final.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".old-{final.name}.", dir=final.parent))
        final.rename(aside / "content")
    partial.rename(final)
    sync_directory(final.parent)
    if aside is not None:
        remove_tree(aside)


def remove_tree(path: Path) -> None:
    """Remove a directory and everything in it; of a link, only the link. Nothing there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _sync_tree(top: Path) -> None:
    for folder, _, files in os.walk(top):
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                _sync_file(path)
        sync_directory(Path(folder))


def _sync_file(path: Path) -> None:
    # Windows flushes only what is open for writing.
    with path.open("r+b" if WINDOWS else "rb") as stream:
        os.fsync(stream.fileno())


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable; systems that cannot open or sync a directory are left to themselves
    (Windows: NTFS journals renames).
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
