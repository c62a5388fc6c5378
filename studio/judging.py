"""Takes and statements judged by the functions of stage 1, and what was found, kept beside the voice.

recording + text -> one_clip.ClipJudge -> TakeReport -> .studio/judged/<id>.json
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from timbre.audio.room import reverberation_s
from timbre.core.digests import digest_file
from timbre.core.problems import Problem
from timbre.core.recipe import Recipe
from timbre.inference.speaker_groups import Vectors
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.validate.checks import Findings, check_room
from timbre.pipeline.stages.validate.consent import StatementCheck
from timbre.pipeline.stages.validate.listening import listener_for
from timbre.pipeline.stages.validate.one_clip import ClipJudge
from timbre.studio.book import JUDGED, Book, Line

# Fewer takes hold too few decays to tell the room by.
_ROOM_TAKES = 3


@dataclass(frozen=True)
class TakeReport:
    """The verdict on a take; another recording or text is judged again."""

    sha256: str
    """Of the judged recording."""
    text: str
    """The judged text."""
    good: bool
    """Whether the take counts; a bad one is read again."""
    duration_s: float
    """0 when the file does not decode."""
    speech_s: float
    """0 when the file does not decode."""
    level_dbfs: float
    """Of the speech; 0 when the file does not decode."""
    snr_db: float
    """Speech over noise; 0 when the file does not decode."""
    problems: tuple[dict[str, str], ...]
    """Problem as plain data."""
    remarks: tuple[dict[str, str], ...]
    """Problem as plain data."""
    missed: tuple[str, ...] | None
    """Words that were not heard; None where nothing could listen."""
    similarity: float | None
    """Mean cosine to the good takes before; None without any."""
    vector: tuple[float, ...]
    """Of the speaker; empty for too little speech."""

    def shown(self) -> dict[str, Any]:
        """What the page needs."""
        found = asdict(replace(self, vector=()))
        del found["vector"], found["sha256"], found["text"]
        return found


@dataclass(frozen=True)
class StatementReport:
    """The verdict on a statement of consent."""

    sha256: str
    """Of the statement."""
    takes: int
    """How many takes it was compared with; with more, up to three, it is judged again."""
    problems: tuple[dict[str, str], ...]
    """Problem as plain data."""
    remarks: tuple[dict[str, str], ...]
    """Problem as plain data."""


_Report = TypeVar("_Report", TakeReport, StatementReport)


@dataclass(frozen=True, eq=False)
class Networks:
    """The loaded networks of a process."""

    loaded: dict[str, ClipJudge] = field(default_factory=dict)
    """Judges by the name of their base."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """One take is judged at a time."""


class Judges:
    """Judges takes of one workspace. networks: None for ones of its own."""

    def __init__(self, workspace: Workspace, recipe: Recipe, networks: Networks | None = None) -> None:
        self._workspace = workspace
        self._recipe = recipe
        self.networks = networks or Networks()
        self._lock = self.networks.lock
        self._levels: dict[tuple[str, str], NDArray[np.float32]] = {}
        self._digests: dict[tuple[int, int, int, int], str] = {}

    def recipe(self, book: Book) -> Recipe:
        """The recipe with the voice's own settings."""
        return self._recipe.for_voice(dict(book.settings().recipe), f"voices/{book.name}/voice.yaml", with_base=False)

    def known(self, book: Book, line: Line) -> TakeReport | None:
        """What was found of this very take before."""
        path = f"{JUDGED}/{line.id}.json"
        if not line.file or not book.files.exists(path):
            return None
        report = _stored(TakeReport, book.files.read(path))
        if report is None or report.text != line.text or report.sha256 != self._digest(book.files.path(line.file)):
            return None
        return report

    def judge(self, book: Book, line: Line) -> TakeReport:
        """Judges the take of a line and keeps the result."""
        path = book.files.path(line.file)
        earlier = [
            np.asarray(report.vector, np.float32)
            for other in book.lines()
            if other.id != line.id and (report := self.known(book, other)) and report.good and report.vector
        ]
        with self._lock:
            sha256 = self._digest(path)
            found = self._judge(book).judge(path, line.text, line.language, earlier)
        survey = found.survey
        report = TakeReport(
            sha256,
            line.text,
            found.good,
            survey.duration_s if survey else 0.0,
            survey.speech_s if survey else 0.0,
            survey.level_dbfs if survey else 0.0,
            survey.snr_db if survey else 0.0,
            _plain(found.problems),
            _plain(found.remarks),
            found.missed,
            found.similarity,
            tuple(round(float(value), 6) for value in found.vector) if found.vector is not None else (),
        )
        if survey is not None:
            self._levels[book.name, sha256] = survey.room_levels_db
        book.files.write(f"{JUDGED}/{line.id}.json", json.dumps(asdict(report), ensure_ascii=False).encode())
        return report

    def room(self, book: Book, reports: Sequence[TakeReport]) -> tuple[dict[str, str], ...]:
        """Too much reverberation over the takes that were judged since the studio started."""
        keys = [(book.name, report.sha256) for report in reports]
        levels = [self._levels[key] for key in keys if key in self._levels]
        found = Findings()
        if len(levels) >= _ROOM_TAKES:
            check_room(reverberation_s(np.concatenate(levels)), self.recipe(book).validate, found)
        return _plain(found.problems)

    def statement(self, book: Book, reports: Sequence[TakeReport]) -> StatementReport | None:
        """What stage 1 will say of the statement of consent; None where there is none. Compared with the good takes."""
        if not book.files.exists(book.statement):
            return None
        path = book.files.path(book.statement)
        sha256 = digest_file(path)
        vectors = [np.asarray(report.vector, np.float32) for report in reports if report.good and report.vector]
        kept = f"{JUDGED}/statement.json"
        found = _stored(StatementReport, book.files.read(kept)) if book.files.exists(kept) else None
        # Each take moves the centre a little less; with the third it stands still enough.
        takes = min(len(vectors), _ROOM_TAKES)
        if found is not None and found.sha256 == sha256 and min(found.takes, _ROOM_TAKES) == takes:
            return found
        report = self._statement(book, sha256, vectors)
        book.files.make_own()
        book.files.write(kept, json.dumps(asdict(report), ensure_ascii=False).encode())
        return report

    def _statement(self, book: Book, sha256: str, vectors: Sequence[Vectors]) -> StatementReport:
        voice = np.stack(list(vectors)) if vectors else None
        settings, findings = book.settings(), Findings()
        with self._lock:
            judge = self._judge(book)
            check = StatementCheck(
                book.statement, book.files.path(book.statement), settings.language, settings.consent.approved_by,
                judge.recipe, judge.encoder, judge.listener, voice,
            )  # fmt: skip
            check.run(findings)
        return StatementReport(sha256, len(vectors), _plain(findings.problems), _plain(findings.remarks))

    def warm(self, base: str) -> None:
        """Loads the networks of a base, so that the first take need not wait for them."""
        with self._lock:
            judge = self._judge_of(base, self._recipe)
            quiet = np.zeros(32_000, np.float32)
            quiet[::80] = 0.1
            judge.encoder.embed([quiet])
            if judge.listener is not None:
                judge.listener.scores(quiet)

    def _digest(self, path: Path) -> str:
        """Of a file that is replaced as a whole when it changes: read once, not at every look at the voice."""
        about = path.stat()
        key = (about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size)
        if key not in self._digests:
            self._digests[key] = digest_file(path)
        return self._digests[key]

    def _judge(self, book: Book) -> ClipJudge:
        judge = self._judge_of(book.settings().base, self._recipe)
        return replace(judge, recipe=self.recipe(book).validate)

    def _judge_of(self, base: str, recipe: Recipe) -> ClipJudge:
        judges = self.networks.loaded
        if base not in judges:
            loaded = self._workspace.load_base(base)
            judges[base] = ClipJudge(recipe.validate, loaded.rate_hz, listener_for(loaded))
        return judges[base]


def _stored(kind: type[_Report], data: bytes) -> _Report | None:
    """A report as it was kept. None for one that is damaged or of another version of the studio: it is made again."""
    try:
        stored: dict[str, Any] = json.loads(data)
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        report = kind(**values)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    lists = all(isinstance(values[name], tuple) for name in ("problems", "remarks"))
    return report if lists and isinstance(values.get("takes", 0), int) else None


def _plain(problems: Sequence[Problem]) -> tuple[dict[str, str], ...]:
    return tuple(asdict(problem) for problem in problems)
