"""One stage of one voice: look for its output, make it, write down how, judge it."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from timbre.core.atomic import remove_tree, write_json
from timbre.core.errors import CheckFailedError, InfrastructureError
from timbre.core.host import tool_versions
from timbre.core.json_file import read_object
from timbre.core.memory import peak_mib, restart_peak
from timbre.core.settings import keyed_values
from timbre.pipeline.engine.checkpoint_mirror import StageInProgress, checkpoints_kept
from timbre.pipeline.engine.failures import with_retries
from timbre.pipeline.engine.outputs import REPORT_COPY, StageCache, StageOutputs, refuse_changed
from timbre.pipeline.stages.table import JudgingStage, Stage, StageContext, StageRow

# In the report directory of a stage that decides something: what was decided last, and on which output.
VERDICT_FILE = "verdict.json"


def last_verdict(report: Path, key: str) -> bool | None:
    """Whether the output of `key` passed at its last evaluation on this machine; None where that is unknown."""
    found = read_object(report / VERDICT_FILE)
    return bool(found.get("passed")) if found.get("key") == key else None


@dataclass(frozen=True)
class StageJob:
    """One stage of a run. Every attempt replaces context.output and context.resume."""

    row: StageRow
    """Its row of the table."""
    stage: Stage
    """An instance of `row.target`."""
    context: StageContext
    """`output` and `resume` are set for each attempt."""
    outputs: StageOutputs
    """Where finished outputs of this stage and voice are."""
    inputs: Mapping[str, str]
    """Input name -> key."""
    log: logging.Logger
    """Receives retries and failures of the cache."""

    def find(self, cache: StageCache | None) -> tuple[Path | None, bool]:
        """The finished output, if any, and whether it came from the cache. Its report is put back into place."""
        key = self.context.key
        path, fetched = self.outputs.find(key), False
        if path is None and cache is not None:
            try:
                path = self.outputs.adopt(key, cache)
                fetched = path is not None
            except InfrastructureError as error:
                # A cache only saves time: the stage can always be run.
                self.log.warning("stage cache unavailable", extra={"stage": self.row.name, "reason": str(error)})
        if path is not None:
            self._restore_report(path)
        return path, fetched

    def make(self, cache: StageCache | None, retries: int, sleep: Callable[[float], None]) -> Path:
        """Run the stage, with `retries` further tries after failures of the machine. Returns the output's directory."""

        def log_retry(error: BaseException, number: int, pause_s: float) -> None:
            fields = {"stage": self.row.name, "retry": number, "pause_s": pause_s, "reason": str(error)}
            self.log.warning("stage failed, retrying", extra=fields)

        path = with_retries(lambda: self._attempt(cache), retries, log_retry, sleep)
        if cache is not None:
            try:
                cache.offer(self.context.key, path)
            except InfrastructureError as error:
                fields = {"stage": self.row.name, "reason": str(error)}
                self.log.warning("output not stored in the stage cache", extra=fields)
        return path

    def judge(self, path: Path) -> Mapping[str, Any]:
        """The facts of the stage's verdict; empty for a stage that decides nothing. Raises CheckFailedError."""
        if not isinstance(self.stage, JudgingStage):
            return {}
        for used in (path, *self.context.inputs.values()):
            refuse_changed(used)
        self.context.report.mkdir(parents=True, exist_ok=True)
        try:
            facts = self.stage.decide(dataclasses.replace(self.context, output=path), path)
        except CheckFailedError:
            write_json(self.context.report / VERDICT_FILE, {"key": self.context.key, "passed": False})
            raise
        write_json(self.context.report / VERDICT_FILE, {"key": self.context.key, "passed": True})
        return facts

    def _attempt(self, cache: StageCache | None) -> Path:
        key, report = self.context.key, self.context.report
        remove_tree(report)
        report.mkdir(parents=True)
        partial = self.outputs.begin(key)
        try:
            context = dataclasses.replace(self.context, output=partial, resume=self.outputs.resume(key))
            if not self.row.cached:
                # What acts on the world takes nothing that was changed while the stages before it ran.
                for used in self.context.inputs.values():
                    refuse_changed(used)
            restart_peak()
            started, begun = datetime.now(UTC), time.monotonic()
            with checkpoints_kept(cache, self._about(), context.resume, self.log):
                facts = self.stage.run(context)
            seconds = time.monotonic() - begun
            if any(report.iterdir()):
                shutil.copytree(report, partial / REPORT_COPY)
            return self.outputs.finish(key, partial, self._record(facts, started, seconds))
        finally:
            remove_tree(partial)

    def _about(self) -> StageInProgress:
        voice = self.context.voice
        return StageInProgress(self.context.key, voice.name, self.row.name, voice.recordings())

    def _record(self, facts: Mapping[str, Any], started: datetime, seconds: float) -> dict[str, Any]:
        """The content of stage.json: enough to know how an output was made, and to make it again."""
        context = self.context
        sections = {name: getattr(context.recipe, name) for name in context.sections}
        return {
            "stage": self.row.name,
            "version": self.stage.version,
            "voice": context.voice.name,
            "recordings": context.voice.recordings(),
            "base": context.base.name,
            "inputs": dict(self.inputs),
            "parameters": {name: keyed_values(section) for name, section in sections.items()},
            "seed": next((section.seed for section in sections.values() if hasattr(section, "seed")), None),
            "tools": tool_versions(),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "peak_memory_mib": round(peak_mib(), 1),
            "facts": dict(facts),
        }

    def _restore_report(self, path: Path) -> None:
        """What lies in the report directory may belong to another key (an edit that was undone since)."""
        remove_tree(self.context.report)
        self.context.report.parent.mkdir(parents=True, exist_ok=True)
        if (path / REPORT_COPY).is_dir():
            shutil.copytree(path / REPORT_COPY, self.context.report)
