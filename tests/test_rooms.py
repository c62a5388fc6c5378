"""Imports point one way (the table of CONTRIBUTING.md), and torch-free rooms import without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import tools as deploy_tools
from tests.e2e import containers, gitlab_tool

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "audio": {"core"},
    "text": {"core"},
    "registry": {"core"},
    "gptsovits": {"core", "audio"},
    # inference: export writes what the engine reads, and is checked by it.
    "training": {"core", "audio", "text", "gptsovits", "inference"},
    "inference": {"core", "audio", "text"},
    "evaluation": {"core", "audio", "text", "inference"},
    "pipeline": {"core", "audio", "text", "registry", "gptsovits", "training", "inference", "evaluation"},
    "api": {"core", "audio", "inference", "registry", "pipeline"},
    "nano": {"core", "audio", "text", "gptsovits", "inference", "evaluation", "training"},
    "serving": {"core", "audio", "text", "inference", "registry"},
    "studio": {"core", "audio", "text", "registry", "inference", "pipeline"},
    "cli": {
        *("core", "audio", "text", "registry", "gptsovits", "training", "inference", "evaluation", "pipeline"),
        *("serving", "nano", "api", "studio"),
    },
}
TORCH_FREE = ("core", "audio", "text", "registry", "inference", "serving")
TORCH = ("torch", "torchaudio", "transformers", "peft", "accelerate")
ROOMS = sorted(MAY_IMPORT)


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def room_of(name: str) -> str:
    """timbre.text.symbols -> text; any other name -> its first part."""
    return name.removeprefix("timbre.").split(".")[0]


def imported(source: str) -> Iterator[str]:
    """Rooms and top-level names that a module imports anywhere in it, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (room_of(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (room_of(f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield from (room_of(str(part.value)) for part in node.args[:1] if isinstance(part, ast.Constant))


def violations(room: str, source: str) -> set[str]:
    outside = set(MAY_IMPORT) | {"benchmarks", "tests"}
    return {name for name in imported(source) if name in outside and name not in MAY_IMPORT[room] | {room}}


def test_the_check_can_fail() -> None:
    assert violations("core", "def f():\n    from timbre.audio.reader import read") == {"audio"}
    assert violations("audio", "import timbre.registry.store, numpy, timbre.core.errors") == {"registry"}
    assert violations("serving", "import importlib\nimportlib.import_module('timbre.pipeline.engine.engine')") == {
        "pipeline"
    }
    assert violations("pipeline", "from timbre.training.lora import wrap") == set()


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    found = {str(path.relative_to(ROOT)): violations(room, path.read_text(encoding="utf-8")) for path in modules(room)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("room", TORCH_FREE)
def test_torch_free_rooms_name_no_torch(room: str) -> None:
    found = {str(path.relative_to(ROOT)): set(TORCH) & set(imported(path.read_text("utf-8"))) for path in modules(room)}
    assert {path: names for path, names in found.items() if names} == {}


BLOCKED = """
import importlib, importlib.abc, json, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}")

sys.meta_path.insert(0, Block())
failed = {{}}
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        failed[name] = str(error)
print(json.dumps(failed))
"""


def failures_without_torch(names: list[str], folder: Path = ROOT) -> str:
    code = BLOCKED.format(names=set(TORCH), modules=names)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def module_names(room: str) -> list[str]:
    found = [".".join(["timbre", *path.relative_to(ROOT).with_suffix("").parts]) for path in modules(room)]
    return [name.removesuffix(".__init__") for name in found if not name.endswith("__main__")]


def test_torch_free_rooms_import_without_torch() -> None:
    names = [name for room in TORCH_FREE for name in module_names(room)]
    assert len(names) > 10
    assert failures_without_torch(names) == "{}"


def test_stages_can_be_skipped_without_torch() -> None:
    """A second run imports every stage's module for its version; that must not cost the seconds of importing torch."""
    names = ["timbre.pipeline.engine.engine", "timbre.pipeline.engine.voice_runs", "timbre.cli.main"]
    from timbre.pipeline.stages.table import STAGES

    names += [row.target.partition(":")[0] for row in STAGES]
    assert failures_without_torch(names) == "{}"


def test_the_torch_block_works(tmp_path: Path) -> None:
    (tmp_path / "sinner.py").write_text("import torch.nn")
    assert "blocked: torch" in failures_without_torch(["sinner"], tmp_path)


def test_every_room_is_packaged() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {path.parent for room in ROOMS for path in modules(room)}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()
    assert {"timbre", *(".".join(["timbre", *folder.relative_to(ROOT).parts]) for folder in folders)} == set(listed)


def test_modules_stay_short() -> None:
    """A module does one noun's work; 400 lines is the hard end."""
    found = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for room in ROOMS
        for path in modules(room)
    }
    assert {path: lines for path, lines in found.items() if lines > 400} == {}


def test_tests_keep_programs_and_images_out_of_the_private_folder() -> None:
    """They hold symbolic links, which `timbre run` refuses below .timbre/: `make test` must not stop `make run`."""
    for folder in (containers.FOLDER, gitlab_tool.FOLDER, deploy_tools.TOOLS):
        assert folder.is_relative_to(ROOT / "build"), folder
