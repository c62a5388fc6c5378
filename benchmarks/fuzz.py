"""Random requests to a server with every route open: how many were answered with 500, hung, or left a traceback.

    python -m benchmarks.fuzz --requests 100000 --seed 1
    python -m benchmarks.fuzz --seed 1 --from 4711 --requests 1      send one again

Bodies, queries, forms, batches, SSML, marks, WebSocket frames and framing (tests/serving/fuzzed.py), from four
connections at once. Limit: none. Exit code 1 when one was found.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.server import pico
from tests.serving.fuzzing import Verdicts, bugs, fuzz, target
from timbre.core.telemetry import switch_off_telemetry


@click.command()
@click.option("--requests", default=100_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--from", "first", default=0, show_default=True, help="Number of the first request.")
@click.option("--minutes", default=0.0, help="Stop after so long; 0: never.")
@click.option("--clients", default=4, show_default=True)
@click.option("--export", type=click.Path(path_type=Path, exists=True), default=None, help="An exported base.")
def main(requests: int, seed: int, first: int, minutes: float, clients: int, export: Path | None) -> None:
    """Prints what was found, and the seconds."""
    switch_off_telemetry()
    began = time.monotonic()

    def late() -> bool:
        return bool(minutes) and time.monotonic() - began > 60 * minutes

    def told(verdicts: Verdicts) -> None:
        click.echo(f"{verdicts.kinds.total():>8} sent, {len(verdicts.faults)} faults, {time.monotonic() - began:.0f} s")

    with tempfile.TemporaryDirectory(prefix="timbre-bench-") as temporary:
        folder = Path(temporary)
        with target(folder, export or pico(folder)) as live:
            found = fuzz(live, seed, range(first, first + requests), clients, late, told)
            still = live.say("ada").status
            tracebacks = bugs(live)
    seconds = f"{time.monotonic() - began:.0f} s ({os.times().user:.0f} s CPU)"
    click.echo(f"{found.kinds.total()} requests of seed {seed} in {seconds}")
    click.echo("kinds:    " + ", ".join(f"{number} {kind}" for kind, number in sorted(found.kinds.items())))
    click.echo("answers:  " + ", ".join(f"{number} of {status}" for status, number in sorted(found.statuses.items())))
    click.echo(f"slowest:  {found.slowest[0]:.1f} s (request {found.slowest[1]}); afterwards a plain request: {still}")
    for line in [*found.faults[:40], *tracebacks[:40]]:
        click.echo(f"    {line}")
    click.echo(f"faults:   {len(found.faults)}, tracebacks: {len(tracebacks)}; limit 0")
    sys.exit(bool(found.faults or tracebacks or still != 200))


if __name__ == "__main__":
    main()
