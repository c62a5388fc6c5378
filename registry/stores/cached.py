"""A read-through cache in a local folder: what was read once can be read again while the store is away.

Blobs and other objects that never change are read from the folder when they are there and sound. Aliases, tombstones
and listings are asked for every time; while the store cannot be reached, the last answer counts, and `away_since` says
so. Writes go to the store alone. A tombstone removes the voice's files from the folder.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from timbre.core.atomic import write_bytes
from timbre.core.digests import digest_bytes
from timbre.core.errors import InfrastructureError
from timbre.registry.errors import CorruptError
from timbre.registry.records import unseal
from timbre.registry.store import Store, Stored, check_key, folders_below

_LARGEST_BYTES = 64 << 20  # larger ones are graphs of bases, which servers keep in a folder of their own
_RETRY_S = 5.0
_UNCHANGING = ("blobs/", "bases/", "stages/")
T = TypeVar("T")


class CachedStore:
    """Store over another store and a folder. limit_bytes: above it the least recently used blobs are dropped."""

    def __init__(
        self,
        inner: Store,
        folder: Path,
        *,
        limit_bytes: int = 20 << 30,
        retry_s: float = _RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Two registries behind one folder must not answer for each other.
        self._folder = folder / hashlib.sha256(inner.url.encode()).hexdigest()[:16]
        self._inner = inner
        self._retry_s = retry_s
        self._clock = clock
        self._lock = Lock()
        self._failed: tuple[float, InfrastructureError] | None = None
        self.away_since: float | None = None
        self._listed: dict[Path, str] = {}
        if hasattr(inner, "tagged"):
            self.tagged = self._tagged
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._drop_oldest(limit_bytes)

    @property
    def url(self) -> str:
        """The store's."""
        return self._inner.url

    @property
    def can_compare_and_swap(self) -> bool:
        """The store's."""
        return self._inner.can_compare_and_swap

    @property
    def signs(self) -> bool:
        """Whether the store's records are signed: a server behind a cache asks the history too (registry/chain.py)."""
        return bool(getattr(self._inner, "signs", False))

    @property
    def problem(self) -> str:
        """Why the store is away, or "" while it answers."""
        return self._failed[1].message if self.away_since is not None and self._failed is not None else ""

    def get(self, key: str) -> Stored | None:
        """From the folder what cannot change, else from the store, else, while it is away, what it last gave."""
        path = self._path(check_key(key))
        if _cannot_change(key) and (data := _sound(key, path)) is not None:
            return Stored(data, digest_bytes(data))
        try:
            found = self._ask(lambda: self._inner.get(key))
        except InfrastructureError:
            if path.is_file():
                data = path.read_bytes()
                return Stored(data, digest_bytes(data))
            if self._absent(path).exists():
                return None
            raise
        self._keep(key, path, found)
        if found is not None and key.startswith("voices/") and key.endswith("/revoked.json"):
            self._forget(key.split("/")[1])
        return found

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """The store's."""
        return self._inner.put_if_absent(key, data)

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        """The store's."""
        return self._inner.replace_if(key, data, tag)

    def list(self, prefix: str) -> Iterator[str]:
        """The store's listing, or its last one while it is away."""
        if hasattr(self, "tagged"):
            yield from (key for key, _ in self._tagged(prefix))
        else:
            yield from (
                key for key, _ in self._listing(prefix, lambda: [[key, ""] for key in self._inner.list(prefix)])
            )

    def _tagged(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The store's listing with tags, or its last one while it is away; there for stores that have one."""
        found = self._listing(prefix, lambda: [[*item] for item in self._inner.tagged(prefix)])  # type: ignore[attr-defined]
        yield from ((key, tag) for key, tag in found)

    def _listing(self, prefix: str, ask: Callable[[], builtins.list[builtins.list[str]]]) -> builtins.list[Any]:
        """Keys with their tags, as far as they were asked for."""
        path = self._folder / "listings" / hashlib.sha256(prefix.encode()).hexdigest()
        try:
            found = self._ask(ask)
        except InfrastructureError:
            try:
                kept = json.loads(path.read_bytes())
                return [[str(key), str(tag)] for key, tag in kept]
            except (OSError, ValueError, TypeError):
                pass
            raise
        text = json.dumps(found)
        if self._listed.get(path) != (digest := digest_bytes(text.encode())):
            _write(path, text.encode())
            self._listed[path] = digest
        return found

    def check(self, key: str, data: bytes) -> None:
        """Raises CorruptError where the store checks signatures and these bytes have none that it trusts."""
        check = getattr(self._inner, "check", None)
        if check is not None:
            check(key, data)

    def keep(self, key: str, data: bytes) -> None:
        """Takes a copy of an object that was read in another way, as `get` does."""
        path = self._path(check_key(key))
        if not path.is_file() or path.read_bytes() != data:
            self._keep(key, path, Stored(data, ""))

    def folders(self, prefix: str) -> builtins.list[str]:
        """The store's folders, from the last listing while it is away."""
        try:
            return self._ask(lambda: folders_below(self._inner, prefix))
        except InfrastructureError:
            keys = self.list(prefix)
            return sorted({rest.split("/", 1)[0] for key in keys if "/" in (rest := key[len(prefix) :])})

    def delete(self, key: str) -> bool:
        """The store's; the copy goes too."""
        self._path(check_key(key)).unlink(missing_ok=True)
        return self._inner.delete(key)

    def _ask(self, call: Callable[[], T]) -> T:
        """call(), or the last failure again when it is younger than retry_s: a look asks for hundreds of objects."""
        with self._lock:
            if self._failed is not None and self._clock() - self._failed[0] < self._retry_s:
                raise self._failed[1]
        try:
            answer = call()
        except CorruptError:
            raise
        except InfrastructureError as error:
            with self._lock:
                self._failed = (self._clock(), error)
                self.away_since = self.away_since or time.time()
            raise
        with self._lock:
            self._failed, self.away_since = None, None
        return answer

    def _keep(self, key: str, path: Path, found: Stored | None) -> None:
        absent = self._absent(path)
        if found is None:
            path.unlink(missing_ok=True)
            if not _cannot_change(key):
                _write(absent, b"")
        elif len(found.data) <= _LARGEST_BYTES:
            absent.unlink(missing_ok=True)
            _write(path, found.data)

    def _forget(self, voice: str) -> None:
        """Removes the blobs that this voice's manifests name, but for those that other voices here need."""
        own, others = set[str](), set[str]()
        for path in (self._folder / "objects" / "voices").glob("*/versions/*.json"):
            try:
                digests = {entry["sha256"] for entry in json.loads(path.read_bytes())["files"]}
            except (OSError, ValueError, KeyError, TypeError):
                continue
            (own if path.parts[-3] == voice else others).update(digests)
        for digest in own - others:
            self._path(f"blobs/{digest[:2]}/{digest}").unlink(missing_ok=True)

    def _drop_oldest(self, limit_bytes: int) -> None:
        files = [(path.stat(), path) for path in (self._folder / "objects" / "blobs").glob("*/*")]
        total = sum(about.st_size for about, _ in files)
        for about, path in sorted(files, key=lambda item: item[0].st_atime):
            if total <= limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= about.st_size

    def _path(self, key: str) -> Path:
        return self._folder / "objects" / key

    @staticmethod
    def _absent(path: Path) -> Path:
        return path.with_name(f".absent-{path.name}")


def _cannot_change(key: str) -> bool:
    parts = key.split("/")
    return key.startswith(_UNCHANGING) or (parts[0] == "voices" and parts[2:3] in (["versions"], ["events"]))


def _sound(key: str, path: Path) -> bytes | None:
    """A copy's content when it is what was stored: by digest for blobs, by seal for records."""
    try:
        data = path.read_bytes()
        if key.startswith("blobs/"):
            return data if digest_bytes(data) == path.name else None
        unseal(key, data)
    except (OSError, CorruptError):
        return None
    return data


def _write(path: Path, data: bytes) -> None:
    """A cache that cannot be written (full, read-only) is one that holds less."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    except OSError:
        return
