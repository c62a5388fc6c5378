"""The operator's folder of recordings: /tts may name a file of it, where the person in it agrees.

ada.wav              the recording, 3 to 30 s
ada.consent.wav      the statement of consent of the same person (any suffix of a sound file)
ada.txt              what is said in it (optional; `prompt_text` of a request goes first)

Each is judged as an upload is, when it is first asked for, and again when one of its files changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from pathlib import Path

from timbre.serving.errors import ApiError
from timbre.serving.zero_shot_maker import Wanted, ZeroShotMaker

_SUFFIXES = ("wav", "flac", "mp3", "ogg", "opus", "m4a")
_FILE = re.compile(rf"(?:\./)?(?:references/)?([^\W_][\w-]{{0,62}}(?:\.(?:{'|'.join(_SUFFIXES)})))", re.I)
_MOST_BYTES = 16 << 20
_MOST_TEXT_BYTES = 64 << 10
_MOST_KEPT = 64
_TEXT = ".txt"


class References:
    """Used by tasks of one loop."""

    def __init__(self, folder: Path, maker: ZeroShotMaker) -> None:
        self._folder = folder
        self._maker = maker
        self._known: dict[tuple[object, ...], str] = {}

    @staticmethod
    def names(value: str) -> bool:
        """Whether a value names a file as this folder has them: no folder of its own, the suffix of a sound file."""
        return _FILE.fullmatch(value) is not None

    async def voice(self, value: str, text: str, language: str, field: str) -> str:
        """The voice of a file; it is made when it is asked for first. Raises ApiError: 404 without such a file, 403
        without a statement of consent, and what ZeroShotMaker.make raises.
        """
        match = _FILE.fullmatch(value)
        assert match is not None
        name = match[1]
        recording, statement, said = await asyncio.to_thread(self._files, name, field)
        digests = (hashlib.sha256(data).digest() for data in (recording, statement))
        key = (name, *digests, text or said, language)
        voice = self._known.get(key)
        if voice is not None and self._maker.still_there(voice):
            return voice
        made = await self._maker.make(
            Wanted(None, recording, statement, language=language, text=text or said, title=name, recording_field=field)
        )
        while len(self._known) >= _MOST_KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[key] = made.id
        return made.id

    def _files(self, name: str, field: str) -> tuple[bytes, bytes, str]:
        recording = self._read(name, _MOST_BYTES)
        if recording is None:
            raise ApiError(
                404, f"{field}: the operator's folder of references has no file {name!r}",
                "ask the operator of the server", code="reference_not_found", param=field,
            )  # fmt: skip
        stem = name.rpartition(".")[0]
        for suffix in _SUFFIXES:
            statement = self._read(f"{stem}.consent.{suffix}", _MOST_BYTES)
            if statement is not None:
                break
        else:
            raise ApiError(
                403, f"{field}: there is no statement of consent beside {name!r} ({stem}.consent.wav)",
                "the operator puts one there, spoken by the same person", code="consent_missing", param=field,
            )  # fmt: skip
        said = (self._read(stem + _TEXT, _MOST_TEXT_BYTES) or b"").decode("utf-8", "replace").strip()
        return recording, statement, said

    def _read(self, name: str, most_bytes: int) -> bytes | None:
        """A regular file of the folder; None where there is none, or it is a link, or larger."""
        try:
            handle = os.open(self._folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(handle, "rb") as stream:
            about = os.fstat(stream.fileno())
            return stream.read() if stat.S_ISREG(about.st_mode) and about.st_size <= most_bytes else None
