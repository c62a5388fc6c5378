"""Git as tests call it: in a folder, with a committer whatever the machine's own settings are."""

from __future__ import annotations

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=Owner", "-c", "user.email=owner@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    """What git prints, without spaces at the ends; fails with its words when it does."""
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
