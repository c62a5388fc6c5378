"""Exported bases on this machine: one folder a digest, taken from the registry or exported here, once an edition.

base digest -> .timbre/exports/<digest> (there and sound) | registry bases/<digest> | export with torch

What the registry holds comes before a fresh export, so that stage 4 judges the very graphs that servers load. An
edition is schema and exporter version (inference/exported_base.py): another exporter version exports again. A
machine that only speaks also accepts another edition of the same schema.

A digest inside export.json proves nothing about who wrote it. base.yaml therefore pins the export (`timbre base pin`):
graphs of a pinned edition that are others are neither used nor published, wherever they lie.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from timbre.core.atomic import remove_tree
from timbre.core.base import Base, write_base
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError
from timbre.core.progress import Progress
from timbre.inference.exported_base import EDITION, EXPORT_FILE, ExportedBase, read_export, sound_export, usable_edition
from timbre.pipeline.engine.workspace import EXPORTS, Workspace
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import base_editions, base_file_digest, filling, obtain_base, publish_base
from timbre.registry.store_at import open_store

_WAIT_S = 1800.0


def exported_base(base: Base, root: Path, registry: RegistryAddress, *, progress: Progress) -> ExportedBase:
    """The exported graphs of a base of this repository, every file checked against its digest.

    root: of the repository; registry: its address. Raises CheckFailedError when a graph misses its parity limit, what
    loading the base's weights raises, and InfrastructureError when another process keeps the lock for half an hour.
    """

    def make(target: Path) -> None:
        _export(base, target, progress)

    return _obtain(exports_folder(root), base.digest, registry, progress, make, only=EDITION, pins=base.exports)


def exported_for(
    name: str,
    digest: str,
    cache: Path,
    registry: RegistryAddress,
    *,
    progress: Progress,
    find_base: Callable[[str], Base],
) -> ExportedBase:
    """The exported graphs that a published voice speaks with, by the digest in its manifest. Needs torch only when
    neither this machine nor the registry has them.

    cache: folder whose exports/ keeps exported bases; name: of the base, which find_base loads for its pins and as the
    last resort. Raises ConfigurationError when it cannot be had, or when the base of that name has other weights by
    now.
    """

    def make(target: Path) -> None:
        remedy = f"publish it from a machine that has its weights: timbre base publish {name}"
        try:
            base = find_base(name)
            found = base.digest
        except ConfigurationError as error:
            message = f"registry {registry}: no exported base {name!r} ({digest[:12]}), and {error.message}"
            raise ConfigurationError(message, remedy) from error
        if found != digest:
            message = f"base {name!r} here has digest {found[:12]}, the voice was made for {digest[:12]}"
            raise ConfigurationError(message, remedy)
        _export(base, target, progress)

    return _obtain(cache / EXPORTS, digest, registry, progress, make, pins=_pins(name, digest, find_base))


def publish_exported(base: Base, root: Path, registry: RegistryAddress, *, progress: Progress) -> bool:
    """Puts a base's exported graphs into the registry, where torch-free servers find them; False when they are there.

    Raises what exported_base and the store raise.
    """
    store = open_store(registry)
    if EDITION in base_editions(store, base.digest):
        pin, stored = base.exports.get(EDITION), base_file_digest(store, base.digest, EDITION, EXPORT_FILE)
        if pin is not None and stored != pin:
            raise ConfigurationError(
                f"registry {registry}: the graphs of base {base.name!r} ({base.digest[:12]}, edition {EDITION}) are "
                f"not those that {base.spec_path} pins ({str(stored)[:12]}, expected {pin[:12]})",
                "find out who wrote them; then remove them from bases/ of the registry and publish the base again",
            )
        return False
    exported = exported_base(base, root, registry, progress=progress)
    with progress.task(f"publish base {base.name}"):
        return publish_base(store, base.digest, exported.folder, about_base(base), EDITION)


def pin_export(base: Base, root: Path, *, progress: Progress) -> tuple[str, str]:
    """Exports a base from its weights and pins that export in base.yaml; its edition and digest.

    What this machine holds already is replaced. Raises what the exporter and writing base.yaml raise.
    """
    folder = exports_folder(root)
    target = folder / base.digest
    with filling(folder, _WAIT_S):
        remove_tree(target)
        _export(base, target, progress)
    digest = digest_file(target / EXPORT_FILE)
    write_base(dataclasses.replace(base, exports={**base.exports, EDITION: digest}))
    return EDITION, digest


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
    return Workspace(root).private / EXPORTS


def _obtain(
    folder: Path,
    digest: str,
    registry: RegistryAddress,
    progress: Progress,
    make: Callable[[Path], None],
    only: str = "",
    pins: Mapping[str, str] = MappingProxyType({}),
) -> ExportedBase:
    """only: the one edition that will do; any of this schema without it. pins: edition -> SHA-256 of export.json."""
    # A sound copy on this machine needs no registry, not even one whose address can be opened.
    found = _sound(folder / digest, digest, only, pins)
    if found is not None:
        return found

    def sound(target: Path) -> ExportedBase | None:
        return _sound(target, digest, only, pins)

    def choose(editions: Sequence[str]) -> str | None:
        return usable_edition([item for item in editions if only in ("", item)])

    def make_pinned(target: Path) -> None:
        make(target)
        made = read_export(target)
        if made.digest == digest and not _as_pinned(made, pins):
            raise ConfigurationError(
                f"{target}: exported here, and not what base.yaml of {made.name!r} pins for edition {made.edition}",
                "fetch the pinned graphs from the registry (timbre base publish on the machine that pinned them), or "
                f"pin this machine's: timbre base pin {made.name}",
            )

    return obtain_base(
        open_store(registry), digest, folder, sound=sound, choose=choose, wait_s=_WAIT_S, make=make_pinned,
        fetching=lambda: progress.task("fetch exported base"),
    )  # fmt: skip


def _sound(folder: Path, digest: str, only: str, pins: Mapping[str, str]) -> ExportedBase | None:
    found = sound_export(folder, digest, only)
    return found if found is not None and _as_pinned(found, pins) else None


def _as_pinned(found: ExportedBase, pins: Mapping[str, str]) -> bool:
    """An edition without a pin passes: what a publish makes of that is for the operator's policy to say."""
    pin = pins.get(found.edition)
    return pin is None or digest_file(found.folder / EXPORT_FILE) == pin


def _pins(name: str, digest: str, find_base: Callable[[str], Base]) -> Mapping[str, str]:
    """Those of base.yaml here, when it is about the base with that digest."""
    try:
        base = find_base(name)
        return base.exports if base.digest == digest else {}
    except ConfigurationError:
        return {}


def _export(base: Base, target: Path, progress: Progress) -> None:
    # Imports torch: a machine that only speaks never comes here.
    try:
        from timbre.training.export.base_export import export_base
    except ImportError as error:
        message = f"base {base.name!r} ({base.digest[:12]}) must be exported, but {error.name} is not installed"
        remedy = f"install timbre[train], or publish it from a machine with torch: timbre base publish {base.name}"
        raise ConfigurationError(message, remedy) from error
    with progress.task(f"export base {base.name}", unit="graphs") as task:

        def report(line: str) -> None:
            task.note(line)
            task.advance()

        export_base(base, target, report=report)
