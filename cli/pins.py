"""constraints.txt: the installed versions of everything that pyproject.toml asks for, directly or through others.

`make constraints` runs this as a program.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from timbre.core.atomic import write_text
from timbre.core.extras import normalised
from timbre.core.host import installed_version

HEAD = """\
# The versions that this project is tested with (Python 3.11). `make constraints` rewrites this file, `make locks` then
# writes docker/*.lock with the hashes of what the images hold.
# CUDA libraries are left to torch, which names the ones that belong to it.
"""
_LEFT_TO_TORCH = ("nvidia-", "cuda-", "triton")
_INSTALLERS = ("pip", "wheel")
_NEWER_PYTHON = {"numpy": "2.4.6"}
"""Versions from Python 3.12 on. deepfilternet, which ends with 3.11, keeps numpy below 2; numpy 1 ends with 3.12."""
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA_ONLY = re.compile(r"extra\s*==")


def installed_closure(requirements: Iterable[str]) -> dict[str, str]:
    """Normalised name -> installed version, of the requirements and what they require, as far as installed."""
    waiting, found = list(requirements), {}
    while waiting:
        match = _NAME.match(waiting.pop())
        name = normalised(match.group(1)) if match else ""
        if not name or name in found:
            continue
        version = installed_version(name)
        if not version:
            continue
        found[name] = version.split("+")[0]
        # Requirements of extras are left out unless something else asks for them, and then they are found there.
        waiting += [text for text in metadata.requires(name) or [] if not _EXTRA_ONLY.search(text)]
    return found


def requirements(pyproject: Path) -> list[str]:
    """What the project file asks for itself, extras included."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    return [*project["dependencies"], *(text for extra in extras.values() for text in extra)]


def constraints(pyproject: Path) -> str:
    """The text of constraints.txt for the project file."""
    pins = installed_closure(requirements(pyproject))
    lines: list[str] = []
    for name, version in sorted(pins.items()):
        if name in _NEWER_PYTHON:
            lines.append(f"{name}=={version}; python_version < '3.12'")
            lines.append(f"{name}=={_NEWER_PYTHON[name]}; python_version >= '3.12'")
        elif name not in _INSTALLERS and not name.startswith(_LEFT_TO_TORCH):
            lines.append(f"{name}=={version}")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), constraints(Path("pyproject.toml")))
