"""`timbre history`: shows the event log of a voice."""

from __future__ import annotations

import click

from timbre.cli.commands.options import VOICE, output_options, registry_option
from timbre.cli.commands.output import show
from timbre.cli.invocation import Invocation
from timbre.pipeline.release.registry_view import history_plain, history_table
from timbre.registry.open import open_registry


@click.command()
@click.argument("voice", type=VOICE)
@registry_option
@output_options
@click.pass_obj
def history(invocation: Invocation, voice: str, registry: str, as_json: bool, as_markdown: bool) -> None:
    """Show the event log of VOICE, oldest first: action, actor, time, commit and reason."""
    store = open_registry(invocation.registry(registry))
    events = store.history(voice)
    show(invocation, history_plain(store, voice, events), history_table(events), as_json, as_markdown)
