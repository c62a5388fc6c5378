"""`timbre evaluate`: runs stages 1 to 4 and shows the verdict of every gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timbre.cli.commands.single_stage import View, error_of, stage_command
from timbre.cli.merge_note import note_runs
from timbre.cli.run_gates import after_run
from timbre.pipeline.engine.run_log import gates_of_run
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.workspace import Workspace

_STAGE = "evaluate"


def _plain(workspace: Workspace, run: VoiceRun) -> dict[str, Any]:
    return {
        "voice": run.voice,
        "exit_code": run.exit_code,
        "key": run.outcomes[-1].key if run.outcomes else "",
        "gates": gates_of_run(workspace, run),
        "error": error_of(run),
    }


def _markdown(workspace: Workspace, runs: Sequence[VoiceRun]) -> str:
    parts = []
    for run in runs:
        path = workspace.report(run.voice, _STAGE) / "report.md"
        if gates_of_run(workspace, run) and path.is_file():
            parts.append(path.read_text(encoding="utf-8"))
        else:
            parts.append(f"## {run.voice}: failed before its gates\n\n```\n{run.error}\n```\n")
    return "\n".join(parts)


def _text(workspace: Workspace, runs: Sequence[VoiceRun]) -> str:
    lines: list[str] = []
    for run in runs:
        lines += [f"{run.voice}: exit code {run.exit_code}", *after_run(workspace, run)]
    return "\n".join(lines)


_VIEW = View(_plain, _markdown, _text, lambda run: str(run.error), note_runs)


@stage_command(_STAGE, _VIEW, "Rebuild existing outputs.")
def evaluate() -> None:
    """Synthesise the held-out sentences of VOICE (default: all voices), measure them and decide every gate.

    Publishes nothing. Exit code 20 if a gate is red. Report: .timbre/reports/VOICE/evaluate/. In the pipeline of a
    GitLab merge request with TIMBRE_GITLAB_TOKEN set, it also writes the verdict into the merge request.
    """
