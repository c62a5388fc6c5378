"""What CI has to do for a push: for each voice that it concerns all stages, only a promotion, or a retirement; and
whether lint and tests run.

changed folders, registry -> Plan
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from timbre.core.errors import ConfigurationError, InputError, TimbreError
from timbre.core.recipe import Recipe
from timbre.core.voice_names import is_voice_name
from timbre.pipeline.ci.changes import Change, Kind, changed_voices
from timbre.pipeline.ci.code_paths import changes_code
from timbre.pipeline.ci.git import ZERO, Repository
from timbre.pipeline.ci.push import Push
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.package import source_digest
from timbre.pipeline.release.promotion import review_of_production
from timbre.pipeline.voice.folder import VoiceFolder, open_voice
from timbre.registry.registry import Registry


class Action(StrEnum):
    """What is done for a voice."""

    BUILD = "build"
    PROMOTE = "promote"
    RETIRE = "retire"


@dataclass(frozen=True)
class PlannedVoice:
    """One voice of a push."""

    voice: str
    """Name of its folder."""
    action: Action
    """Decides which jobs it gets."""
    why: str
    """In words."""
    review: bool = False
    """Whether a person approves before the alias moves."""
    training_min: float = 0.0
    """What its recipe allows the training."""
    named: bool = True
    """Whether the name of its folder can be that of a voice."""


@dataclass(frozen=True)
class Plan:
    """All voices of a push, by name."""

    push: Push
    """The two commits, and whether this push may publish."""
    voices: tuple[PlannedVoice, ...]
    """Sorted by name."""
    retrain: bool = False
    """Known versions are no reason to do nothing."""
    note: str = ""
    """For the log."""
    code: bool = False
    """Whether the push changes code, which lint and tests are for."""


@dataclass(frozen=True)
class Planner:
    """Looks at one checkout and one registry."""

    root: Path
    """Of the checkout of the newer commit."""
    recipe: Recipe
    """The repository's, before a voice's own overrides."""
    registry: Registry
    """Only read: which sources are known, what is in production."""

    def plan(self, push: Push, every: bool = False, retrain: bool = False) -> Plan:
        """Decides what a push needs.

        every: all voices that are here, not only those that the push changed. Raises InputError for a commit that
        this clone does not have, and what the registry raises when it cannot be read.
        """
        repository = Repository(self.root)
        found = changed_voices(repository, ZERO if every else push.older, push.newer)
        planned: list[PlannedVoice] = []
        for change in found.changes:
            if change.kind is Kind.DELETED:
                planned += self._retired(change.voice, push, f"voices/{change.voice} was deleted")
                continue
            planned.append(self._kept(change, push, retrain))
            if change.kind is Kind.RENAMED and change.was:
                planned += self._retired(change.was, push, f"voices/{change.was} is voices/{change.voice} now")
        code = changes_code(repository.changed_paths(push.older, push.newer))
        return Plan(push, tuple(sorted(planned, key=lambda item: item.voice)), retrain, found.note, code)

    def _kept(self, change: Change, push: Push, retrain: bool) -> PlannedVoice:
        name, why = change.voice, str(change.kind)
        if not is_voice_name(name):
            return PlannedVoice(name, Action.BUILD, "its folder name is invalid", named=False)
        try:
            voice = open_voice(self.root / "voices" / name, self.recipe)
        except Exception:
            # One bad folder must not stop the others of the push; stage 1 reports what is wrong with it.
            return PlannedVoice(name, Action.BUILD, why)
        training_min = self._training_min(voice)
        if self.registry.tombstone(name) is not None:
            # `timbre publish` refuses it before any stage: a revoked voice must not be trained.
            return PlannedVoice(name, Action.PROMOTE, "it was revoked; publish will refuse it")
        review = voice.review or self._reviewed(name)
        known = None
        if push.publishes and not retrain:
            try:
                known = self.registry.find_source(name, source_digest(voice))
            except TimbreError:
                known = None
        if known is not None:
            why = f"{why}, and already published as {known.version}"
            return PlannedVoice(name, Action.PROMOTE, why, review)
        return PlannedVoice(name, Action.BUILD, why, review, training_min)

    def _reviewed(self, name: str) -> bool:
        """Whether a policy or the version in production asks for a review. A registry that cannot be read says so in
        the jobs that need it.
        """
        try:
            return self.registry.rules.wants_review_of(name) or review_of_production(self.registry, name)
        except TimbreError:
            return False

    def _training_min(self, voice: VoiceFolder) -> float:
        try:
            return self.recipe.for_voice(voice.recipe, f"voices/{voice.name}", with_base=False).finetune.max_minutes
        except InputError:
            return self.recipe.finetune.max_minutes

    def _retired(self, voice: str, push: Push, why: str) -> Sequence[PlannedVoice]:
        """Nothing for a voice that was never published, is retired or revoked already, or must not be touched here."""
        if not push.publishes or not is_voice_name(voice) or voice not in self.registry.voices():
            return ()
        if self.registry.tombstone(voice) is not None:
            return ()
        return (PlannedVoice(voice, Action.RETIRE, why),)


def require_shared_registry(address: str, workspace: Workspace) -> None:
    """Jobs on other machines find what earlier ones made only in a registry that outlives the checkout.

    address: "" where no registry is named. Raises ConfigurationError.
    """
    if address and not _inside(address, workspace.root):
        return
    what = f"registry {address}: lies in the checkout" if address else "TIMBRE_REGISTRY: not set"
    raise ConfigurationError(
        f"{what}, and each CI job has a separate checkout",
        "set TIMBRE_REGISTRY to a place that all runners share, for example /srv/timbre/registry",
    )


def _inside(address: str, root: Path) -> bool:
    path = Path(address.removeprefix("file://"))
    return "://" not in address.removeprefix("file://") and path.resolve().is_relative_to(root.resolve())
