"""The engine: runs the stages of one voice in order, skips what is done, and leaves nothing half-made behind.

voice folder + base + recipe -> keys -> outputs (found, fetched or made) -> verdicts
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.base import Base
from timbre.core.cancellation import Cancellation
from timbre.core.digests import digest_value
from timbre.core.errors import ConfigurationError
from timbre.core.locks import exclusive
from timbre.core.logs import LOGGER
from timbre.core.progress import Progress, SilentProgress
from timbre.core.recipe import Recipe
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.failures import explain
from timbre.pipeline.engine.keys import input_keys, machine_keys, stage_key
from timbre.pipeline.engine.outputs import StageCache, StageOutputs, content_digest, read_record
from timbre.pipeline.engine.stage_job import StageJob, last_verdict
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import STAGES, JudgingStage, PreparingStage, Stage, StageContext, StageRow
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.registry.address import RegistryAddress

DONE, SKIPPED, FETCHED, FAILED, WAITING = "done", "skipped", "fetched", "failed", "waiting"
# Only in a look at the status: the output is there, and its last verdict was red, or was not taken on this machine.
RED, UNDECIDED = "red", "undecided"


@dataclass(frozen=True)
class StageOutcome:
    """Outcome of one stage."""

    row: StageRow
    """Its row of the table."""
    state: str
    """done (ran), skipped (was there), fetched (from the stage cache), failed, waiting (not made yet), red or undecided
    (the output is there, its verdict is not green)."""
    key: str = ""
    """Empty where it cannot be known yet."""
    path: Path | None = None
    """Output directory; None while there is none."""
    seconds: float = 0.0
    """What this run spent on it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the stage reports, and its verdict."""
    error: BaseException | None = None
    """Of a failed stage."""


def _ignore(outcome: StageOutcome) -> None:
    return None


@dataclass(frozen=True)
class Engine:
    """Everything that a run of any voice shares."""

    workspace: Workspace
    """Where voices are read and `.timbre/` is written."""
    recipe: Recipe = field(default_factory=Recipe)
    """The repository's recipe, before the settings of a base and a voice's own overrides."""
    registry: RegistryAddress = field(default_factory=lambda: RegistryAddress("", {}))
    """Handed to stages 4 and 5; empty address in tests of other stages."""
    origin: Origin = field(default_factory=Origin)
    """Who asked; handed to the stages."""
    progress: Progress = field(default_factory=SilentProgress)
    """Handed to the stages."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger(f"{LOGGER}.engine"))
    """Parent of every stage's logger."""
    cancel: Cancellation = field(default_factory=Cancellation)
    """Checked between stages, and by the stages."""
    cache: StageCache | None = None
    """Finished outputs kept elsewhere, if any."""
    rows: tuple[StageRow, ...] = STAGES
    """Stages to run, in order; a test gives its own."""
    retries: int = 0
    """Further tries of a stage after failures of the machine (CI retries by itself, so 0 there)."""
    wait_s: float = 600.0
    """How long to wait while another process works on the same voice."""
    notes: str = ""
    """Remote to which the heads of histories are pushed as Git's notes, "" for none."""
    on_stage: Callable[[StageOutcome], None] = _ignore
    """Called with every outcome."""
    sleep: Callable[[float], None] = time.sleep
    """Waits between retries, in seconds; a test replaces it."""

    def run(self, voice: VoiceFolder, base: Base, until: str = "", rebuild: bool = False) -> list[StageOutcome]:
        """Run the stages up to and including `until` (all of them when empty), and return the outcome of each.

        rebuild: replace outputs that exist. Raises what the stage raised, as a TimbreError wherever the
        machine is to blame.
        """
        recipe = self._recipe_of(voice, base)
        outcomes: list[StageOutcome] = []
        with exclusive(self.workspace.lock(voice.name), f"voice {voice.name}", self.wait_s, self.log.warning):
            self._clean(voice)
            for row in self._selected(until):
                self.cancel.check()
                outcome = self._run_stage(row, voice, base, recipe, outcomes, rebuild)
                outcomes.append(outcome)
                self._tell(voice, outcome)
                if outcome.error is not None:
                    raise outcome.error
        return outcomes

    def status(self, voice: VoiceFolder, base: Base) -> list[StageOutcome]:
        """What a run would find: skipped where the output is there, else waiting.

        Changes nothing and takes no lock. Raises InputError for a voice's wrong overrides.
        """
        recipe = self._recipe_of(voice, base)
        found: list[StageOutcome] = []
        for row in self.rows:
            try:
                stage = row.load()
                inputs = self._inputs(row, stage, voice, base, recipe, found)
                key = stage_key(row, stage.version, recipe, inputs)
            except (KeyError, ConfigurationError):
                # An earlier stage is missing, or the base was never pulled: the key cannot be known.
                found.append(StageOutcome(row, WAITING))
                continue
            path = self._outputs(voice, row).seen(key)
            record = (read_record(path) if path else None) or {}
            state = WAITING if path is None else self._judged(voice, row, stage, key)
            found.append(StageOutcome(row, state, key, path, record.get("seconds", 0.0), record.get("facts", {})))
        return found

    def _judged(self, voice: VoiceFolder, row: StageRow, stage: Stage, key: str) -> str:
        if not isinstance(stage, JudgingStage):
            return SKIPPED
        passed = last_verdict(self.workspace.report(voice.name, row.name), key)
        return UNDECIDED if passed is None else SKIPPED if passed else RED

    def _inputs(
        self,
        row: StageRow,
        stage: Stage,
        voice: VoiceFolder,
        base: Base,
        recipe: Recipe,
        before: Sequence[StageOutcome],
    ) -> dict[str, str]:
        found = input_keys(row, voice, base, _keys(before))
        return found | machine_keys(stage, recipe, base, self.workspace.root)

    def _recipe_of(self, voice: VoiceFolder, base: Base) -> Recipe:
        of_base = self.recipe.for_base(base.recipe, f"{base.spec_path}: recipe")
        return of_base.for_voice(voice.recipe, f"voices/{voice.name}/voice.yaml: recipe")

    def _selected(self, until: str) -> tuple[StageRow, ...]:
        names = [row.name for row in self.rows]
        return self.rows[: names.index(until) + 1] if until else self.rows

    def _outputs(self, voice: VoiceFolder, row: StageRow) -> StageOutputs:
        return StageOutputs(self.workspace.work(voice.name, row.name))

    def _clean(self, voice: VoiceFolder) -> None:
        for row in self.rows:
            for name in self._outputs(voice, row).clean():
                self.log.info("removed leftovers of an interrupted run", extra={"stage": row.name, "directory": name})

    def _tell(self, voice: VoiceFolder, outcome: StageOutcome) -> None:
        fields = {"voice": voice.name, "stage": outcome.row.name, "state": outcome.state, "key": outcome.key}
        measured = {"seconds": round(outcome.seconds, 3), "facts": dict(outcome.facts)}
        self.log.info("stage ended", extra={**fields, **measured})
        self.on_stage(outcome)

    def _run_stage(
        self,
        row: StageRow,
        voice: VoiceFolder,
        base: Base,
        recipe: Recipe,
        before: Sequence[StageOutcome],
        rebuild: bool,
    ) -> StageOutcome:
        key, started = "", time.monotonic()
        try:
            stage = row.load()
            if isinstance(stage, PreparingStage):
                stage.prepare(recipe)
            inputs = self._inputs(row, stage, voice, base, recipe, before)
            key = stage_key(row, stage.version, recipe, inputs)
            outputs = self._outputs(voice, row)
            context = self._context(row, voice, base, recipe, before, key)
            job = StageJob(row, stage, context, outputs, inputs, self.log)
            path, fetched = (None, False) if rebuild or not row.cached else job.find(self.cache)
            state = FETCHED if fetched else SKIPPED
            if path is None:
                state, path = DONE, job.make(self.cache if row.cached else None, self.retries, self.sleep)
            facts = {**(read_record(path) or {}).get("facts", {}), **job.judge(path)}
        except Exception as error:
            explained = explain(error)
            if explained is not error:
                explained.__cause__ = error
            return StageOutcome(row, FAILED, key, seconds=time.monotonic() - started, error=explained)
        return StageOutcome(row, state, key, path, time.monotonic() - started, facts)

    def _context(
        self, row: StageRow, voice: VoiceFolder, base: Base, recipe: Recipe, before: Sequence[StageOutcome], key: str
    ) -> StageContext:
        paths = {outcome.row.name: outcome.path for outcome in before if outcome.path is not None}
        outputs = self._outputs(voice, row)
        return StageContext(
            key=key,
            voice=voice,
            base=base,
            recipe=recipe,
            sections=row.sections,
            inputs={name: paths[name] for name in row.stage_inputs},
            output=outputs.path(key),
            resume=outputs.path(key),
            report=self.workspace.report(voice.name, row.name),
            root=self.workspace.root,
            registry=self.registry,
            origin=self.origin,
            progress=self.progress,
            log=self.log.getChild(row.name),
            cancel=self.cancel,
        )


def _keys(outcomes: Sequence[StageOutcome]) -> dict[str, str]:
    """Stage name -> digest of its key and of what its output really holds: a forged output leads to other keys."""
    found = {}
    for outcome in outcomes:
        record = read_record(outcome.path) if outcome.path is not None else None
        if record is not None:
            found[outcome.row.name] = digest_value({"key": outcome.key, "content": content_digest(record)})
    return found
