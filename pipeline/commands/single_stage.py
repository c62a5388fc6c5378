"""What the commands of single stages share: run up to a stage, then show its record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from core.cancellation import Cancellation
from pipeline import run_report
from pipeline.invocation import Invocation, cancel_on_signals
from pipeline.run_report import VoiceRun
from pipeline.voice_runs import run_voice
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class StageRuns:
    """The runs of some voices up to one stage."""

    stage: str
    runs: tuple[VoiceRun, ...]
    workspace: Workspace

    def record(self, run: VoiceRun, file: str) -> dict[str, Any] | None:
        """That file of the stage's report; None where the stage did not end well."""
        path = self.workspace.report(run.voice, self.stage) / file
        if run.error is not None or not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content


def run_until(
    invocation: Invocation, stage: str, voices: Sequence[str], rebuild: bool, recipe_file: Path | None, registry: str
) -> StageRuns:
    """Runs the stages up to `stage` of the named voices, or of all. Raises UsageError when there are none."""
    cancel = Cancellation()
    engine = invocation.engine(invocation.recipe(recipe_file), registry, cancel=cancel)
    names = list(voices) or engine.workspace.voice_names()
    if not names:
        raise click.UsageError("no voice folder in voices/; start one with: timbre voices new NAME --language en")
    webhook = invocation.webhook()
    with cancel_on_signals(cancel):
        runs = tuple(run_voice(engine, name, stage, rebuild, webhook) for name in names)
    return StageRuns(stage, runs, engine.workspace)


def show(invocation: Invocation, found: StageRuns, file: str, as_json: bool, as_markdown: bool) -> int:
    """Prints the record of every voice (`file` of its report), or what went wrong; returns the exit code."""
    clean, code = invocation.redactor.clean, run_report.overall_exit_code(found.runs)
    if as_json:
        rows = [
            {
                "voice": run.voice,
                "exit_code": run.exit_code,
                "error": None if run.error is None else str(run.error),
                found.stage: found.record(run, file),
            }
            for run in found.runs
        ]
        click.echo(clean(json.dumps({"exit_code": code, "voices": rows}, ensure_ascii=False, indent=2)))
    elif as_markdown:
        click.echo(clean(run_report.as_markdown(found.runs)))
    else:
        click.echo(clean(run_report.as_text(found.runs)))
        for run in found.runs:
            if run.error is not None:
                click.echo(f"timbre: {run.voice}: {clean(str(run.error))}", err=True)
    return code
