"""Publishing, reverting and listing on a folder and on S3 (SeaweedFS started here), against the limits of the registry.

python -m benchmarks.registry [--voices 500] [--versions 20] [--only folder|s3] [--signed] [--latency 0] [--data FOLDER]

--signed: records are signed and linked, and a witness in a folder is told; readers check all of it.

Each line has the time by the clock, which other programs on the machine lengthen, the processor time of this process
and of the S3 server, which they do not, and the number of requests with how many of them follow one another: what a
bucket far away takes is these times its latency. --latency: milliseconds that each request to S3 waits before it is
sent. The clock decides. --data keeps keys and registries in a folder, where
the next run finds them filled.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.registry.conftest import make_manifest
from tests.registry.s3_servers import CREDENTIALS, seaweedfs
from timbre.registry import index, packs
from timbre.registry.address import RegistryAddress
from timbre.registry.local_store import LocalStore
from timbre.registry.open import open_registry
from timbre.registry.registry import Actor, Registry
from timbre.registry.signing import guarded
from timbre.registry.signing_keys import new_key
from timbre.registry.store import Store, Stored
from timbre.registry.store_at import open_store
from timbre.registry.stores.s3 import S3Store
from timbre.serving.catalogue import Catalogue, read_catalogue

ADA = Actor("benchmark")
# A nano version: adapter, prompt, samples and report.
FILES = {"t2s/adapter.safetensors": 1_200_000, "sovits/adapter.safetensors": 800_000, "prompt.safetensors": 60_000}
FILES |= {f"samples/{number}.flac": 90_000 for number in range(6)} | {"report.html": 120_000, "README.md": 4_000}
LIMITS = {
    "publish folder": 2.0, "publish s3": 5.0, "revert and resolve": 5.0, "list": 0.3, "resolve": 0.3, "history": 0.3,
    "server start": 3.0, "look": 0.3, "promote and look": 5.0,
}  # fmt: skip


def main() -> None:
    """Prints one line per measure; exits with 1 when a limit is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--voices", type=int, default=500)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--only", choices=("folder", "s3"), default=None)
    parser.add_argument("--signed", action="store_true")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--data", type=Path, default=None)
    given = parser.parse_args()
    os.environ.update(CREDENTIALS)
    REQUESTS.watch(given.latency / 1e3)
    missed = []
    with ExitStack() as stack:
        folder = given.data or stack.enter_context(tempfile.TemporaryDirectory())
        places = {"folder": str(Path(folder) / "registry")}
        if given.only != "folder":
            server = stack.enter_context(seaweedfs(Path(folder) / "weed"))
            places["s3"] = server.address("benchmark")
        for kind, address in places.items():
            if given.only in (None, kind):
                if given.signed:
                    os.environ.update(signing_in(Path(folder) / f"keys-{kind}"))
                cpu_s = partial(processor_s, server.process.pid) if kind == "s3" else lambda: 0.0
                filled = Path(folder) / f"filled-{kind}-{given.voices}x{given.versions}{'-signed' * given.signed}"
                missed += measure(kind, address, given.voices, given.versions, filled, cpu_s)
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def measure(
    kind: str, address: str, voices: int, versions: int, filled: Path, server_cpu_s: Callable[[], float] = lambda: 0.0
) -> list[str]:
    """All measures of one store; names of those above their limit. filled: there when the store was filled before.
    server_cpu_s: processor time of the store so far.
    """
    missed: list[str] = []

    def show(name: str, call: Callable[[], object], times: int = 5) -> None:
        took, own, server, asked = [], [], [], []
        for _ in range(times):
            REQUESTS.seen.clear()
            began, own_began, server_began = time.perf_counter(), time.process_time(), server_cpu_s()
            call()
            took.append(time.perf_counter() - began)
            own.append(time.process_time() - own_began)
            server.append(server_cpu_s() - server_began)
            asked.append((len(REQUESTS.seen), in_a_row(REQUESTS.seen)))
        median, limit = statistics.median(took), LIMITS.get(name, LIMITS.get(f"{name} {kind}", 0.0))
        print(
            f"{kind}: {name}: {median * 1e3:.0f} ms (worst {max(took) * 1e3:.0f}, limit {limit * 1e3:.0f}; processor "
            f"{statistics.median(own) * 1e3:.0f} here, {statistics.median(server) * 1e3:.0f} at the store; requests "
            f"{sorted(asked)[len(asked) // 2][0]}, {sorted(row for _, row in asked)[len(asked) // 2]} in a row)",
            flush=True,
        )
        if limit and median > limit:
            missed.append(f"{kind}: {name}")

    registry = open_registry(RegistryAddress(address, os.environ))
    show("publish", lambda: publish(registry, "speed", secrets.token_hex(4)))
    ids = [item.version for item in registry.versions("speed")]

    def revert() -> None:
        wanted = next(item for item in ids if item != registry.resolve("speed").version)
        found = registry.find_source("speed", registry.manifest("speed", wanted).source)
        assert found is not None
        assert registry.promote("speed", found.version, actor=ADA).moved
        assert open_registry(RegistryAddress(address, os.environ)).resolve("speed").version == wanted

    show("revert and resolve", revert)
    if not filled.exists():
        began = time.perf_counter()
        fill(address, voices, versions)
        filled.touch()
        print(f"{kind}: filled with {voices} x {versions} in {time.perf_counter() - began:.0f} s", flush=True)
    name = f"voice-{voices // 2:03}"

    def start() -> None:
        listings = read_catalogue(open_registry(RegistryAddress(address, os.environ)), {})
        assert not any(listing.problem for listing in listings.values())

    if packs.has_tags(registry.store):
        index.rebuild(registry.store)
    show("list", registry.voices)
    show("resolve", lambda: registry.resolve(name))
    show("history", lambda: registry.history(name))
    show("server start", start, 3)
    catalogue = Catalogue(open_registry(RegistryAddress(address, os.environ)))
    listings = catalogue.read({})
    assert not any(listing.problem for listing in listings.values())
    show("look", lambda: catalogue.read(listings))
    moves = iter([item.version for item in registry.versions(name)])

    def move() -> None:
        version = next(moves)
        assert registry.promote(name, version, actor=ADA, by_hand=True).moved
        began = time.perf_counter()
        assert catalogue.read(listings)[name].aliases["production"].version == version
        looked.append(time.perf_counter() - began)

    looked: list[float] = []
    show("promote and look", move)
    print(f"{kind}: of which the look: {statistics.median(looked) * 1e3:.0f} ms")
    return missed


@dataclass
class Requests:
    """Requests to S3 of this process, as they are sent and answered."""

    seen: list[tuple[float, float]] = field(default_factory=list)
    """Seconds at which each began and ended."""

    def watch(self, latency_s: float) -> None:
        """Notes the requests of every S3Store from here on, and lets each wait before it is sent."""
        made = S3Store._client
        local = threading.local()

        def began(**others: object) -> None:
            local.began = time.perf_counter()
            time.sleep(latency_s)

        def ended(**others: object) -> None:
            self.seen.append((local.began, time.perf_counter()))

        def client(store: S3Store) -> Any:
            found = made(store)
            if not getattr(found, "watched", False):
                found.watched = True
                found.meta.events.register("before-send.s3", began)
                found.meta.events.register("needs-retry.s3", ended)
            return found

        S3Store._client = client  # type: ignore[method-assign, assignment]


REQUESTS = Requests()


def in_a_row(seen: list[tuple[float, float]]) -> int:
    """The most requests of which each began after the one before had ended."""
    count, last = 0, 0.0
    for began, ended in sorted(seen, key=lambda item: item[1]):
        if began >= last:
            count, last = count + 1, ended
    return count


def processor_s(process: int) -> float:
    """Processor time of another process so far, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def signing_in(folder: Path) -> dict[str, str]:
    """Keys of their own, and a witness."""
    folder.mkdir(exist_ok=True)
    if not (folder / "key").exists():
        (folder / "trusted").write_text(new_key(folder / "key"))
    trusted = {"TIMBRE_SIGNING_KEY": str(folder / "key"), "TIMBRE_TRUSTED_KEYS": str(folder / "trusted")}
    return {**trusted, "TIMBRE_WITNESS": str(folder / "witness")}


def publish(registry: Registry, voice: str, content: str) -> None:
    """A version of the size that a nano voice has, promoted."""
    files = {path: secrets.token_bytes(size) for path, size in FILES.items()}
    manifest = registry.publish(make_manifest(voice, content), files, actor=ADA)
    registry.promote(voice, manifest.version, actor=ADA)


class Memory:
    """A store in a dictionary, with the tags of S3: a history is made there, signed as everywhere, and its objects are
    then copied.
    """

    url, can_compare_and_swap, nearby = "memory", True, True

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get(self, key: str) -> Stored | None:
        data = self.objects.get(key)
        return Stored(data, _md5(data)) if data is not None else None

    def tagged(self, prefix: str) -> Iterator[tuple[str, str]]:
        return ((key, _md5(self.objects[key])) for key in self.list(prefix))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        there = self.get(key)
        if there is None or there.tag != tag:
            return None
        self.objects[key] = data
        return _md5(data)

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))

    def delete(self, key: str) -> bool:
        return self.objects.pop(key, None) is not None


def fill(address: str, voices: int, versions: int) -> None:
    """Small versions of many voices, the last of each promoted. Each object is written once and unconditionally: what
    takes the time of a publication is measured above, not here.
    """
    environment = os.environ
    store = open_store(RegistryAddress(address, {}))
    witness = environment.get("TIMBRE_WITNESS", "")
    with ThreadPoolExecutor(8) as pool:
        for number in range(voices):
            own, told = Memory(), Memory()
            registry = Registry(guarded(own, environment), witness=guarded(told, environment) if witness else None)
            history(registry, f"voice-{number:03}", versions)
            # Shards of the index hold many voices: rebuilt at the end.
            objects = [item for item in own.objects.items() if not item[0].startswith(index.AREA)]
            list(pool.map(partial(_put, store), objects if packs.has_tags(store) else without_copies(objects)))
            for item in told.objects.items():
                _put(LocalStore(Path(witness)), item)


def without_copies(objects: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """What a store holds whose listings have no tags."""
    return [item for item in objects if not item[0].startswith(packs.AREA)]


def history(registry: Registry, voice: str, versions: int) -> None:
    """Versions of one voice; the last is promoted."""
    for number in range(versions):
        manifest = replace(make_manifest(voice, str(number)), created=f"2026-11-21T09:{number:02}:00.000000+00:00")
        manifest = registry.publish(manifest, {"prompt.bin": b"prompt of all", "a": voice.encode()}, actor=ADA)
    registry.promote(voice, manifest.version, actor=ADA)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _put(store: Store, item: tuple[str, bytes]) -> None:
    key, data = item
    if isinstance(store, LocalStore):
        path = Path(store.url) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    elif isinstance(store, S3Store):
        store._client().put_object(**store._where(key), Body=data)


if __name__ == "__main__":
    main()
