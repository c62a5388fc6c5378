"""`timbre validate`: runs stage 1 and shows its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from timbre.cli.commands.single_stage import View, error_of, stage_command
from timbre.core.printable import printable
from timbre.core.problems import Problem, grouped
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import VALIDATION_FILE
from timbre.pipeline.stages.validate.report import MARKDOWN_FILE

_STAGE = "validate"
_MOST_REMARKS = 8


def _report(run: VoiceRun, workspace: Workspace) -> dict[str, Any] | None:
    """validation.json of this run; None if the stage did not finish."""
    # A failure before the stage leaves the report of an earlier run in place.
    if run.error is not None and not run.outcomes:
        return None
    path = workspace.report(run.voice, _STAGE) / VALIDATION_FILE
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _plain(workspace: Workspace, run: VoiceRun) -> dict[str, Any]:
    return {
        "voice": run.voice,
        "exit_code": run.exit_code,
        "state": run.outcomes[-1].state if run.outcomes else "",
        "error": error_of(run),
        "validation": _report(run, workspace),
    }


def _markdown(workspace: Workspace, runs: Sequence[VoiceRun]) -> str:
    parts = []
    for run in runs:
        if _report(run, workspace) is not None:
            parts.append((workspace.report(run.voice, _STAGE) / MARKDOWN_FILE).read_text(encoding="utf-8"))
        else:
            parts.append(f"# Validation of `{run.voice}`: failed\n\n```\n{run.error}\n```\n")
    return "\n".join(parts)


def _line(run: VoiceRun, workspace: Workspace) -> str:
    report = _report(run, workspace)
    if report is None:
        return f"{run.voice}: failed (exit code {run.exit_code})"
    verdict = "good" if run.error is None else f"refused, {len(report['problems'])} to correct"
    denoised = f", {report['denoised_clips']} denoised by {report['denoiser']}" if report["denoised_clips"] else ""
    remarks = f", {len(report['remarks'])} remarks" if report["remarks"] else ""
    state = f" ({run.outcomes[-1].state})" if run.outcomes and run.error is None else ""
    return (
        f"{run.voice}: {verdict}: {report['effective_s']:.1f} s of speech, {len(report['clips'])} clips, "
        f"{len(report['slices'])} slices, {report['held_out']} held out{denoised}{remarks}{state}"
    )


def _remarks(run: VoiceRun, workspace: Workspace) -> list[str]:
    """What a person should know of a voice that passes, too: a few lines a voice."""
    report = _report(run, workspace)
    remarks = grouped([Problem(**remark) for remark in report["remarks"]]) if report is not None else []
    lines = [f"  remark: {printable(r.where)}: {printable(r.value)}\n    -> {printable(r.remedy)}" for r in remarks]
    if len(lines) > _MOST_REMARKS:
        path = workspace.report(run.voice, _STAGE) / MARKDOWN_FILE
        more = f"  {len(lines) - _MOST_REMARKS} more kinds of remarks: {path.relative_to(workspace.root)}"
        lines = [*lines[:_MOST_REMARKS], more]
    return lines


def _text(workspace: Workspace, runs: Sequence[VoiceRun]) -> str:
    return "\n".join(line for run in runs for line in (_line(run, workspace), *_remarks(run, workspace)))


@stage_command(
    _STAGE, View(_plain, _markdown, _text, lambda run: str(run.error)), "Validate again even if nothing changed."
)
def validate() -> None:
    """Check the recordings of VOICE (default: all voices); slice and clean them for training.

    Exit codes: 0 valid, 10 problems to fix in the folder (all listed), 30 worth a retry, 40 configuration. Full report:
    .timbre/reports/VOICE/validate/.
    """
