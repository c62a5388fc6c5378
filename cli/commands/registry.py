"""`timbre registry`: mirror, back up, restore and measure registries."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from timbre.cli.commands.options import VOICE, registry_option
from timbre.cli.commands.sizes import read_size
from timbre.cli.invocation import Invocation
from timbre.core.errors import CheckFailedError
from timbre.registry import index, mirror
from timbre.registry.events import utc_now
from timbre.registry.garbage import collect
from timbre.registry.store_at import open_store
from timbre.registry.usage import usage as measured


@click.group()
def registry() -> None:
    """Mirror, back up, restore and measure registries (folders, s3://, hf://)."""


@registry.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--voice", "voices", multiple=True, type=VOICE, metavar="NAME", help="Only this voice and its base; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def sync(invocation: Invocation, source: str, target: str, voices: tuple[str, ...], as_json: bool) -> None:
    """Mirror the registry SOURCE to TARGET; run again to resume or to catch up.

    Exit code 20 if something was skipped because the target is ahead or the source is damaged.
    """
    done = mirror.sync(open_store(invocation.address(source)), open_store(invocation.address(target)), voices)
    _show(done, as_json)
    if done.left:
        key, why = next(iter(done.left.items()))
        raise CheckFailedError(f"{len(done.left)} objects were skipped, the first: {key}: {why}", "timbre verify")


@registry.command()
@click.argument("target")
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def backup(invocation: Invocation, target: str, registry: str, as_json: bool) -> None:
    """Copy the registry into the empty store TARGET, without data keys and cached stages, and seal the copy."""
    there = open_store(invocation.address(target))
    _show(mirror.back_up(open_store(invocation.registry(registry)), there, utc_now()), as_json)


@registry.command()
@click.argument("source")
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def restore(invocation: Invocation, source: str, registry: str, as_json: bool) -> None:
    """Copy the finished backup SOURCE into the registry, which must be empty; every object is checked first."""
    _show(mirror.restore(open_store(invocation.address(source)), open_store(invocation.registry(registry))), as_json)


@registry.command()
@registry_option
@click.option("--quota", metavar="SIZE", default="", help="Exit with code 20 above this size, for example 50Gi.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def usage(invocation: Invocation, registry: str, quota: str, as_json: bool) -> None:
    """Show the storage used by voices, bases and cached stages."""
    limit = read_size(quota, "--quota")
    found = measured(open_store(invocation.registry(registry)))
    if as_json:
        plain = {name: value for name, value in asdict(found).items() if name != "digests"}
        click.echo(json.dumps(plain, indent=2))
    else:
        for line in found.lines:
            shared = f", {line.shared_bytes / 1e6:.1f} MB shared" if line.shared_bytes else ""
            click.echo(f"{line.name}: {line.versions} kept, {line.own_bytes / 1e6:.1f} MB{shared}")
        click.echo(f"total: {found.total_bytes / 1e6:.1f} MB, {found.unreferenced} unreferenced files")
    if limit is not None and found.total_bytes > limit:
        raise CheckFailedError(f"the registry holds {found.total_bytes} bytes, its quota is {limit}", "timbre prune")


@registry.command()
@registry_option
@click.option(
    "--trash-days",
    type=click.FloatRange(min=0),
    default=7,
    show_default=True,
    help="Delete what has been in the trash for this many days.",
)
@click.option(
    "--grace-hours", type=click.FloatRange(min=0), default=24, show_default=True,
    help="Delete files this long after they were first found unreferenced; shorten only without writers.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def gc(invocation: Invocation, registry: str, trash_days: float, grace_hours: float, as_json: bool) -> None:
    """Empty the trash of `timbre prune` and delete unreferenced files; bring the index of a bucket up to date. Safe
    beside writers; run it daily.
    """
    store = open_store(invocation.registry(registry))
    freed = collect(store, utc_now(), trash_days=trash_days, grace_hours=grace_hours)
    index.rebuild(store)
    if as_json:
        click.echo(json.dumps(asdict(freed), indent=2))
        return
    click.echo(
        f"{len(freed.emptied)} records removed from the trash, {len(freed.removed)} files deleted, {freed.waiting} "
        f"waiting for {grace_hours:g} hours"
    )


def _show(done: mirror.Copied, as_json: bool) -> None:
    words = f"{done.copied} objects copied ({done.size_bytes / 1e6:.1f} MB), {done.present} already there"
    click.echo(
        mirror.plain(done) if as_json else words + (f"; revoked: {', '.join(done.revoked)}" if done.revoked else "")
    )
