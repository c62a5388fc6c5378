"""A sealed record over a folder of files: how stages and exported bases are kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from timbre.registry.blobs import FileEntry, Transform, fetch_files, mend, put_bytes, put_files
from timbre.registry.errors import CorruptError
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store


def put_folder(
    store: Store,
    key: str,
    folder: Path,
    about: dict[str, Any],
    *,
    only: Iterable[str] | None = None,
    kept: Transform | None = None,
) -> bool:
    """Stores every file below folder (or those named) as blobs, then the record under key. False when key was taken.

    kept(path, data): what is stored of a file, encrypted for example; must give the same bytes every time.
    """
    paths = sorted(only) if only is not None else _files_below(folder)
    if kept is None:
        entries = put_files(store, folder, paths)
    else:
        entries = [put_bytes(store, path, kept(path, (folder / path).read_bytes())) for path in paths]
    written = store.put_if_absent(key, seal(key, {"about": about, "files": [entry.to_json() for entry in entries]}))
    if written:
        for entry in entries:
            mend(store, entry, lambda path=entry.path: _kept(folder, path, kept))  # type: ignore[misc]
    return written


def _kept(folder: Path, path: str, kept: Transform | None) -> bytes:
    data = (folder / path).read_bytes()
    return data if kept is None else kept(path, data)


def read_folder(store: Store, key: str) -> tuple[dict[str, Any], list[FileEntry]] | None:
    """The facts given to put_folder and its file entries, or None. Raises CorruptError on a damaged
    record.
    """
    stored = store.get(key)
    if stored is None:
        return None
    body = unseal(key, stored.data)
    try:
        return dict(body["about"]), [FileEntry.from_json(entry) for entry in body["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptError(f"registry: {key}: {error!r}", remedy="delete this object; it is made again") from error


def get_folder(store: Store, key: str, target: Path, opened: Transform | None = None) -> bool:
    """Restores a folder at target, which must not exist, all digests checked and all at once; False when key is
    absent. opened: the reverse of put_folder's kept.
    """
    found = read_folder(store, key)
    if found is None:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target.parent))
    try:
        fetch_files(store, found[1], temporary, key, opened)
        temporary.chmod(0o755)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return True


def _files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
