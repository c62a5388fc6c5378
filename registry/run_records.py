"""Records of runs: what every run of a voice did, also of failed, refused and cancelled ones.

mark when a run begins -> record with samples when it ends, which replaces the mark -> the newest are kept

Runs that publish write below `runs/`, all others below `merge-requests/runs/`, where nothing that they say is
believed. Samples are encrypted like every file of a voice and go when consent is withdrawn, together with the record.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from timbre.core.errors import TimbreError
from timbre.registry.blobs import FileEntry, Transform, get_file
from timbre.registry.encryption.keyring import Keyring, missing_key
from timbre.registry.encryption.sealed_file import Place, is_sealed
from timbre.registry.errors import RevokedError
from timbre.registry.file_set import put_folder, read_folder
from timbre.registry.names import RUN_AREAS, RUNS, check_voice
from timbre.registry.references import delete_unneeded, digests_in
from timbre.registry.store import Store
from timbre.registry.tombstones import refuse_revoked

RUNNING = "running"
LOST_AFTER = timedelta(days=2)
"""A mark without a record after this time: the machine was switched off or the process was killed."""
_MARK = ".running.json"


@dataclass(frozen=True)
class Retention:
    """How many records of a voice stay, and for how long."""

    most: int = 200
    """Records of a voice and area."""
    days: int = 400
    """Age at which a record goes, whatever their number."""
    slack: int = 20
    """Records are removed in batches of this size, because finding unreferenced samples reads the whole registry."""


@dataclass(frozen=True)
class RunRecord:
    """One run."""

    voice: str
    """Name of the voice; there need be no version of it."""
    id: str
    """Starts with the UTC time of the run's start."""
    about: Mapping[str, Any]
    """Plain facts."""
    samples: tuple[FileEntry, ...] = ()
    """Sound files of the run."""
    trusted: bool = True
    """Whether a run that may publish wrote it. Others may hold invented values: show them, decide nothing by them."""
    key: str = field(default="", compare=False)
    """Of the record in the store."""

    @property
    def running(self) -> bool:
        """Whether the run has begun and has not ended."""
        return self.about.get("state") == RUNNING


@dataclass(frozen=True)
class RunStore:
    """Where a run leaves its record."""

    store: Store
    """The registry's."""
    area: str = RUNS
    """One of RUN_AREAS."""
    keys: Keyring | None = None
    """Encrypts the samples."""
    retention: Retention = Retention()
    """Applied whenever a record is written."""

    def begin(self, voice: str, time: str, about: Mapping[str, Any]) -> str:
        """Marks a run as begun; its id. time: UTC, ISO 8601 with microseconds."""
        run = f"{time.replace(':', '').replace('+0000', 'Z')}-{secrets.token_hex(4)}"
        body = {**about, "voice": check_voice(voice), "run": run, "state": RUNNING}
        put_folder(self.store, self._key(voice, run, _MARK), Path(), body, only=())
        return run

    def finish(self, voice: str, run: str, about: Mapping[str, Any], samples: Mapping[str, bytes]) -> None:
        """Writes the record, removes the mark and what is too old. Samples of a revoked voice are left out, and nothing
        stays of samples whose consent was withdrawn while they were written.
        """
        recordings = str(about.get("recordings", ""))
        try:
            refuse_revoked(self.store, voice, recordings)
        except RevokedError:
            samples = {}
        key, body = self._key(voice, run), {**about, "voice": check_voice(voice), "run": run}
        with tempfile.TemporaryDirectory() as folder:
            for name, data in samples.items():
                (Path(folder) / name).write_bytes(data)
            put_folder(self.store, key, Path(folder), body, kept=self._sealing(voice, run))
        if samples:
            try:
                refuse_revoked(self.store, voice, recordings)
            except RevokedError:
                self._drop([key])
        self.store.delete(self._key(voice, run, _MARK))
        self._prune(voice)

    def _sealing(self, voice: str, run: str) -> Transform | None:
        keys = self.keys
        return None if keys is None else lambda path, data: keys.seal(Place(voice, run, path), data)

    def _key(self, voice: str, run: str, end: str = ".json") -> str:
        return f"{self.area}/{voice}/{run}{end}"

    def _prune(self, voice: str) -> None:
        keys = sorted(self.store.list(f"{self.area}/{voice}/"))
        oldest = (datetime.now(UTC) - timedelta(days=self.retention.days)).strftime("%Y-%m-%dT%H%M%S")
        old = [key for key in keys if key.rpartition("/")[2] < oldest]
        if len(keys) > self.retention.most + self.retention.slack:
            old = keys[: max(len(old), len(keys) - self.retention.most)]
        if old:
            self._drop(old)

    def _drop(self, keys: list[str]) -> None:
        digests = {digest for key in keys for digest in digests_in(self.store, key)}
        if digests:
            delete_unneeded(self.store, digests, keys)
        for key in keys:
            self.store.delete(key)


def runs_of(store: Store, voice: str, most: int = 0) -> list[RunRecord]:
    """Runs of a voice in both areas, oldest first; the newest `most` of each area (0: all). A damaged record is left
    out: it hides no other.
    """
    found: list[RunRecord] = []
    for area in RUN_AREAS:
        keys = sorted(store.list(f"{area}/{check_voice(voice)}/"))
        found += _read_all(store, keys[-most:] if most else keys, area == RUNS)
    ended = {record.id for record in found if not record.running}
    return sorted(
        (record for record in found if not (record.running and record.id in ended)), key=lambda record: record.id
    )


def open_sample(store: Store, record: RunRecord, entry: FileEntry, keys: Keyring | None) -> bytes:
    """One sample, digest checked. Raises CorruptError, and ConfigurationError when it is encrypted and no key is at
    hand.
    """
    data = get_file(store, entry, f"run {record.id}")
    if not is_sealed(data):
        return data
    if keys is None:
        raise missing_key(f"a sample of {record.voice} is encrypted")
    return keys.open(Place(record.voice, record.id, entry.path), data)


def _read_all(store: Store, keys: list[str], trusted: bool) -> Iterator[RunRecord]:
    for key in keys:
        name, voice = key.rpartition("/")[2], key.split("/")[-2]
        run = name.removesuffix(_MARK).removesuffix(".json")
        try:
            found = read_folder(store, key)
        except TimbreError:
            continue
        if found is None or found[0].get("voice") != voice or found[0].get("run") != run:
            continue
        yield RunRecord(voice, run, found[0], tuple(found[1]), trusted, key)
