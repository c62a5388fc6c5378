"""Programs that only CI machines, or the tests of the CI files and images, need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from timbre.cli.check import NOTE, OK, Check

_LIMIT_S = 20


@dataclass(frozen=True)
class Tool:
    """A program that CI needs."""

    names: tuple[str, ...]
    """Programs of which one is enough."""
    use: str
    """What it is for."""
    remedy: str
    """How to get it."""


TOOLS: Mapping[str, Tool] = {
    "git-lfs": Tool(("git-lfs",), "recordings kept in Git LFS", "apt-get install git-lfs"),
    "node, npm": Tool(("npm",), "tests that run .gitlab-ci.yml", "install Node 20: apt-get install nodejs npm"),
    "rsync": Tool(("rsync",), "tests that run .gitlab-ci.yml", "apt-get install rsync"),
    "groovy": Tool(("groovy",), "tests that run the Jenkinsfile", "apt-get install groovy default-jre-headless"),
    "images": Tool(("docker", "buildah", "podman"), "building the images", "install docker, or buildah and podman"),
    "image test": Tool(
        ("buildah",), "the test that builds and runs an image",
        "apt-get install buildah podman runc mmdebstrap netavark iptables",
    ),
    "hadolint": Tool(("hadolint",), "make lint", "make install"),
}  # fmt: skip


def ci_tools(version: Callable[[str], str] | None = None) -> Iterator[Check]:
    """One finding a tool. version: path of a program -> its version; asked for by running it when not given."""
    for name, tool in TOOLS.items():
        found = [path for path in map(_where, tool.names) if path]
        if not found:
            yield Check(name, NOTE, f"not found; only for {tool.use}", tool.remedy)
        else:
            yield Check(name, OK, (version or _version)(found[0]))


def _where(name: str) -> str | None:
    """In PATH, or beside this Python: tools that come as Python packages lie there."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _version(path: str) -> str:
    """The first line that the program says about its version."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return f"{path} (unknown version)"
    lines = [line.strip() for line in (done.stdout or done.stderr).splitlines() if line.strip()]
    return lines[0][:80] if lines and done.returncode == 0 else f"{path} (unknown version)"
