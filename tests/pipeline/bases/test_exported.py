"""Exported bases: made once, taken from the registry, checked, never half there."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from timbre.core.base import Base, load_base, read_base
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.progress import SilentProgress
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import GraphError
from timbre.inference.exported_base import (
    EDITION,
    EXPORT_FILE,
    EXPORT_VERSION,
    SCHEMA_VERSION,
    ExportedBase,
    read_export,
    sound_export,
    usable_edition,
)
from timbre.pipeline.bases import exported
from timbre.pipeline.bases.exported import exported_base, exported_for, exports_folder, pin_export, publish_exported
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import base_editions, filling, list_bases
from timbre.registry.blobs import fetch_files
from timbre.registry.open import open_registry
from timbre.registry.store_at import open_store
from timbre.registry.verification import verify
from timbre.serving.engines import Engines

QUIET = SilentProgress()


def beside(base: Path) -> Callable[[str], Base]:
    """Loads bases of the folder that holds this one."""
    return lambda name: load_base(name, base.parent)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, pico_export: Path) -> list[Path]:
    """Where the exporter was asked to write; it copies an export that was made before."""
    asked: list[Path] = []

    def make(base: object, target: Path, progress: object) -> None:
        asked.append(target)
        shutil.copytree(pico_export, target)

    monkeypatch.setattr(exported, "_export", make)
    return asked


def test_made_once_and_kept(exports: list[Path], pico_base: Path, tmp_path: Path) -> None:
    base, registry = read_base(pico_base), RegistryAddress(str(tmp_path / "registry"), {})
    first = exported_base(base, tmp_path, registry, progress=QUIET)
    again = exported_base(base, tmp_path, registry, progress=QUIET)
    assert exports == [exports_folder(tmp_path) / base.digest]
    assert first.folder == again.folder
    assert first.digest == base.digest


def test_a_damaged_one_is_made_again(exports: list[Path], pico_base: Path, tmp_path: Path) -> None:
    base, registry = read_base(pico_base), RegistryAddress(str(tmp_path / "registry"), {})
    found = exported_base(base, tmp_path, registry, progress=QUIET)
    graph = found.graph("prior")
    graph.write_bytes(graph.read_bytes()[:-1])
    left = exports_folder(tmp_path) / ".export-killed"
    left.mkdir()
    exported_base(base, tmp_path, registry, progress=QUIET).verify()
    assert len(exports) == 2
    assert not left.exists()


def test_taken_from_the_registry_without_torch(exports: list[Path], pico_base: Path, tmp_path: Path) -> None:
    base, registry = read_base(pico_base), RegistryAddress(str(tmp_path / "registry"), {})
    assert publish_exported(base, tmp_path, registry, progress=QUIET)
    assert not publish_exported(base, tmp_path, registry, progress=QUIET)
    assert list_bases(open_store(registry))[base.digest]["name"] == base.name
    other = tmp_path / "server"
    found = exported_for(base.name, base.digest, other / ".timbre", registry, progress=QUIET, find_base=load_base)
    found.verify()
    assert found.folder == exports_folder(other) / base.digest
    assert len(exports) == 1, "only the first machine exports"


def test_a_program_that_exports_otherwise_exports_anew(
    exports: list[Path], pico_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, registry = read_base(pico_base), RegistryAddress(str(tmp_path / "registry"), {})
    publish_exported(base, tmp_path, registry, progress=QUIET)
    store = open_store(registry)
    assert base_editions(store, base.digest) == [EDITION]
    newer = f"{SCHEMA_VERSION}.{int(EXPORT_VERSION) + 1}"
    monkeypatch.setattr(exported, "EDITION", newer)

    kept = shutil.copytree(exports_folder(tmp_path) / base.digest, tmp_path / "kept")

    def newly(base: object, target: Path, progress: object) -> None:
        exports.append(target)
        shutil.copytree(kept, target)
        about = json.loads((target / "export.json").read_text())
        (target / "export.json").write_text(json.dumps({**about, "export_version": newer.split(".")[1]}))

    monkeypatch.setattr(exported, "_export", newly)
    assert exported_base(base, tmp_path, registry, progress=QUIET).edition == newer
    assert len(exports) == 2, "neither the folder here nor the registry has that edition"
    assert publish_exported(base, tmp_path, registry, progress=QUIET)
    assert base_editions(store, base.digest) == [EDITION, newer]
    assert verify(open_registry(registry)) == []
    # Who only speaks takes an edition of the same schema, here the program's own (the older).
    spoken = exported_for(base.name, base.digest, tmp_path / "server", registry, progress=QUIET, find_base=load_base)
    assert spoken.edition == EDITION
    assert len(exports) == 2


def test_the_edition_to_speak_with() -> None:
    own = f"{SCHEMA_VERSION}.{EXPORT_VERSION}"
    assert usable_edition([f"{SCHEMA_VERSION}.10", own, f"{SCHEMA_VERSION}.9"]) == own
    assert usable_edition([f"{SCHEMA_VERSION}.10", f"{SCHEMA_VERSION}.9"]) == f"{SCHEMA_VERSION}.10"
    assert usable_edition([f"{SCHEMA_VERSION + 1}.1"]) is None


def test_a_damaged_registry_copy_is_named_and_not_used(exports: list[Path], pico_base: Path, tmp_path: Path) -> None:
    base, registry = read_base(pico_base), RegistryAddress(str(tmp_path / "registry"), {})
    publish_exported(base, tmp_path, registry, progress=QUIET)
    blob = max((tmp_path / "registry" / "blobs").rglob("*"), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-3])
    assert [finding.affects for finding in verify(open_registry(registry))] == [(f"bases/{base.digest}",)]
    found = exported_for(
        base.name, base.digest, tmp_path / "server", registry, progress=QUIET, find_base=beside(pico_base)
    )
    found.verify()
    assert len(exports) == 2


@pytest.mark.parametrize("slow", ["server", "pipeline"])
def test_who_fetches_slowly_is_left_alone(
    exports: list[Path], pico_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """Server and pipeline of one machine fill one folder, and both remove what was left unfinished there."""
    base, machine = read_base(pico_base), tmp_path / "machine"
    registry = RegistryAddress(str(tmp_path / "registry"), {})
    publish_exported(base, tmp_path, registry, progress=QUIET)

    def server(digest: str) -> ExportedBase:
        with closing(Engines(open_store(registry), exports_folder(machine), EngineSettings())) as engines:
            return engines.get(digest).base

    def pipeline(digest: str) -> ExportedBase:
        return exported_for("piko", digest, machine / ".timbre", registry, progress=QUIET, find_base=beside(pico_base))

    fetching, other_is_done = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> None:
        fetch_files(*arguments)
        fetching.set()
        other_is_done.wait(1.0)

    monkeypatch.setattr("timbre.registry.file_set.fetch_files", slowly)
    sides: dict[str, Callable[[str], ExportedBase]] = {"server": server, "pipeline": pipeline}
    first = sides.pop(slow)
    (other,) = sides.values()
    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(first, base.digest)
        assert fetching.wait(120)
        with pytest.raises(ConfigurationError, match="000000000000"):
            other("0" * 64)
        other_is_done.set()
        assert sound_export(fetched.result(120).folder, base.digest) is not None
    assert len(exports) == 1, "fetched, not exported again"


def test_a_folder_that_is_being_filled_is_waited_for_and_then_named(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    with (
        filling(folder, 0.0),
        pytest.raises(InfrastructureError, match="exports is in use by process"),
        filling(folder, 0.1),
    ):
        pass
    (folder / ".tmp-killed").mkdir()
    with filling(folder, 0.0):
        assert not (folder / ".tmp-killed").exists()


def test_says_what_to_do_when_it_cannot_be_had(exports: list[Path], pico_base: Path, tmp_path: Path) -> None:
    registry = RegistryAddress(str(tmp_path / "registry"), {})
    with pytest.raises(ConfigurationError, match="no exported base 'piko'") as caught:
        exported_for("piko", "0" * 64, tmp_path, registry, progress=QUIET, find_base=beside(pico_base))
    assert "timbre base publish piko" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="the voice was made for 000000000000"):
        exported_for("pico", "0" * 64, tmp_path, registry, progress=QUIET, find_base=beside(pico_base))
    assert exports == []


def test_the_real_exporter_is_called(pico_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from timbre.training.export import base_export

    def fail(base: object, target: Path, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(base_export, "export_base", fail)
    with pytest.raises(OSError, match="No space left"):
        exported_base(read_base(pico_base), tmp_path, RegistryAddress(str(tmp_path / "registry"), {}), progress=QUIET)
    with pytest.raises(Exception, match="does not exist"):
        read_export(exports_folder(tmp_path) / read_base(pico_base).digest)


def test_a_forged_export_is_neither_used_nor_published(exports: list[Path], pico_base: Path, tmp_path: Path) -> None:
    """A graph and an export.json that fits it, in the folder of exports or in the registry: the pin decides."""
    base, registry = read_base(pico_base), RegistryAddress(str(tmp_path / "registry"), {})
    true = exported_base(base, tmp_path, registry, progress=QUIET)
    pinned = dataclasses.replace(base, exports={EDITION: digest_file(true.folder / EXPORT_FILE)})

    forged = json.loads((true.folder / EXPORT_FILE).read_text())
    graph = true.folder / forged["graphs"]["prior"]["fp32"]["file"]
    graph.write_bytes(graph.read_bytes() + b"forged")
    forged["graphs"]["prior"]["fp32"]["sha256"] = digest_file(graph)
    (true.folder / EXPORT_FILE).write_text(json.dumps(forged))
    assert sound_export(true.folder, base.digest) is not None, "the attack fits its own digests"

    publish_exported(base, tmp_path, registry, progress=QUIET)
    with pytest.raises(ConfigurationError, match="pins"):
        publish_exported(pinned, tmp_path, registry, progress=QUIET)
    found = exported_base(pinned, tmp_path, registry, progress=QUIET)
    assert digest_file(found.folder / EXPORT_FILE) == pinned.exports[EDITION]
    assert len(exports) == 2


@pytest.mark.parametrize("file", ["../prior.onnx", "/etc/passwd", "a/b.onnx", "..", "", 7])
def test_export_json_names_files_beside_it_only(file: object, pico_export: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pico_export, copy)
    (tmp_path / "prior.onnx").write_bytes(b"elsewhere")
    about = json.loads((copy / EXPORT_FILE).read_text())
    about["graphs"]["prior"]["fp32"]["file"] = file
    (copy / EXPORT_FILE).write_text(json.dumps(about))
    with pytest.raises(GraphError, match="beside it"):
        read_export(copy)


def test_a_pin_is_written_into_base_yaml_and_is_no_part_of_the_digest(
    exports: list[Path], pico_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(pico_base, tmp_path / "bases" / "pico")
    base = read_base(tmp_path / "bases" / "pico")
    edition, digest = pin_export(base, tmp_path, progress=QUIET)
    again = read_base(base.folder)
    assert again.exports == {edition: digest}
    assert again.digest == base.digest
    base.spec_path.write_text(base.spec_path.read_text().replace(digest, "x"))
    with pytest.raises(ConfigurationError, match="exports"):
        read_base(base.folder)
