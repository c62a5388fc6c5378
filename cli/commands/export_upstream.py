"""`timbre export-upstream`: exports a trained voice for upstream's tools."""

from __future__ import annotations

from pathlib import Path

import click

from timbre.cli.commands.options import bases_dir_option
from timbre.cli.invocation import Invocation
from timbre.core.base import load_base


@click.command("export-upstream")
@click.argument("adapters", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option("--base", "base_name", required=True, help="Base that the voice was trained on (v2, v2Pro, v2ProPlus).")
@click.option("--name", required=True, help="Voice name: the first part of the file names.")
@click.option("--epoch", type=click.IntRange(1), default=1, show_default=True, help="Epoch in the file names.")
@click.option("--step", type=click.IntRange(0), default=0, show_default=True, help="Step in the file names.")
@bases_dir_option
@click.pass_obj
def export_upstream(
    invocation: Invocation,
    adapters: Path,
    target: Path,
    base_name: str,
    name: str,
    epoch: int,
    step: int,
    bases_dir: Path | None,
) -> None:
    """Merge the adapters ADAPTERS/t2s and ADAPTERS/sovits into their base, and write a .ckpt and a .pth to TARGET.

    ADAPTERS is the output of stage finetune or an unpacked voice package.
    """
    from timbre.training.upstream_export import export_voice

    base = load_base(base_name, *invocation.bases(bases_dir, None))
    for path in export_voice(base, adapters, target, name, epoch, step):
        click.echo(str(path))
