"""`timbre changed`: lists the voices that a push changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from timbre.cli.commands.options import output_options
from timbre.cli.commands.output import show
from timbre.cli.invocation import Invocation
from timbre.core.errors import TimbreError
from timbre.pipeline.ci.changes import changed_voices
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.release.registry_view import changes_table


@click.command()
@click.option(
    "--from", "older", required=True, metavar="COMMIT", help="Commit before the push; 000… for the first push."
)
@click.option("--to", "newer", default="HEAD", show_default=True, metavar="COMMIT", help="Commit after the push.")
@output_options
@click.pass_obj
def changed(invocation: Invocation, older: str, newer: str, as_json: bool, as_markdown: bool) -> None:
    """List voices added, changed, reverted, renamed or deleted between two commits.

    If the older commit is not in this clone (force push, shallow clone), lists every voice; a voice whose source is
    already published costs nothing.
    """
    try:
        root = invocation.workspace().root
    except TimbreError:
        # Git removes voices/ with its last folder, and a deletion must still be seen.
        root = invocation.root or Path.cwd()
    found = changed_voices(Repository(root), older, newer)
    plain = {"changes": [dataclasses.asdict(item) for item in found.changes], "note": found.note}
    empty = "no voice changed"
    show(invocation, plain, changes_table(found), as_json, as_markdown, empty=empty, note=found.note)
