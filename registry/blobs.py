"""Content-addressed blobs. Digests are computed here on the way in and on the way out, never trusted to the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from timbre.core.digests import digest_bytes
from timbre.registry.errors import CorruptError
from timbre.registry.names import blob_key
from timbre.registry.store import Store, side_by_side

Transform = Callable[[str, bytes], bytes]
"""A file's path and content -> its content as it is kept, or the other way round."""


@dataclass(frozen=True)
class FileEntry:
    """A file of a package, base or stage."""

    path: str
    """Relative to the folder, with forward slashes."""
    sha256: str
    """64 hex digits, of the bytes as they are stored (encrypted or not)."""
    size_bytes: int
    """Of the same bytes."""

    def to_json(self) -> dict[str, object]:
        """Plain data for a record."""
        return {"path": self.path, "sha256": self.sha256, "size_bytes": self.size_bytes}

    @classmethod
    def from_json(cls, data: dict[str, object]) -> FileEntry:
        """The reverse of to_json. Raises KeyError or TypeError on other data."""
        path, sha256, size = data["path"], data["sha256"], data["size_bytes"]
        if not (isinstance(path, str) and isinstance(sha256, str) and isinstance(size, int)):
            raise TypeError(f"file entry: {data!r}")
        return cls(path, sha256, size)


def put_files(store: Store, root: Path, paths: Iterable[str]) -> list[FileEntry]:
    """Stores files below root as blobs and reads each new one back; returns their entries in the order given.

    Raises CorruptError when what the store returns differs from what was sent.
    """
    return [put_bytes(store, path, (root / path).read_bytes()) for path in paths]


def put_bytes(store: Store, path: str, data: bytes) -> FileEntry:
    """Stores data as a blob (a blob that is there already and sound is kept; a damaged one is replaced)."""
    entry = FileEntry(path, digest_bytes(data), len(data))
    key = blob_key(entry.sha256)
    if not store.put_if_absent(key, data):
        present = store.get(key)
        if present is not None and digest_bytes(present.data) == entry.sha256:
            return entry
        if present is not None:
            store.replace_if(key, data, present.tag)
    back = store.get(key)
    if back is None or digest_bytes(back.data) != entry.sha256:
        raise CorruptError(
            f"registry {store.url}: {key} ({path}) does not come back as it was stored",
            remedy="check the store's disk or bucket, then publish again",
        )
    return entry


def put_all(store: Store, files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """Stores files as blobs, in the order of their paths; some at a time, unless the store takes them as one batch.
    Raises what put_bytes raises.
    """
    paths = sorted(files)
    if hasattr(store, "batch"):
        return tuple(put_bytes(store, path, files[path]) for path in paths)
    return tuple(side_by_side(store, lambda path: put_bytes(store, path, files[path]), paths))


def mend(store: Store, entry: FileEntry, read: Callable[[], bytes]) -> None:
    """Stores a blob again that went away before the record that needs it was written (references.py says how).

    read: gives its content, asked for only then.
    """
    if store.get(blob_key(entry.sha256)) is None:
        put_bytes(store, entry.path, read())


def get_file(store: Store, entry: FileEntry, owner: str) -> bytes:
    """The bytes of an entry. owner names what they belong to in errors.

    Raises CorruptError when the blob is gone, truncated or changed.
    """
    key = blob_key(entry.sha256)
    found = store.get(key)
    remedy = f"publish {owner} again from its commit (timbre run --rebuild), or restore {key} from a backup"
    if found is None:
        raise CorruptError(f"registry {store.url}: {owner}: the file {entry.path} is missing ({key})", remedy=remedy)
    if len(found.data) != entry.size_bytes or digest_bytes(found.data) != entry.sha256:
        raise CorruptError(
            f"registry {store.url}: {owner}: the file {entry.path} was changed or truncated "
            f"({len(found.data)} of {entry.size_bytes} bytes, {key})",
            remedy=remedy,
        )
    return found.data


def fetch_files(
    store: Store, entries: Iterable[FileEntry], target: Path, owner: str, opened: Transform | None = None
) -> None:
    """Writes entries below target, each checked before it is written. opened(path, data): decrypts what was stored.

    Raises CorruptError as get_file does, and what opened raises.
    """
    for entry in entries:
        path = target / entry.path
        if not path.resolve().is_relative_to(target.resolve()):
            raise CorruptError(
                f"registry: {owner}: the path {entry.path!r} leaves its folder", remedy="publish it again"
            )
        data = get_file(store, entry, owner)
        data = opened(entry.path, data) if opened is not None else data
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
