"""`timbre policy`: who may do what, and what every voice must fulfil, as the operator sets it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from timbre.cli.commands.options import registry_option
from timbre.cli.invocation import Invocation
from timbre.core.sizes import shown_size
from timbre.registry.policy import ACTS, read_policy, store_policy
from timbre.registry.rules import policies_of
from timbre.registry.store_at import open_store


@click.group()
def policy() -> None:
    """Check, store and show the operator's policy."""


@policy.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def check(file: Path) -> None:
    """Validate the policy in FILE; exit code 40 if it is invalid."""
    read_policy(file)
    click.echo(f"{file}: a policy")


@policy.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@registry_option
@click.pass_obj
def store(invocation: Invocation, file: Path, registry: str) -> None:
    """Store the policy in FILE in the registry, replacing the one there."""
    where = open_store(invocation.registry(registry))
    store_policy(where, file)
    click.echo(f"{where.url}: holds the policy of {file}")


@policy.command()
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(invocation: Invocation, registry: str, as_json: bool) -> None:
    """Show the policies in force, and the identity they see for this job or person."""
    found = policies_of(open_store(invocation.registry(registry)), invocation.environment)()
    actor = invocation.signed_actor(registry)
    if as_json:
        plain = {"policies": [dataclasses.asdict(item) for item in found], "actor": actor and dataclasses.asdict(actor)}
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    for item in found:
        click.echo(item.where)
        for act in ACTS:
            named = getattr(item, act)
            click.echo(f"  {act}: {'everyone' if named is None else ', '.join(named) or 'no one'}")
        click.echo(f"  review: {', '.join(item.review) or '-'}")
        for name in ("bases", "consent"):
            allowed = getattr(item, name)
            click.echo(f"  {name}: {'all' if allowed is None else ', '.join(allowed) or 'none'}")
        click.echo(f"  gates: {', '.join(item.gates) or '-'}")
        click.echo(f"  four eyes: {'yes' if item.four_eyes else 'no'}")
        sizes = {name: limit for name, limit in dataclasses.asdict(item.quota).items() if limit is not None}
        click.echo(f"  quota: {', '.join(f'{name} {shown_size(limit)}' for name, limit in sizes.items()) or '-'}")
    if not found:
        click.echo("no policy: everyone with credentials of the registry may do everything")
    click.echo(f"this job: {actor.name} ({actor.proof})" if actor else "this job: no signed identity")
