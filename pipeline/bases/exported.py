"""Exported bases on this machine: one folder a digest, taken from the registry or exported here, once an edition.

base digest -> .timbre/exports/<digest> (there and sound) | registry bases/<digest> | export with torch

What the registry holds comes before a fresh export, so that stage 4 judges the very graphs that servers load. An
edition is schema and exporter version (inference/exported_base.py): a program that exports otherwise exports anew. Who
only speaks also takes another edition of the same schema.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timbre.core.atomic import remove_tree
from timbre.core.base import Base, load_base
from timbre.core.errors import ConfigurationError, TimbreError
from timbre.core.progress import Progress
from timbre.inference.errors import GraphError
from timbre.inference.exported_base import EDITION, ExportedBase, read_export, sound_export, usable_edition
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.bases import base_editions, fetch_base, filling, publish_base
from timbre.registry.open import open_store
from timbre.registry.store import Store

_WAIT_S = 1800.0

Say = Callable[[str], None]


def exported_base(base: Base, root: Path, registry: str, *, progress: Progress) -> ExportedBase:
    """The exported graphs of a base of this repository, every file checked against its digest.

    root: of the repository; registry: its address. Raises CheckFailedError when a graph misses its parity limit, what
    loading the base's weights raises, and InfrastructureError when another process keeps the lock for half an hour.
    """

    def make(target: Path) -> None:
        _export(base, target, progress)

    return _obtain(exports_folder(root), base.digest, registry, progress, make, only=EDITION)


def exported_for(
    name: str, digest: str, root: Path, registry: str, *, progress: Progress, bases: Path | None = None
) -> ExportedBase:
    """The exported graphs that a published voice speaks with, by the digest in its manifest. Needs torch only when
    neither this machine nor the registry has them.

    name: of the base, looked up under bases (default: root/bases) as the last resort. Raises ConfigurationError when
    it cannot be had, or when the base of that name has other weights by now.
    """

    def make(target: Path) -> None:
        remedy = f"publish it from a machine that has its weights: timbre base publish {name}"
        try:
            base = load_base(name, bases or root / "bases")
            found = base.digest
        except ConfigurationError as error:
            message = f"registry {registry}: no exported base {name!r} ({digest[:12]}), and {error.message}"
            raise ConfigurationError(message, remedy) from error
        if found != digest:
            message = f"base {name!r} here has digest {found[:12]}, the voice was made for {digest[:12]}"
            raise ConfigurationError(message, remedy)
        _export(base, target, progress)

    return _obtain(exports_folder(root), digest, registry, progress, make)


def publish_exported(base: Base, root: Path, registry: str, *, progress: Progress) -> bool:
    """Puts a base's exported graphs into the registry, where torch-free servers find them; False when they are there.

    Raises what exported_base and the store raise.
    """
    store = open_store(registry)
    if EDITION in base_editions(store, base.digest):
        return False
    exported = exported_base(base, root, registry, progress=progress)
    with progress.task(f"publish base {base.name}"):
        return publish_base(store, base.digest, exported.folder, about_base(base), EDITION)


def about_base(base: Base) -> dict[str, Any]:
    """What the registry says about an exported base beside its files."""
    return {
        "name": base.name,
        "description": base.description,
        "architecture": base.architecture,
        "rate_hz": base.rate_hz,
        "languages": list(base.languages),
        "licences": [dataclasses.asdict(item) for item in base.licences],
    }


def exports_folder(root: Path) -> Path:
    """Where exported bases are kept below a repository root."""
    return Workspace(root).private / "exports"


def _obtain(
    folder: Path, digest: str, registry: str, progress: Progress, make: Callable[[Path], None], only: str = ""
) -> ExportedBase:
    """only: the one edition that will do; any of this schema without it."""
    target = folder / digest
    found = sound_export(target, digest, only)
    if found is not None:
        return found
    with filling(folder, _WAIT_S):
        # Another process may have made it while this one waited.
        found = sound_export(target, digest, only)
        if found is not None:
            return found
        remove_tree(target)
        if not _fetched(open_store(registry), digest, target, progress, only):
            make(target)
    made = read_export(target)
    if made.digest != digest:
        message = f"{target}: holds the base {made.digest[:12]}, expected {digest[:12]}"
        raise GraphError(message, f"remove that folder, then run: timbre base export {made.name}")
    return made


def _fetched(store: Store, digest: str, target: Path, progress: Progress, only: str) -> bool:
    """Whether the registry had it and it is sound; a damaged copy is left for `timbre verify` to name."""
    editions = base_editions(store, digest)
    edition = usable_edition([item for item in editions if only in ("", item)])
    if edition is None:
        return False
    with progress.task("fetch exported base"):
        try:
            fetch_base(store, digest, target, edition)
        except TimbreError:
            remove_tree(target)
            return False
    if sound_export(target, digest, only) is None:
        remove_tree(target)
        return False
    return True


def _export(base: Base, target: Path, progress: Progress) -> None:
    # Imports torch: a machine that only speaks never comes here.
    try:
        from timbre.training.export.base_export import export_base
    except ImportError as error:
        message = f"base {base.name!r} ({base.digest[:12]}) has to be exported, and {error.name} is not installed"
        remedy = f"install timbre[train], or publish it from a machine with torch: timbre base publish {base.name}"
        raise ConfigurationError(message, remedy) from error
    with progress.task(f"export base {base.name}", unit="graphs") as task:

        def report(line: str) -> None:
            task.note(line)
            task.advance()

        export_base(base, target, report=report)
