"""`timbre finetune`: stages 1 to 3 of some or all voices, and how the training went."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.options import output_options, recipe_option, registry_option
from pipeline.commands.single_stage import run_until, show
from pipeline.invocation import Invocation


@click.command()
@click.argument("voices", nargs=-1, metavar="[VOICE]...")
@click.option("--rebuild", is_flag=True, help="Train again even where there is an adapter.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def finetune(
    invocation: Invocation,
    voices: tuple[str, ...],
    rebuild: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Train the adapters of VOICE (default: all voices); on several GPUs where this machine has them.

    Runs the stages before it where it has to. A run that was interrupted goes on from its last checkpoint. Losses and
    curves are in .timbre/reports/VOICE/finetune/.
    """
    found = run_until(invocation, "finetune", voices, rebuild, recipe_file, registry)
    raise click.exceptions.Exit(show(invocation, found, "training.json", as_json, as_markdown))
