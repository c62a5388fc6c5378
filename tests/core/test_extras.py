"""A library that is missing is named with the line that installs it, whichever command asks for it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.test_house import ROOT, modules
from timbre.core.errors import ConfigurationError
from timbre.core.extras import NOT_FOR_SERVERS, missing_library, needed_by

OWN = ["click>=8.1", "av>=14; extra == 'serve-cpu'", 'praat-parselmouth>=0.4.5; extra == "train"', "PyYAML>=6"]


@pytest.mark.parametrize(
    ("module", "answer"),
    [
        ("av.codec", "pip install 'timbre[serve-cpu]'"),
        ("parselmouth", "pip install 'timbre[train]'"),
        ("yaml", "pip install 'timbre'"),
        ("timbre.training.lora", "the image `train`"),
        ("timbre.nowhere", None),
        ("left_pad", None),
    ],
)
def test_the_extra_of_a_library(module: str, answer: str | None) -> None:
    found = missing_library(ModuleNotFoundError(f"No module named {module!r}", name=module), OWN)
    assert (found is None) == (answer is None)
    if found is not None and answer is not None:
        assert found.exit_code == 40
        assert answer in found.remedy
        assert module.split(".")[0] in found.message


def _requirements() -> list[str]:
    """Of pyproject.toml, as the package's metadata has them; without those of developers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "dev"}
    marked = [f'{line.partition(";")[0]}; extra == "{name}"' for name, lines in extras.items() for line in lines]
    return [*project["dependencies"], *marked]


def test_every_library_that_a_module_imports_has_an_extra() -> None:
    names = {
        (module or "").split(".")[0]
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for module in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
    } - {*sys.stdlib_module_names, "timbre"}  # fmt: skip
    assert {"boto3", "_webrtcvad", "torch"} <= names
    own = _requirements()
    assert [name for name in sorted(names) if missing_library(ModuleNotFoundError(name=name), own) is None] == []


def test_who_records_is_sent_to_the_extra_that_trains() -> None:
    for name in ("_webrtcvad", "av", "pyrnnoise", "torch"):
        found = missing_library(ModuleNotFoundError(name=name), _requirements())
        assert "timbre[train]" in getattr(found, "remedy", ""), name


def test_an_extra_of_the_registry_is_named_before_a_large_one() -> None:
    large = [f"{name}>=1; extra == 'train'" for name in ("torch", "boto3", "peft")]
    boto3 = ModuleNotFoundError(name="boto3.session")
    assert "'timbre[train]'" in getattr(missing_library(boto3, large), "remedy", "")
    assert "'timbre[s3]'" in getattr(missing_library(boto3, [*large, "boto3>=1; extra == 's3'"]), "remedy", "")


def test_what_needs_a_library_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^TIMBRE_KEY: boto3 is not installed\n"), needed_by("TIMBRE_KEY"):
        raise ModuleNotFoundError(name="boto3")
    with pytest.raises(ModuleNotFoundError), needed_by("TIMBRE_KEY"):
        raise ModuleNotFoundError(name="left_pad")


_WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from timbre.cli.main import call
sys.exit(call({command!r}))
"""


@pytest.mark.parametrize(
    ("missing", "command", "environment", "extra"),
    [
        ("onnxruntime", ["say", "ada", "Hello.", "-o", "x.wav"], {}, "serve-cpu"),
        ("uvicorn", ["serve", "--port", "0"], {}, "serve-cpu"),
        ("torch", ["parity", "nowhere"], {}, "train"),
        ("torch", ["base", "make-pico", "pico"], {}, "train"),
        ("boto3", ["verify", "--registry", "s3://bucket"], {}, "s3"),
        ("huggingface_hub", ["verify", "--registry", "hf://ada/voices"], {}, "hub"),
        ("cryptography", ["verify", "--registry", "store"], {"TIMBRE_SIGNING_KEY": "key"}, "keys"),
        ("boto3", ["sign", "public", "kms:key"], {}, "s3"),
    ],
)
def test_a_missing_extra_is_configuration(
    missing: str, command: list[str], environment: dict[str, str], extra: str, tmp_path: Path
) -> None:
    (tmp_path / "voices").mkdir()
    program = _WITHOUT.format(missing=missing, command=command)
    path = os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), *map(str, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 40, done.stderr
    assert f"timbre[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        *((f"timbre.{name}.app", f"timbre.{name}") for name in NOT_FOR_SERVERS),
        ("timbre.pipeline.calibration.measure", "timbre.pipeline.calibration"),
        ("timbre.cli.commands.pretrain", "timbre.cli.commands.pretrain"),
        ("timbre.studio", "timbre.studio"),
    ],
)
def test_what_a_server_lacks_is_found_in_another_image(name: str, left_out: str) -> None:
    found = missing_library(ModuleNotFoundError(name=name), OWN)
    assert found is not None
    assert str(found).startswith(f"{left_out}: this image only speaks")
    assert "the image `train`" in found.remedy
    assert missing_library(ModuleNotFoundError(name="timbre.studios"), OWN) is None
