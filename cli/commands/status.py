"""`timbre status`: shows which stages are up to date, and how the last run of each voice ended."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.cli.commands.options import NO_VOICES, VOICE, output_options, recipe_option, registry_option
from timbre.cli.invocation import Invocation
from timbre.cli.recipes import chosen_recipe
from timbre.cli.stage_engine import stage_engine
from timbre.core.errors import InfrastructureError
from timbre.core.voice_names import is_voice_name
from timbre.pipeline.engine import run_report
from timbre.pipeline.engine.voice_runs import status_of
from timbre.pipeline.release.run_view import RunView, views
from timbre.registry.address import RegistryAddress
from timbre.registry.run_records import runs_of
from timbre.registry.store_at import open_store


@click.command()
@click.argument("voices", nargs=-1, type=VOICE, metavar="[VOICE]...")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def status(
    invocation: Invocation,
    voices: tuple[str, ...],
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Show which stages of VOICE (default: all voices) a run would skip and which it would run, and how its last run
    ended. Changes nothing. A stage whose gates are red is marked ✘, one that was not evaluated here is marked ?.
    """
    engine = stage_engine(invocation, chosen_recipe(invocation, recipe_file), registry, use_cache=False)
    runs = [status_of(engine, name) for name in voices or engine.workspace.voice_names()]
    last = {run.voice: _last_run(engine.registry, run.voice) for run in runs}
    if as_json:
        plain = run_report.as_plain(runs)
        for item in plain["voices"]:
            view = last[item["voice"]]
            item["last_run"] = view.plain() if view else None
        click.echo(invocation.redactor.clean(json.dumps(plain, indent=2, ensure_ascii=False)))
    elif as_markdown:
        click.echo(invocation.redactor.clean(run_report.as_markdown(runs)))
        for name, view in last.items():
            if view:
                click.echo(f"\n**{name}**:{view.line()}")
    elif runs:
        for run in runs:
            click.echo(run_report.as_text([run]))
            view = last[run.voice]
            if view:
                click.echo(invocation.redactor.clean(view.line()))
    else:
        click.echo(NO_VOICES)
    for run in runs:
        if run.error is not None:
            click.echo(f"timbre: {run.voice}: {invocation.redactor.clean(str(run.error))}", err=True)
    raise click.exceptions.Exit(run_report.overall_exit_code(runs))


def _last_run(address: RegistryAddress, voice: str) -> RunView | None:
    if not is_voice_name(voice):
        return None
    try:
        found = views(runs_of(open_store(address), voice, most=20))
    except InfrastructureError as error:
        click.echo(f"timbre: {voice}: runs not read: {error.message}", err=True)
        return None
    return found[-1] if found else None
