"""`timbre sign`: keys that sign the records of a registry, and the adoption of a registry that had none."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from timbre.cli.commands.options import registry_option
from timbre.cli.invocation import Invocation
from timbre.core.errors import CheckFailedError
from timbre.registry.open import open_registry
from timbre.registry.renewal import renew as renewed
from timbre.registry.signing import adopt_records
from timbre.registry.signing_keys import new_key, read_signer


@click.group()
def sign() -> None:
    """Sign the registry's records with a key."""


@sign.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def new(file: Path) -> None:
    """Write a new private key to FILE (TIMBRE_SIGNING_KEY) and print its public key for the file of trusted keys
    (TIMBRE_TRUSTED_KEYS).
    """
    click.echo(new_key(file))


@sign.command()
@click.argument("key")
def public(key: str) -> None:
    """Print the public half of KEY, a file or kms:KEY-ID-OR-ARN, for the file of trusted keys."""
    click.echo(read_signer(key).public.line)


@sign.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@registry_option
@click.pass_obj
def adopt(invocation: Invocation, yes: bool, registry: str) -> None:
    """Sign every existing record of a registry. Check it first: timbre verify, timbre audit."""
    store = open_registry(invocation.registry(registry))
    if not yes:
        click.confirm(f"Sign everything that {store.store.url} holds now?", abort=True, err=True)
    count = adopt_records(store.store)
    for voice in store.voices():
        store.settle(voice)
    click.echo(f"{store.store.url}: {count} records signed")


@sign.command()
@click.option("--discard", is_flag=True, help="Move away records that the witness does not vouch for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@registry_option
@click.pass_obj
def renew(invocation: Invocation, discard: bool, as_json: bool, registry: str) -> None:
    """Replace a signing key that leaked: sign with the new key (TIMBRE_SIGNING_KEY) what the witness vouches for.

    TIMBRE_TRUSTED_KEYS lists both keys meanwhile. Exit code 20 if records were signed later than the witness knows:
    without --discard they are listed and nothing is changed.
    """
    opened = open_registry(invocation.registry(registry))
    done = renewed(opened, actor=invocation.actor(registry), discard=discard)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
    else:
        for key, why in done.distrusted.items():
            click.echo(f"distrusted {key}: {why}")
        for key in done.restored:
            click.echo(f"restored {key}")
        for key in done.unproven:
            click.echo(f"compare {key}: only the old signature speaks for it")
        click.echo(
            f"{opened.store.url}: {len(done.signed)} records signed again, {done.countersigned} countersigned, "
            f"{len(done.restored)} restored, {len(done.distrusted)} distrusted"
        )
    if done.distrusted and not discard:
        raise CheckFailedError(
            f"{len(done.distrusted)} records are not vouched for by the witness; nothing was changed",
            "look at them, then: timbre sign renew --discard",
        )
