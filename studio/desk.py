"""What a person works on: the voices of the repository, one opened book each, as the page shows them."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import Any

from timbre.core.base import list_bases
from timbre.core.errors import TimbreError
from timbre.core.languages import LANGUAGES
from timbre.core.packaged import PACKAGED_BASES
from timbre.core.recipe import Recipe
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.revocation import remove_local_work
from timbre.pipeline.voice.listing import list_voices
from timbre.pipeline.voice.new_voice import new_voice
from timbre.pipeline.voice.reading_script import SENTENCES
from timbre.pipeline.voice.voice_yaml import DEFAULT_BASE
from timbre.pipeline.voice.voice_yaml import FILE as VOICE_YAML
from timbre.studio.book import Book, Line
from timbre.studio.coverage import coverage, next_line, sounds_of
from timbre.studio.errors import StudioError
from timbre.studio.files import OWN
from timbre.studio.judging import Judges, Networks, StatementReport, TakeReport
from timbre.text.consent import CONSENT

_SPEAKER = f"{OWN}/speaker.json"
_RIGHTS = re.compile(r"^  rights:.*$", re.M)
_MOST_WORDS = 300
_STATEMENT = "consent.flac"


@dataclass(frozen=True)
class NewVoiceForm:
    """The form for a new voice."""

    name: str
    """Of the folder; checked when the folder is made."""
    language: str
    """One of LANGUAGES; decides which script is read."""
    base: str
    """Name of a base that speaks the language."""
    speaker: str
    """For the sentence of consent."""
    purpose: str
    """For the sentence of consent; it is the voice's rights too."""

    @classmethod
    def read(cls, values: Any) -> NewVoiceForm:
        """From the body of a request. Raises StudioError that names the field."""
        found = {}
        for key in ("name", "language", "base", "speaker", "purpose"):
            value = values.get(key) if isinstance(values, dict) else None
            if not isinstance(value, str) or not value.strip() or len(value) > _MOST_WORDS or not value.isprintable():
                limit = f"a text of at most {_MOST_WORDS} characters"
                raise StudioError(400, "field", f"{key}: expected {limit}", "fill it in", field=key)
            found[key] = value.strip()
        return cls(**found)


class Desk:
    """The opened voices. Thread-safe."""

    def __init__(self, workspace: Workspace, recipe: Recipe, networks: Networks | None = None) -> None:
        self.workspace = workspace
        self.judges = Judges(workspace, recipe, networks)
        self._books: dict[str, Book] = {}
        self._lock = threading.Lock()

    def book(self, name: str) -> Book:
        """The voice's book, opened once. Raises StudioError 404."""
        with self._lock:
            found = self._books.get(name)
            if found is None or not found.files.exists(VOICE_YAML):
                found = self._books[name] = Book(self.workspace.voices, name)
            return found

    def warm(self) -> None:
        """Loads the networks of the usual base and the dictionaries, so that the first take need not wait."""
        self.judges.warm(DEFAULT_BASE)
        for language in ("en", "zh"):
            sounds_of(SENTENCES[language][0], language)

    def voices(self) -> list[dict[str, Any]]:
        """Name, language, base and number of recordings of every voice."""
        return [
            {"name": voice.name, "language": voice.language, "base": voice.base, "clips": voice.clips}
            for voice in list_voices(self.workspace)
        ]

    def bases(self) -> list[dict[str, Any]]:
        """Bases that this machine can train on, with their languages; those whose weights are absent are marked."""
        found = []
        for name in dict.fromkeys([*list_bases(self.workspace.bases), *list_bases(PACKAGED_BASES)]):
            try:
                base = self.workspace.load_base(name)
                here = all(base.file_path(item.role).is_file() for item in base.files)
            except TimbreError:
                continue
            found.append({"name": name, "languages": list(base.languages), "here": here})
        return sorted(found, key=lambda item: (not item["here"], item["name"] != "nano", item["name"]))

    def make(self, form: NewVoiceForm) -> Book:
        """A new voice folder without a row; the lines of its script are read from the page."""
        if form.language not in LANGUAGES:
            raise StudioError(400, "field", f"language {form.language!r}", "choose one of the list", field="language")
        new_voice(
            self.workspace.root, form.name, form.language, form.base,
            statement=_STATEMENT, rights=form.purpose, listed=False,
        )  # fmt: skip
        book = self.book(form.name)
        self._remember_speaker(book, form.speaker, form.purpose)
        return book

    def set_rights(self, name: str, speaker: str, purpose: str) -> None:
        """Who speaks and what for, of an imported voice. Raises StudioError for a voice.yaml of another form."""
        book = self.book(name)
        text = book.files.read(VOICE_YAML).decode("utf-8")
        if len(_RIGHTS.findall(text)) != 1:
            raise StudioError(
                409, "settings", f"voices/{book.name}/voice.yaml: no line `  rights:`", "write it there by hand",
                voice=book.name,
            )  # fmt: skip
        # JSON strings are YAML strings.
        line = f"  rights: {json.dumps(purpose, ensure_ascii=False)}"
        with book.lock:
            self._remember_speaker(book, speaker, purpose)
            book.files.write(VOICE_YAML, _RIGHTS.sub(lambda _: line, text).encode())
            book.revision += 1

    @staticmethod
    def _remember_speaker(book: Book, speaker: str, purpose: str) -> None:
        book.files.make_own()
        about = {"speaker": speaker, "purpose": purpose}
        book.files.write(_SPEAKER, json.dumps(about, ensure_ascii=False).encode())

    def withdraw(self, name: str) -> int:
        """Deletes every recording of a voice, and what the check of stage 1 made of them. Returns how many."""
        removed = self.book(name).withdraw()
        remove_local_work(self.workspace, name)
        return removed

    def consent_sentence(self, book: Book) -> dict[str, str]:
        """What the speaker reads; brackets remain for what nobody has filled in."""
        settings = book.settings()
        about = json.loads(book.files.read(_SPEAKER)) if book.files.exists(_SPEAKER) else {}
        sentence = CONSENT.get(settings.language, CONSENT["en"])
        parts = re.split(r"(\[[^\]]*\])", sentence)
        blanks = iter((about.get("speaker", ""), about.get("purpose", settings.consent.rights)))
        filled = [next(blanks, "") or part if part.startswith("[") else part for part in parts]
        return {"text": "".join(filled), "speaker": about.get("speaker", ""), "purpose": settings.consent.rights}

    def takes(self, book: Book) -> list[tuple[Line, TakeReport | None]]:
        """Every line, and what was found of its take; None where there is none, or nobody has judged it."""
        with book.lock:
            return [(line, self.judges.known(book, line)) for line in book.lines()]

    def view(self, name: str) -> dict[str, Any]:
        """Everything that the page shows of a voice."""
        book = self.book(name)
        settings, takes = book.settings(), self.takes(book)
        lines, reports = [line for line, _ in takes], {line.id: report for line, report in takes}
        good = [line for line in lines if (report := reports[line.id]) and report.good]
        found = coverage(((line.text, line.language) for line in good), ((line.text, line.language) for line in lines))
        kept = [report for line in good if (report := reports[line.id])]
        statement = self.judges.statement(book, kept)
        recipe = self.judges.recipe(book).validate
        return {
            "name": name,
            "revision": book.revision,
            "language": settings.language,
            "base": settings.base,
            "consent": {**self.consent_sentence(book), "kind": settings.consent.kind, **_statement(statement)},
            "lines": [_line(line, reports[line.id]) for line in lines],
            "next": _next(lines, reports, found.missing),
            "progress": {
                "speech_s": round(sum(report.speech_s for report in kept), 1),
                "needed_s": recipe.min_effective_s,
                "good": len(kept),
                "heard": found.heard,
                "missing": found.missing,
            },
            "room": self.judges.room(book, kept),
            "waiting": [line.id for line in lines if line.file and reports[line.id] is None],
        }


def _line(line: Line, report: TakeReport | None) -> dict[str, Any]:
    take = None if not line.file else {"file": line.file, **(report.shown() if report else {"good": None})}
    return {"id": line.id, "text": line.text, "language": line.language, "take": take, "deleted": line.deleted}


def _statement(report: StatementReport | None) -> dict[str, Any]:
    if report is None:
        return {"recorded": False, "good": False, "problems": [], "remarks": []}
    good = not report.problems
    return {"recorded": True, "good": good, "problems": report.problems, "remarks": report.remarks}


def _next(lines: list[Line], reports: dict[str, TakeReport | None], missing: tuple[str, ...]) -> str:
    """The line to read next: one without a take that holds missing sounds, else one whose take is bad."""
    texts = {line.id: (line.text, line.language) for line in lines}
    unread = [line.id for line in lines if not line.file]
    bad = [line.id for line in lines if line.file and (report := reports[line.id]) and not report.good]
    return next_line(unread or bad, texts, missing)
