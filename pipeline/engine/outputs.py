"""Finished outputs of stages on disk: `<work>/<voice>/<stage>/<key>/`, complete exactly when stage.json is in place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from timbre.core.atomic import publish_directory, remove_tree, write_json
from timbre.core.digests import digest_file, digest_value
from timbre.core.errors import InfrastructureError
from timbre.core.json_file import read_object

STAGE_FILE = "stage.json"
# Below a finished output: a copy of what the stage put into its report directory.
REPORT_COPY = "report"
SCHEMA = 1


class StageCache(Protocol):
    """Finished outputs kept somewhere else (the registry), for a retry on another machine."""

    def fetch(self, key: str, destination: Path) -> bool:
        """Fill the empty directory `destination` with the output of `key`, stage.json included; False if not there."""
        ...

    def offer(self, key: str, directory: Path) -> None:
        """Keep a copy of a finished output; the first to offer a key wins. Raises InfrastructureError."""
        ...


@dataclass(frozen=True)
class StageOutputs:
    """The outputs of one stage of one voice. Only used under the voice's lock, except `find`."""

    folder: Path
    """`.timbre/work/VOICE/STAGE`; holds one folder a key."""

    def path(self, key: str) -> Path:
        return self.folder / key

    def find(self, key: str) -> Path | None:
        """The finished output of `key`, or None when there is none, or when its files are not exactly those that
        stage.json lists, byte by byte: what is judged and published rests on this.
        """
        path = self.seen(key)
        return path if path is not None and _is_whole(path) else None

    def seen(self, key: str) -> Path | None:
        """As find, but by the sizes of files alone, which is quick: to show what there is, never to use it."""
        path = self.path(key)
        record = read_record(path)
        if record is None or record.get("key") != key:
            return None
        return path if _sizes_match(path, record) else None

    def begin(self, key: str) -> Path:
        """A fresh partial directory."""
        partial = self.folder / f".partial-{key}"
        remove_tree(partial)
        partial.mkdir(parents=True)
        return partial

    def resume(self, key: str) -> Path:
        """The directory that survives interrupted attempts of `key`.

        Those of other keys are removed: their inputs have changed since, and checkpoints are the largest files that we
        write.
        """
        wanted = self.folder / f".resume-{key}"
        for found in self.folder.glob(".resume-*"):
            if found != wanted:
                remove_tree(found)
        wanted.mkdir(parents=True, exist_ok=True)
        return wanted

    def finish(self, key: str, partial: Path, record: Mapping[str, Any]) -> Path:
        """List the files, write stage.json last, rename into place, drop the resume directory."""
        write_json(partial / STAGE_FILE, {"schema": SCHEMA, "key": key, **record, "files": list_files(partial)})
        final = self.path(key)
        publish_directory(partial, final)
        remove_tree(self.folder / f".resume-{key}")
        return final

    def adopt(self, key: str, cache: StageCache) -> Path | None:
        """Take the output of `key` from a cache when it has one that is whole.

        Raises InfrastructureError when what came does not match its own list of digests.
        """
        partial = self.begin(key)
        try:
            if not cache.fetch(key, partial):
                return None
            record = read_record(partial)
            if record is None or record.get("key") != key or record.get("files") != list_files(partial):
                message = f"stage cache: the copy of {self.folder.name} {key[:12]} is damaged"
                raise InfrastructureError(message, "remove that entry of the cache, or run with --no-cache")
            publish_directory(partial, self.path(key))
            return self.path(key)
        finally:
            remove_tree(partial)

    def clean(self) -> list[str]:
        """Remove what an interrupted run left; names of what was removed."""
        left = sorted(path for pattern in (".partial-*", ".old-*", ".tmp-*") for path in self.folder.glob(pattern))
        for path in left:
            remove_tree(path)
        return [path.name for path in left]


def list_files(directory: Path) -> dict[str, dict[str, Any]]:
    """Relative path -> size and sha256 of every file but stage.json, sorted. Links are not outputs and are refused."""
    found: dict[str, dict[str, Any]] = {}
    for folder, folders, files in os.walk(directory):
        for name in sorted([*files, *folders]):
            path = Path(folder) / name
            relative = path.relative_to(directory).as_posix()
            if path.is_symlink():
                raise RuntimeError(f"a stage wrote a symbolic link: {relative}")
            if path.is_file() and relative != STAGE_FILE:
                found[relative] = {"size_bytes": path.stat().st_size, "sha256": digest_file(path)}
    return dict(sorted(found.items()))


def read_record(directory: Path) -> dict[str, Any] | None:
    """The content of stage.json, or None when it is not there or not readable."""
    value = read_object(directory / STAGE_FILE)
    return value if value.get("schema") == SCHEMA else None


def content_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 over the digests of an output's files, without the copy of its report, which holds times."""
    files = {name: entry["sha256"] for name, entry in record["files"].items() if not name.startswith(f"{REPORT_COPY}/")}
    return digest_value(files)


def refuse_changed(directory: Path) -> None:
    """Raises InfrastructureError when an output's files are not exactly those that its stage.json lists."""
    if not _is_whole(directory):
        remedy = "it is made again by the same command; if this comes back, look for another program that writes there"
        raise InfrastructureError(f"{directory}: a file was changed after the stage ended", remedy)


def _is_whole(directory: Path) -> bool:
    record = read_record(directory)
    try:
        return record is not None and record.get("files") == list_files(directory)
    except (OSError, RuntimeError):
        return False


def _sizes_match(directory: Path, record: Mapping[str, Any]) -> bool:
    try:
        return all((directory / name).stat().st_size == entry["size_bytes"] for name, entry in record["files"].items())
    except (OSError, KeyError, TypeError, AttributeError):
        return False
