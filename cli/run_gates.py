"""Summary of a run: gates, location of the report, result of the release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from timbre.evaluation.reports.calibration_note import calibration_sentence
from timbre.pipeline.engine.run_log import gates_of_run
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.verdict.gates_table import gates_table

_STAGE, _GATES, _PAGE = "evaluate", "gates.json", "report.html"


def after_run(workspace: Workspace, run: VoiceRun) -> list[str]:
    """Lines of text; none for a run that ended before stage 4."""
    lines: list[str] = []
    gates = gates_of_run(workspace, run)
    if gates:
        lines += ["", gates_table(gates).text(), ""]
    page = workspace.report(run.voice, _STAGE) / _PAGE
    if _decided(run) and page.is_file():
        written = _written(workspace, run)
        if profile := written.get("served_profile"):
            lines.append(f"served on a processor with: {profile}")
        lines.append(calibration_sentence(written.get("calibration") or {}, written.get("base_digest", ""))[0])
        lines.append(f"report: {page.relative_to(workspace.root)}")
    for outcome in run.outcomes:
        if outcome.facts.get("said"):
            lines.append(f"{run.voice}: {outcome.facts['said']}")
    return lines


def _written(workspace: Workspace, run: VoiceRun) -> Mapping[str, Any]:
    path = workspace.report(run.voice, _STAGE) / _GATES
    written: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return written


def _decided(run: VoiceRun) -> bool:
    """Whether stage 4 was reached in this run: a report of an earlier run is not this run's."""
    return any(outcome.row.name == _STAGE and outcome.key for outcome in run.outcomes)
