"""`timbre base pin`: name the exported graphs of a base that may be used and published, in its base.yaml."""

from __future__ import annotations

import json

import click

from timbre.cli.invocation import Invocation


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def pin(invocation: Invocation, name: str, as_json: bool) -> None:
    """Export base NAME from its weights, whatever this machine or the registry holds, and write the digest of that
    export into base.yaml: other graphs under this base's name are refused from then on. Commit the file, and publish
    the graphs from this machine (timbre base publish NAME).

    Exit code 20 when a graph is further from its network than 1e-4.
    """
    from timbre.pipeline.bases.exported import pin_export

    workspace = invocation.workspace()
    found = workspace.load_base(name)
    edition, digest = pin_export(found, workspace.root, progress=invocation.progress())
    if as_json:
        click.echo(json.dumps({"name": found.name, "edition": edition, "sha256": digest}))
        return
    click.echo(f"{found.name}: exports: {edition}: {digest}")
    click.echo(f"next: commit {found.spec_path}, then: timbre base publish {found.name}")
