"""Looks at this machine and this repository: is everything there that a run needs?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from core.base import list_bases, load_base
from core.errors import TimbreError
from core.recipe import Recipe, load_recipe
from pipeline.stages import STAGES, StageRow
from pipeline.workspace import Workspace

OK, WARNING, FAILURE = "ok", "warning", "failure"

_LEAST_DISK_GB = 5.0
_LEAST_MEMORY_GB = 4.0
# Library -> what does not work without it.
_PACKAGES = {
    "torch": "stages 2 and 3 (extract, finetune)",
    "transformers": "stages 2 and 3 (extract, finetune)",
    "peft": "stage 3 (finetune)",
    "onnxruntime": "stage 4 (evaluate) and speaking",
    "webrtcvad": "stage 1 (validate)",
    "pyrnnoise": "denoising in stage 1",
    "speechmos": "the report of stage 1 and a gate of stage 4",
    "pesq": "a gate of stage 4",
    "pystoi": "a gate of stage 4",
}


@dataclass(frozen=True)
class Finding:
    """state: ok, warning (some work is not possible) or failure (nothing will run); remedy: empty when ok."""

    name: str
    state: str
    value: str
    remedy: str = ""


def examine(workspace: Workspace) -> list[Finding]:
    """Every finding about the machine and the repository; never raises for something that is merely wrong."""
    findings = [_python(), *_packages(), _memory(), _disk(workspace.root), _writable(workspace), _git()]
    findings += [_recipe(workspace), *_bases(workspace), _voices(workspace), *_stages()]
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding("python", OK if good else FAILURE, version, "" if good else "use Python 3.11 or newer")


def _packages() -> Iterator[Finding]:
    for name, use in _PACKAGES.items():
        try:
            yield Finding(name, OK, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, WARNING, "not installed", f"needed for {use}: pip install 'timbre[train]'")


def _memory() -> Finding:
    total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    good = total_gb >= _LEAST_MEMORY_GB
    remedy = "" if good else f"stage 3 of a small base wants {_LEAST_MEMORY_GB:g} GB"
    return Finding("machine", OK if good else WARNING, f"{cores} cores, {total_gb:.1f} GB of memory", remedy)


def _disk(root: Path) -> Finding:
    free_gb = shutil.disk_usage(root).free / 1e9
    good = free_gb >= _LEAST_DISK_GB
    return Finding("disk", OK if good else WARNING, f"{free_gb:.1f} GB free", "" if good else "free some space")


def _writable(workspace: Workspace) -> Finding:
    place = workspace.private if workspace.private.exists() else workspace.root
    good = os.access(place, os.W_OK | os.X_OK)
    value = "writable" if good else "not writable"
    return Finding(".timbre", OK if good else FAILURE, value, "" if good else f"let this user write to {place}")


def _git() -> Finding:
    found = shutil.which("git")
    remedy = "" if found else "install git: commits and reverts decide which version is in production"
    return Finding("git", OK if found else WARNING, "found" if found else "not found", remedy)


def _recipe(workspace: Workspace) -> Finding:
    path = workspace.default_recipe
    if not path.is_file():
        return Finding("recipe", OK, "built-in values (no recipes/default.yaml)")
    found = _attempt("recipe", lambda: _differences(load_recipe(path)))
    return found if isinstance(found, Finding) else Finding("recipe", OK, found)


def _differences(recipe: Recipe) -> str:
    return "recipes/default.yaml" + ("" if recipe == Recipe() else ", differs from the built-in values")


def _bases(workspace: Workspace) -> Iterator[Finding]:
    names = list_bases(workspace.bases)
    if not names:
        yield Finding("bases", FAILURE, "no folder of bases/ has a base.yaml", "add a base")
    for name in names:
        found = _attempt(f"base {name}", partial(_weights, workspace, name))
        yield found if isinstance(found, Finding) else Finding(f"base {name}", OK, found)


def _weights(workspace: Workspace, name: str) -> str:
    base = load_base(name, workspace.bases)
    for item in base.files:
        base.file_path(item.role)
    return f"{base.rate_hz} Hz, {', '.join(base.languages)}; weights are there"


def _voices(workspace: Workspace) -> Finding:
    count = len(workspace.voice_names())
    remedy = "" if count else "start one with: timbre voices new NAME --language en"
    return Finding("voices", OK if count else WARNING, str(count), remedy)


def _stages() -> Iterator[Finding]:
    for row in STAGES:
        name = f"stage {row.number} {row.name}"
        if not row.target:
            yield Finding(name, WARNING, "not part of this version", "runs end before this stage")
            continue
        found = _attempt(name, partial(_version, row))
        yield found if isinstance(found, Finding) else Finding(name, OK, found)


def _version(row: StageRow) -> str:
    return f"version {row.load().version}"


def _attempt(name: str, work: Callable[[], str]) -> str | Finding:
    """The text that work returns, or a finding that says why it could not."""
    try:
        return work()
    except TimbreError as error:
        return Finding(name, WARNING, error.message, error.remedy)
    except ImportError as error:
        return Finding(name, WARNING, f"cannot be imported: {error}", "install what is missing")
