"""Sixteen writers on one alias: on a folder, S3 (SeaweedFS) and the Hub (our stub).

python -m benchmarks.writers [--writers 16] [--rounds 50] [--only folder|s3|hub]

Each round every writer, with a registry of its own, tries to move the alias from the state that all of them saw. One
must win, each of the others must be told that it did not, and the alias must say what the winner wrote. Exit code 1
otherwise.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from benchmarks.three_stores import STORES, addresses
from tests.registry.conftest import make_files, make_manifest
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.aliases import move_alias
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry
from timbre.registry.verification import audit

ADA = Actor("benchmark")
VOICE = "ada"


def rounds(opened: Callable[[], Registry], writers: int, count: int) -> list[str]:
    """What went wrong, a line for each round in which something did."""
    registry, found = opened(), []
    made = registry.publish(make_manifest(VOICE, "one"), make_files("one"), actor=ADA)
    registry.promote(VOICE, made.version, actor=ADA)
    each = [opened() for _ in range(writers)]
    barrier = threading.Barrier(writers)

    def write(writer: int) -> bool:
        barrier.wait()
        state = replace(seen, actor=f"writer {writer}", time=f"2026-11-21T11:{number % 60:02d}:00.000000+00:00")
        moved = move_alias(
            each[writer].store, VOICE, "production", lambda now: state if now == seen else None, attempts=1_000
        )
        return moved is not None

    with ThreadPoolExecutor(writers) as pool:
        for number in range(count):
            state = registry.alias(VOICE)
            assert state is not None
            seen = state
            winners = [f"writer {writer}" for writer, won in enumerate(pool.map(write, range(writers))) if won]
            now = registry.alias(VOICE)
            assert now is not None
            if [now.actor] != winners or now.generation != seen.generation + 1:
                found.append(f"round {number}: winners {winners}; the alias says {now.actor}, {now.generation}")
    return found + [finding.problem for finding in audit(registry, VOICE)]


def main() -> None:
    """Prints the result of each store; exits with 1 when a round had not exactly one winner."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--only", choices=STORES, default=None)
    given = parser.parse_args()
    failed = False
    for kind, address, _ in addresses(given.only, "writers"):
        began = time.perf_counter()
        found = rounds(
            lambda address=address: open_registry(RegistryAddress(address, os.environ)),  # type: ignore[misc]
            given.writers,
            given.rounds,
        )
        print(
            f"{kind}: {given.writers} writers, {given.rounds} rounds: {len(found)} without exactly one winner "
            f"(limit 0), {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        for line in found:
            print(f"  {line}")
        failed |= bool(found)
    if failed:
        raise SystemExit("missed")
    print("passed")


if __name__ == "__main__":
    main()
