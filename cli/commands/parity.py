"""`timbre parity DIR`: compares the networks with reference vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from timbre.core.errors import CheckFailedError

if TYPE_CHECKING:
    from timbre.gptsovits.parity.check import Check


@click.command("parity")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table.")
def parity(folder: Path, as_json: bool, as_markdown: bool) -> None:
    """Compare the networks with every set of reference vectors below DIR.

    Prints set, tensor, maximum error, limit and verdict. Exit code 20 if any tensor misses its limit.
    """
    import torch

    from timbre.gptsovits.parity.run import run_parity

    # One thread: the order of summation, and so the last digits, then depend on the machine alone.
    torch.set_num_threads(1)
    checks: list[Check] = []
    if as_markdown:
        click.echo("| set | tensor | maximum error | limit | verdict | note |\n|---|---|---|---|---|---|")
    for check in run_parity(folder):
        checks.append(check)
        if as_markdown:
            numbers = (f"{check.error:.3g}", f"{check.limit:g}")
            click.echo(f"| {' | '.join((check.set_name, check.tensor, *numbers, _verdict(check), check.note))} |")
        elif not as_json:
            click.echo(_line(check))
    missed = [check for check in checks if not check.passed]
    if as_json:
        report = {"checks": [check.as_dict() for check in checks], "misses": len(missed), "passed": not missed}
        click.echo(json.dumps(report, indent=1))
    else:
        sets = len({check.set_name for check in checks})
        click.echo(f"\n{sets} sets, {len(checks)} comparisons, {len(missed)} missed")
    if missed:
        first = missed[0]
        raise CheckFailedError(
            f"{len(missed)} of {len(checks)} comparisons missed; first {first.set_name} {first.tensor}: "
            f"error {first.error:.3g}, limit {first.limit:g}{', ' + first.note if first.note else ''}",
            remedy="compare the named tensor's network with its reference",
        )


def _line(check: Check) -> str:
    numbers = f"{check.error:>10.3g} {check.limit:>8g} {check.kind:<9}"
    return f"{check.set_name:<22} {check.tensor:<46} {numbers}{_verdict(check)}  {check.note}".rstrip()


def _verdict(check: Check) -> str:
    return "ok" if check.passed else "MISS"
