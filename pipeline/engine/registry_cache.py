"""Finished stage outputs kept in a store, so that a retry on another machine does no work twice.

Two caches: the trusted one of runs that publish, and one of merge requests and other branches. A run that publishes
reads and writes only the trusted one; every other run reads both and writes only its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import InfrastructureError
from timbre.pipeline.engine.outputs import read_record
from timbre.pipeline.stages.table import Origin
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.stage_cache import TRUSTED, UNTRUSTED, pull_stage, push_stage
from timbre.registry.store import Store


@dataclass(frozen=True)
class RegistryStageCache:
    """A timbre.pipeline.engine.outputs.StageCache. reads, writes: store and area (registry/stage_cache.py)."""

    reads: tuple[tuple[Store, str], ...]
    writes: tuple[Store, str]
    keys: Keyring | None = None

    def fetch(self, key: str, destination: Path) -> bool:
        """Raises InfrastructureError (CorruptError) when the stored copy is damaged."""
        return any(pull_stage(store, key, destination, self.keys, area) for store, area in self.reads)

    def offer(self, key: str, directory: Path) -> None:
        """Raises InfrastructureError when the output has no record or the store cannot be written, and RevokedError
        when consent was withdrawn meanwhile.
        """
        record = read_record(directory)
        if record is None:
            raise InfrastructureError(f"{directory}: no stage.json", "run the stage again")
        store, area = self.writes
        recordings = str(record.get("recordings", ""))
        push_stage(store, key, str(record["voice"]), str(record["stage"]), directory, self.keys, recordings, area)


def stage_cache(
    store: Store, origin: Origin, own: Store | None = None, keys: Keyring | None = None
) -> RegistryStageCache:
    """The cache of a run. own: where runs that do not publish keep theirs, for a registry that they only read. keys:
    encrypt what is kept.
    """
    trusted = (store, TRUSTED)
    if not origin.why_not:
        return RegistryStageCache((trusted,), trusted, keys)
    untrusted = (own or store, UNTRUSTED)
    return RegistryStageCache((trusted, untrusted), untrusted, keys)
