"""A journal of spoken files, so that a run that was stopped goes on where it was.

folder/NAME.jsonl: one JSON object a file, appended when the file is complete; the last entry of a file counts
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import Field, asdict, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from timbre.core.digests import digest_value
from timbre.inference.request import SpeechRequest
from timbre.pipeline.release.speaking import Speaking


class Entry(Protocol):
    """What a journal keeps of a file: a frozen dataclass of plain values and tuples of them."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def file(self) -> str:
        """Name in the folder of the journal."""
        ...

    @property
    def key(self) -> str:
        """Of all that decides the sound (`sound_key`)."""
        ...


E = TypeVar("E", bound=Entry)


class Journal(Generic[E]):
    """What a folder holds already, and where further entries go; `with journal(...)` opens one."""

    def __init__(self, before: dict[str, E], stream: TextIOWrapper) -> None:
        self._before = before
        self._stream = stream

    def find(self, file: str, key: str) -> E | None:
        """The last entry of a file; None when there is none or its key differs."""
        entry = self._before.get(file)
        return entry if entry is not None and entry.key == key else None

    def add(self, entry: E) -> None:
        """Append an entry, once its file is complete. Raises OSError."""
        self._stream.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
        self._stream.flush()


@contextmanager
def journal(path: Path, kind: type[E]) -> Iterator[Journal[E]]:
    """Opens the journal of a folder, which is made if it is missing. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _read(path, kind)
    with path.open("a", encoding="utf-8") as stream:
        if not _whole(path):
            stream.write("\n")  # a kill has cut off the last entry
        yield Journal(before, stream)


def sound_key(speaking: Speaking, request: SpeechRequest, *more: str) -> str:
    """Of the voice, its version, the graphs and every field of the request. more: what else decides the files."""
    state = asdict(replace(request, lexicon=dict(request.lexicon) if request.lexicon is not None else None))
    manifest = speaking.manifest
    return digest_value([manifest.voice, manifest.version, speaking.engine.settings.profile, state, *more])[:16]


def _whole(path: Path) -> bool:
    """Whether the last line has its end."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return True
        file.seek(-1, 2)
        return file.read() == b"\n"


def _read(path: Path, kind: type[E]) -> dict[str, E]:
    """By file. Skips entries that a kill cut off or that another release wrote; their files are spoken again."""
    found: dict[str, E] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            entry = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
        except (ValueError, TypeError, AttributeError):
            continue
        found[entry.file] = entry
    return found
