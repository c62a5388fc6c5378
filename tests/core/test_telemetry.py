"""No library reports home: told before it is imported, and seen by what ONNX Runtime leaves in a fresh home folder."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_rooms import ROOMS, imported, modules

ROOT = Path(__file__).parents[2]
# Whatever imports ONNX Runtime -> a program that comes there. `inference` has the switch in its __init__.py.
LOADERS = {
    "inference": "import timbre.inference.session",
    "audio/mos.py": "import timbre.audio.mos; timbre.audio.mos.Dnsmos()",
    "cli/serving_resources.py": (
        "import timbre.cli.serving_resources as m; list(m.serving_findings(m.RegistryAddress('', {})))"
    ),
    "training/export/quantise.py": (
        "import pathlib, timbre.training.export.quantise as q; q.quantise(pathlib.Path('nowhere'))"
    ),
}
_SWITCH = "ORT_DISABLE_TELEMETRY"
# Prints the switch when ONNX Runtime is looked for. What the program does afterwards may fail.
_WATCHED = """
import importlib.abc, os, sys

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("switch", os.environ.get({switch!r}), flush=True)

sys.meta_path.insert(0, Watch())
try:
    exec({program!r})
except Exception as error:
    print(repr(error))
"""


def run(program: str, home: Path) -> str:
    """What a program prints that has none of our variables, nor any by which ONNX Runtime knows a CI: there it does
    not report anyway, and nothing could be seen.
    """
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**kept, "HOME": str(home), "http_proxy": nowhere, "https_proxy": nowhere},
    )  # fmt: skip
    return done.stdout


def at_import(program: str, home: Path) -> str:
    """The switch's value when ONNX Runtime is first imported, as text."""
    seen = [line for line in run(_WATCHED.format(switch=_SWITCH, program=program), home).splitlines()
            if line.startswith("switch ")]  # fmt: skip
    assert seen, f"{program}: does not import ONNX Runtime"
    return seen[0].removeprefix("switch ")


def left_behind(home: Path, program: str) -> list[str]:
    """Files in the home folder after a program; ONNX Runtime makes its own while it is imported."""
    run(f"{program}; import onnxruntime", home)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("place", LOADERS)
def test_the_switch_comes_before_the_import(tmp_path: Path, place: str) -> None:
    assert at_import(LOADERS[place], tmp_path / "home") == "1"


def test_the_order_can_be_wrong(tmp_path: Path) -> None:
    assert at_import("import onnxruntime, inference", tmp_path / "home") == "None"


def test_every_import_is_looked_at() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for room in (*ROOMS, "benchmarks") if room != "inference"
        for path in modules(room) if "onnxruntime" in imported(path.read_text("utf-8"))
    }  # fmt: skip
    assert found == LOADERS.keys() - {"inference"}
    body = ast.parse((ROOT / "inference" / "__init__.py").read_text("utf-8")).body
    assert "switch_off_telemetry()" in map(ast.unparse, body)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    assert left_behind(tmp_path / "home", "import inference") == []


def test_the_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without our switch ONNX Runtime makes its device id, also when these tests run in a CI."""
    if sys.platform != "linux":
        pytest.skip("the folder is that of Linux builds")
    for name in ("CI", "GITLAB_CI", "JENKINS_URL"):
        monkeypatch.setenv(name, "true")
    found = left_behind(tmp_path / "home", "pass")
    if not found:
        pytest.skip("this build of ONNX Runtime leaves nothing without the switch either: nothing to tell it by")
    assert "deviceid" in found


def test_the_operator_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    from timbre.core.telemetry import switch_off_telemetry

    monkeypatch.setenv(_SWITCH, "0")
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    switch_off_telemetry()
    assert os.environ[_SWITCH] == "0"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
