"""Builds the dashboard of a fabricated registry, twice: python -m benchmarks.dashboard --voices 500 --versions 20"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from timbre.cli.dashboard.site import Site
from timbre.registry import events
from timbre.registry.events import Act, Event
from timbre.registry.local_store import LocalStore
from timbre.registry.manifest import Manifest, Provenance
from timbre.registry.records import seal
from timbre.registry.registry import Actor, Registry
from timbre.registry.run_records import RunStore

_GATES = {
    "speaker_similarity_tts": ("Speaker similarity", "higher", 0.7, 0.85, 0.05),
    "word_error_rate_tts": ("Word error rate", "lower", 0.4, 0.25, 0.08),
    "dnsmos_tts": ("DNSMOS overall", "higher", 2.0, 2.9, 0.3),
    "pesq_nb_copy": ("PESQ narrow band", "higher", 3.5, 3.8, 0.1),
    "stoi_copy": ("STOI", "higher", 0.85, 0.95, 0.02),
    **{f"made_up_{index}_tts": (f"Measure {index}", "higher", 0.5, 0.8, 0.1) for index in range(15)},
}


def gates(draw: np.random.Generator, passed: bool = True) -> dict[str, dict[str, object]]:
    """Twenty gates of a base; one is red unless passed."""
    found: dict[str, dict[str, object]] = {}
    for name, (title, direction, limit, middle, spread) in _GATES.items():
        value = float(middle + spread * draw.standard_normal() * 0.3)
        found[name] = {
            "title": title, "direction": direction, "limit": limit, "value": value, "passed": True, "blocks": True,
            "protocol": name.rpartition("_")[2], "low": value - spread, "high": value + spread,
        }  # fmt: skip
    if not passed:
        found["dnsmos_tts"] |= {"value": 1.7, "passed": False}
    return found


def fabricate(folder: Path, voices: int, versions: int) -> Registry:
    """A registry with that many voices and versions, as many runs, events and one alias a voice; no sound."""
    store, draw = LocalStore(folder), np.random.default_rng(0)
    registry = Registry(store)
    for number in range(voices):
        name, last = f"voice-{number:03d}", ""
        for index in range(versions):
            last = f"{number * versions + index:012x}"
            created = f"2026-{1 + index // 28:02d}-{1 + index % 28:02d}T10:00:00.000000+00:00"
            came = Provenance(f"{index:040x}", "Ada Lovelace <ada@example.org>", "ci", None, "0" * 64)
            manifest = Manifest(
                name, last, "0" * 64, "nano", "0" * 64, ("en",), 24000, created, True, gates(draw),
                {"kind": "recorded"}, False, came, (),
            )  # fmt: skip
            _put(folder, manifest.key, seal(manifest.key, manifest.to_body()))
            for event in (
                Event(name, Act.PUBLISHED, created, "ci", "passed every gate", version=last),
                Event(name, Act.PROMOTED, created, "ci", "passed every gate", alias="production", version=last,
                      generation=index),
            ):  # fmt: skip
                key = f"voices/{name}/events/{event.id}.json"
                _put(folder, key, seal(key, events.plain(event)))
            red = number % 10 == 0 and index == versions - 1
            about = {
                "voice": name, "run": f"{created[:19].replace(':', '')}.000000Z-{index:08x}",
                "state": "red" if red else "promoted", "commit": f"{index:040x}", "author": "Ada Lovelace",
                "gates": gates(draw, not red), "error": "1 of 20 gates are red" if red else "", "version": last,
                "stages": [{"name": stage, "state": "done", "seconds": 60.0, "peak_memory_mib": 900.0}
                           for stage in ("validate", "extract", "finetune", "evaluate")],
            }  # fmt: skip
            key = f"runs/{name}/{about['run']}.json"
            _put(folder, key, seal(key, {"about": about, "files": []}))
        registry.promote(name, last, actor=Actor("ci"))
    return registry


def _put(folder: Path, key: str, data: bytes) -> None:
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main() -> None:
    """Prints seconds of both builds and the size of the index."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--voices", type=int, default=500)
    asked.add_argument("--versions", type=int, default=20)
    asked.add_argument("--keep", type=Path, default=None, help="keep registry and site here")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        registry = fabricate(folder / "registry", given.voices, given.versions)
        site = Site(folder / "site", registry)
        spent = [_timed(site)]
        runs = RunStore(registry.store)
        runs.finish("voice-001", runs.begin("voice-001", registry.now(), {}), {"state": "red"}, {})
        spent.append(_timed(site))
        size = (folder / "site" / "index.html").stat().st_size
        print(f"{given.voices} voices x {given.versions} versions; index.html {size / 1e6:.2f} MB")
        for what, (wall, cpu) in zip(("whole build", "one voice changed"), spent, strict=True):
            print(f"{what}: {wall:.1f} s ({cpu:.1f} s of processor time)")


def _timed(site: Site) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    site.write("now")
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
