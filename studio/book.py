"""A voice while it is recorded: lines to read, takes of them, the statement, what was deleted and can come back.

voices/<name>/ -> lines, takes; a take -> wavs/<id>.flac, then its row in metadata.csv
Order of writing: text of the line, recording, row. A crash in between leaves a recording whose row is written again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from timbre.pipeline.voice.folder import stored_as
from timbre.pipeline.voice.metadata import FILE as METADATA
from timbre.pipeline.voice.metadata import read_metadata
from timbre.pipeline.voice.reading_script import SENTENCES
from timbre.pipeline.voice.voice_yaml import FILE as VOICE_YAML
from timbre.pipeline.voice.voice_yaml import VoiceSettings, read_voice_yaml
from timbre.studio.errors import StudioError
from timbre.studio.files import OWN, VoiceFiles

TAKES, TRASH, JUDGED, PLAN = f"{OWN}/takes", f"{OWN}/trash", f"{OWN}/judged", f"{OWN}/lines.json"
_MOST_ROWS = 5_000
_KEPT_DELETED = 200


@dataclass(frozen=True)
class Line:
    """Something to read."""

    id: str
    """Stem of its recording's name, unique in the voice."""
    text: str
    """What to read, or what the recording says."""
    language: str
    """Its own or the voice's."""
    file: str
    """Its recording, relative to the folder; "" where there is none yet."""
    deleted: int
    """How many earlier takes of it can come back."""


class Book:
    """One voice folder. Its methods may be called from several threads; every change raises `revision` by one."""

    def __init__(self, voices: Path, name: str) -> None:
        self.files = VoiceFiles(voices, name)
        if not self.files.exists(VOICE_YAML):
            raise StudioError(404, "no-voice", f"voices/{name}: no voice.yaml", "make the voice first", voice=name)
        self.name = name
        self.lock = threading.RLock()
        self.revision = 0
        self._settings: tuple[bytes, VoiceSettings] | None = None
        self.files.sweep()
        self._mend()

    def settings(self) -> VoiceSettings:
        """What voice.yaml says; the whole check before a push reports its problems."""
        data = self.files.read(VOICE_YAML)
        known = self._settings
        if known is None or known[0] != data:
            # Each take asks a dozen times, and YAML is read slowly.
            known = self._settings = (data, read_voice_yaml(data)[0])
        return known[1]

    def lines(self) -> list[Line]:
        """Every line of the script and every row of the list, in the order in which they are read."""
        language = self.settings().language
        deleted = [name.split("-", 1)[1].removesuffix(".json") for name in self._trash()]
        rows = {id_of(file): (text, own, file) for file, text, own in self._rows()}
        planned = dict(self._plan(language))
        found = []
        for key in [*planned, *(key for key in rows if key not in planned)]:
            text, own, file = rows.get(key, (planned.get(key, ""), language, ""))
            there = file if file and self.files.exists(file) else ""
            found.append(Line(key, text, own or language, there, deleted.count(key)))
        return found

    def line(self, key: str) -> Line:
        """One line. Raises StudioError 404."""
        found = next((line for line in self.lines() if line.id == key), None)
        if found is None:
            raise StudioError(404, "no-line", f"voices/{self.name}: no line {key[:80]!r}", line=key[:80])
        return found

    def take(self, key: str, flac: bytes) -> str:
        """Stores a recording of a line; the one before can come back. Returns its path within the folder."""
        with self.lock:
            line = self.line(key)
            self.files.make_own()
            self._keep_plan(line.language)
            self._remember_text(line)
            file = f"wavs/{key}.flac"
            if line.file:
                self._to_trash(line)
            self.files.write(file, flac)
            self._write_rows({key: (file, line.text, line.language)})
            if line.file and line.file != file:
                self.files.remove(line.file)
            self.revision += 1
            return file

    def delete(self, key: str) -> None:
        """Takes a recording out of the voice; it can come back. Raises StudioError 404 where there is none."""
        with self.lock:
            line = self._recorded(key)
            self.files.make_own()
            self._keep_plan(line.language)
            self._to_trash(line)
            # The row first: a recording without its row gets the row back after a crash, never the other way round.
            self._forget_text(key)
            self._write_rows({key: None})
            self.files.remove(line.file)
            self.revision += 1

    def bring_back(self, key: str) -> str:
        """The newest earlier take of a line again; the present one, if any, becomes the oldest earlier one."""
        with self.lock:
            line = self.line(key)
            names = [name for name in self._trash() if name.split("-", 1)[1] == f"{key}.json"]
            if not names:
                raise StudioError(404, "nothing-deleted", f"line {key}: nothing was deleted", line=key)
            about = self._deleted(names[-1])
            kept, file = f"{TRASH}/{about['kept']}", about["file"]
            self._remember_text(line)
            if line.file:
                self._to_trash(line, oldest=True)
            self.files.keep(kept, file)
            self._write_rows({key: (file, about["text"], line.language)})
            if line.file and line.file != file:
                self.files.remove(line.file)
            self.files.remove(f"{TRASH}/{names[-1]}")
            self.files.remove(kept)
            self.revision += 1
            return file

    @property
    def statement(self) -> str:
        """Path of the statement of consent as voice.yaml names it."""
        return self.settings().consent.statement or "consent.wav"

    def keep_statement(self, data: bytes) -> None:
        """data: in the format of the statement's suffix."""
        with self.lock:
            self.files.write(self.statement, data)
            self.revision += 1

    def withdraw(self) -> int:
        """Consent is withdrawn: every recording goes, also the deleted ones and what is known of the speaker's voice;
        none can come back. Returns how many.
        """
        with self.lock:
            paths = [file for file, _, _ in self._rows()]
            paths += [
                f"{folder}/{name}" for folder in ("wavs", TRASH, TAKES, JUDGED) for name in self.files.names(folder)
            ]
            paths.append(self.statement)
            recordings = [path for path in dict.fromkeys(paths) if self.files.exists(path)]
            for path in recordings:
                if not path.endswith(".gitkeep"):
                    self.files.remove(path)
            self.files.write(METADATA, b"file|text\n")
            self.revision += 1
            return sum(path.startswith(("wavs/", f"{TRASH}/")) and not path.endswith(".json") for path in recordings)

    def _recorded(self, key: str) -> Line:
        line = self.line(key)
        if not line.file:
            raise StudioError(404, "no-take", f"line {key}: no take", "record it first", line=key)
        return line

    def _rows(self) -> list[tuple[str, str, str]]:
        """(file as it is stored, text, language) of metadata.csv."""
        if not self.files.exists(METADATA):
            return []
        table = read_metadata(self.files.read(METADATA), "", _MOST_ROWS)
        if table.problems and table.named != frozenset():
            problem = table.problems[0]
            message = f"voices/{self.name}/{problem.where}: {problem.value}; expected {problem.limit}"
            raise StudioError(409, "list", message, problem.remedy, file=problem.where)
        return [(stored_as(self.files.folder, row.file), row.text, row.language) for row in table.rows]

    def _write_rows(self, changed: dict[str, tuple[str, str, str] | None]) -> None:
        """Replaces rows by id of the line (None: no row). Rows without a recording are left out: the plan has them."""
        language = self.settings().language
        rows = {id_of(file): (file, text, own) for file, text, own in self._rows()}
        for key, row in changed.items():
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        kept = sorted(row for row in rows.values() if self.files.exists(row[0]))
        several = any(own not in ("", language) for _, _, own in kept)
        head = "file|text|language" if several else "file|text"
        lines = [f"{file}|{text}|{own or language}" if several else f"{file}|{text}" for file, text, own in kept]
        self.files.write(METADATA, ("\n".join([head, *lines]) + "\n").encode())

    def _plan(self, language: str) -> list[tuple[str, str]]:
        """(id, text) of the lines to read, as they were when the first take was made."""
        if self.files.exists(PLAN):
            return [(str(key), str(text)) for key, text in json.loads(self.files.read(PLAN))]
        return plan_lines(self._rows(), SENTENCES.get(language, ()))

    def _keep_plan(self, language: str) -> None:
        if not self.files.exists(PLAN):
            self.files.write(PLAN, json.dumps(self._plan(language), ensure_ascii=False).encode())

    def _remember_text(self, line: Line) -> None:
        text = json.dumps({"text": line.text, "language": line.language}, ensure_ascii=False)
        self.files.write(f"{TAKES}/{line.id}.json", text.encode())

    def _forget_text(self, key: str) -> None:
        self.files.remove(f"{TAKES}/{key}.json")

    def _mend(self) -> None:
        """What a crash left half done: a recording without its row gets it (what it says was written before it), and a
        recording that was deleted or replaced, which lies among the deleted ones already, goes.
        """
        with self.lock:
            named = {file for file, _, _ in self._rows()}
            lost: dict[str, tuple[str, str, str] | None] = {}
            kept = {about["file"]: about["kept"] for about in map(self._deleted, self._trash())}
            for name in self.files.names("wavs"):
                file, about = f"wavs/{name}", f"{TAKES}/{id_of(name)}.json"
                if file in named or name.startswith("."):
                    continue
                if file in kept and self.files.read(f"{TRASH}/{kept[file]}") == self.files.read(file):
                    self.files.remove(file)
                elif self.files.exists(about):
                    said = json.loads(self.files.read(about))
                    lost[id_of(name)] = (file, said["text"], said["language"])
            if lost:
                self._write_rows(lost)

    def _deleted(self, name: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.files.read(f"{TRASH}/{name}"))
        return found

    def _trash(self) -> list[str]:
        """What is known of deleted takes, oldest first: "<number>-<id of the line>.json"."""
        return [name for name in self.files.names(TRASH) if name.endswith(".json") and "-" in name]

    def _to_trash(self, line: Line, oldest: bool = False) -> None:
        names = self._trash()
        numbers = [int(name.split("-", 1)[0]) for name in names] or [500_000]
        number = min(numbers) - 1 if oldest else max(numbers) + 1
        kept = f"{number:06d}-{line.id}{PurePosixPath(line.file).suffix}"
        self.files.keep(line.file, f"{TRASH}/{kept}")
        about = {"kept": kept, "file": line.file, "text": line.text}
        text = json.dumps(about, ensure_ascii=False).encode()
        self.files.write(f"{TRASH}/{number:06d}-{line.id}.json", text)
        for name in names[: max(0, len(names) - _KEPT_DELETED)]:
            old = self._deleted(name)
            self.files.remove(f"{TRASH}/{old['kept']}")
            self.files.remove(f"{TRASH}/{name}")


def id_of(file: str) -> str:
    """Id of the line that a recording is of: its name without folder and suffix."""
    return PurePosixPath(file).stem


def plan_lines(rows: Sequence[tuple[str, str, str]], sentences: Sequence[str]) -> list[tuple[str, str]]:
    """Ids and texts of what is read: the rows of the list, then the sentences of the script that are no row yet."""
    found = [(id_of(file), text) for file, text, _ in rows]
    texts, used = {text for _, text in found}, {key for key, _ in found}
    number = 0
    for sentence in sentences:
        if sentence in texts:
            continue
        number += 1
        while f"{number:04d}" in used:
            number += 1
        found.append((f"{number:04d}", sentence))
    return found
