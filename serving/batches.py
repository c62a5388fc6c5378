"""Batch jobs on disk: texts to speak while no client waits, and the outcome of each.

<folder>/<id>/batch.json          the request, its owner and time; written once
              cancelled           there when it was cancelled
              items/00001.json    outcome of an item, written after its sound
              items/00001.mp3     its sound

All state is in these files, each complete or not there, so a server that was killed goes on where it was.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from timbre.core.atomic import write_text
from timbre.serving.errors import ApiError

_ID = re.compile(r"batch_[0-9a-f]{24}")
_RECORD, _CANCELLED, _ITEMS = "batch.json", "cancelled", "items"
DAY_S = 86_400
Status = Literal["queued", "running", "completed", "cancelled"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of an item."""

    file: str = ""
    """Name of its sound, "" when it could not be spoken."""
    seconds: float = 0.0
    """Length of the sound; 0 without one."""
    voice: str = ""
    """NAME@VERSION that spoke."""
    failed_sentences: int = 0
    """Number of sentences that stayed below the limits."""
    error: Mapping[str, Any] | None = None
    """OpenAI's error object where it could not be spoken."""


@dataclass(frozen=True)
class Batch:
    """A job: what to speak, for whom, and what has been spoken."""

    id: str
    """"batch_" and 24 hex digits; also the name of its folder."""
    owner: str
    """Name of the key that may see it."""
    created_s: float
    """Seconds since 1970."""
    items: Sequence[Mapping[str, Any]]
    """Bodies of requests, as they were checked."""
    cancelled: bool = False
    """No further item is begun."""
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    """Index in `items`, from 0 -> outcome; an item that is missing here waits or is being spoken."""

    @property
    def status(self) -> Status:
        """Follows from the files alone."""
        if len(self.outcomes) == len(self.items):
            return "completed"
        return "cancelled" if self.cancelled else "running" if self.outcomes else "queued"

    @property
    def unfinished(self) -> bool:
        """Whether something is still to be spoken."""
        return self.status in ("queued", "running")


@dataclass(frozen=True)
class BatchStore:
    """The jobs of one server, in a folder. Raises OSError when the disk is full."""

    folder: Path
    """Holds a folder for each job; the only place of the server that keeps what requests said."""
    most: int
    """Unfinished jobs that one owner may have."""
    most_bytes: int
    """Size of all jobs together."""
    kept_s: float
    """How long a job is kept after it was made."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970; replaced in tests."""

    def add(self, owner: str, items: Sequence[Mapping[str, Any]]) -> Batch:
        """A new job. Raises ApiError 429 when the owner has too many that wait, or the folder is full."""
        waiting = sum(batch.unfinished for batch in self.of(owner))
        if waiting >= self.most:
            raise ApiError(
                429, f"{waiting} batches wait already, the limit is {self.most}", "wait for one, or cancel one",
                headers={"Retry-After": "60"},
            )  # fmt: skip
        size_bytes = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        if size_bytes >= self.most_bytes:
            raise ApiError(
                429, f"batches hold {size_bytes >> 20} MiB, the limit is {self.most_bytes >> 20} MiB",
                "fetch and delete finished ones", code="batches_full", headers={"Retry-After": "3600"},
            )  # fmt: skip
        batch = Batch(f"batch_{secrets.token_hex(12)}", owner, self.clock(), items)
        record = {"owner": owner, "created_s": batch.created_s, "items": list(items)}
        write_text(self.folder / batch.id / _RECORD, json.dumps(record, ensure_ascii=False))
        return batch

    def of(self, owner: str) -> list[Batch]:
        """An owner's jobs, oldest first."""
        return sorted((batch for batch in self._all() if batch.owner == owner), key=lambda batch: batch.created_s)

    def get(self, name: str, owner: str) -> Batch:
        """Raises ApiError 404 for a job that is not there, or somebody else's."""
        batch = self._read(name)
        if batch is None or batch.owner != owner:
            raise ApiError(
                404, f"there is no batch {name[:40]!r}", "GET /v1/audio/batches lists yours", code="batch_not_found"
            )
        return batch

    def next(self) -> Batch | None:
        """The oldest job with something left to speak."""
        waiting = [batch for batch in self._all() if batch.unfinished]
        return min(waiting, key=lambda batch: batch.created_s, default=None)

    def note(self, batch: Batch, index: int, outcome: Outcome, sound: bytes = b"") -> None:
        """Keeps the outcome of an item, after its sound. Nothing is kept of a job that was removed meanwhile."""
        items = self.folder / batch.id / _ITEMS
        if not (self.folder / batch.id / _RECORD).is_file():
            return
        if outcome.file:
            items.mkdir(exist_ok=True)
            partial = items / f".{outcome.file}"
            partial.write_bytes(sound)
            partial.replace(items / outcome.file)
        write_text(items / f"{index:05}.json", json.dumps(asdict(outcome), ensure_ascii=False))

    def sound(self, batch: Batch, index: int) -> Path:
        """The file of an item. Raises ApiError 404 when there is none, or not yet."""
        outcome = batch.outcomes.get(index)
        if outcome is None or not outcome.file:
            why = "it could not be spoken" if outcome else "it is not spoken yet"
            raise ApiError(
                404, f"item {index} of {batch.id} has no sound: {why}", "see the batch", code="item_not_found"
            )
        return self.folder / batch.id / _ITEMS / outcome.file

    def is_cancelled(self, batch: Batch) -> bool:
        """Whether it was cancelled, or removed."""
        folder = self.folder / batch.id
        return (folder / _CANCELLED).exists() or not (folder / _RECORD).exists()

    def cancel(self, batch: Batch) -> None:
        """Speaks nothing further of it; what is spoken stays."""
        write_text(self.folder / batch.id / _CANCELLED, "")

    def remove(self, batch: Batch) -> None:
        """With its files. The record goes first: without it the rest is no job."""
        (self.folder / batch.id / _RECORD).unlink(missing_ok=True)
        shutil.rmtree(self.folder / batch.id, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what is too old, and what a kill left of a removal."""
        for path in self.folder.glob("batch_*"):
            batch = self._read(path.name)
            if batch is None:
                shutil.rmtree(path, ignore_errors=True)
            elif self.clock() - batch.created_s > self.kept_s:
                self.remove(batch)

    def _all(self) -> Iterator[Batch]:
        for path in self.folder.glob("batch_*"):
            if (batch := self._read(path.name)) is not None:
                yield batch

    def _read(self, name: str) -> Batch | None:
        folder = self.folder / name
        if not _ID.fullmatch(name):
            return None
        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            outcomes = {
                int(path.stem): Outcome(**json.loads(path.read_text(encoding="utf-8")))
                for path in (folder / _ITEMS).glob("[0-9]*.json")
            }
        except FileNotFoundError:
            return None
        return Batch(
            name, record["owner"], record["created_s"], record["items"], (folder / _CANCELLED).exists(), outcomes
        )
