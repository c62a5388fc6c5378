"""Pulls the weight files of a base: complete or not at all, resumable, and always the same bytes after the first time.

base.yaml, the Hub or a folder -> <weights root>/<name>/ and the digests in base.yaml

Files arrive in a hidden sibling folder and keep their progress there; it gets its name when every digest is right.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from timbre.core.base import write_base
from timbre.core.digests import digest_file
from timbre.core.errors import CheckFailedError, ConfigurationError, InfrastructureError
from timbre.core.json_file import read_object
from timbre.core.weights import BaseFile, Hub, Tool
from timbre.pipeline.bases.sources import FolderSource, HubSource, Source, UrlSource

_STATE = "pull.json"


@dataclass(frozen=True)
class PulledFile:
    """One file of a pull."""

    role: str
    """What the base uses it for, as base.yaml names it."""
    path: str
    """Below the weights folder, as base.yaml writes it."""
    sha256: str
    """Of the bytes on disk, equal to the lock."""
    size_bytes: int
    """On disk."""
    how: str
    """One of "present", "linked" and "fetched"."""


@dataclass(frozen=True)
class PullReport:
    """What a pull did."""

    name: str
    """Of the base or tool."""
    folder: Path
    """Where the files are now."""
    source: str
    """Repository, folder or address, for people; "already there" when nothing was brought."""
    revision: str | None
    """Commit of the Hub repository that is locked; None for other sources."""
    locked_now: bool
    """This pull wrote digests or the revision into the YAML file."""
    files: tuple[PulledFile, ...]
    """In the order of base.yaml."""


def pull(
    tool: Tool,
    weights_root: Path | None = None,
    from_dir: Path | None = None,
    on_file: Callable[[str], None] = lambda path: None,
    hub_endpoint: str | None = None,
) -> PullReport:
    """Brings every file of a base or tool into its weights folder and returns what was done.

    from_dir: take the files from a folder (offline sites) and not from the network; it has the paths of the YAML file,
    or the bare file names where those are unique. on_file: called with each path before it is fetched.
    hub_endpoint: a mirror of the Hub; None for HF_ENDPOINT or the Hub itself.
    The first pull locks the Hub revision and each SHA-256 in the YAML file; later pulls accept nothing else.
    Raises CheckFailedError when bytes differ from the lock; ConfigurationError when a file or repository does not exist
    or may not be read; InfrastructureError when the network fails (run again: it resumes where it stopped).
    """
    if tool.weights == "here":
        return _check_here(tool)
    root = weights_root or tool.weights_root
    target = tool.weights_dir(root)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{tool.name}.lock"):
        partial = root / f".{tool.name}.partial"
        if tool.locked and (present := _complete(tool, target)):
            return PullReport(tool.name, target, "already there", _revision(tool), False, present)
        partial.mkdir(exist_ok=True)
        source = _source(tool, from_dir, partial, hub_endpoint)
        files = tuple(_bring(item, source, partial, target, root, on_file) for item in tool.files)
        locked = _locked(tool, files, source.revision)
        if locked != tool:
            _write_lock(locked)
        _put_in_place(partial, target)
    return PullReport(tool.name, target, source.label, _revision(locked), locked != tool, files)


def _check_here(tool: Tool) -> PullReport:
    present = _complete(tool, tool.folder)
    if not present:
        raise CheckFailedError(
            f"{tool.folder}: files are missing or differ from {tool.spec_path.name}",
            f"they belong to the repository: git lfs pull, then git checkout -- {tool.folder}",
        )
    return PullReport(tool.name, tool.folder, "part of the repository", None, False, present)


def _complete(tool: Tool, folder: Path) -> tuple[PulledFile, ...]:
    """Every file, when all are in folder with the right digest; else nothing."""
    found = []
    for item in tool.files:
        path = folder / item.path
        if not path.is_file() or digest_file(path) != item.sha256:
            return ()
        found.append(PulledFile(item.role, item.path, str(item.sha256), path.stat().st_size, "present"))
    return tuple(found)


def _revision(tool: Tool) -> str | None:
    return tool.hub.revision if tool.hub else None


def _source(tool: Tool, from_dir: Path | None, partial: Path, endpoint: str | None) -> Source:
    if from_dir is not None:
        return FolderSource(from_dir, tool.files)
    if tool.hub is None:
        return UrlSource(tool)
    # A pull that was cut short goes on with the revision that it began with.
    state = read_object(partial / _STATE)
    remembered = state.get("revision") if state.get("repo") == tool.hub.repo else None
    source = HubSource(tool.hub.repo, tool.hub.revision or remembered, endpoint)
    (partial / _STATE).write_text(json.dumps({"repo": tool.hub.repo, "revision": source.revision}), encoding="utf-8")
    return source


def _bring(
    item: BaseFile, source: Source, partial: Path, target: Path, root: Path, on_file: Callable[[str], None]
) -> PulledFile:
    """One file into partial, its digest checked against the lock, or on the first pull against the source's word."""
    path = partial / item.path
    expected = item.sha256 or source.sha256(item)
    how = "fetched"
    if expected and _link_known(item.path, expected, path, (target, *sorted(root.glob("[!.]*"))), source.size(item)):
        how = "linked"
    elif expected and path.is_file() and digest_file(path) == expected:
        how = "present"
    else:
        on_file(item.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.fetch(item, partial)
        except OSError as error:
            raise InfrastructureError(f"{path}: {error.strerror or error}", "free space, then run again") from error
    digest = digest_file(path)
    if expected and digest != expected:
        path.unlink()
        origin = "base.yaml is locked to" if item.sha256 else "the Hub says"
        raise CheckFailedError(
            f"{item.path} from {source.label}: sha256 {digest}, {origin} {expected}",
            "the file differs from the one voices were trained on: do not use it; check its source",
        )
    return PulledFile(item.role, item.path, digest, path.stat().st_size, how)


def _link_known(relative: str, sha256: str, path: Path, folders: tuple[Path, ...], size_bytes: int | None) -> bool:
    """Links a file that another base already has (three bases share HuBERT and BERT). False when none has it."""
    for folder in folders:
        known = folder / relative
        if not known.is_file() or (size_bytes is not None and known.stat().st_size != size_bytes):
            continue
        if digest_file(known) == sha256:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            try:
                os.link(known, path)
            except OSError:
                shutil.copyfile(known, path)
            return True
    return False


def _locked(tool: Tool, files: tuple[PulledFile, ...], revision: str | None) -> Tool:
    digests = {item.path: item.sha256 for item in files}
    hub = tool.hub
    if hub and not hub.revision and revision:
        hub = Hub(hub.repo, revision)
    named = tuple(dataclasses.replace(item, sha256=digests[item.path]) for item in tool.files)
    return dataclasses.replace(tool, files=named, hub=hub)


def _write_lock(tool: Tool) -> None:
    try:
        write_base(tool)
    except OSError as error:
        raise ConfigurationError(
            f"{tool.spec_path}: cannot be written, so the digests cannot be locked: {error.strerror}",
            "pull once in a checkout that you can write to, and commit the file",
        ) from error


def _put_in_place(partial: Path, target: Path) -> None:
    """Gives the complete folder its name. A reader sees the old folder or the new one."""
    (partial / _STATE).unlink(missing_ok=True)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
