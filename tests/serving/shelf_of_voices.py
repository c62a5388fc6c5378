"""A registry with voices on the generated base, published as stage 5 does, in milliseconds."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.inference.pico_voice import write_voice
from timbre.inference.exported_base import EDITION, read_export
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import publish_base
from timbre.registry.events import utc_now
from timbre.registry.manifest import Manifest, Provenance
from timbre.registry.names import PRODUCTION
from timbre.registry.open import open_registry
from timbre.registry.registry import Actor, Registry

ACTOR = Actor("tester", None)


class Shelf:
    """publish(), promote() and what else happens to voices while a server speaks with them."""

    def __init__(self, folder: Path, export: Path, address: str = "") -> None:
        self.folder = folder
        self.export = export
        self.base = read_export(export)
        self.registry: Registry = open_registry(RegistryAddress(address or str(folder), os.environ))
        publish_base(self.registry.store, self.base.digest, export, {"name": self.base.name}, EDITION)

    def publish(
        self, name: str, seed: int = 0, *, promote: bool = True, alias: str = PRODUCTION,
        gates: dict[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """A version of a voice whose adapter and prompt come from the seed; returns its id. gates: more of them."""
        with tempfile.TemporaryDirectory() as folder:
            written = write_voice(Path(folder) / name, self.export, np.random.default_rng(seed))
            files = {
                path.relative_to(written).as_posix(): path.read_bytes()
                for path in sorted(written.rglob("*")) if path.is_file()
            }  # fmt: skip
        return self.publish_files(name, files, str(seed), promote=promote, alias=alias, gates=gates)

    def publish_files(
        self, name: str, files: dict[str, bytes], source: str, *, promote: bool = True, alias: str = PRODUCTION,
        gates: dict[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """A version of exactly these files."""
        version = hashlib.sha256(f"{name}/{source}".encode()).hexdigest()[:12]
        manifest = Manifest(
            voice=name, version=version, source=source, base=self.base.name, base_digest=self.base.digest,
            languages=tuple(self.base.languages), rate_hz=self.base.rate_hz, created=utc_now(), passed=True,
            gates={"pesq": {"passed": True}, **(gates or {})}, consent={"kind": "synthetic", "rights": "none"},
            review_required=False,
            provenance=Provenance(None, None, "tester", None, "0" * 64), files=(),
        )  # fmt: skip
        self.registry.publish(manifest, files, actor=ACTOR)
        if promote:
            self.registry.promote(name, version, actor=ACTOR, alias=alias)
        return version

    def damage(self, name: str, version: str, path: str) -> None:
        """Flips a byte of one stored file of a version."""
        entry = self.registry.manifest(name, version).entry(path)
        assert entry is not None
        blob = self.folder / "blobs" / entry.sha256[:2] / entry.sha256
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 0xFF
        blob.write_bytes(bytes(data))
