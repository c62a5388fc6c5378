"""Prints what pyproject.toml requires: the base list and that of each named extra, one requirement a line.

python3 docker/requirements.py serve-cpu,train: for `pip install -r` and `pip wheel -r`, when packages are wanted and
this project's own code is not. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path


def requirements(pyproject: Path, extras: Sequence[str]) -> list[str]:
    """Sorted, each once. Raises SystemExit for an extra that the project does not have."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    known = project["optional-dependencies"]
    unknown = [name for name in extras if name not in known]
    if unknown:
        raise SystemExit(f"{pyproject}: no extra {', '.join(unknown)}; there are: {', '.join(known)}")
    return sorted({*project["dependencies"], *(line for name in extras for line in known[name])})


if __name__ == "__main__":
    named = [name for name in sys.argv[1].split(",") if name] if len(sys.argv) > 1 else []
    print("\n".join(requirements(Path("pyproject.toml"), named)))
