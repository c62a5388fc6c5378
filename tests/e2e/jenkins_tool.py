"""The Jenkinsfile under Debian's groovy, with a harness of ours (jenkins_harness.groovy), and what it did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.gitlab_tool import environment

HARNESS = Path(__file__).with_name("jenkins_harness.groovy")
_LIMIT_S = 900


@dataclass(frozen=True)
class Build:
    """One run. events: what the harness noted, in order; each has `kind` and `stage`."""

    exit_code: int
    log: str
    events: list[dict[str, Any]]

    def of(self, stage: str, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["stage"] == stage and event["kind"] == kind]

    def stages(self) -> list[str]:
        """Names in the order in which they began."""
        return [event["name"] for event in self.events if event["kind"] == "stage"]

    def codes(self) -> dict[str, list[int]]:
        """Stage -> exit codes of its attempts."""
        found: dict[str, list[int]] = defaultdict(list)
        for event in self.events:
            if event["kind"] == "ended":
                found[event["stage"]].append(event["code"])
        return dict(found)


def missing() -> str:
    """Why it cannot run here, or ""."""
    if shutil.which("groovy") is None:
        return "the Jenkinsfile needs groovy (Debian package groovy)"
    return "" if _java_home() else "groovy needs a Java below /usr/lib/jvm, or JAVA_HOME"


def run(
    jenkinsfile: Path, repository: Path, folder: Path, registry: str, *, before: str = "", path: str = "", **more: str
) -> Build:
    """A build of the branch main. before: the last commit that was built well; path: folder put first in PATH; more:
    environment variables of the build, and parameters of the Jenkinsfile where the name is in capitals.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trace = folder / "trace.json"
    variables = environment(
        registry, JENKINS_URL="http://jenkins.example/", JAVA_HOME=_java_home(), GIT_PREVIOUS_SUCCESSFUL_COMMIT=before,
        GIT_BRANCH="origin/main", TIMBRE_DEFAULT_BRANCH="main",
        BUILD_URL="http://jenkins.example/job/voices/1/", **more,
    )  # fmt: skip
    if path:
        variables["PATH"] = f"{path}{os.pathsep}{variables['PATH']}"
    command = ["groovy", str(HARNESS), str(jenkinsfile), str(repository), str(folder), str(trace)]
    done = subprocess.run(
        ["timeout", "-k", "5", str(_LIMIT_S), *command], env=variables, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    events = json.loads(trace.read_text(encoding="utf-8")) if trace.exists() else []
    return Build(done.returncode, done.stdout, events)


def _java_home() -> str:
    """Debian's groovy looks for a link that Debian's Java does not make."""
    given = os.environ.get("JAVA_HOME", "")
    found = [Path(given)] if given else sorted(Path("/usr/lib/jvm").glob("java-*"))
    return next((str(path) for path in found if (path / "bin" / "java").exists()), "")
