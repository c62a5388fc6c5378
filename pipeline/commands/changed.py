"""`timbre changed`: which voices a push concerns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from core.errors import TimbreError
from pipeline.commands.options import output_options
from pipeline.commands.output import show
from pipeline.invocation import Invocation


@click.command()
@click.option("--from", "older", required=True, metavar="COMMIT", help="Before the push; 000… for the first push.")
@click.option("--to", "newer", default="HEAD", show_default=True, metavar="COMMIT", help="After the push.")
@output_options
@click.pass_obj
def changed(invocation: Invocation, older: str, newer: str, as_json: bool, as_markdown: bool) -> None:
    """Voices that were added, changed, reverted, renamed or deleted between two commits.

    Where the older commit is not in this clone (force push, shallow clone), every voice is listed: one whose source is
    known to the registry costs nothing.
    """
    from pipeline.changes import changed_voices
    from pipeline.git import Repository
    from pipeline.registry_view import changes_table

    try:
        root = invocation.workspace().root
    except TimbreError:
        # Git removes voices/ with its last folder, and a deletion must still be seen.
        root = invocation.root or Path.cwd()
    found = changed_voices(Repository(root), older, newer)
    plain = {"changes": [dataclasses.asdict(item) for item in found.changes], "note": found.note}
    empty = "no voice changed"
    show(invocation, plain, changes_table(found), as_json, as_markdown, empty=empty, note=found.note)
