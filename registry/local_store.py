"""A store in a local directory: the default, and the one that works without any network.

Objects are files. put_if_absent writes a temporary sibling, flushes it to disk and links it into place, so that of many
writers exactly one wins and a kill -9 leaves either nothing or the whole object. replace_if takes an advisory lock
per key
(released by the kernel when its holder dies) and renames over the old file.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from timbre.core.atomic import replace_file, sync_directory
from timbre.core.errors import InfrastructureError
from timbre.registry.store import Stored, check_key

_TEMPORARY = ".tmp-"
_LOCKS = ".locks"
_LOCK_SECONDS = 30.0


Mark = tuple[tuple[str | int, ...], ...]
"""Opaque: two of them are equal or not."""


class LocalStore:
    """Store over the directory `root`, which is created at the first write."""

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    @property
    def url(self) -> str:
        """The directory's path."""
        return str(self._root)

    nearby = True
    """Reads take no round trip: see store.side_by_side."""

    @property
    def can_compare_and_swap(self) -> bool:
        """Always true: the kernel's file lock orders the writers of one machine (or of an NFS mount with locking)."""
        return True

    def get(self, key: str) -> Stored | None:
        """The file's bytes with their SHA-256 as tag, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", path, error) from error
        return Stored(data, hashlib.sha256(data).hexdigest())

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Links a complete temporary file into place; False when the name was taken."""
        path = self._path(key)
        with self._guard("write", path):
            if path.exists():
                return False
            temporary = self._write_temporary(path, data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            sync_directory(path.parent)
        return True

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        """Compares the tag and renames over the old file while holding the key's lock."""
        path = self._path(key)
        locks = self._root / _LOCKS
        with self._guard("write", path):
            locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(locks / hashlib.sha256(key.encode()).hexdigest()[:32], timeout=_LOCK_SECONDS)
            try:
                with lock:
                    current = self.get(key)
                    if current is None or current.tag != tag:
                        return None
                    temporary = self._write_temporary(path, data)
                    replace_file(temporary, path)
                    sync_directory(path.parent)
            except Timeout as error:
                raise InfrastructureError(
                    f"registry {self.url}: {key} stayed locked by another writer for {_LOCK_SECONDS:g} s",
                    remedy="run the command again; if it keeps failing, look for a stuck timbre process "
                    "on this machine",
                ) from error
        return hashlib.sha256(data).hexdigest()

    def list(self, prefix: str) -> Iterator[str]:
        """Sorted keys under a folder prefix; temporary files and locks are not keys."""
        folder = prefix.rstrip("/")
        if folder:
            check_key(folder)
        base = self._root / folder if folder else self._root
        found = []
        for directory, subdirectories, files in os.walk(base):
            # In the order of their names, as every store lists: chain.py relies on it.
            subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
            relative = os.path.relpath(directory, self._root).replace(os.sep, "/")
            start = "" if relative == "." else f"{relative}/"
            found += [start + name for name in files if not name.startswith(".")]
        yield from sorted(found)

    def folders(self, prefix: str) -> builtins.list[str]:
        """Sorted names of the folders right below a folder prefix that hold an object."""
        base = self._root / check_key(prefix.rstrip("/"))
        try:
            names = [entry.name for entry in _folders_in(base)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if _holds_objects(base / name))

    def marks(self, prefix: str, replaced: str) -> dict[str, Mark]:
        """Name of each folder right below a folder prefix -> what differs after files below it were added, replaced or
        removed: times of its directories, and of the files in the one called `replaced`, which others than this class
        may write in place. Two changes within one tick of the file system's clock may leave the same mark.
        """
        base, found = self._root / check_key(prefix.rstrip("/")), {}
        with self._guard("look at", base), suppress(FileNotFoundError, NotADirectoryError):
            for folder in _folders_in(base):
                with suppress(FileNotFoundError, NotADirectoryError):
                    mark: builtins.list[tuple[str | int, ...]] = [("", folder.stat().st_mtime_ns)]
                    for below in _folders_in(folder):
                        mark.append((below.name, below.stat().st_mtime_ns))
                        if below.name == replaced:
                            mark += [_about(entry) for entry in os.scandir(below)]
                    found[folder.name] = tuple(sorted(mark))
        return found

    def delete(self, key: str) -> bool:
        """Removes the file; empty folders stay."""
        path = self._path(key)
        with self._guard("delete", path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def sweep(self, *, older_than_s: float = 3600.0) -> int:
        """Removes temporary files that killed writers left; returns how many. Young ones may still be in use and
        stay.
        """
        removed = 0
        for path in self._root.rglob(f"{_TEMPORARY}*"):
            try:
                if time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write_temporary(self, path: Path, data: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    @contextmanager
    def _guard(self, action: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(action, path, error) from error

    def _failure(self, action: str, path: Path, error: OSError) -> InfrastructureError:
        remedy = {
            errno.ENOSPC: "free disk space, then run the command again",
            errno.EDQUOT: "raise the disk quota or free space, then run the command again",
            errno.EACCES: "give this user write permission on the registry's directory",
            errno.EROFS: "mount the registry's file system writable",
        }.get(error.errno or 0, "check the disk and run the command again")
        return InfrastructureError(
            f"registry {self.url}: cannot {action} {path.name}: {error.strerror or error}", remedy=remedy
        )


def _folders_in(folder: Path | os.DirEntry[str]) -> builtins.list[os.DirEntry[str]]:
    return [entry for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]


def _about(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    about = entry.stat()
    return entry.name, about.st_mtime_ns, about.st_size, about.st_ino


def _holds_objects(folder: Path) -> bool:
    for _, subdirectories, files in os.walk(folder):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        if any(not name.startswith(".") for name in files):
            return True
    return False
