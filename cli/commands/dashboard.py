"""`timbre dashboard`: builds the static site of all voices."""

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
    metavar="DIR", help="Output folder.",
)  # fmt: skip
@click.option("--alias", default="production", show_default=True, help="Alias shown as the current version.")
@click.option("--json", "as_json", is_flag=True, help="Print the list of written files as JSON.")
@registry_option
@click.pass_obj
def dashboard(invocation: Invocation, output: Path, alias: str, as_json: bool, registry: str) -> None:
    """Build pages of all voices: production version, gates over versions, events, links to reports.

    Plain files in English and Chinese, ready for GitLab Pages or a Jenkins report.
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
        raise ConfigurationError("no registry given, and this is not a voice repository", "give --registry URL")
    return address
