"""`timbre extract`: stages 1 and 2 of some or all voices, and what came of them."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.options import output_options, recipe_option, registry_option
from pipeline.commands.single_stage import run_until, show
from pipeline.invocation import Invocation


@click.command()
@click.argument("voices", nargs=-1, metavar="[VOICE]...")
@click.option("--rebuild", is_flag=True, help="Make the outputs again even where they exist.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def extract(
    invocation: Invocation,
    voices: tuple[str, ...],
    rebuild: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Phones, semantic codes and speaker vectors of VOICE (default: all voices), and its prompt slice.

    Runs `validate` first where it has to. The full record is .timbre/reports/VOICE/extract/extract.json.
    """
    found = run_until(invocation, "extract", voices, rebuild, recipe_file, registry)
    raise click.exceptions.Exit(show(invocation, found, "extract.json", as_json, as_markdown))
