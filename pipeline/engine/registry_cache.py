"""Finished stage outputs kept in a store, so that a retry on another machine does no work twice.

Two caches: the trusted one of runs that publish, and one of merge requests and other branches. A run that publishes
reads and writes only the trusted one; every other run reads both and writes only its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import InfrastructureError
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.outputs import read_record
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.stage_cache import (
    TRUSTED,
    UNTRUSTED,
    drop_checkpoints,
    pull_checkpoint,
    pull_stage,
    push_checkpoint,
    push_stage,
)
from timbre.registry.store import Store


@dataclass(frozen=True)
class RegistryStageCache:
    """A timbre.pipeline.engine.outputs.StageCache."""

    reads: tuple[tuple[Store, str], ...]
    """Store and area (registry/stage_cache.py) that outputs are read from."""
    writes: tuple[Store, str]
    """Store and area that outputs are written to."""
    keys: Keyring | None = None
    """Keys that encrypt what is stored; None for a registry without encryption."""

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

    def fetch_checkpoint(self, key: str, destination: Path) -> bool:
        """Restore the state of an interrupted stage below destination, which does not exist; False without one."""
        return any(pull_checkpoint(store, key, destination, self.keys, area) for store, area in self.reads)

    def offer_checkpoint(self, key: str, voice: str, stage: str, recordings: str, directory: Path) -> None:
        """Keep the state of a running stage. Raises InfrastructureError when the store cannot be written."""
        store, area = self.writes
        push_checkpoint(store, key, voice, stage, directory, self.keys, recordings, area)

    def drop_checkpoints(self, key: str) -> None:
        """Remove the states of a stage that is done."""
        store, area = self.writes
        drop_checkpoints(store, key, area)


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
