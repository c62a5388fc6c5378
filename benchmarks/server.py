"""The HTTP server under load, in a separate process, with voices on the generated base pico or on one given.

    python -m benchmarks.server start            start to ready, several times
    python -m benchmarks.server load             N voices at random for a time: errors, memory growth after warm-up
    python -m benchmarks.server publish          publish -> first request speaks it, with requests in flight
    python -m benchmarks.server all              one after the other

Limits: start < 1 s, measured before all other programs where this process may (root); load: no error, growth < 5 %;
publish < 3 s at 1 s polling and no failed request. --export takes the folder of an exported base
(.timbre/exports/DIGEST) instead of pico: its voices have random adapters, which load and compute like trained ones.
With --against, starts of another checkout take turns with those of this one.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.serving.shelf_of_voices import Shelf

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"start s": 1.0, "growth": 0.05, "publish s": 3.0}
TEXTS = ("Good morning.", "The train leaves at ten.", "Please read page twelve before the lesson.")


@dataclass(frozen=True)
class Spent:
    """Of a process, up to now."""

    wall_s: float
    """By a clock that only goes forward."""
    cpu_s: float
    """On a processor."""
    queued_s: float
    """Of its threads together, ready to run while other programs had the processor."""
    disk_bytes: int
    """Read from a disk, not from the system's cache."""

    def since(self, before: Spent) -> Spent:
        """What came after an earlier moment."""
        return Spent(
            self.wall_s - before.wall_s, self.cpu_s - before.cpu_s, self.queued_s - before.queued_s,
            self.disk_bytes - before.disk_bytes,
        )  # fmt: skip


@dataclass
class Running:
    """A server process."""

    port: int
    process: subprocess.Popen[bytes]
    ready_s: float
    ready_cpu_s: float = 0.0
    errors: list[str] = field(default_factory=list)

    def call(self, path: str, body: object = None) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            data = None if body is None else json.dumps(body)
            connection.request("POST" if data else "GET", path, data, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def say(self, voice: str, text: str, stream: bool) -> tuple[int, str]:
        """Status and the version that spoke; what was no sound is noted as an error."""
        try:
            status, headers, data = self.call("/tts", {"text": text, "spk": voice, "streaming_mode": stream})
        except OSError as error:
            self.errors.append(repr(error))
            return 0, ""
        if status != 200 or len(data) < 1000:
            self.errors.append(f"{status} {data[:200]!r}")
        return status, headers.get("x-timbre-voice", "")

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the process so far: what a wall clock would show on a machine that does nothing else."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def spent(self) -> Spent:
        """What its threads that live now have had so far."""
        lines = [(task / "schedstat").read_text(encoding="ascii").split() for task in self._tasks()]
        reads = (Path(f"/proc/{self.process.pid}/io")).read_text(encoding="ascii").split("read_bytes: ")[1].split()[0]
        return Spent(
            time.perf_counter(), sum(int(line[0]) for line in lines) / 1e9, sum(int(line[1]) for line in lines) / 1e9,
            int(reads),
        )  # fmt: skip

    @contextmanager
    def undisturbed(self) -> Iterator[bool]:
        """Inside, the server and this process come before every other program, so that a wall clock shows what it would
        on a machine that does nothing else. False where the system does not let them (it takes root).
        """
        first, usual = os.sched_param(1), os.sched_param(0)
        threads = [0, *(int(task.name) for task in self._tasks())]
        try:
            for thread in threads:
                os.sched_setscheduler(thread, os.SCHED_RR, first)
        except PermissionError:
            yield False
            return
        try:
            yield True
        finally:
            for thread in [0, *(int(task.name) for task in self._tasks())]:
                with suppress(ProcessLookupError):
                    os.sched_setscheduler(thread, os.SCHED_OTHER, usual)

    def _tasks(self) -> list[Path]:
        return list(Path(f"/proc/{self.process.pid}/task").iterdir())

    @property
    def memory_mib(self) -> float:
        """Resident memory of the process."""
        return self._status_kib("VmRSS") / 1024

    @property
    def peak_mib(self) -> float:
        """The most that was ever resident."""
        return self._status_kib("VmHWM") / 1024

    def _status_kib(self, field: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split(f"{field}:")[1].split()[0])


@contextmanager
def first_in_line() -> Iterator[bool]:
    """As Running.undisturbed, for this process and those that it starts inside."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def serving(registry: Path, cache: Path, *options: str, packages: Path | None = None) -> Iterator[Running]:
    """`timbre serve` over a registry, ready. packages: folder that holds the package timbre, None for this one."""
    started = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"PYTHONPATH": str(packages)} if packages else {})
    command = [sys.executable, "-m", "timbre.cli.main", "serve", "--port", "0", "--registry", str(registry), "--cache"]
    process = subprocess.Popen([*command, str(cache), *options], cwd=ROOT, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    try:
        line = process.stderr.readline().decode()
        port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
        threading.Thread(target=process.stderr.read, daemon=True).start()
        running = Running(port, process, 0.0)
        while True:
            try:
                if running.call("/readyz")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.01)
        running.ready_s, running.ready_cpu_s = time.perf_counter() - started, running.cpu_s
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def start(shelf: Shelf, folder: Path, rounds: int, against: Path | None) -> bool:
    """Process start to ready; the first round also takes the base from the registry. against: another checkout, which
    takes turns with this one.
    """
    packages: dict[str, Path | None] = {"start to ready, s": None}
    if against is not None:
        packages[f"{against.name}, s"] = linked = folder / "against"
        linked.mkdir()
        (linked / "timbre").symlink_to(against.resolve())
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in packages}
    with first_in_line() as quiet:
        for _ in range(rounds + 1):
            for name, found in packages.items():
                with serving(shelf.folder, folder / f"cache-{list(packages).index(name)}", packages=found) as running:
                    spent[name].append((running.ready_s, running.ready_cpu_s))
    fine, cores = True, len(os.sched_getaffinity(0))
    for name, starts in spent.items():
        times, cpu = zip(*starts, strict=True)
        first, again = times[0], times[1:]
        words = (
            f"{rounds} starts {'before' if quiet else 'beside'} other programs on {cores} cores, "
            f"{min(again):.2f} to {max(again):.2f}, CPU {statistics.median(cpu[1:]):.2f}; "
            f"with the base to fetch {first:.2f}"
        )
        within = report(name, statistics.median(again), LIMITS["start s"], words)
        fine &= within or packages[name] is not None
    return fine


def load(shelf: Shelf, folder: Path, voices: int, seconds: float, clients: int) -> bool:
    """Random voices from several clients; memory is read after every voice has spoken once, and then every second."""
    names = shelf.registry.voices()[:voices]
    with serving(shelf.folder, folder / "cache") as running:
        for name in names:
            running.say(name, TEXTS[0], False)
        done, stop = [0] * clients, threading.Event()

        def ask(index: int) -> None:
            chance = random.Random(index)
            while not stop.is_set():
                running.say(chance.choice(names), chance.choice(TEXTS), chance.random() < 0.5)
                done[index] += 1

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(clients)]
        for thread in threads:
            thread.start()
        warm_s = 0.2 * seconds
        time.sleep(warm_s)
        before, peak = running.memory_mib, 0.0
        until = time.monotonic() + seconds - warm_s
        while time.monotonic() < until:
            time.sleep(1)
            peak = max(peak, running.memory_mib)
        after = running.memory_mib
        stop.set()
        for thread in threads:
            thread.join()
        growth = after / before - 1
        fine = report("errors", len(running.errors), 0, f"{sum(done)} requests, {len(names)} voices, {seconds:g} s")
        for error in running.errors[:3]:
            click.echo(f"    {error}")
        words = f"{before:.0f} MiB after warm-up, {after:.0f} at the end, {peak:.0f} most"
        return report("memory growth", growth, LIMITS["growth"], words) and fine


def publish(shelf: Shelf, folder: Path, rounds: int) -> bool:
    """A new version every round while three clients keep asking; from the alias's move to the answer that it speaks."""
    shelf.publish("moving", 1000)
    with serving(shelf.folder, folder / "cache") as running:
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                running.say("moving", TEXTS[0], False)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        times = []
        for index in range(rounds):
            time.sleep(random.Random(index).random())
            version = shelf.publish("moving", 2000 + index)
            begun = time.perf_counter()
            while running.say("moving", TEXTS[0], True)[1] != f"moving@{version}":
                time.sleep(0.02)
            times.append(time.perf_counter() - begun)
        stop.set()
        for thread in threads:
            thread.join()
        fine = report("failed requests", len(running.errors), 0, "while versions moved")
        words = f"{rounds} versions, median {statistics.median(times):.2f}"
        return report("publish to speech, s (longest)", max(times), LIMITS["publish s"], words) and fine


def report(what: str, value: float, limit: float, words: str) -> bool:
    """One line of figure, limit and verdict."""
    fine = value <= limit
    shown = f"{value:.3f}" if isinstance(value, float) else str(value)
    click.echo(f"{what:<32}{shown:>9}  limit {limit:<6g}{'ok' if fine else 'MISS':<6}{words}")
    return fine


@click.command()
@click.argument("what", type=click.Choice(["start", "load", "publish", "all"]), default="all")
@click.option("--export", type=click.Path(path_type=Path, exists=True), default=None, help="An exported base.")
@click.option("--voices", default=50, show_default=True)
@click.option("--seconds", default=300.0, show_default=True, help="Of the load.")
@click.option("--clients", default=4, show_default=True)
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Another checkout: starts take turns.",
)
@click.option("--rounds", default=5, show_default=True, help="Of starts and of published versions.")
def main(
    what: str, export: Path | None, voices: int, seconds: float, clients: int, against: Path | None, rounds: int
) -> None:
    """Prints every figure with its limit; exit code 1 when one is missed."""
    with tempfile.TemporaryDirectory(prefix="timbre-bench-") as temporary:
        folder = Path(temporary)
        shelf = Shelf(folder / "registry", export or pico(folder))
        for seed in range(voices):
            shelf.publish(f"v{seed}", seed)
        click.echo(f"base {shelf.base.name}, {voices} voices, load average {os.getloadavg()[0]:.1f}")
        fine = [
            what not in ("start", "all") or start(shelf, folder, rounds, against),
            what not in ("load", "all") or load(shelf, folder, voices, seconds, clients),
            what not in ("publish", "all") or publish(shelf, folder, rounds),
        ]
    sys.exit(not all(fine))


def pico(folder: Path) -> Path:
    """The generated base, exported."""
    from timbre.core.base import read_base
    from timbre.gptsovits.files.pico import make_pico
    from timbre.training.export.base_export import export_base

    make_pico(folder / "pico")
    export_base(read_base(folder / "pico"), folder / "export")
    return folder / "export"


if __name__ == "__main__":
    main()
