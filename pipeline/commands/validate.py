"""`timbre validate`: stage 1 of some or all voices, with its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from core.cancellation import Cancellation
from pipeline.commands.options import output_options, recipe_option, registry_option
from pipeline.invocation import Invocation, cancel_on_signals
from pipeline.run_report import VoiceRun, overall_exit_code
from pipeline.validate.report import JSON_FILE, MARKDOWN_FILE
from pipeline.voice_runs import run_voice
from pipeline.workspace import Workspace

_STAGE = "validate"


@click.command()
@click.argument("voices", nargs=-1, metavar="[VOICE]...")
@click.option("--rebuild", is_flag=True, help="Validate again even where nothing changed.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def validate(
    invocation: Invocation,
    voices: tuple[str, ...],
    rebuild: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Check the recordings of VOICE (default: all voices), and cut and clean them for training.

    Exit codes: 0 good, 10 something in a folder has to be changed (all of it is listed), 30 worth a retry, 40
    configuration. The full report is in .timbre/reports/VOICE/validate/.
    """
    cancel = Cancellation()
    engine = invocation.engine(invocation.recipe(recipe_file), registry, cancel=cancel)
    names = list(voices) or engine.workspace.voice_names()
    if not names:
        raise click.UsageError("no voice folder in voices/; start one with: timbre voices new NAME --language en")
    webhook = invocation.webhook()
    with cancel_on_signals(cancel):
        runs = [run_voice(engine, name, _STAGE, rebuild, webhook) for name in names]
    clean = invocation.redactor.clean
    if as_json:
        found = [_plain(run, engine.workspace) for run in runs]
        click.echo(
            clean(json.dumps({"exit_code": overall_exit_code(runs), "voices": found}, ensure_ascii=False, indent=2))
        )
    elif as_markdown:
        click.echo(clean("\n".join(_markdown(run, engine.workspace) for run in runs)))
    else:
        for run in runs:
            click.echo(_line(run, engine.workspace))
            if run.error is not None:
                click.echo(f"timbre: {clean(str(run.error))}", err=True)
    raise click.exceptions.Exit(overall_exit_code(runs))


def _report(run: VoiceRun, workspace: Workspace) -> dict[str, Any] | None:
    """validation.json of this run; None where the stage did not get so far."""
    # A failure before the stage leaves the report of an earlier run in place.
    if run.error is not None and not run.outcomes:
        return None
    path = workspace.report(run.voice, _STAGE) / JSON_FILE
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _plain(run: VoiceRun, workspace: Workspace) -> dict[str, Any]:
    error = None if run.error is None else str(run.error)
    state = run.outcomes[-1].state if run.outcomes else ""
    return {
        "voice": run.voice,
        "exit_code": run.exit_code,
        "state": state,
        "error": error,
        "validation": _report(run, workspace),
    }


def _markdown(run: VoiceRun, workspace: Workspace) -> str:
    if _report(run, workspace) is not None:
        return (workspace.report(run.voice, _STAGE) / MARKDOWN_FILE).read_text(encoding="utf-8")
    return f"# Validation of `{run.voice}`: failed\n\n```\n{run.error}\n```\n"


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
