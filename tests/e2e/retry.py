"""A job of stage 3 as a runner sees it: killed at its first checkpoint, started again with what the cache kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.gitlab_tool import environment

# `timbre` as a machine that is lost runs it: SIGKILL hits when the first checkpoint is in place, and not before or
# later, however the machine is loaded. Watching the folder from outside would race with a training of four short steps.
_LOST_AT_THE_FIRST_CHECKPOINT = """
import os, signal, sys
from timbre.training.finetune import loop

save_state = loop.save_state

def save_and_lose_the_machine(path, state):
    save_state(path, state)
    os.kill(os.getpid(), signal.SIGKILL)

loop.save_state = save_and_lose_the_machine
from timbre.cli.main import main
sys.exit(main())
"""


def kill_and_retry(checkout: Path, registry: Path, voice: str = "ada") -> dict[str, Any]:
    """`timbre finetune` dies of SIGKILL at its first checkpoint; then it and stage 4 run to the end."""
    work = checkout / ".timbre" / "work" / voice / "finetune"
    variables = environment(str(registry), TIMBRE_LOG_LEVEL="info", TIMBRE_LOG_FORMAT="json")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True, check=False)

    lost = run(sys.executable, "-c", _LOST_AT_THE_FIRST_CHECKPOINT, "finetune", voice)
    left = tuple(sorted(path.name for path in work.glob(".resume-*/*.ckpt")))
    again = run("timbre", "finetune", voice)
    judged = run("timbre", "evaluate", voice)
    return {
        "killed": lost.returncode,
        "left": left,
        "output": again.stdout + again.stderr + judged.stdout + judged.stderr,
        "exit_code": again.returncode or judged.returncode,
        "registry": registry,
        "work": checkout / ".timbre" / "work" / voice,
    }
