"""Writes the record of a run: begun, and how it ended, also when it failed, was refused or was cancelled.

A record never changes the outcome of a run: a registry that cannot be written is a warning in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.core.cancellation import Interrupted
from timbre.core.errors import (
    EXIT_BAD_INPUT,
    EXIT_CHECK_FAILED,
    EXIT_CONFIGURATION,
    EXIT_INFRASTRUCTURE,
    TimbreError,
)
from timbre.core.json_file import read_object
from timbre.core.memory import peak_mib
from timbre.core.redaction import Redactor
from timbre.core.voice_names import is_voice_name
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.engine import FAILED, StageOutcome
from timbre.pipeline.engine.outputs import read_record
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.run_samples import red_samples, worst_clips
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import STAGES
from timbre.registry.events import utc_now
from timbre.registry.names import RUN_AREAS
from timbre.registry.run_records import RunStore

GATES = "gates.json"
_VALIDATE, _EVALUATE = "validate", "evaluate"
# What of a gate a page shows; reasons and cautions can be looked up in the report.
_OF_GATE = (
    "title", "metric", "protocol", "statistic", "unit", "direction", "passed", "blocks", "value", "limit", "low",
    "high", "base", "production",
)  # fmt: skip
_STATES = {
    EXIT_BAD_INPUT: "refused", EXIT_CHECK_FAILED: "red", EXIT_CONFIGURATION: "misconfigured",
    EXIT_INFRASTRUCTURE: "failed",
}  # fmt: skip


@dataclass(frozen=True)
class RunLog:
    """Writes the records of runs."""

    runs: RunStore
    """Where records lie, None for nowhere."""
    redactor: Redactor
    """Takes secrets out of what is written."""

    def begin(self, workspace: Workspace, origin: Origin, voice: str, until: str, log: logging.Logger) -> str:
        """Marks the run as begun; "" where that was not possible or there is no such voice."""
        if not is_voice_name(voice) or not (workspace.voices / voice).is_dir():
            return ""
        try:
            about = _plain_origin(origin)
            return self.runs.begin(voice, utc_now(), self._clean({**about, "until": until or STAGES[-1].name}))
        except TimbreError as error:
            log.warning("run not recorded", extra={"voice": voice, "reason": error.message})
            return ""

    def finish(
        self,
        workspace: Workspace,
        origin: Origin,
        number: str,
        found: VoiceRun,
        log: logging.Logger,
        recordings: str = "",
    ) -> None:
        """Writes the record of a run that has ended. number: what begin gave."""
        if not number:
            return
        gates, red = gates_of_run(workspace, found), state_of(found) == "red"
        samples, clips = _of_red(workspace, found, gates) if red else ({}, {})
        shown = {name: {key: gate[key] for key in _OF_GATE if key in gate} for name, gate in gates.items()}
        about = {
            **_plain_origin(origin), "recordings": recordings, "base": found.base, "ended": utc_now(),
            "state": state_of(found), "exit_code": found.exit_code, "error": _message(found.error),
            "remedy": found.error.remedy if isinstance(found.error, TimbreError) else "",
            "stages": [_stage(workspace, found.voice, outcome) for outcome in found.outcomes],
            "gates": {name: gate | ({"clips": clips[name]} if name in clips else {}) for name, gate in shown.items()},
            "version": str(_last_facts(found).get("version", "")), "said": str(_last_facts(found).get("said", "")),
        }  # fmt: skip
        try:
            self.runs.finish(found.voice, number, self._clean(about), samples)
        except TimbreError as error:
            log.warning("run not recorded", extra={"voice": found.voice, "reason": error.message})

    def _clean(self, about: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = {
            name: self.redactor.clean(value) if isinstance(value, str) else value for name, value in about.items()
        }
        return cleaned | ({"recordings": about["recordings"]} if "recordings" in about else {})


def state_of(run: VoiceRun) -> str:
    """How a run ended, in one word: promoted, published, waiting (for a review), superseded (by a newer commit), tried
    (nothing was to be published), stopped-early (an earlier stage was the last wanted); red, refused, cancelled,
    failed, misconfigured, bug.
    """
    if run.error is not None:
        return "cancelled" if isinstance(run.error, Interrupted) else _STATES.get(run.exit_code, "bug")
    facts = _last_facts(run)
    if "promoted" not in facts:
        return "tried" if run.outcomes and run.outcomes[-1].row.name == _EVALUATE else "stopped-early"
    if facts["promoted"]:
        return "promoted"
    said = str(facts.get("said", ""))
    if not facts.get("published", True):
        return "tried"
    return "waiting" if "waits for a review" in said else "superseded" if "newer commit" in said else "published"


def gates_of_run(workspace: Workspace, run: VoiceRun) -> Mapping[str, Mapping[str, Any]]:
    """The verdicts of this run: of its stage 4, or of the version with the same source; empty without either."""
    for outcome in run.outcomes:
        if outcome.facts.get("verdicts"):
            known: Mapping[str, Any] = outcome.facts["verdicts"]
            return known
    if not any(outcome.row.name == _EVALUATE and outcome.key for outcome in run.outcomes):
        return {}
    return _written(workspace.report(run.voice, _EVALUATE) / GATES)


def _of_red(
    workspace: Workspace, found: VoiceRun, gates: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, bytes], Mapping[str, list[str]]]:
    """Samples of a red run, and the recordings that its red gates judged worst; empty where stage 4 was not reached."""
    output = {
        item.row.name: workspace.work(found.voice, item.row.name) / item.key for item in found.outcomes if item.key
    }
    if _EVALUATE not in output:
        return {}, {}
    return red_samples(output[_EVALUATE], gates), worst_clips(output[_EVALUATE], output[_VALIDATE], gates)


def _written(path: Path) -> Mapping[str, Mapping[str, Any]]:
    gates = read_object(path).get("gates")
    return gates if isinstance(gates, dict) else {}


def run_area(origin: Origin) -> str:
    """Where the records of a run lie: runs that do not publish never write beside those that do."""
    return RUN_AREAS[1] if origin.why_not else RUN_AREAS[0]


def _plain_origin(origin: Origin) -> dict[str, Any]:
    return {
        "commit": origin.commit, "author": origin.author.partition(" <")[0], "ref": origin.ref, "job": origin.job_url,
        "merge_request": origin.merge_request, "why_not": origin.why_not,
    }  # fmt: skip


def _message(error: BaseException | None) -> str:
    return (
        "" if error is None else error.message if isinstance(error, TimbreError) else f"{type(error).__name__}: {error}"
    )


def _last_facts(run: VoiceRun) -> Mapping[str, Any]:
    return run.outcomes[-1].facts if run.outcomes and run.error is None else {}


def _stage(workspace: Workspace, voice: str, outcome: StageOutcome) -> dict[str, Any]:
    """State, what making the output took wherever it was made, and what this run spent on it."""
    record = (read_record(workspace.work(voice, outcome.row.name) / outcome.key) if outcome.key else None) or {}
    failed = outcome.state == FAILED
    return {
        "name": outcome.row.name, "state": outcome.state, "key": outcome.key[:12],
        "spent_s": round(outcome.seconds, 3), "seconds": record.get("seconds", round(outcome.seconds, 3)),
        "peak_memory_mib": record.get("peak_memory_mib", round(peak_mib(), 1) if failed else None),
    }  # fmt: skip
