"""From recordings to a voice: the whole check of stage 1, the push with its merge request, and how the pipeline stands.

book -> check -> plan -> pushed branch, merge request -> jobs of the forge, runs and versions of the registry
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from timbre.core.errors import InputError, TimbreError
from timbre.core.redaction import Redactor
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.release.run_view import views
from timbre.pipeline.stages.validate.report import JSON_FILE
from timbre.registry.address import RegistryAddress
from timbre.registry.names import PRODUCTION
from timbre.registry.open import open_registry
from timbre.registry.run_records import runs_of
from timbre.studio.book import Book
from timbre.studio.errors import StudioError
from timbre.studio.files import OWN
from timbre.studio.forges import Forge, forge_of
from timbre.studio.git_push import Author, Plan, VoicePush

_PUSHED = f"{OWN}/pushed.json"
_STAGE = "validate"
_MOST_RUNS, _MOST_VERSIONS = 5, 2
_MESSAGE = "Voice {voice}: recordings from the studio"


@dataclass(frozen=True)
class Publishing:
    """A voice's way from the studio into the repository and through its pipeline."""

    make_engine: Callable[[], Engine]
    """For the check, as `timbre validate` has it."""
    registry: RegistryAddress
    environment: Mapping[str, str]
    """Variables of the process."""

    def check(self, book: Book) -> dict[str, Any]:
        """Stage 1 over the whole voice: what a runner will say. Problems by file, those of the folder first."""
        engine = self.make_engine()
        run = run_voice(engine, book.name, _STAGE, False, None)
        path = engine.workspace.report(book.name, _STAGE) / JSON_FILE
        if run.error is not None and not isinstance(run.error, InputError):
            raise run.error
        if run.error is not None and not run.outcomes:
            message = self._clean(run.error.message)
            problem = {"where": "", "value": message, "limit": "", "remedy": "", "kind": ""}
            return {"passed": False, "effective_s": 0.0, "problems": [problem], "remarks": []}
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: found[key] for key in ("passed", "effective_s", "problems", "remarks")}

    def plan(self, book: Book) -> dict[str, Any]:
        """What will be committed, and under whose name."""
        push = self._push(book)
        plan, author = push.plan(), push.author()
        return {
            **self._shown(plan),
            "author": asdict(author) if author else {"name": "", "address": ""},
            "pushed": self._pushed(book),
        }

    def push(self, book: Book, name: str, address: str) -> dict[str, Any]:
        """Commits, pushes and opens the merge request; remembers all. A refused request leaves the push standing."""
        author = Author.read(name, address)
        pushed = self._push(book).push(author, _MESSAGE.format(voice=book.name))
        forge = forge_of(pushed.address, self.environment)
        refused = ""
        try:
            request = forge.open(
                pushed.branch, pushed.target, _MESSAGE.format(voice=book.name), "Recorded in Timbre Studio."
            )
            url, number = request.url, request.number
        except TimbreError as error:
            refused, url, number = self._clean(str(error.message)), forge.link(pushed.branch, pushed.target), 0
        found = {**asdict(pushed), "url": url, "number": number, "refused": refused}
        book.files.make_own()
        book.files.write(_PUSHED, json.dumps(found, ensure_ascii=False).encode())
        return found

    def follow(self, book: Book) -> dict[str, Any]:
        """How the pipeline of the last push stands, by the forge and by the registry. A source that does not answer is
        named in `problems`, and the other one is shown.
        """
        pushed = self._pushed(book)
        problems: list[str] = []
        jobs = self._asked(problems, lambda: self._jobs(pushed) if pushed else [])
        runs = self._asked(problems, lambda: self._runs(book.name))
        versions = self._asked(problems, lambda: self._versions(book.name))
        return {"pushed": pushed, "jobs": jobs, "runs": runs, "versions": versions, "problems": problems}

    def sample(self, voice: str, version: str, path: str) -> bytes:
        """A sample of a published version. Raises StudioError 404 for any other file of the package."""
        store = open_registry(self.registry)
        manifest = store.resolve(voice, version)
        if path not in _samples(manifest):
            raise StudioError(404, "no-file", f"{voice}@{version}: no sample {path[:80]!r}")
        return store.read_file(manifest, path)

    def _push(self, book: Book) -> VoicePush:
        return VoicePush(book.files.folder.parent.parent, book.name, self.environment)

    def _pushed(self, book: Book) -> dict[str, Any] | None:
        if not book.files.exists(_PUSHED):
            return None
        found: dict[str, Any] = json.loads(book.files.read(_PUSHED))
        return found

    def _shown(self, plan: Plan) -> dict[str, Any]:
        return {**asdict(plan), "forge": forge_of(plan.address, self.environment).kind}

    def _jobs(self, pushed: Mapping[str, Any]) -> list[dict[str, Any]]:
        forge: Forge = forge_of(str(pushed["address"]), self.environment)
        return [asdict(job) for job in forge.jobs(str(pushed["commit"]))]

    def _runs(self, voice: str) -> list[dict[str, Any]]:
        found = views(runs_of(open_registry(self.registry).store, voice, _MOST_RUNS))
        return [view.plain() for view in reversed(found)][:_MOST_RUNS]

    def _versions(self, voice: str) -> list[dict[str, Any]]:
        """The version in production and the newest ones, each with its samples."""
        store = open_registry(self.registry)
        if voice not in store.voices():
            return []
        state = store.alias(voice, PRODUCTION)
        found = sorted(store.versions(voice), key=lambda item: -item.sequence)[:_MOST_VERSIONS]
        return [
            {
                "version": item.version,
                "passed": item.passed,
                "samples": _samples(item)[:3],
                "production": state is not None and state.version == item.version,
            }
            for item in found
        ]

    def _asked(self, problems: list[str], ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        try:
            return ask()
        except TimbreError as error:
            problems.append(self._clean(error.message))
        except OSError as error:
            problems.append(self._clean(str(error)))
        return []

    def _clean(self, text: str) -> str:
        return Redactor.of(self.environment).clean(text)


def _samples(manifest: Any) -> list[str]:
    return [entry.path for entry in manifest.files if entry.path.startswith("samples/")]
