"""gitlab-ci-local, a runner of GitLab CI files that we did not write: where it is, and how one pipeline of it went."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[2]
# Later ones need a newer Node than Debian and most images have.
VERSION = "4.72.0"
PROGRAMS = ("node", "npm", "git", "rsync", "bash")
FOLDER = ROOT / "build" / "tests" / "tools" / f"gitlab-ci-local-{VERSION}"
_BINARY = FOLDER / "node_modules" / ".bin" / "gitlab-ci-local"
# A circle of needs makes it run for ever, and it does not listen to SIGTERM.
LIMIT_S = 900
# Its own schema is older than the names of faults that we retry on; check_jsonschema has the newer one of GitLab.
_NO_SCHEMA = "--no-json-schema-validation"
_ENDED = re.compile(r"(.+?)\s+finished in [^\n]*?(?:FAIL (\d+))?\s*$")
_PREFIX = re.compile(r"^(?:\[[^\]]+\] -> )?")


@dataclass(frozen=True)
class Pipeline:
    """One run. jobs: names in the order in which they started; exit_codes: of those that ended; log: as printed."""

    exit_code: int
    log: str
    folder: Path
    jobs: tuple[str, ...] = ()
    exit_codes: dict[str, int] = field(default_factory=dict)

    @property
    def green(self) -> bool:
        """Whether every job ended well. The runner ends with 0 also when a child pipeline failed; GitLab does not."""
        return self.exit_code == 0 and not any(self.exit_codes.values())

    def said(self, job: str) -> str:
        """What a job printed."""
        lines = (_PREFIX.sub("", line.strip("\t")) for line in self.log.splitlines())
        found = (re.match(rf"{re.escape(job)}\s+[>$] ?(.*)", line) for line in lines)
        return "\n".join(match.group(1) for match in found if match)

    def child(self, name: str = "voices") -> Path:
        """The child pipeline that the plan wrote."""
        return self.folder / ".timbre" / "ci" / f"{name}.yml"


def missing() -> str:
    """Why it cannot run here, or "". Installs it where only the package is missing."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"gitlab-ci-local needs {', '.join(absent)}"
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{FOLDER}.lock"):
        if not _BINARY.exists():
            command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(FOLDER)]
            # Where there is no network it is known soon: npm's own patience is a quarter of an hour.
            command += ["--fetch-retries", "1", "--fetch-timeout", "60000", f"gitlab-ci-local@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"npm could not install gitlab-ci-local {VERSION}: {done.stderr.strip()[-200:]}"
    return ""


def environment(registry: str, **more: str) -> dict[str, str]:
    """That of a runner: nothing of our own CI job, the `timbre` beside this Python first in PATH."""
    foreign = re.compile(r"(CI_|GITLAB|TIMBRE_|GIT_|JENKINS)")
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", "TIMBRE_REGISTRY": registry, **more}


def run(folder: Path, registry: str, *options: str, variables: dict[str, str] | None = None) -> Pipeline:
    """The pipeline of a checkout; its jobs run each in a copy of what Git knows, as on runners of their own."""
    given = {"TIMBRE_REGISTRY": registry, **(variables or {})}
    command = [
        "timeout", "-k", "5", str(LIMIT_S), str(_BINARY), _NO_SCHEMA, "--shell-isolation", "--force-shell-executor",
        "--home", str(folder.parent / "home"), "--concurrency", "2", "--no-color",
        *(word for name, value in given.items() for word in ("--variable", f"{name}={value}")), *options,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, env=environment(registry), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return read_log(done.returncode, done.stdout, folder)


def query(folder: Path, *options: str) -> str:
    """What a question such as --list-json prints."""
    command = ["timeout", "-k", "5", "60", str(_BINARY), _NO_SCHEMA, "--home", str(folder.parent / "home"), *options]
    done = subprocess.run(
        command, cwd=folder, env=environment(""), capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout


def read_log(exit_code: int, log: str, folder: Path) -> Pipeline:
    """The jobs of a run, from what it printed."""
    log = re.sub(r"\x1b\[[0-9;]*m", "", log)
    jobs: list[str] = []
    codes: dict[str, int] = {}
    for line in log.splitlines():
        plain = _PREFIX.sub("", line.strip())
        if match := re.match(r"(.+?)\s+starting shell", plain):
            jobs.append(match.group(1))
        elif (match := _ENDED.match(plain)) and match.group(1) in jobs:
            codes[match.group(1)] = int(match.group(2) or 0)
    return Pipeline(exit_code, log, folder, tuple(jobs), codes)
