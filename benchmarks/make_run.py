"""`make run` as a newcomer has it: python -m benchmarks.make_run [VOICE]

A fresh clone of what is committed, `make install` (printed, not limited), `make run`, and `make run` once more. Limits:
the first run under 10 minutes, the second under 20 s, stage 4 under 120 s. Exit code 20 when one is missed, and that of
`make run` when it fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from timbre.core.errors import CheckFailedError

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"first run": 600.0, "second run": 20.0, "stage 4": 120.0}


def timed(clone: Path, *command: str) -> float:
    """Seconds of a command in the clone. Ends the program with its code if it fails."""
    own = ("VIRTUAL_ENV", "TIMBRE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    began = time.monotonic()
    code = subprocess.run(command, cwd=clone, env=environment).returncode
    if code:
        raise SystemExit(code)
    return time.monotonic() - began


def stage_seconds(clone: Path, stage: str) -> float:
    """Longest time that a record of the stage tells. KeyError when there is none."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in (clone / ".timbre").rglob("stage.json")]
    seconds = [float(record["seconds"]) for record in found if record["stage"] == stage]
    if not seconds:
        raise KeyError(f"{clone / '.timbre'}: no record of stage {stage}")
    return max(seconds)


def table(measured: dict[str, float]) -> tuple[str, bool]:
    """Lines of name, seconds, limit and verdict; and whether all limits are met."""
    lines, met = [], True
    for name, seconds in measured.items():
        limit = LIMITS.get(name)
        verdict = "" if limit is None else "met" if seconds < limit else "MISSED"
        met = met and verdict != "MISSED"
        wanted = "" if limit is None else f"limit {limit:g} s"
        lines.append(f"{name:<12} {seconds:8.1f} s  {wanted:<14} {verdict}".rstrip())
    return "\n".join(lines), met


@click.command()
@click.argument("voice", default="awb")
def main(voice: str) -> None:
    """Clone, install, run twice, print."""
    with tempfile.TemporaryDirectory(prefix="timbre-make-run-") as scratch:
        clone = Path(scratch) / "timbre"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        measured = {"install": timed(clone, "make", "install")}
        measured["first run"] = timed(clone, "make", "run", f"VOICE={voice}")
        measured["second run"] = timed(clone, "make", "run", f"VOICE={voice}")
        measured["stage 4"] = stage_seconds(clone, "evaluate")
        lines, met = table(measured)
    print(lines)
    if not met:
        sys.exit(CheckFailedError.exit_code)


if __name__ == "__main__":
    main()
