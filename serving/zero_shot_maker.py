"""Recording + statement of consent -> a voice: judged first, one at a time, off the event loop.

uploads -> recording and statement decoded -> words and speaker of the consent -> one speaker? -> prompt -> kept
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from timbre.core.errors import ConfigurationError, InputError
from timbre.serving.engines import Engines
from timbre.serving.errors import ApiError
from timbre.serving.zero_shot import Record, ZeroShotVoices, new_id
from timbre.text.frontend import phonemize
from timbre.text.pauses import finished
from timbre.text.phonemes import Phonemes

if TYPE_CHECKING:
    from timbre.inference.engine import Engine
    from timbre.inference.reference import Reference
    from timbre.serving.consent import Ear

_MOST_WAITING = 4


@dataclass(frozen=True)
class Wanted:
    """What a voice is to be made of."""

    owner: str | None
    """As Record."""
    recording: bytes
    """A sound file."""
    statement: bytes
    """A sound file."""
    language: str = ""
    """"" for that of the statement, as it is heard."""
    text: str = ""
    """What is said in the recording, "" where it is not known."""
    title: str = ""
    """For people."""
    base: str = ""
    """"" where voices speak with one base only."""
    statement_language: str = ""
    """"" for that of the recording, or any that is heard."""
    recording_field: str = "audio"
    """Its name in messages."""


class ZeroShotMaker:
    """threads: of each graph; kept_s: until a voice is removed; threads of `make` wait for each other."""

    def __init__(
        self, voices: ZeroShotVoices, engines: Engines, log: logging.Logger, *, threads: int, kept_s: float,
        digests: Callable[[], dict[str, str]], clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """digests: name -> digest of the bases that voices of the registry speak with."""
        self._voices = voices
        self._engines = engines
        self._log = log
        self._threads = threads
        self._kept_s = kept_s
        self._digests = digests
        self._clock = clock
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def make(self, wanted: Wanted) -> Record:
        """Raises ApiError: 400 and 413 for recordings, 403 for consents, 429 when too many wait or are kept."""
        if wanted.owner is not None:
            self._voices.refuse_more(wanted.owner)
        if self._waiting >= _MOST_WAITING:
            raise ApiError(
                429, f"{self._waiting} recordings are being judged already", "try again in 5 s",
                headers={"Retry-After": "5"},
            )  # fmt: skip
        self._waiting += 1
        try:
            async with self._lock:
                return await asyncio.to_thread(self._make, wanted)
        finally:
            self._waiting -= 1

    def still_there(self, name: str) -> bool:
        """Whether a voice of this maker can still speak."""
        return self._voices.has(name)

    def ear_for(self, engine: Engine, language: str) -> Ear | None:
        """Who hears a language: the base itself, else any that is open; None when nobody does."""
        for one in (engine, *self._engines.open):
            if one.recogniser is not None and language in one.base.languages:
                return one.recogniser
        return None

    def _make(self, wanted: Wanted) -> Record:
        # What hears recordings is loaded with the first: a server is ready earlier without it.
        from timbre.inference.reference import ReferenceEncoder
        from timbre.inference.settling import settled
        from timbre.serving.consent import judge_consent
        from timbre.serving.recordings import reference_of, refuse_two_speakers, statement_of

        field = wanted.recording_field
        engine = self._engine(wanted.base)
        if wanted.language and wanted.language not in engine.base.languages:
            raise ApiError(
                400, f"language: {wanted.language[:16]!r} is not one of {', '.join(engine.base.languages)}",
                "name the language of the recording", param="language",
            )  # fmt: skip
        recording = reference_of(wanted.recording, field)
        statement = statement_of(wanted.statement, "consent")
        try:
            encoder = ReferenceEncoder(engine.base, threads=self._threads)
        except ConfigurationError as error:
            raise ApiError(400, error.message, error.remedy, param="model") from None
        refuse_two_speakers(recording, encoder, field)
        said = wanted.statement_language or wanted.language
        ears = {item: self.ear_for(engine, item) for item in ((said,) if said else engine.base.languages)}
        consent = judge_consent(statement, recording, encoder, ears)
        heard = consent.language if consent.language in engine.base.languages else engine.base.languages[0]
        language = wanted.language or heard
        phonemes = self._phonemes(wanted, language, engine, recording)
        try:
            prompt = settled(engine, encoder.prompt(recording, language, phonemes), recording, wanted.text.strip())
        except InputError as error:
            raise ApiError(400, f"text: {error.message}", error.remedy, param="text") from None
        now = self._clock()
        record = Record(
            id=new_id(), owner=wanted.owner, title=wanted.title, language=language, base=engine.base.name,
            base_digest=engine.base.digest, created_s=now, expires_s=now + self._kept_s,
            seconds=round(recording.speech_s, 2), recording_sha256=_digest(wanted.recording),
            statement_sha256=_digest(wanted.statement), consent=asdict(consent),
        )  # fmt: skip
        self._voices.add(record, prompt)
        self._log.info(
            "a voice was made of one recording",
            extra={
                "voice": record.id, "base": record.base, "recording": record.recording_sha256,
                "statement": record.statement_sha256, **{f"consent_{name}": v for name, v in record.consent.items()},
            },
        )  # fmt: skip
        return record

    def _engine(self, name: str) -> Engine:
        digests = self._digests()
        if not name or name == "timbre":
            if len(digests) == 1:
                return self._engines.get(next(iter(digests.values())))
            have = ", ".join(sorted(digests)) or "none: no voice of the registry speaks yet"
            raise ApiError(400, "model: no base was named", f"name one of: {have}", param="model")
        if name not in digests:
            raise ApiError(
                404, f"there is no base {name[:63]!r}", "GET /v1/models lists them", code="model_not_found",
                param="model",
            )  # fmt: skip
        return self._engines.get(digests[name])

    def _phonemes(self, wanted: Wanted, language: str, engine: Engine, recording: Reference) -> Phonemes | None:
        if not wanted.text.strip():
            return None
        from timbre.serving.consent import refuse_other_words

        try:
            phonemes = finished(phonemize(wanted.text, language, {}, engine.base.languages))
            if not phonemes.phones:
                raise InputError("nothing in it can be spoken", "send the words of the recording")
            if (ear := self.ear_for(engine, language)) is not None:
                refuse_other_words(recording, phonemes, ear, "text")
        except InputError as error:
            raise ApiError(400, f"text: {error.message}", error.remedy, param="text") from None
        return phonemes


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
