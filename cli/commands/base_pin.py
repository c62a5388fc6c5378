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
    """Export base NAME from its weights, ignoring existing exports, and pin the digest in base.yaml.

    From then on other graphs under this base's name are refused. Commit base.yaml, then publish the graphs from this
    machine with `timbre base publish NAME`.

    Exit code 20 if a graph differs from its network by more than 1e-4.
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
