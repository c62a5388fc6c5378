"""`timbre dashboard`: the static site of all voices."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.cli.commands.options import registry_option
from timbre.cli.invocation import Invocation
from timbre.core.errors import ConfigurationError


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("public"), show_default=True,
    metavar="DIR", help="Where the pages are written.",
)  # fmt: skip
@click.option("--alias", default="production", show_default=True, help="Whose version counts as the present one.")
@click.option("--json", "as_json", is_flag=True, help="Print the list of files as JSON.")
@registry_option
@click.pass_obj
def dashboard(invocation: Invocation, output: Path, alias: str, as_json: bool, registry: str) -> None:
    """Pages of all voices: what is in production, gates over versions, what happened, links to the reports.

    Plain files that any web server can show (GitLab Pages, a Jenkins report); English and Chinese.
    """
    from timbre.cli.dashboard.site import collect, write_site
    from timbre.pipeline.ci.origin import origin_of
    from timbre.registry.open import open_registry

    try:
        workspace = invocation.workspace()
    except ConfigurationError:
        # Outside a repository there is still the registry.
        workspace = None
    store = open_registry(invocation.registry(registry) if workspace or registry else _named(invocation))
    commit = origin_of(invocation.environment, workspace.root).commit if workspace else ""
    made = f"{store.now()[:19].replace('T', ' ')} UTC" + (f", {commit[:12]}" if commit else "")
    files = write_site(output, collect(workspace, store, alias), made)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in files]}, indent=2))
    else:
        click.echo(f"{output}: {len(files) - 2} voices")


def _named(invocation: Invocation) -> str:
    address = invocation.environment.get("TIMBRE_REGISTRY", "")
    if not address:
        raise ConfigurationError("no registry is named and this is no voice repository", "give --registry URL")
    return address
