"""`timbre evaluate`: stages 1 to 4 of some or all voices, with the verdict on every gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from core.cancellation import Cancellation
from pipeline.commands.options import output_options, recipe_option, registry_option
from pipeline.invocation import Invocation, cancel_on_signals
from pipeline.run_gates import after_run, gates_of
from pipeline.run_report import VoiceRun, overall_exit_code
from pipeline.voice_runs import run_voice
from pipeline.workspace import Workspace

_STAGE = "evaluate"


@click.command()
@click.argument("voices", nargs=-1, metavar="[VOICE]...")
@click.option("--rebuild", is_flag=True, help="Make every output again even where it exists.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def evaluate(
    invocation: Invocation,
    voices: tuple[str, ...],
    rebuild: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Speak what was held out of VOICE (default: all voices), measure it, decide every gate; publish nothing.

    Exit code 20 when a gate is red. The report is in .timbre/reports/VOICE/evaluate/.
    """
    cancel = Cancellation()
    engine = invocation.engine(invocation.recipe(recipe_file), registry, cancel=cancel)
    names = list(voices) or engine.workspace.voice_names()
    if not names:
        raise click.UsageError("no voice folder in voices/; start one with: timbre voices new NAME --language en")
    webhook, clean = invocation.webhook(), invocation.redactor.clean
    with cancel_on_signals(cancel):
        runs = [run_voice(engine, name, _STAGE, rebuild, webhook) for name in names]
    if as_json:
        plain = {"exit_code": overall_exit_code(runs), "voices": [_plain(engine.workspace, run) for run in runs]}
        click.echo(clean(json.dumps(plain, indent=2, ensure_ascii=False)))
    elif as_markdown:
        click.echo(clean("\n".join(_markdown(engine.workspace, run) for run in runs)))
    else:
        for run in runs:
            click.echo(clean("\n".join([f"{run.voice}: exit code {run.exit_code}", *after_run(engine.workspace, run)])))
            if run.error is not None:
                click.echo(f"timbre: {clean(str(run.error))}", err=True)
    raise click.exceptions.Exit(overall_exit_code(runs))


def _plain(workspace: Workspace, run: VoiceRun) -> dict[str, Any]:
    return {
        "voice": run.voice,
        "exit_code": run.exit_code,
        "key": run.outcomes[-1].key if run.outcomes else "",
        "gates": gates_of(workspace, run),
        "error": None if run.error is None else str(run.error),
    }


def _markdown(workspace: Workspace, run: VoiceRun) -> str:
    path = workspace.report(run.voice, _STAGE) / "report.md"
    if gates_of(workspace, run) and path.is_file():
        return path.read_text(encoding="utf-8")
    return f"## {run.voice}: failed before its gates\n\n```\n{run.error}\n```\n"
