"""What each stage would use on this machine: device, denoiser, metrics, registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from timbre.cli.check import Check, attempt
from timbre.core.host import installed_version
from timbre.core.recipe import Recipe
from timbre.pipeline.engine.accelerator import Accelerator
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import STAGES, StageRow
from timbre.registry.address import RegistryAddress

# Packages of the two stages that compute with torch, and the models of stages 1 and 4.
_NETWORKS = ("torch", "transformers", "peft")
_JUDGES = ("pesq", "pystoi", "speechmos", "resemblyzer")


def stage_findings(
    workspace: Workspace, recipe: Recipe, accelerator: Accelerator, registry: RegistryAddress
) -> Iterator[Check]:
    """One finding a stage: its version and what it would use, or what it lacks."""
    means: Mapping[str, Callable[[], str]] = {
        "validate": partial(_validate, workspace, recipe),
        "extract": partial(_networks, accelerator),
        "finetune": partial(_finetune, recipe, accelerator),
        "evaluate": _evaluate,
        "publish": lambda: f"into {registry}",
    }
    for row in STAGES:
        name = f"stage {row.number} {row.name}"
        yield attempt(name, partial(_described, row, means[row.name]))


def _described(row: StageRow, means: Callable[[], str]) -> str:
    return f"version {row.load().version}; {means()}"


def _validate(workspace: Workspace, recipe: Recipe) -> str:
    _need("webrtcvad")
    wanted = recipe.validate.denoise
    if wanted == "off":
        return "speech found by WebRTC VAD, nothing is denoised"
    from timbre.pipeline.stages.validate.denoisers import choose_denoiser

    chosen = choose_denoiser(wanted, workspace.bases, workspace.weights_root)
    if chosen.identity.startswith("rnnoise"):
        _need("pyrnnoise")
    if wanted == "deepfilternet-torch":
        _need("deepfilternet")
    return f"speech found by WebRTC VAD, denoised by {chosen.title}, on the CPU"


def _networks(accelerator: Accelerator) -> str:
    _need(*_NETWORKS)
    return accelerator.device


def _finetune(recipe: Recipe, accelerator: Accelerator) -> str:
    device, count = _networks(accelerator), len(accelerator.gpus)
    where = device if device == "cpu" or count == 1 else f"{device}, {count} GPUs"
    return f"{where}, precision {recipe.finetune.precision}"


def _evaluate() -> str:
    _need("onnxruntime", *_JUDGES)
    return "ONNX Runtime on the CPU; PESQ, STOI, DNSMOS, GE2E"


def _need(*packages: str) -> None:
    missing = [name for name in packages if not installed_version(name)]
    if missing:
        raise ImportError(", ".join(missing))
