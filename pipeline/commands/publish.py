"""`timbre publish`: all stages of some or all voices, and what became of each version."""

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
from pipeline.table import Table
from pipeline.voice_runs import run_voice
from pipeline.workspace import Workspace


@click.command()
@click.argument("voices", nargs=-1, metavar="[VOICE]...")
@click.option("--rebuild", is_flag=True, help="Train anew even where these recordings were published before.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def publish(
    invocation: Invocation,
    voices: tuple[str, ...],
    rebuild: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Bring VOICE (default: all voices) into the registry: run what is not done, then write and promote the version.

    As `timbre run`, but says of each voice which version it has and what happened to it.
    """
    cancel = Cancellation()
    engine = invocation.engine(invocation.recipe(recipe_file), registry, cancel=cancel)
    names = list(voices) or engine.workspace.voice_names()
    if not names:
        raise click.UsageError("no voice folder in voices/; start one with: timbre voices new NAME --language en")
    webhook, clean = invocation.webhook(), invocation.redactor.clean
    with cancel_on_signals(cancel):
        runs = [run_voice(engine, name, "", rebuild, webhook) for name in names]
    found = [_plain(engine.workspace, run) for run in runs]
    if as_json:
        plain = {"exit_code": overall_exit_code(runs), "voices": found}
        click.echo(clean(json.dumps(plain, indent=2, ensure_ascii=False)))
    elif as_markdown:
        rows = [(item["voice"], item["version"], item["said"] or item["error"] or "") for item in found]
        click.echo(clean(Table(("voice", "version", "what happened"), rows).markdown()))
    else:
        for run in runs:
            click.echo(clean("\n".join(after_run(engine.workspace, run))))
            if run.error is not None:
                click.echo(f"timbre: {run.voice}: {clean(str(run.error))}", err=True)
    raise click.exceptions.Exit(overall_exit_code(runs))


def _plain(workspace: Workspace, run: VoiceRun) -> dict[str, Any]:
    facts = run.outcomes[-1].facts if run.outcomes and run.error is None else {}
    return {
        "voice": run.voice,
        "exit_code": run.exit_code,
        "version": facts.get("version", ""),
        "promoted": facts.get("promoted", False),
        "said": facts.get("said", ""),
        "gates": gates_of(workspace, run),
        "error": None if run.error is None else str(run.error),
    }
