"""Finished stage outputs kept in the registry's store, so that a retry on another machine does no work twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import InfrastructureError
from timbre.pipeline.engine.outputs import read_record
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.stage_cache import pull_stage, push_stage
from timbre.registry.store import Store


@dataclass(frozen=True)
class RegistryStageCache:
    """A timbre.pipeline.engine.outputs.StageCache over the store of a registry."""

    store: Store
    keys: Keyring | None = None

    def fetch(self, key: str, destination: Path) -> bool:
        """Raises InfrastructureError (CorruptError) when the stored copy is damaged."""
        return pull_stage(self.store, key, destination, self.keys)

    def offer(self, key: str, directory: Path) -> None:
        """Raises InfrastructureError when the output has no record or the store cannot be written."""
        record = read_record(directory)
        if record is None:
            raise InfrastructureError(f"{directory}: no stage.json", "run the stage again")
        push_stage(self.store, key, str(record["voice"]), str(record["stage"]), directory, self.keys)
