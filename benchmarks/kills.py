"""`kill -9` at random points of publish, promote, prune, sync, rotate and renew, on a folder and on S3 (SeaweedFS).

python -m benchmarks.kills [--points 200] [--seed 13] [--only folder|s3]

Each point: a process begins one of the six, is killed at a random moment of it, and then every alias must lead to a
whole version, every version that can be seen must have all its files, in the registry and in its mirror, and the same
command must finish what was begun. Records are signed, files encrypted, a witness told; renew gives the signing key up
for a new one, and after it the old one is trusted no more. On S3 every reader and writer uses the index and the packs.
Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.registry.conftest import make_files, make_manifest
from tests.registry.s3_servers import CREDENTIALS, seaweedfs
from timbre.core.errors import TimbreError
from timbre.registry import mirror
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import publish_base
from timbre.registry.encryption.master import new_master
from timbre.registry.garbage import collect
from timbre.registry.names import PRODUCTION
from timbre.registry.open import open_registry
from timbre.registry.prune import Keep, choose, prune
from timbre.registry.registry import Registry
from timbre.registry.renewal import renew
from timbre.registry.signing_keys import new_key
from timbre.registry.verification import audit, verify
from timbre.serving.catalogue import read_catalogue

ADA = Actor("benchmark")
VOICE = "ada"
KEEP = Keep(days=0, predecessors=2, without_marks=True)
# Where a registry is read as a whole, files of other versions included.
_VERIFY_EVERY = 25


@dataclass(frozen=True)
class Place:
    """A registry and its mirror, by address, and the environment with their keys."""

    registry: str
    mirror: str
    environment: Mapping[str, str]

    def open(self) -> tuple[Registry, Registry]:
        """Both, with connections of their own: a process that was forked must not share one."""
        # The witness knows what the registry knows, and the mirror comes after.
        behind = {name: value for name, value in self.environment.items() if name != "TIMBRE_WITNESS"}
        return open_registry(RegistryAddress(self.registry, self.environment)), open_registry(
            RegistryAddress(self.mirror, behind)
        )


@dataclass
class Result:
    """What was found. kills: name of what was killed -> (points, those at which it was still running)."""

    kills: dict[str, tuple[int, int]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    not_repaired: list[str] = field(default_factory=list)


Work = Callable[[Registry, Registry, int], object]


def publish(registry: Registry, copy: Registry, number: int) -> None:
    """A version; published again it changes nothing."""
    registry.publish(make_manifest(VOICE, f"v{number}"), make_files(f"v{number}"), actor=ADA)


def promote(registry: Registry, copy: Registry, number: int) -> None:
    """The alias to the version of the last publication."""
    newest = registry.versions(VOICE)[-1].version
    registry.promote(VOICE, newest, actor=Actor("benchmark", f"c{number}"))


def pruned(registry: Registry, copy: Registry, number: int) -> None:
    """Everything that the alias does not need into the trash, and the trash freed."""
    prune(registry, choose(registry, KEEP), KEEP, actor=ADA)
    collect(registry.store, registry.now(), trash_days=0, grace_hours=0)


def sync(registry: Registry, copy: Registry, number: int) -> None:
    """The mirror brought up to the registry."""
    mirror.sync(registry.store, copy.store)


def rotate(registry: Registry, copy: Registry, number: int) -> None:
    """A new data key, and a version that is encrypted with it."""
    assert registry.keys is not None
    registry.keys.rotate(VOICE)
    publish(registry, copy, number)


def renewed(registry: Registry, copy: Registry, number: int) -> None:
    """What the key before signed is signed with the new one."""
    renew(registry, actor=ADA, discard=True)


WORK: Mapping[str, Work] = {
    "publish": publish, "promote": promote, "prune": pruned, "sync": sync, "rotate": rotate, "renew": renewed,
}  # fmt: skip


def new_signing_key(place: Place) -> None:
    """A new key signs, and the one before is still trusted: step 2 of the runbook in docs/security.md."""
    key, trusted = (Path(place.environment[name]) for name in ("TIMBRE_SIGNING_KEY", "TIMBRE_TRUSTED_KEYS"))
    made = key.with_name("next")
    trusted.write_text(new_key(made) + "\n" + trusted.read_text())
    made.replace(key)


def old_key_gone(place: Place) -> None:
    """The mirror follows, then only the new key is trusted: step 6."""
    sync(*place.open(), 0)
    trusted = Path(place.environment["TIMBRE_TRUSTED_KEYS"])
    trusted.write_text(trusted.read_text().splitlines()[0] + "\n")


def measure(place: Place, points: int, seed: int, say: Callable[[str], None] = print) -> Result:
    """Kills, looks and repairs, `points` times."""
    choose_at, result = random.Random(seed), Result()
    registry, copy = place.open()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "export.json").write_text("{}")
        publish_base(registry.store, "b" * 64, Path(folder), {"name": "pico"}, "1.0")
    took_s: dict[str, float] = {}
    for number in range(-2, 0):
        for name, work in WORK.items():
            if name == "renew":
                new_signing_key(place)
                registry, copy = place.open()
            began = time.perf_counter()
            work(registry, copy, number)
            took_s[name] = time.perf_counter() - began
            if name == "renew":
                old_key_gone(place)
                registry, copy = place.open()
    say("lasts " + ", ".join(f"{name} {seconds * 1e3:.0f} ms" for name, seconds in took_s.items()))
    for number in range(points):
        name = list(WORK)[number % len(WORK)]
        if name == "renew":
            new_signing_key(place)
        running = _killed(place, WORK[name], number, choose_at.uniform(0, took_s[name]))
        before = result.kills.get(name, (0, 0))
        result.kills[name] = (before[0] + 1, before[1] + running)
        registry, copy = place.open()
        for which, opened in (("registry", registry), ("mirror", copy)):
            result.broken += [f"{number} {name}: {which}: {what}" for what in broken(opened)]
        try:
            WORK[name](registry, copy, number)
            if name == "renew":
                old_key_gone(place)
                registry, copy = place.open()
            if left := _left(registry, copy, number % _VERIFY_EVERY == _VERIFY_EVERY - 1 or number == points - 1):
                result.not_repaired.append(f"{number} {name}: {left}")
        except TimbreError as error:
            result.not_repaired.append(f"{number} {name}: {error}")
        if (number + 1) % _VERIFY_EVERY == 0:
            say(f"after {number + 1} kills {len(result.broken)} broken, {len(result.not_repaired)} not repaired")
    return result


def _killed(place: Place, work: Work, number: int, after_s: float) -> bool:
    """Forks, lets the child begin, kills it after a time; whether it was still at work."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            registry, copy = place.open()
            # What only connects is not what is killed.
            registry.voices()
            copy.voices()
            os.write(writing, b"r")
            work(registry, copy, number)
        finally:
            os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def broken(registry: Registry) -> list[str]:
    """What somebody who reads sees broken: aliases that lead nowhere, versions without all their files."""
    found = []
    try:
        if VOICE not in registry.voices():
            return []
        for key in registry.store.list(f"voices/{VOICE}/versions/"):
            manifest = registry.manifest(VOICE, key.rsplit("/", 1)[-1].removesuffix(".json"))
            for entry in manifest.files:
                registry.read_file(manifest, entry.path)
        state = registry.alias(VOICE)
        if state is not None:
            registry.resolve(VOICE)
        listing = read_catalogue(registry, {})[VOICE]
        if listing.problem or listing.aliases.get(PRODUCTION) != state:
            found.append(f"a server reads {listing.aliases} instead of {state}: {listing.problem}")
    except TimbreError as error:
        found.append(error.message)
    return found


def _left(registry: Registry, copy: Registry, whole: bool) -> list[str]:
    """What is still wrong after the same command ran to its end."""
    found = broken(registry) + broken(copy) + [finding.problem for finding in audit(registry, VOICE)]
    if whole:
        mirror.sync(registry.store, copy.store)
        found += [f"{finding.key}: {finding.problem}" for opened in (registry, copy) for finding in verify(opened)]
    return found


def environment_in(folder: Path) -> dict[str, str]:
    """Keys of its own: signing, encryption, a witness."""
    (folder / "trusted").write_text(new_key(folder / "key"))
    return {
        "TIMBRE_SIGNING_KEY": str(folder / "key"),
        "TIMBRE_TRUSTED_KEYS": str(folder / "trusted"),
        "TIMBRE_WITNESS": str(folder / "witness"),
        "TIMBRE_MASTER_KEY": new_master(),
        "TIMBRE_KEYS": str(folder / "keys"),
    }


def main() -> None:
    """Prints the result of each store; exits with 1 when anything was broken or not repaired."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--only", choices=("folder", "s3"), default=None)
    given = parser.parse_args()
    os.environ.update(CREDENTIALS)
    failed = False
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        places = {"folder": (str(folder / "registry"), str(folder / "mirror"))}
        if given.only != "folder":
            server = stack.enter_context(seaweedfs(folder / "weed"))
            places["s3"] = (server.address("kills"), server.address("kills-mirror"))
        for kind, (registry, copy) in places.items():
            if given.only not in (None, kind):
                continue
            (folder / kind).mkdir()
            place = Place(registry, copy, environment_in(folder / kind))
            found = measure(place, given.points, given.seed, partial(print, f"{kind}:", flush=True))
            for work, (points, running) in found.kills.items():
                print(f"{kind}: {work}: {points} kills, {running} while it ran")
            ran = sum(running for _, running in found.kills.values())
            print(
                f"{kind}: {given.points} kills ({ran} while it ran): {len(found.broken)} broken or half (limit 0), "
                f"{len(found.not_repaired)} not repaired by the next run (limit 0)",
                flush=True,
            )
            for line in (*found.broken, *found.not_repaired):
                print(f"  {line}")
            # Kills that hit nothing prove nothing.
            failed |= bool(found.broken or found.not_repaired) or ran < given.points // 2
    if failed:
        raise SystemExit("missed")
    print("passed")


if __name__ == "__main__":
    main()
