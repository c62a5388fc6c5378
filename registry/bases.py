"""Exported bases: the ONNX graphs of a base under its digest, from where torch-free servers take them.

An edition says which program made them (inference/exported_base.py); those of one base do not replace each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from timbre.core.atomic import remove_tree
from timbre.core.errors import ConfigurationError, InputError, TimbreError
from timbre.core.locks import exclusive
from timbre.registry.errors import CorruptError
from timbre.registry.file_set import get_folder, put_folder, read_folder
from timbre.registry.store import Store

Found = TypeVar("Found")

_DIGEST = re.compile(r"[0-9a-f]{64}")
_EDITION = re.compile(r"[0-9]+\.[0-9]+")
_RECORD = re.compile(r"base-([0-9]+\.[0-9]+)\.json")
# Where fetches and exports write before they are renamed into place.
_UNFINISHED = (".tmp-*", ".export-*")


def publish_base(store: Store, base_digest: str, folder: Path, about: dict[str, Any], edition: str) -> bool:
    """Stores an exported base's folder under its digest and edition; False when it is there already."""
    return put_folder(store, _record(base_digest, edition), folder, about)


def base_editions(store: Store, base_digest: str) -> list[str]:
    """The editions of an exported base that the registry holds, sorted."""
    names = (key.rsplit("/", 1)[-1] for key in store.list(f"bases/{_checked(base_digest)}/"))
    return sorted(match[1] for name in names if (match := _RECORD.fullmatch(name)))


def fetch_base(store: Store, base_digest: str, target: Path, edition: str) -> dict[str, Any]:
    """Restores an edition of an exported base at target (all digests checked, all at once) and returns what is said
    about it.

    Raises ConfigurationError when the registry has no such base, CorruptError when it is damaged.
    """
    record = _record(base_digest, edition)
    found = read_folder(store, record)
    if found is None:
        raise _absent(store, base_digest, f", edition {edition}")
    if not target.exists():
        get_folder(store, record, target)
    return found[0]


def base_file_digest(store: Store, base_digest: str, edition: str, path: str) -> str | None:
    """SHA-256 of one file of an exported base as its record has it, or None. Raises CorruptError."""
    found = read_folder(store, _record(base_digest, edition))
    return next((entry.sha256 for entry in found[1] if entry.path == path), None) if found else None


def obtain_base(
    store: Store,
    base_digest: str,
    folder: Path,
    *,
    sound: Callable[[Path], Found | None],
    choose: Callable[[Sequence[str]], str | None],
    wait_s: float,
    make: Callable[[Path], None] | None = None,
    fetching: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Found:
    """The exported base on this machine: folder/<digest> where that is sound, else from the registry, else made.

    sound: what lies in a folder, None unless it is that base, complete and unchanged; choose: the edition to fetch of
    those that the registry holds, None for none of them; make: writes the base into a folder, the last resort;
    fetching: held during a fetch. A damaged copy in the registry is left for `timbre verify` to name.

    Raises ConfigurationError when neither this machine nor the registry has it, CorruptError when only the registry has
    it and it is damaged or another base, and what make and `filling` raise.
    """
    target = folder / base_digest
    if (found := sound(target)) is not None:
        return found
    with filling(folder, wait_s):
        # Another process may have brought it while this one waited.
        if (found := sound(target)) is not None:
            return found
        remove_tree(target)
        edition = choose(base_editions(store, base_digest))
        if edition is None and make is None:
            raise _absent(store, base_digest)
        if edition is not None:
            try:
                with fetching():
                    fetch_base(store, base_digest, target, edition)
            except TimbreError:
                if make is None:
                    raise
        if (found := sound(target)) is None and make is not None:
            remove_tree(target)
            make(target)
            found = sound(target)
    if found is None:
        raise CorruptError(
            f"{target}: is not the base {base_digest[:12]}",
            "remove that folder, then publish the base again: timbre base publish NAME",
        )
    return found


@contextmanager
def filling(folder: Path, wait_s: float) -> Iterator[None]:
    """Hold a machine's folder of exported bases for the length of a `with` block that puts one of them there.

    Pipeline and servers share such a folder, so all of them write under this lock: what is unfinished there when it is
    got was left by a process that was killed, and is removed. Raises InfrastructureError when somebody else still
    fills the folder after `wait_s` seconds.
    """
    with exclusive(folder / ".lock", f"{folder}", wait_s):
        for pattern in _UNFINISHED:
            for path in folder.glob(pattern):
                remove_tree(path)
        yield


def list_bases(store: Store) -> dict[str, dict[str, Any]]:
    """Digest -> what is said about each exported base."""
    found = {}
    for key in store.list("bases/"):
        record = read_folder(store, key)
        if record is not None:
            found[key.split("/")[1]] = record[0]
    return found


def _absent(store: Store, base_digest: str, more: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"registry {store.url}: there is no exported base with digest {base_digest[:12]}{more}",
        remedy="publish it from a machine with torch: timbre base publish NAME",
    )


def _record(base_digest: str, edition: str) -> str:
    if not _EDITION.fullmatch(edition):
        raise InputError(f"edition {edition[:80]!r}: expected two numbers and a dot", remedy="export the base again")
    return f"bases/{_checked(base_digest)}/base-{edition}.json"


def _checked(base_digest: str) -> str:
    if not _DIGEST.fullmatch(base_digest):
        raise InputError(
            f"base digest {base_digest[:80]!r}: expected 64 hexadecimal digits", remedy="take it from package.json"
        )
    return base_digest
