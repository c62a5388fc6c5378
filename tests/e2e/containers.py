"""Images and containers without a daemon: buildah, podman and runc with their storage under build/tests/containers.

Settings that a machine without systemd needs (a CI container, say) are written there too: runc instead of crun, cgroups
by file, limits that a container may set, the kernel's overlay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from timbre.core.digests import digest_file, digest_value

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "tests" / "containers"
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap", "iptables")
BASE = "docker.io/library/python:3.11-slim"
IMAGE = "localhost/timbre-test:serve"
_LIMIT_S = 1500
_STORAGE = """[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
_CONTAINERS = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def missing() -> str:
    """Why images cannot be built and run here, or ""."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"images need {', '.join(absent)}: apt-get install buildah podman runc mmdebstrap netavark iptables"
    if os.geteuid() != 0:
        return "images are built by root here: mmdebstrap and the overlay storage of this test want it"
    if sys.version_info[:2] != (3, 11):
        return "wheels are made by this Python and the image's is 3.11"
    return ""


def call(*command: str, check: bool = True, limit_s: float = _LIMIT_S) -> subprocess.CompletedProcess[str]:
    """One program with this test's storage; fails with what it said."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "storage.conf").write_text(_STORAGE.format(folder=FOLDER), encoding="utf-8")
    (FOLDER / "containers.conf").write_text(_CONTAINERS, encoding="utf-8")
    settings = {
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"), "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=limit_s, check=False
    )
    if check and done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done


def build_serve() -> str:
    """The image `serve` from this checkout; layers, base image and wheels are kept between sessions. Returns its id."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER / "build.lock"):
        _base_image()
        # Layers of older sources: they would only pile up.
        call("podman", "image", "prune", "--force", "--filter", "until=48h", check=False)
        call(
            "buildah", "build", "--isolation", "chroot", "--pull-never", "--format", "docker", "--layers",
            "--build-context", f"wheelhouse={_wheelhouse()}", "--build-arg", "REVISION=0123456789ab",
            "--target", "serve", "--tag", IMAGE, ".",
        )  # fmt: skip
        return call("podman", "image", "inspect", "--format", "{{.Id}}", IMAGE).stdout.strip()


def _base_image() -> None:
    """Debian's Python under the official image's name, where that one was not pulled."""
    if call("podman", "image", "exists", BASE, check=False).returncode == 0:
        return
    archive = FOLDER / "base.tar"
    packages = "python3,python3-venv,ca-certificates"
    call("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(archive))
    call("podman", "import", str(archive), BASE)
    archive.unlink()


def _wheelhouse() -> Path:
    """Every wheel of the image, by the hashes of its lock."""
    locks = [ROOT / "docker" / f"{name}.lock" for name in ("serve", "build")]
    folder = FOLDER / "wheels" / digest_value([digest_file(lock) for lock in locks])[:16]
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--require-hashes", "-w", str(folder)]
        for lock in locks:
            subprocess.run([*command, "-r", str(lock)], check=True, capture_output=True, timeout=_LIMIT_S)
        (folder / ".complete").touch()
    return folder


@dataclass(frozen=True)
class Container:
    """A running container; port: of this machine, 0 when none is published."""

    id: str
    port: int

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command inside it."""
        return call("podman", "exec", self.id, *command, check=check)

    def python(self, program: str) -> str:
        """What a program of the image's Python prints."""
        return self.run("python", "-c", program).stdout.strip()

    def inspect(self) -> Any:
        return json.loads(call("podman", "inspect", self.id).stdout)[0]

    def log(self) -> str:
        done = call("podman", "logs", self.id, check=False)
        return done.stdout + done.stderr

    def wait_healthy(self, timeout_s: float = 120) -> None:
        """Until the image's own health check passes. Nothing fires it here by itself: that takes systemd."""
        deadline = time.monotonic() + timeout_s
        while call("podman", "healthcheck", "run", self.id, check=False).returncode:
            state = self.inspect()["State"]
            assert state["Running"], f"it ended with {state['ExitCode']}:\n{self.log()}"
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def stop(self) -> int:
        """Asks it to end and returns its exit code."""
        call("podman", "stop", "--time", "20", self.id)
        return int(self.inspect()["State"]["ExitCode"])

    def remove(self) -> None:
        call("podman", "rm", "--force", "--time", "1", "--volumes", self.id)


def start(image: str, *options: str, port: int = 0, command: Sequence[str] = ()) -> Container:
    """Runs an image as an orchestrator would that trusts nothing: read-only, no capabilities, no new privileges."""
    published = ["--publish", f"127.0.0.1:{port}:9880"] if port else ["--network", "none"]
    done = call(
        "podman", "run", "--detach", "--pull", "never", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", *published, *options, image, *command,
    )  # fmt: skip
    return Container(done.stdout.strip().splitlines()[-1], port)
