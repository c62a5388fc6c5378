"""A server of a thousand voices on nano: errors, peak memory, and what the first use of a cold voice costs.

    python -m benchmarks.many_voices --voices 1000 --minutes 10

Every voice has adapters of its own on the layers that training adapts, at the rank that it trains, and one prompt
condition taken from a recording; the weights are small random ones, so that all of them speak. First uses are measured
before the load, once all voices were looked at: a voice that is in no cache, and the same sentence again. For that time
server and client come before all other programs (real-time priority, which takes root), so that the wall clock shows
what it would on a machine that does nothing else; without root the line says "beside other programs".
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from benchmarks.nano_engine import exported_nano, spoken_condition
from benchmarks.server import TEXTS, Running, Spent, report, serving
from tests.serving.shelf_of_voices import Shelf
from timbre.core.recipe import Recipe
from timbre.inference.exported_base import ExportedBase
from timbre.training.lora import ACOUSTIC_GROUPS

RECORDING = Path("voices/awb/wavs/0001.flac")
LIMITS = {"errors": 0, "peak GB": 1.5, "first use ms": 50.0}
FORMATS = ("wav", "mp3", "opus", "flac", "pcm")
_TINY = 1e-3


class Packages:
    """Files of voices on one base: `of(number)` differs from every other number in both adapters."""

    def __init__(self, base: ExportedBase, recording: Path) -> None:
        weights = load_file(base.graph("weights"))
        adapted = re.compile("|".join(ACOUSTIC_GROUPS.values()))
        self._rank = Recipe().finetune.rank
        shapes = {name.removesuffix(".T").removesuffix(".weight"): _shape(name, item) for name, item in weights.items()}
        self._parts: dict[str, dict[str, tuple[int, ...]]] = {
            "sovits": {name: shape for name, shape in shapes.items() if adapted.fullmatch(name)},
            "t2s": {name: (high, low) for name, (low, high) in base.t2s.projections.items()},
        }
        condition, speaker = spoken_condition(base, recording)
        prompt: dict[str, NDArray[np.generic]] = {
            "codes": np.arange(50),
            "phones": np.arange(30),
            "condition": condition,
            "speaker": speaker,
            "rate": np.array(0.085, np.float32),
        }
        self._shared = {
            "prompt.safetensors": save(prompt),
            "prompt.json": json.dumps({"language": "en", "text": "Good morning."}).encode(),
        }
        self._numbers = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float16) * np.float16(_TINY)

    def of(self, number: int) -> dict[str, bytes]:
        """Path in the package -> content."""
        files = dict(self._shared)
        config = {"peft_type": "LORA", "r": self._rank, "lora_alpha": 2 * self._rank}
        for part, shapes in self._parts.items():
            tensors, place = {}, 7 * number
            for name, (outputs, inputs, *kernel) in shapes.items():
                for kind, shape in (
                    ("A", (self._rank, inputs, *kernel)),
                    ("B", (outputs, self._rank, *(1 for _ in kernel))),
                ):
                    size = int(np.prod(shape))
                    values = np.take(self._numbers, np.arange(place, place + size), mode="wrap")
                    tensors[f"base_model.model.{name}.lora_{kind}.weight"] = values.reshape(shape)
                    place += size
            files[f"{part}/adapter_model.safetensors"] = save(tensors)
            files[f"{part}/adapter_config.json"] = json.dumps(config).encode()
        return files


def _shape(name: str, weight: NDArray[np.float32]) -> tuple[int, ...]:
    return (weight.T if name.endswith(".T") else weight).shape


def publish(shelf: Shelf, voices: int, recording: Path) -> None:
    """Voices v0000 and on."""
    packages, began = Packages(shelf.base, recording), time.perf_counter()
    for number in range(voices):
        shelf.publish_files(f"v{number:04}", packages.of(number), str(number))
    click.echo(f"{voices} voices on {shelf.base.name} published in {time.perf_counter() - began:.0f} s")


def settled(running: Running, voices: int) -> None:
    """Returns when the server has looked at every voice."""
    while json.loads(running.call("/health")[2])["voices"].get("ready", 0) < voices:
        time.sleep(0.5)


def first_uses(running: Running, names: list[str]) -> bool:
    """Each voice twice with the same sentence; the difference is what its first use costs."""
    cold, warm = list[Spent](), list[Spent]()
    with running.undisturbed() as quiet:
        for name in names:
            for spent in (cold, warm):
                before = running.spent
                running.say(name, TEXTS[0], False)
                spent.append(running.spent.since(before))
    more = [first.since(second) for first, second in zip(cold, warm, strict=True)]

    def middle(of: list[Spent], value: Callable[[Spent], float]) -> float:
        return 1e3 * statistics.median(value(item) for item in of)

    words = (
        f"{len(names)} voices {'before' if quiet else 'beside'} other programs: first {middle(cold, _wall):.0f}, next "
        f"{middle(warm, _wall):.0f}; of the difference {middle(more, lambda item: item.cpu_s):.0f} on a processor, "
        f"{middle(more, lambda item: item.queued_s):.0f} waiting for one; read from a disk in all "
        f"{sum(item.disk_bytes for item in cold) / 1e6:.1f} MB"
    )
    return report("first use above the next, ms", middle(more, _wall), LIMITS["first use ms"], words)


def _wall(spent: Spent) -> float:
    return spent.wall_s


def load(running: Running, names: list[str], minutes: float, clients: int) -> bool:
    """Requests of all kinds for random voices; the highest memory that the kernel saw."""
    done, stop = Counter[str](), threading.Event()
    heard = set[str]()

    def ask(index: int) -> None:
        for kind, name in _kinds(random.Random(index), names):
            if stop.is_set():
                return
            _ask(running, kind, name, index)
            done[kind] += 1
            heard.add(name)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    began, before = time.monotonic(), 0.0
    while time.monotonic() - began < 60 * minutes:
        time.sleep(1)
        if not before and time.monotonic() - began > 12 * minutes:
            before = running.memory_mib
    after = running.memory_mib
    stop.set()
    for thread in threads:
        thread.join()
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(done.items()))
    words = f"{sum(done.values())} requests ({kinds}) to {len(heard)} of {len(names)} voices in {minutes:g} min"
    fine = report("errors", len(running.errors), LIMITS["errors"], words)
    for error in running.errors[:3]:
        click.echo(f"    {error}")
    words = f"after a fifth of the time {before / 1024:.2f}, at the end {after / 1024:.2f}"
    return report("peak memory, GB", running.peak_mib / 1024, LIMITS["peak GB"], words) and fine


def _kinds(chance: random.Random, names: list[str]) -> Iterator[tuple[str, str]]:
    while True:
        kind = chance.choices(("whole", "streamed", "openai", "listing"), (10, 10, 10, 1))[0]
        yield kind, chance.choice(names)


def _ask(running: Running, kind: str, name: str, seed: int) -> None:
    chance = random.Random(f"{name}{seed}")
    if kind in ("whole", "streamed"):
        running.say(name, chance.choice(TEXTS), kind == "streamed")
        return
    body = None
    if kind == "openai":
        body = {"voice": name, "input": chance.choice(TEXTS), "response_format": chance.choice(FORMATS)}
    try:
        status, _, data = running.call("/v1/audio/speech" if body else "/v1/audio/voices", body)
    except OSError as error:
        running.errors.append(repr(error))
        return
    if status != 200 or len(data) < 500:
        running.errors.append(f"{kind} {status} {data[:200]!r}")


@click.command()
@click.option("--voices", default=1000, show_default=True)
@click.option("--minutes", default=10.0, show_default=True, help="Of the load.")
@click.option("--clients", default=4, show_default=True)
@click.option("--first", default=40, show_default=True, help="Voices whose first use is measured.")
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".timbre/benchmarks"), show_default=True,
              help="Where nano's exported graphs are kept between runs.")  # fmt: skip
@click.option("--recording", type=click.Path(path_type=Path, exists=True), default=RECORDING, show_default=True)
def main(voices: int, minutes: float, clients: int, first: int, keep: Path, recording: Path) -> None:
    """Prints every figure with its limit; exit code 1 when one is missed."""
    with tempfile.TemporaryDirectory(prefix="timbre-bench-") as temporary:
        folder = Path(temporary)
        shelf = Shelf(folder / "registry", exported_nano(keep).folder)
        publish(shelf, voices, recording)
        names = shelf.registry.voices()
        with serving(shelf.folder, folder / "cache") as running:
            began = running.cpu_s
            settled(running, voices)
            words = f"{running.cpu_s - began:.0f} s of CPU, {running.memory_mib / 1024:.2f} GB"
            click.echo(f"ready after {running.ready_s:.1f} s; all voices looked at after {words}")
            for name in names[-5:]:
                running.say(name, TEXTS[0], False)
            # The names at the front were looked at first and have left every cache since.
            fine = first_uses(running, random.Random(1).sample(names[: voices // 2], min(first, voices // 2)))
            fine = load(running, names, minutes, clients) and fine
    sys.exit(not fine)


if __name__ == "__main__":
    main()
