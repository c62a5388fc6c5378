"""`timbre prune`: moves unneeded records to the trash, from which they can be restored for a week."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from timbre.cli.commands.options import VOICE, reason_option, registry_option
from timbre.cli.commands.sizes import read_size
from timbre.cli.invocation import Invocation
from timbre.registry import prune as pruning
from timbre.registry.open import open_registry

_days = click.FloatRange(min=0)


@click.command()
@click.argument("voices", nargs=-1, type=VOICE, metavar="[VOICE]...")
@click.option("--days", type=_days, default=90, show_default=True, help="Trash versions unused for this many days.")
@click.option(
    "--keep", "predecessors", type=click.IntRange(min=0), default=3, show_default=True,
    help="Keep this many versions before the one that an alias points to.",
)  # fmt: skip
@click.option("--stage-days", type=_days, default=90, show_default=True, help="Trash cached stages older than this.")
@click.option(
    "--stage-size",
    metavar="SIZE",
    default="",
    help="Trash the oldest cached stages above this total size, for example 50Gi.",
)
@click.option("--run-days", type=_days, default=400, show_default=True, help="Trash run records older than this.")
@click.option("--without-marks", is_flag=True, help="Prune versions even if no server has reported which it uses.")
@click.option("--yes", is_flag=True, help="Apply; without this only list what would go to the trash.")
@click.option("--undo", is_flag=True, help="Restore the trash, of VOICE or of all voices.")
@reason_option
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def prune(
    invocation: Invocation,
    voices: tuple[str, ...],
    days: float,
    predecessors: int,
    stage_days: float,
    stage_size: str,
    run_days: float,
    without_marks: bool,
    yes: bool,
    undo: bool,
    reason: str,
    registry: str,
    as_json: bool,
) -> None:
    """Move unneeded versions of VOICE (default: all voices, cached stages and runs) to the trash.

    Keeps versions that an alias points to, the --keep versions before each of them, young versions, and those that
    servers use. `timbre registry gc` empties the trash after a week. Exit code 20 if a voice was skipped because its
    records cannot be read.
    """
    opened = open_registry(invocation.registry(registry))
    if undo:
        keys = [key for name in voices or ("",) for key in pruning.undo(
            opened, f"voices/{name}/" if name else "", actor=invocation.actor(registry))]  # fmt: skip
        click.echo(json.dumps(keys, indent=2) if as_json else "\n".join([*keys, f"{len(keys)} records restored"]))
        return
    keep = pruning.Keep(days, predecessors, stage_days, read_size(stage_size, "--stage-size"), run_days, without_marks)
    choice = pruning.choose(opened, keep, voices)
    gone = None
    if yes:
        gone = set(pruning.prune(opened, choice, keep, actor=invocation.actor(registry), reason=reason))
    chosen = [item for item in choice.chosen if gone is None or item.key in gone]
    if as_json:
        plain = {"pruned": yes, "chosen": [asdict(item) for item in chosen], "left": choice.left}
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        for item in chosen:
            click.echo(f"{item.key}: {item.size_bytes / 1e6:.1f} MB, {item.why}")
        total = f"{len(chosen)} records, {sum(item.size_bytes for item in chosen) / 1e6:.1f} MB"
        back = "restore with: timbre prune --undo; deleted after a week by: timbre registry gc"
        click.echo(f"{total} in the trash; {back}" if yes else f"{total} would move to the trash; apply with --yes")
    pruning.require_sound(choice)
