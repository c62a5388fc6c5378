"""`timbre publish`: runs every stage and shows the resulting version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from timbre.cli.commands.single_stage import View, error_of, stage_command
from timbre.cli.run_gates import after_run
from timbre.core.table import Table
from timbre.pipeline.engine.run_log import gates_of_run
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.workspace import Workspace


def _plain(workspace: Workspace, run: VoiceRun) -> dict[str, Any]:
    facts = run.outcomes[-1].facts if run.outcomes and run.error is None else {}
    return {
        "voice": run.voice,
        "exit_code": run.exit_code,
        "version": facts.get("version", ""),
        "promoted": facts.get("promoted", False),
        "said": facts.get("said", ""),
        "gates": gates_of_run(workspace, run),
        "error": error_of(run),
    }


def _markdown(workspace: Workspace, runs: Sequence[VoiceRun]) -> str:
    found = [_plain(workspace, run) for run in runs]
    rows = [(item["voice"], item["version"], item["said"] or item["error"] or "") for item in found]
    return Table(("voice", "version", "what happened"), rows).markdown()


def _text(workspace: Workspace, runs: Sequence[VoiceRun]) -> str:
    return "\n".join("\n".join(after_run(workspace, run)) for run in runs)


_RETRAIN = click.option(
    "--retrain", is_flag=True, help="Like --rebuild, but reuse outputs of the same recipe, code and base."
)


@stage_command("", View(_plain, _markdown, _text), "Retrain even if these recordings are already published.", _RETRAIN)
def publish() -> None:
    """Publish VOICE (default: all voices): run pending stages, write the version, move the alias.

    Like `timbre run`, but shows the version of each voice and whether it was promoted.
    """
