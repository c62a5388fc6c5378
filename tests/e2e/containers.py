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
from typing import IO, Any

from filelock import FileLock

from timbre.core.digests import digest_file, digest_value

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "tests" / "containers"
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap", "iptables")
BASE = "docker.io/library/python:3.11-slim"
# Debian with Python 3.12, where NVIDIA's image has Ubuntu's: no registry of images is asked here.
CUDA_BASE = "localhost/timbre-test:python3.12"
EVERY_TARGET = "TIMBRE_IMAGES"
_LIMIT_S = 5400
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


def missing_for(target: str) -> str:
    """Why the targets beside `serve` are not built here, or ""."""
    if os.environ.get(EVERY_TARGET) != "all":
        return f"{target} is built where {EVERY_TARGET}=all: gigabytes and many minutes"
    if target == "serve-gpu" and _python312() is None:
        return "serve-gpu wants a Python 3.12 as python3.12 or under ~/.pyenv"
    return missing()


def environment() -> dict[str, str]:
    """This process's, with the storage and settings of these tests, written to files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "storage.conf").write_text(_STORAGE.format(folder=FOLDER), encoding="utf-8")
    (FOLDER / "containers.conf").write_text(_CONTAINERS, encoding="utf-8")
    settings = {
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"), "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
    }  # fmt: skip
    return {**os.environ, **settings}


def call(*command: str, check: bool = True, limit_s: float = _LIMIT_S) -> subprocess.CompletedProcess[str]:
    """One program with this test's storage; fails with what it said."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=limit_s, check=False
    )
    if check and done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done


def build(target: str = "serve") -> str:
    """A target of the Dockerfile from this checkout; layers, base images and wheels are kept between sessions.

    Returns the id of the image. pip has no network: packages come from a folder of wheels with the hashes of the lock.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    tag = f"localhost/timbre-test:{target}"
    with FileLock(FOLDER / "build.lock"):
        _base_image()
        if target == "serve-gpu":
            _cuda_base_image()
        # Layers of older sources: they would only pile up.
        call("podman", "image", "prune", "--force", "--filter", "until=48h", check=False)
        call(
            "buildah", "build", "--isolation", "chroot", "--pull-never", "--format", "docker", "--layers",
            "--build-context", f"wheelhouse={wheelhouse(target)}", "--build-arg", "REVISION=0123456789ab",
            "--build-arg", f"CUDA_IMAGE={CUDA_BASE}", "--target", target, "--tag", tag, ".",
        )  # fmt: skip
        return call("podman", "image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()


def size_mb(image: str) -> float:
    """Unpacked, with its base image; 1 MB is 1,000,000 bytes."""
    about = json.loads(call("podman", "image", "inspect", image).stdout)[0]
    return float(about["Size"]) / 1e6


@dataclass(frozen=True)
class Layers:
    """Sizes in MB of what COPY put into an image, in the order of the Dockerfile."""

    packages: float
    data: float
    """Word lists and n-grams, of the image for jobs also the weights of bases."""
    code: float
    """This project's modules, and an empty folder for what a server writes."""


def copied_layers(image: str) -> Layers:
    """Read them from the image's history, whose first entry is the newest."""
    history = json.loads(call("podman", "history", "--format", "json", image).stdout)
    packages, data, *code = [int(layer["size"]) / 1e6 for layer in reversed(history) if "COPY" in layer["CreatedBy"]]
    return Layers(packages, data, sum(code))


def _exists(image: str) -> bool:
    return call("podman", "image", "exists", image, check=False).returncode == 0


def _base_image() -> None:
    """Debian's Python under the official image's name, where that one was not pulled."""
    if not _exists(BASE):
        _import(_root_file_system(), BASE)


def _cuda_base_image() -> None:
    """The same with this machine's Python 3.12 in /usr/local, where the Dockerfile's `python3` finds it first."""
    if _exists(CUDA_BASE):
        return
    python = _python312()
    assert python is not None
    prefix = subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    archive = _root_file_system()
    kept = ("bin/python3.12", "bin/python3", "lib/python3.12")
    command = ["tar", "--append", "--file", str(archive), "--directory", prefix, "--exclude", "test", "--exclude"]
    command += ["site-packages/*", "--owner", "0", "--group", "0", "--transform", "s,^,./usr/local/,S", *kept]
    # Where the loader looks without a cache; a Python that is linked statically has none.
    library = [path.name for path in Path(prefix, "lib").glob("libpython3.12.so.*")]
    subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_S)
    if library:
        command = ["tar", "--append", "--file", str(archive), "--directory", f"{prefix}/lib"]
        command += ["--owner", "0", "--group", "0", "--transform", "s,^,./usr/lib/,S", *library]
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_S)
    _import(archive, CUDA_BASE)


def _root_file_system() -> Path:
    archive = FOLDER / "base.tar"
    packages = "python3,python3-venv,ca-certificates"
    call("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(archive))
    return archive


def _import(archive: Path, image: str) -> None:
    call("podman", "import", str(archive), image)
    archive.unlink()


def _python312() -> str | None:
    """A Python 3.12 that runs: one on the path may be a shim without a version behind it."""
    found = [shutil.which("python3.12"), *sorted(map(str, Path.home().glob(".pyenv/versions/3.12*/bin/python3.12")))]
    for candidate in filter(None, found):
        if subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def wheelhouse(target: str) -> Path:
    """Every wheel of an image, by the hashes of its lock, made by the Python that the image has."""
    locks = [ROOT / "docker" / f"{name}.lock" for name in (target, "build")]
    folder = FOLDER / "wheels" / digest_value([digest_file(lock) for lock in locks])[:16]
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        python = sys.executable
        if target == "serve-gpu":
            environment, base = FOLDER / "python3.12", _python312()
            assert base is not None
            subprocess.run([base, "-m", "venv", str(environment)], check=True, capture_output=True, timeout=_LIMIT_S)
            python = str(environment / "bin" / "python")
        command = [python, "-m", "pip", "wheel", "--quiet", "--require-hashes", "-w", str(folder)]
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

    def background(self, *command: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """A command inside it that goes on; what it says goes to a file."""
        return subprocess.Popen(
            ["podman", "exec", self.id, *command], cwd=ROOT, env=environment(), stdout=output, stderr=output
        )

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
