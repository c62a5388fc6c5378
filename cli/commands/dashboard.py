"""`timbre dashboard`: builds the static site of all voices."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.cli.commands.options import registry_option
from timbre.cli.invocation import Invocation
from timbre.pipeline.ci.origin import origin_of
from timbre.registry.open import open_registry


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("public"), show_default=True,
    metavar="DIR", help="Output folder.",
)  # fmt: skip
@click.option("--alias", default="production", show_default=True, help="Alias shown as the current version.")
@click.option(
    "--samples/--no-samples", default=True, show_default=True,
    help="Copy samples of production versions and red runs beside the pages, never recordings.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the list of written files as JSON.")
@registry_option
@click.pass_obj
def dashboard(invocation: Invocation, output: Path, alias: str, samples: bool, as_json: bool, registry: str) -> None:
    """Build pages of all voices: state, similarity, word errors and MOS by commit, runs, events, reports.

    Plain files in English and Chinese, ready for GitLab Pages or a Jenkins report, and an Atom feed of failures. A
    second build into the same folder writes only the pages of voices that changed.
    """
    from timbre.cli.dashboard.site import Site

    workspace, address = invocation.anywhere(registry)
    store = open_registry(address)
    commit = origin_of(invocation.environment, workspace.root).commit if workspace else ""
    made = f"{store.now()[:19].replace('T', ' ')} UTC" + (f", {commit[:12]}" if commit else "")
    files = Site(output, store, workspace, alias, samples).write(made)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in files]}, indent=2))
    else:
        click.echo(f"{output}: {len(files) - 4} voices")
