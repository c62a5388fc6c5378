"""A job of stage 3 as a runner sees it: killed at its first checkpoint, started again with what the cache kept."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.e2e.gitlab_tool import environment

_LIMIT_S = 600


def kill_and_retry(checkout: Path, registry: Path, voice: str = "ada") -> dict[str, Any]:
    """Kills `timbre finetune` with SIGKILL as soon as a checkpoint is there, then runs it and stage 4 to the end."""
    work = checkout / ".timbre" / "work" / voice / "finetune"
    variables = environment(str(registry), TIMBRE_LOG_LEVEL="info", TIMBRE_LOG_FORMAT="json")
    process = subprocess.Popen(
        ["timbre", "finetune", voice], cwd=checkout, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + _LIMIT_S
    while not list(work.glob(".resume-*/*.ckpt")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    killed = process.wait()
    left = tuple(sorted(path.name for path in work.glob(".resume-*/*.ckpt")))
    again = subprocess.run(
        ["timbre", "finetune", voice], cwd=checkout, env=variables, capture_output=True, text=True, check=False
    )
    judged = subprocess.run(
        ["timbre", "evaluate", voice], cwd=checkout, env=variables, capture_output=True, text=True, check=False
    )
    return {
        "killed": killed,
        "left": left,
        "output": again.stdout + again.stderr + judged.stdout + judged.stderr,
        "exit_code": again.returncode or judged.returncode,
        "registry": registry,
        "work": checkout / ".timbre" / "work" / voice,
    }
