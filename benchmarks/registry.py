"""Publishing, reverting and listing on a folder and on S3 (SeaweedFS started here), against the limits of the registry.

python -m benchmarks.registry [--voices 500] [--versions 20] [--only folder|s3] [--signed]

--signed: records are signed and linked, and a witness in a folder is told; readers check all of it.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.registry.conftest import make_manifest
from tests.registry.s3_servers import CREDENTIALS, seaweedfs
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.registry import Actor, Registry
from timbre.registry.signing_keys import new_key
from timbre.serving.catalogue import read_catalogue

ADA = Actor("benchmark")
# A nano version: adapter, prompt, samples and report.
FILES = {"t2s/adapter.safetensors": 1_200_000, "sovits/adapter.safetensors": 800_000, "prompt.safetensors": 60_000}
FILES |= {f"samples/{number}.flac": 90_000 for number in range(6)} | {"report.html": 120_000, "README.md": 4_000}
LIMITS = {
    "publish folder": 2.0, "publish s3": 5.0, "revert and resolve": 5.0, "list": 0.3, "resolve": 0.3, "history": 0.3,
    "server start": 3.0,
}  # fmt: skip


def main() -> None:
    """Prints one line per measure; exits with 1 when a limit is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--voices", type=int, default=500)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--only", choices=("folder", "s3"), default=None)
    parser.add_argument("--signed", action="store_true")
    given = parser.parse_args()
    os.environ.update(CREDENTIALS)
    missed = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        places = {"folder": str(Path(folder) / "registry")}
        if given.only != "folder":
            places["s3"] = stack.enter_context(seaweedfs(Path(folder) / "weed")).address("benchmark")
        for kind, address in places.items():
            if given.only in (None, kind):
                if given.signed:
                    os.environ.update(signing_in(Path(folder) / f"keys-{kind}"))
                missed += measure(kind, address, given.voices, given.versions)
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def measure(kind: str, address: str, voices: int, versions: int) -> list[str]:
    """All measures of one store; names of those above their limit."""
    missed: list[str] = []

    def show(name: str, call: Callable[[], object], times: int = 5) -> None:
        took = []
        for _ in range(times):
            began = time.perf_counter()
            call()
            took.append(time.perf_counter() - began)
        median, limit = statistics.median(took), LIMITS.get(name, LIMITS.get(f"{name} {kind}", 0.0))
        print(
            f"{kind}: {name}: {median * 1e3:.0f} ms (worst {max(took) * 1e3:.0f}, limit {limit * 1e3:.0f})", flush=True
        )
        if median > limit:
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
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: fill(registry, f"voice-{number:03}", versions), range(voices)))
    print(f"{kind}: filled with {voices} x {versions} in {time.perf_counter() - began:.0f} s", flush=True)
    name = f"voice-{voices // 2:03}"
    show("list", registry.voices)
    show("resolve", lambda: registry.resolve(name))
    show("history", lambda: registry.history(name))
    show("server start", lambda: read_catalogue(open_registry(RegistryAddress(address, os.environ)), {}), 3)
    return missed


def signing_in(folder: Path) -> dict[str, str]:
    """Keys of their own, and a witness."""
    folder.mkdir()
    (folder / "trusted").write_text(new_key(folder / "key"))
    trusted = {"TIMBRE_SIGNING_KEY": str(folder / "key"), "TIMBRE_TRUSTED_KEYS": str(folder / "trusted")}
    return {**trusted, "TIMBRE_WITNESS": str(folder / "witness")}


def publish(registry: Registry, voice: str, content: str) -> None:
    """A version of the size that a nano voice has, promoted."""
    files = {path: secrets.token_bytes(size) for path, size in FILES.items()}
    manifest = registry.publish(make_manifest(voice, content), files, actor=ADA)
    registry.promote(voice, manifest.version, actor=ADA)


def fill(registry: Registry, voice: str, versions: int) -> None:
    """Small versions of one voice; the last is promoted."""
    for number in range(versions):
        manifest = replace(make_manifest(voice, str(number)), created=f"2026-11-21T09:{number:02}:00.000000+00:00")
        manifest = registry.publish(manifest, {"prompt.bin": b"prompt of all", "a": voice.encode()}, actor=ADA)
    registry.promote(voice, manifest.version, actor=ADA)


if __name__ == "__main__":
    main()
