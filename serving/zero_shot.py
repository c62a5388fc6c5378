"""Voices made of one recording each: of the key that made them, for a set time, never of the registry.

<folder>/<id>/record.json         whose it is, until when, the consent that was heard; digests, never sound
              prompt.safetensors  what conditions speech (inference/voice.py)
              prompt.json

All records are read once, so that requests look in memory. Voices of the operator's `references` folder are kept in
memory alone.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from timbre.core.atomic import write_text
from timbre.core.errors import TimbreError
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Prompt, Voice, load_voice, prompt_tensors
from timbre.serving.engines import Engines
from timbre.serving.errors import ApiError
from timbre.serving.loader import Speaker
from timbre.serving.order import ZERO_SHOT

PREFIX = "ZS-"
"""Of every name; voices of the registry have lower-case names."""
HOUR_S = 3600.0
_ID = re.compile(rf"{PREFIX}[0-9a-f]{{24}}")
_RECORD = "record.json"
_MOST_HELD = 64


@dataclass(frozen=True)
class Record:
    """One voice."""

    id: str
    """Its name in requests."""
    owner: str | None
    """Who may use it; "" where no key is asked for, None for everybody (the operator's own files)."""
    title: str
    """For people."""
    language: str
    """Of texts that name none."""
    base: str
    """Name of the base that speaks."""
    base_digest: str
    """Its digest."""
    created_s: float
    """Since 1970."""
    expires_s: float
    """Since 1970."""
    seconds: float
    """Of speech in the recording."""
    recording_sha256: str
    """Digest of the upload."""
    statement_sha256: str
    """Digest of the statement."""
    consent: dict[str, Any]
    """As consent.Consent."""


class ZeroShotVoices:
    """Thread-safe. folder: None keeps voices in memory alone; most: of an owner."""

    def __init__(
        self, folder: Path | None, most: int, engines: Engines, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._most = most
        self._engines = engines
        self._clock = clock
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._voices: OrderedDict[str, Voice] = OrderedDict()
        self._own: OrderedDict[str, None] = OrderedDict()

    def open(self) -> None:
        """Reads what an earlier run left; removes what is incomplete or over."""
        if self._folder is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.glob(f"{PREFIX}*"):
            record = _read(path)
            if record is None:
                shutil.rmtree(path, ignore_errors=True)
            else:
                self._records[record.id] = record
        self.sweep()

    @staticmethod
    def names(reference: str) -> bool:
        """Whether a request means one of these voices."""
        return reference.startswith(PREFIX)

    def refuse_more(self, owner: str) -> None:
        """Raises ApiError 429 when an owner has as many voices as may be."""
        count = len(self.of(owner))
        if count >= self._most:
            raise ApiError(
                429, f"{count} voices are kept for this key, the limit is {self._most}",
                "delete one: DELETE /v1/audio/voices/NAME", code="too_many_voices", headers={"Retry-After": "3600"},
            )  # fmt: skip

    def add(self, record: Record, prompt: Prompt) -> Record:
        """Keeps a voice. Raises ApiError 429 as refuse_more, OSError when the disk fails."""
        with self._lock:
            if record.owner is not None:
                self.refuse_more(record.owner)
                self._write(record, prompt)
            else:
                self._forget_oldest_own()
                self._own[record.id] = None
            self._records[record.id] = record
            self._hold(Voice(record.id, ZERO_SHOT, record.base_digest, prompt, NO_LORA, {}))
        return record

    def of(self, owner: str) -> list[Record]:
        """Those of an owner that are not over, oldest first."""
        now = self._clock()
        found = [item for item in list(self._records.values()) if item.owner == owner and item.expires_s > now]
        return sorted(found, key=lambda item: item.created_s)

    def get(self, name: str, owner: str) -> Record:
        """Raises ApiError 404 for a voice that is not there, is over, or is somebody else's."""
        record = self._records.get(name)
        if record is None or record.owner not in (None, owner) or record.expires_s <= self._clock():
            raise ApiError(
                404, f"there is no voice {name[:40]!r} for this key",
                "it was deleted, its time is over, or another key made it; GET /v1/audio/voices lists yours",
                code="voice_not_found", param="voice",
            )  # fmt: skip
        return record

    def has(self, name: str) -> bool:
        """Whether it is there and its time is not over."""
        record = self._records.get(name)
        return record is not None and record.expires_s > self._clock()

    def check(self, reference: str, owner: str) -> tuple[str, str]:
        """(name, ZERO_SHOT), as Library.check gives them. Raises ApiError 404."""
        name, _, version = reference.partition("@")
        if version not in ("", ZERO_SHOT):
            raise ApiError(404, f"voice {name[:40]!r} has no versions", f"ask for {name[:40]}", param="voice")
        return self.get(name, owner).id, ZERO_SHOT

    def speaker(self, name: str) -> Speaker:
        """A voice that `check` gave, with the engine of its base. Raises ApiError 404, and what loading raises."""
        record = self._records.get(name)
        if record is None:
            raise ApiError(404, f"there is no voice {name[:40]!r} any more", "make it again", code="voice_not_found")
        engine = self._engines.get(record.base_digest)
        with self._lock:
            voice = self._voices.get(name)
        if voice is None:
            assert self._folder is not None, "what is not in memory is in the folder"
            voice = load_voice(self._folder / name, engine.base, name=name, version=ZERO_SHOT)
            with self._lock:
                self._hold(voice)
        return Speaker(None, voice, engine)

    def remove(self, record: Record) -> None:
        """With its files. Requests under way finish with it."""
        with self._lock:
            self._records.pop(record.id, None)
            self._voices.pop(record.id, None)
            self._own.pop(record.id, None)
            if self._folder is not None:
                (self._folder / record.id / _RECORD).unlink(missing_ok=True)
                shutil.rmtree(self._folder / record.id, ignore_errors=True)

    def sweep(self) -> list[Record]:
        """Removes voices whose time is over; returns them."""
        now = self._clock()
        over = [record for record in list(self._records.values()) if record.expires_s <= now]
        for record in over:
            self.remove(record)
        return over

    @property
    def bases(self) -> set[str]:
        """Digests of the bases that these voices speak with."""
        return {record.base_digest for record in list(self._records.values())}

    def _hold(self, voice: Voice) -> None:
        self._voices[voice.name] = voice
        self._voices.move_to_end(voice.name)
        unneeded = [name for name in self._voices if name not in self._own]
        for name in unneeded[: max(0, len(unneeded) - _MOST_HELD)]:
            del self._voices[name]

    def _forget_oldest_own(self) -> None:
        while len(self._own) >= _MOST_HELD:
            name, _ = self._own.popitem(last=False)
            self._records.pop(name, None)
            self._voices.pop(name, None)

    def _write(self, record: Record, prompt: Prompt) -> None:
        if self._folder is None:
            return
        folder = self._folder / record.id
        folder.mkdir(mode=0o700)
        save_file(prompt_tensors(prompt), folder / "prompt.safetensors")
        write_text(folder / "prompt.json", json.dumps({"language": record.language, "reason": "one recording"}))
        # Written last: without it there is no voice.
        write_text(folder / _RECORD, json.dumps(asdict(record), ensure_ascii=False))


def new_id() -> str:
    """A name that nobody can guess."""
    return PREFIX + secrets.token_hex(12)


def _read(folder: Path) -> Record | None:
    if not _ID.fullmatch(folder.name):
        return None
    try:
        record = Record(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, TimbreError):
        return None
    return record if record.id == folder.name else None
