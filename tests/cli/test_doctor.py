"""`timbre doctor`: what it says about machines that have something, lack something, or have something broken."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.shelf_of_voices import Shelf
from timbre.cli import ci_tools, serving_resources, stage_resources
from timbre.cli.check import NOTE, OK, WARNING, Check, attempt
from timbre.cli.doctor import examine
from timbre.cli.main import call
from timbre.core.errors import TimbreError
from timbre.core.recipe import Recipe, ValidateRecipe
from timbre.pipeline.engine import accelerator
from timbre.pipeline.engine.accelerator import Accelerator, find_accelerator
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.validate.denoisers import library_there
from timbre.registry.address import RegistryAddress
from timbre.serving.encoding import FORMATS, Format

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """program(name, script): puts a shell script first in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "repository" / "voices").mkdir(parents=True)
    return Workspace(tmp_path / "repository")


def by_name(findings: list[Check]) -> dict[str, Check]:
    return {finding.name: finding for finding in findings}


def test_gpus_as_the_driver_tells_them(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program("nvidia-smi", "echo 'NVIDIA L4, 23034 MiB, 570.1'; echo 'NVIDIA L4, 23034 MiB, 570.1'")
    monkeypatch.setattr(accelerator, "_torch", lambda: ("2.9.0", "12.8"))
    found = find_accelerator()
    assert found.gpus == ("NVIDIA L4, 23034 MiB, 570.1",) * 2
    assert found.device == "cuda"


def test_torch_without_cuda_leaves_the_gpu_idle(
    program: Program, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    program("nvidia-smi", "echo 'NVIDIA L4, 23034 MiB, 570.1'")
    monkeypatch.setattr(accelerator, "_torch", lambda: ("2.9.0+cpu", ""))
    found = by_name(examine(workspace))["accelerator"]
    assert found.state == WARNING
    assert "no CUDA support" in found.value
    assert found.remedy
    assert find_accelerator().device == "cpu"


def test_a_broken_driver_is_told(program: Program, workspace: Workspace) -> None:
    program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch' >&2; exit 18")
    found = by_name(examine(workspace))["accelerator"]
    assert found.state == WARNING
    assert "version mismatch" in found.value


def test_no_gpu_is_no_fault() -> None:
    found = find_accelerator("no-such-program-of-a-driver")
    assert found.gpus == ()
    assert found.problem == ""
    assert found.device == "cpu"
    assert found.torch_version


def test_the_build_of_torch_is_read_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert accelerator._torch() == (torch.__version__.partition("+")[0], torch.version.cuda or "") or (
        accelerator._torch() == (torch.__version__, torch.version.cuda or "")
    )
    forms = ("cuda: Optional[str] = '12.8'", "cuda = '12.8'")
    for line in forms:
        assert accelerator._CUDA.search(f"__version__ = '2.9'\n{line}\nhip = None\n")[1] == "12.8"  # type: ignore[index]
    assert accelerator._CUDA.search("cuda: Optional[str] = None") is None


BEST_DENOISER = "DeepFilterNet 3" if library_there() else "RNNoise"


@pytest.mark.parametrize(
    ("denoise", "expected"),
    [
        ("off", "nothing is denoised"),
        ("rnnoise", "RNNoise"),
        ("auto", "DeepFilterNet 3" if library_there() else "RNNoise"),
    ],
)
def test_stage_1_says_which_denoiser(workspace: Workspace, denoise: str, expected: str) -> None:
    recipe = Recipe(validate=ValidateRecipe(denoise=denoise))
    said = by_name(
        list(stage_resources.stage_findings(workspace, recipe, Accelerator((), "2", ""), RegistryAddress("/shelf", {})))
    )
    assert expected in said["stage 1 validate"].value
    assert said["stage 5 publish"].value.endswith("into /shelf")


def test_stages_say_on_what_they_train(workspace: Workspace) -> None:
    two = Accelerator(("A", "B"), "2.9", "12.8")
    said = by_name(list(stage_resources.stage_findings(workspace, Recipe(), two, RegistryAddress("/shelf", {}))))
    assert "cuda, 2 GPUs" in said["stage 3 finetune"].value
    assert said["stage 2 extract"].value.endswith("cuda")


def test_a_missing_package_names_its_stage(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbre.cli.stage_resources.installed_version", lambda name: "" if name == "peft" else "1.0")
    said = by_name(
        list(
            stage_resources.stage_findings(workspace, Recipe(), Accelerator((), "2", ""), RegistryAddress("/shelf", {}))
        )
    )
    assert said["stage 3 finetune"].state == WARNING
    assert "peft" in said["stage 3 finetune"].value
    assert said["stage 1 validate"].state == OK


def test_a_missing_part_of_the_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "timbre.cli.serving_resources.installed_version", lambda name: "" if name == "uvicorn" else "1.0"
    )
    found = serving_resources._http()
    assert found.state == WARNING
    assert found.value == "uvicorn not installed"


def test_encoders_are_those_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    found = serving_resources._encoders()
    assert found.state == OK
    assert found.value == ", ".join(FORMATS)
    monkeypatch.setitem(FORMATS, "xyz", Format("xyz", "audio/xyz", "xyz", "no_such_encoder"))
    found = serving_resources._encoders()
    assert found.state == WARNING
    assert "xyz" in found.value


def test_the_registry_is_read(tmp_path: Path, pico_export: Path) -> None:
    assert serving_resources._registry(RegistryAddress("", {})).state == NOTE
    shelf = Shelf(tmp_path / "shelf", pico_export)
    assert "empty" in serving_resources._registry(RegistryAddress(str(shelf.folder), {})).value
    shelf.publish("ada", 0)
    shelf.publish("bob", 1, promote=False)
    found = serving_resources._registry(RegistryAddress(str(shelf.folder), {}))
    assert found.state == OK
    assert found.value.endswith("2 voices, 1 in production; 1 exported bases")
    assert serving_resources._registry(RegistryAddress("ftp://elsewhere/", {})).state == WARNING


def test_a_damaged_registry_is_told(tmp_path: Path, pico_export: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", pico_export)
    shelf.publish("ada", 0)
    (shelf.folder / "voices" / "ada" / "aliases" / "production.json").write_text("{", encoding="utf-8")
    found = serving_resources._registry(RegistryAddress(str(shelf.folder), {}))
    assert found.state == WARNING
    assert "ada" in found.value
    assert found.remedy == "run: timbre verify"


def test_tools_of_ci(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program("groovy", "echo 'Groovy Version: 9.9'")
    program("rsync", "echo broken >&2; exit 3")
    found = by_name(list(ci_tools.ci_tools()))
    assert found["groovy"].value == "Groovy Version: 9.9"
    assert "unknown version" in found["rsync"].value
    monkeypatch.setattr(ci_tools, "_where", lambda name: None)
    gone = by_name(list(ci_tools.ci_tools()))
    assert {item.state for item in gone.values()} == {NOTE}
    assert all(item.remedy for item in gone.values())


def test_every_finding_has_a_part_and_every_fault_a_remedy(workspace: Workspace) -> None:
    findings = examine(workspace, RegistryAddress(str(workspace.default_registry), {}))
    assert all(item.part for item in findings)
    assert [item.name for item in findings if item.state != OK and not item.remedy] == []


def test_a_machine_that_only_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TIMBRE_ROOT", "TIMBRE_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    assert call(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    said = {item["name"]: item["state"] for item in findings}
    assert said["repository"] == NOTE
    assert said["registry"] == NOTE
    assert said["onnxruntime"] == OK
    assert not [name for name in said if name.startswith("stage ")]
    monkeypatch.setenv("TIMBRE_REGISTRY", str(tmp_path / "shelf"))
    assert call(["doctor"]) == 0
    assert "empty; the first publish fills it" in capsys.readouterr().out
    assert call(["--root", str(tmp_path), "doctor"]) == 40


def test_attempts_never_raise_what_is_meant_for_people() -> None:
    def fail() -> str:
        raise TimbreError("no", "do this")

    assert attempt("x", fail) == Check("x", WARNING, "no", "do this")
