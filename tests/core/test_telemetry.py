"""No library reports home: seen by what ONNX Runtime leaves in a fresh home folder when it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SESSION = (
    "import onnx.helper as h, onnxruntime as o; g = h.make_graph([h.make_node('Identity', ['x'], ['y'])], 'g', "
    "[h.make_tensor_value_info('x', 1, [1])], [h.make_tensor_value_info('y', 1, [1])]); "
    "o.InferenceSession(h.make_model(g, ir_version=9, opset_imports=[h.make_opsetid('', 17)]).SerializeToString(), "
    "providers=['CPUExecutionProvider'])"
)


def left_behind(home: Path, program: str, **environment: str) -> list[str]:
    """Files in the home folder after a program that opened a session."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name and not name.startswith("XDG")}
    subprocess.run(
        [sys.executable, "-c", f"{program}; {_SESSION}"], cwd=ROOT, check=True, capture_output=True,
        env={**kept, "HOME": str(home), **environment},
    )  # fmt: skip
    return sorted(path.name for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("program", ["import inference.session", "import audio.mos as m; m.switch_off_telemetry()"])
def test_nothing_is_left_behind(tmp_path: Path, program: str) -> None:
    assert left_behind(tmp_path / "home", program) == []


def test_the_check_can_fail(tmp_path: Path) -> None:
    """Without our switch ONNX Runtime makes its device id; when no build does so any more, the switch can go."""
    if sys.platform != "linux":
        pytest.skip("the folder is that of Linux builds")
    nowhere = "http://127.0.0.1:9"
    assert "deviceid" in left_behind(tmp_path / "home", "pass", http_proxy=nowhere, https_proxy=nowhere)


def test_the_operator_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.telemetry import switch_off_telemetry

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    switch_off_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0" and os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
