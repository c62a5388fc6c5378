"""Store: five verbs over bytes. Everything that the registry promises rests on these and on nothing else.

Implementations share one behaviour suite (tests/registry/store_behaviour.py). Keys are relative paths of plain
segments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from timbre.core.errors import InputError

_SEGMENT = re.compile(r"[\w@+=-][\w.@+=-]{0,199}")
_AT_ONCE = 16
T = TypeVar("T")


@dataclass(frozen=True)
class Stored:
    """An object as the store holds it."""

    data: bytes
    """Whole."""
    tag: str
    """Opaque; changes whenever the bytes change. replace_if compares it."""


class Store(Protocol):
    """Bytes under keys. All verbs are atomic: a reader sees an object whole or not at all, also after a crash.

    Every verb raises InputError on a key that check_key refuses, InfrastructureError when the store cannot be reached
    or is full, and ConfigurationError when it refuses the credentials or cannot do what a verb promises.
    """

    @property
    def url(self) -> str:
        """Where this store is, as a person writes it; never holds credentials."""

    @property
    def can_compare_and_swap(self) -> bool:
        """Whether replace_if really compares. Aliases are refused on stores where it does not."""

    def get(self, key: str) -> Stored | None:
        """The object under key, or None."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Writes data when nothing is under key; True when this call wrote it, False when one was there (kept)."""

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        """Replaces the object whose tag is `tag`; the new tag, or None when the object has another tag or is gone."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with prefix (a folder ending in "/" or empty for all), sorted."""

    def delete(self, key: str) -> bool:
        """Removes the object; False when there was none."""


def folders_below(store: Store, prefix: str) -> list[str]:
    """Sorted names of the folders right below a folder prefix that hold an object; stores that can list them alone
    (method `folders`) are not asked for every key.
    """
    folders = getattr(store, "folders", None)
    if folders is not None:
        return list(folders(prefix))
    return sorted({rest.split("/", 1)[0] for key in store.list(prefix) if "/" in (rest := key[len(prefix) :])})


def tags_below(store: Store, prefix: str) -> dict[str, str] | None:
    """Key -> tag of each object below a prefix, sorted, by one listing; None for stores whose listings have no tags
    (method `tagged`).
    """
    tagged = getattr(store, "tagged", None)
    return dict(tagged(prefix)) if tagged is not None else None


def side_by_side(store: Store, read: Callable[[str], T], keys: Iterable[str]) -> list[T]:
    """read() of every key, in their order, some at a time: one after the other, a remote store takes its latency for
    each. A folder has none (its store is `nearby`). Raises what the first of them raises. Not for what a batch (below)
    has just written.
    """
    wanted = list(keys)
    if len(wanted) < 2 or getattr(store, "nearby", False):
        return [read(key) for key in wanted]
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
        return list(pool.map(read, wanted))


@contextmanager
def batched(store: Store, title: str, tag: str = "") -> Iterator[list[str]]:
    """What put_if_absent writes in the block becomes visible at once on stores that can (a commit on the Hub, with this
    title and tag), one object after the other elsewhere.

    Yields a list that names, after the block, the keys for which another writer turned out to be first after all.
    """
    batch = getattr(store, "batch", None)
    if batch is None:
        yield []
        return
    with batch(title, tag) as lost:
        yield lost


def check_key(key: str) -> str:
    """key itself when every segment is plain (letters, digits, . _ @ + = -, not starting with a dot). Raises
    InputError.
    """
    segments = key.split("/")
    if len(key) > 900 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise InputError(
            f"registry: the key {key[:120]!r} has a segment that is empty, starts with a dot or holds other "
            "characters than letters, digits and . _ @ + = -",
            remedy="rename the file or voice it comes from",
        )
    return key
