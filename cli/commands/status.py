"""`timbre status`: shows which stages are up to date."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.cli.commands.options import output_options, recipe_option
from timbre.cli.invocation import Invocation
from timbre.pipeline.engine import run_report
from timbre.pipeline.engine.voice_runs import status_of


@click.command()
@click.argument("voices", nargs=-1, metavar="[VOICE]...")
@recipe_option
@output_options
@click.pass_obj
def status(
    invocation: Invocation, voices: tuple[str, ...], recipe_file: Path | None, as_json: bool, as_markdown: bool
) -> None:
    """Show which stages of VOICE (default: all voices) a run would skip and which it would run. Changes nothing."""
    engine = invocation.engine(invocation.recipe(recipe_file), use_cache=False)
    runs = [status_of(engine, name) for name in voices or engine.workspace.voice_names()]
    if as_json:
        click.echo(invocation.redactor.clean(json.dumps(run_report.as_plain(runs), indent=2, ensure_ascii=False)))
    elif as_markdown:
        click.echo(invocation.redactor.clean(run_report.as_markdown(runs)))
    elif runs:
        click.echo(run_report.as_text(runs))
    else:
        click.echo("voices/ contains no voice folder; create one: timbre voices new NAME --language en")
    for run in runs:
        if run.error is not None:
            click.echo(f"timbre: {run.voice}: {invocation.redactor.clean(str(run.error))}", err=True)
    raise click.exceptions.Exit(run_report.overall_exit_code(runs))
