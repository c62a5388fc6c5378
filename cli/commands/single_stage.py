"""Shared by the commands of single stages: options, running up to a stage, showing the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import VOICE, output_options, recipe_option, registry_option, voice_names
from timbre.cli.invocation import Invocation, cancel_on_signals
from timbre.cli.recipes import chosen_recipe
from timbre.cli.stage_engine import stage_engine
from timbre.core.cancellation import Cancellation
from timbre.pipeline.engine import run_report
from timbre.pipeline.engine.run_report import VoiceRun, overall_exit_code
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.engine.workspace import Workspace

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class StageCall:
    """What such a command was given."""

    voices: tuple[str, ...]
    """Names as given; empty for all voices of the repository."""
    rebuild: bool
    """As in Engine.run."""
    recipe_file: Path | None
    """--recipe; None for the repository's recipe."""
    registry: str
    """--registry; empty for the default of `Invocation.registry`."""
    as_json: bool
    """--json; wins over --markdown."""
    as_markdown: bool
    """--markdown."""
    retrain: bool = False
    """As in run_voice."""


@dataclass(frozen=True)
class View:
    """How a command shows its runs."""

    plain: Callable[[Workspace, VoiceRun], dict[str, Any]]
    """One voice, for --json."""
    markdown: Callable[[Workspace, Sequence[VoiceRun]], str]
    """All voices, for --markdown."""
    text: Callable[[Workspace, Sequence[VoiceRun]], str]
    """All voices, for a terminal; errors follow on standard error."""
    error: Callable[[VoiceRun], str] = lambda run: f"{run.voice}: {run.error}"
    """Text for standard error, after "timbre: "."""
    after: Callable[[Invocation, Workspace, Sequence[VoiceRun]], None] = lambda invocation, workspace, runs: None
    """Further work on the results; changes no exit code."""


def stage_command(
    until: str, view: View, rebuild_help: str, *more: Decorator
) -> Callable[[Callable[[], None]], click.Command]:
    """A command that runs some or all voices up to a stage ("" for all stages) and shows them. The decorated function
    gives its name and its help. more: further options, by names of StageCall.
    """

    def decorate(about: Callable[[], None]) -> click.Command:
        def command(invocation: Invocation, **given: Any) -> None:
            call = StageCall(**given)
            workspace, runs = _run(invocation, until, call)
            code = _show(invocation, view, workspace, runs, call)
            view.after(invocation, workspace, runs)
            raise click.exceptions.Exit(code)

        decorated: Any = click.pass_obj(command)
        for option in (output_options, registry_option, recipe_option, *reversed(more)):
            decorated = option(decorated)
        decorated = click.option("--rebuild", is_flag=True, help=rebuild_help)(decorated)
        decorated = click.argument("voices", nargs=-1, type=VOICE, metavar="[VOICE]...")(decorated)
        found: click.Command = click.command(about.__name__, help=about.__doc__)(decorated)
        return found

    return decorate


def record_view(stage: str, file: str) -> View:
    """The view that shows a file of the stage's report."""

    def plain(workspace: Workspace, run: VoiceRun) -> dict[str, Any]:
        return {
            "voice": run.voice,
            "exit_code": run.exit_code,
            "error": error_of(run),
            stage: _record(workspace, run, stage, file),
        }

    return View(
        plain, lambda workspace, runs: run_report.as_markdown(runs), lambda workspace, runs: run_report.as_text(runs)
    )


def error_of(run: VoiceRun) -> str | None:
    """What went wrong, in words."""
    return None if run.error is None else str(run.error)


def _record(workspace: Workspace, run: VoiceRun, stage: str, file: str) -> dict[str, Any] | None:
    """That file of the stage's report; None where the stage did not end well."""
    path = workspace.report(run.voice, stage) / file
    if run.error is not None or not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _run(invocation: Invocation, until: str, call: StageCall) -> tuple[Workspace, list[VoiceRun]]:
    """Runs the named voices, or all. Raises UsageError when there are none."""
    cancel = Cancellation()
    engine = stage_engine(invocation, chosen_recipe(invocation, call.recipe_file), call.registry, cancel=cancel)
    names = voice_names(call.voices, engine.workspace)
    webhook = invocation.webhook()
    with cancel_on_signals(cancel):
        log = invocation.run_log(call.registry)
        runs = [run_voice(engine, name, until, call.rebuild, webhook, call.retrain, log) for name in names]
    return engine.workspace, runs


def _show(invocation: Invocation, view: View, workspace: Workspace, runs: Sequence[VoiceRun], call: StageCall) -> int:
    """Print the result or the error of every voice; return the exit code."""
    clean, code = invocation.redactor.clean, overall_exit_code(list(runs))
    if call.as_json:
        found = {"exit_code": code, "voices": [view.plain(workspace, run) for run in runs]}
        click.echo(clean(json.dumps(found, ensure_ascii=False, indent=2)))
    elif call.as_markdown:
        click.echo(clean(view.markdown(workspace, runs)))
    else:
        click.echo(clean(view.text(workspace, runs)))
        for run in runs:
            if run.error is not None:
                click.echo(f"timbre: {clean(view.error(run))}", err=True)
    return code
