"""Start-up of the command line: `python -m benchmarks.startup`. Goal: `timbre --help` under 0.5 s.

Prints seconds of wall clock and CPU of a bare interpreter, `timbre --help` and an interpreter with numpy, interleaved
in one run, medians of several rounds.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

ROUNDS = 9
PROGRAMS = {
    "bare interpreter": "pass",
    "timbre --help": "from timbre.cli.main import call; call(['--help'])",
    "import numpy": "import numpy",
}


def measure(code: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds of one interpreter that runs `code`."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    wall_s, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, code in PROGRAMS.items():
            figures[name].append(measure(code))
    print(f"{'program':<18}{'wall s':>8}{'cpu s':>8}   (medians of {ROUNDS})")
    for name, found in figures.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:<18}{wall_s:>8.3f}{cpu_s:>8.3f}")


if __name__ == "__main__":
    main()
