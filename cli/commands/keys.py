"""`timbre keys`: the data keys that voices are encrypted with, and a new master key."""

from __future__ import annotations

from pathlib import Path

import click

from timbre.cli.commands.options import VOICE, registry_option
from timbre.cli.invocation import Invocation
from timbre.core.atomic import write_bytes
from timbre.core.errors import InputError
from timbre.registry.encryption.keyring import Keyring, missing_key, open_keyring
from timbre.registry.encryption.master import new_master, read_master
from timbre.registry.encryption.sealed_page import open_page
from timbre.registry.events import Act, Event, append
from timbre.registry.open import open_registry
from timbre.registry.rules import Rules, policies_of
from timbre.registry.store_at import open_store


@click.group()
def keys() -> None:
    """Manage the keys that voices are encrypted with.

    Each voice has data keys, wrapped by the master key of TIMBRE_MASTER_KEY, in the registry or at TIMBRE_KEYS.
    """


@keys.command()
def master() -> None:
    """Print a new master key: store it as a secret, and keep a copy where the registry is not."""
    click.echo(new_master())


@keys.command()
@click.argument("voice", type=VOICE)
@registry_option
@click.pass_obj
def new(invocation: Invocation, voice: str, registry: str) -> None:
    """Create the first data key of VOICE, as publishing does."""
    click.echo(f"{voice}: data key {_keyring(invocation, registry).new(voice)}")


@keys.command()
@click.argument("voice", type=VOICE)
@click.option("--from-master", metavar="KEY", default="", help="Only rewrap the keys that this master key wrapped.")
@registry_option
@click.pass_obj
def rotate(invocation: Invocation, voice: str, from_master: str, registry: str) -> None:
    """Add a data key to VOICE for new files; older files keep their keys.

    --from-master (in the forms of TIMBRE_MASTER_KEY) moves the keys of VOICE from another master key to this one.
    """
    ring = _keyring(invocation, registry)
    if from_master:
        ring.rewrap(voice, read_master(from_master))
        click.echo(f"{voice}: keys rewrapped with {ring.master.name}")
        return
    key = ring.rotate(voice)
    click.echo(f"{voice}: data key {key}")
    opened, actor = open_registry(invocation.registry(registry)), invocation.actor(registry)
    if voice in opened.voices():
        act = Event(voice, Act.ROTATED, opened.now(), actor.name, f"data key {key} added", proof=actor.proof)
        append(opened.store, act)
        opened.settle(voice)


@keys.command()
@click.argument("voice", type=VOICE)
@click.option("--yes", is_flag=True, help="Confirm: the voice's files become unreadable.")
@registry_option
@click.pass_obj
def revoke(invocation: Invocation, voice: str, yes: bool, registry: str) -> None:
    """Destroy all data keys of VOICE: its files become unreadable everywhere, in backups too.

    `timbre revoke` includes this.
    """
    if not yes:
        raise InputError(f"{voice}: destroying its keys cannot be undone", "pass --yes to confirm")

    rules = Rules(policies_of(open_store(invocation.registry(registry)), invocation.environment))
    rules.require("revoke", invocation.actor(registry))
    there = _keyring(invocation, registry).destroy(voice)
    click.echo(f"{voice}: {'data keys destroyed' if there else 'there was no data key'}; no new one will be created")


def _keyring(invocation: Invocation, registry: str) -> Keyring:
    found = open_keyring(open_store(invocation.registry(registry)), invocation.environment)
    if found is None:
        raise missing_key("this command works on keys")
    return found


@keys.command(name="open")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@registry_option
@click.pass_obj
def open_report(invocation: Invocation, file: Path, output: Path, registry: str) -> None:
    """Decrypt FILE, a report.sealed.json of a CI job, and write the page with its audio to OUTPUT (mode 0600)."""
    page = open_page(_keyring(invocation, registry), file.read_text(encoding="utf-8"))
    write_bytes(output, page.encode(), private=True)
    click.echo(str(output))
