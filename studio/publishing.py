"""From recordings to a voice: the whole check of stage 1, the push with its merge request, and how the pipeline stands.

book -> check -> plan -> pushed branch, merge request -> jobs of the forge, runs and versions of the registry
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from timbre.core.errors import InputError, TimbreError
from timbre.core.redaction import Redactor
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.release.permitted import NOT_ALLOWED
from timbre.pipeline.release.promotion import promote_by_hand
from timbre.pipeline.stages.table import VALIDATION_FILE
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.aliases import Alias
from timbre.registry.names import check_version
from timbre.registry.open import open_registry
from timbre.studio import following
from timbre.studio.book import Book
from timbre.studio.errors import StudioError
from timbre.studio.files import OWN
from timbre.studio.following import Takes
from timbre.studio.forges import Forge, forge_of
from timbre.studio.git_push import Author, Plan, VoicePush
from timbre.studio.people import APPROVE, OPERATE, ROLES, Person

_PUSHED = f"{OWN}/pushed.json"
_STAGE = "validate"
_MESSAGE = "Voice {voice}: recordings from the studio"
_REASON = "in Timbre Studio"
_Found = TypeVar("_Found")


def _ignore(_: Alias) -> None:
    pass


@dataclass(frozen=True)
class Publishing:
    """A voice's way from the studio into the repository and through its pipeline."""

    make_engine: Callable[[], Engine]
    """For the check, as `timbre validate` has it."""
    registry: RegistryAddress
    """Read for runs and versions; promotions are written to it."""
    environment: Mapping[str, str]
    """Variables of the process."""
    actor: Callable[[], Actor]
    """The person, for what they do in the registry."""
    moved: Callable[[Alias], None] = _ignore
    """Called with an alias that this person moved."""
    may: frozenset[str] = frozenset(ROLES)
    """Roles of the person."""
    person: Person | None = None
    """Of a hosted studio: whose commits and branches these are."""

    def check(self, book: Book) -> dict[str, Any]:
        """Stage 1 over the whole voice: what a runner will say. Problems by file, those of the folder first."""
        engine = self.make_engine()
        run = run_voice(engine, book.name, _STAGE, False, None)
        path = engine.workspace.report(book.name, _STAGE) / VALIDATION_FILE
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
        plan, author = push.plan(), self.person.author if self.person else push.author()
        return {
            **self._shown(plan),
            "author": asdict(author) if author else {"name": "", "address": ""},
            "own_author": self.person is not None,
            "pushed": self._pushed(book),
        }

    def push(self, book: Book, name: str, address: str) -> dict[str, Any]:
        """Commits, pushes and opens the merge request; remembers all. A refused request leaves the push standing."""
        author = self.person.author if self.person else Author.read(name, address)
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

    def follow(self, book: Book, takes: Takes) -> dict[str, Any]:
        """How the pipeline of the last push stands, by the forge and by the registry. A source that does not answer is
        named in `problems`, and the other one is shown.
        """
        pushed = self._pushed(book)
        problems: list[str] = []
        none: list[dict[str, Any]] = []
        jobs = self._asked(problems, lambda: self._jobs(pushed) if pushed else [], none)
        runs = self._asked(problems, lambda: following.runs(open_registry(self.registry), book.name, takes), none)
        nothing: dict[str, Any] = {"versions": [], "rollback": None}
        found = self._asked(
            problems, lambda: following.versions(open_registry(self.registry), book.name, self.actor()), nothing
        )
        versions = [self._offered(item) for item in found["versions"]]
        back = found["rollback"] if OPERATE in self.may else None
        about = {"pushed": pushed, "jobs": jobs, "runs": runs, "versions": versions, "rollback": back}
        return {**about, "problems": problems}

    def promote(self, book: Book, version: str, approve: bool) -> None:
        """Puts a version into production, as `timbre promote` does. Raises StudioError where it was not moved, and what
        the registry raises.
        """
        self._require(APPROVE if approve else OPERATE)
        repository = Repository(book.files.folder.parent.parent)
        outcome = promote_by_hand(
            open_registry(self.registry), book.name, check_version(version), self.actor(), approve=approve,
            reason=_REASON, repository=repository if repository.head() is not None else None,
        )  # fmt: skip
        if not outcome.moved:
            raise StudioError(409, "not-moved", f"{book.name}@{version}: {self._clean(outcome.words)}")
        if outcome.alias is not None:
            self.moved(outcome.alias)

    def roll_back(self, book: Book, version: str) -> None:
        """Puts the version before back into production, as `timbre rollback --to` does."""
        self._require(OPERATE)
        self.moved(
            open_registry(self.registry).rollback(
                book.name, actor=self.actor(), to=check_version(version), reason=_REASON
            )
        )

    def sample(self, voice: str, version: str, path: str) -> bytes:
        """A sample of a published version. Raises StudioError 404 for any other file of the package."""
        store = open_registry(self.registry)
        manifest = store.resolve(voice, version)
        if path not in following.sample_paths(manifest):
            raise StudioError(404, "no-file", f"{voice}@{version}: no sample {path[:80]!r}")
        return store.read_file(manifest, path)

    def _push(self, book: Book) -> VoicePush:
        owner = self.person.slug if self.person else ""
        return VoicePush(book.files.folder.parent.parent, book.name, self.environment, owner)

    def _offered(self, item: dict[str, Any]) -> dict[str, Any]:
        promote, approve = item["promote"] and OPERATE in self.may, item["approve"] and APPROVE in self.may
        why = NOT_ALLOWED if (item["promote"], item["approve"]) != (promote, approve) else item["why"]
        return {**item, "promote": promote, "approve": approve, "why": why}

    def _require(self, role: str) -> None:
        if role not in self.may:
            raise StudioError(403, "not-your-role", f"this takes the role {role!r}", "ask the operator", role=role)

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

    def _asked(self, problems: list[str], ask: Callable[[], _Found], instead: _Found) -> _Found:
        try:
            return ask()
        except TimbreError as error:
            problems.append(self._clean(error.message))
        except OSError as error:
            problems.append(self._clean(str(error)))
        return instead

    def _clean(self, text: str) -> str:
        return Redactor.of(self.environment).clean(text)
