"""`timbre run`: runs the pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.cli.commands.options import VOICE, output_options, recipe_option, registry_option, voice_names
from timbre.cli.invocation import Invocation, cancel_on_signals
from timbre.cli.recipes import chosen_recipe
from timbre.cli.run_gates import after_run
from timbre.cli.stage_engine import stage_engine
from timbre.core.cancellation import Cancellation
from timbre.pipeline.engine import run_report
from timbre.pipeline.engine.alerts import Webhook
from timbre.pipeline.engine.engine import Engine, StageOutcome
from timbre.pipeline.engine.run_log import RunLog
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.stages.table import STAGES


@click.command()
@click.argument("voices", nargs=-1, type=VOICE, metavar="[VOICE]...")
@click.option("--all", "every", is_flag=True, help="Every voice of the repository (the default).")
@click.option("--until", type=click.Choice([row.name for row in STAGES]), default=None, help="Last stage to run.")
@click.option("--rebuild", is_flag=True, help="Rebuild existing outputs.")
@click.option(
    "--retries", type=click.IntRange(0, 2), default=0, help="Retries after infrastructure failures (exit code 30)."
)
@click.option(
    "--wait",
    "wait_s",
    type=float,
    default=600.0,
    show_default=True,
    help="Seconds to wait for another run of the same voice.",
)
@click.option("--no-cache", is_flag=True, help="Ignore the registry's stage cache.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def run(
    invocation: Invocation,
    voices: tuple[str, ...],
    every: bool,
    until: str | None,
    rebuild: bool,
    retries: int,
    wait_s: float,
    no_cache: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Run the stages of VOICE (default: all voices), skipping those that are up to date.

    Exit codes: 0 done, 10 bad input, 20 a check failed, 30 worth a retry, 40 configuration, 1 a bug. A voice
    that fails does not stop the others.
    """
    cancel = Cancellation()
    quiet = as_json or as_markdown

    def show(outcome: StageOutcome) -> None:
        if not quiet:
            click.echo(run_report.stage_line(outcome))

    options = {"retries": retries, "wait_s": wait_s, "cancel": cancel, "on_stage": show}
    engine = stage_engine(invocation, chosen_recipe(invocation, recipe_file), registry, not no_cache, **options)
    webhook = invocation.webhook()
    names = voice_names(() if every else voices, engine.workspace)
    with cancel_on_signals(cancel):
        log = invocation.run_log(registry)
        runs = [_run_one(invocation, engine, name, until or "", rebuild, webhook, quiet, log) for name in names]
    if as_json:
        click.echo(invocation.redactor.clean(json.dumps(run_report.as_plain(runs), indent=2, ensure_ascii=False)))
    elif as_markdown:
        click.echo(invocation.redactor.clean(run_report.as_markdown(runs)))
    raise click.exceptions.Exit(run_report.overall_exit_code(runs))


def _run_one(
    invocation: Invocation,
    engine: Engine,
    name: str,
    until: str,
    rebuild: bool,
    webhook: Webhook | None,
    quiet: bool,
    log: RunLog,
) -> VoiceRun:
    if not quiet:
        click.echo(name)
    found = run_voice(engine, name, until, rebuild, webhook, runs=log)
    if not quiet:
        for line in after_run(engine.workspace, found):
            click.echo(invocation.redactor.clean(line))
    if found.error is not None:
        click.echo(f"timbre: {name}: {invocation.redactor.clean(str(found.error))}", err=True)
    return found
