"""A graph of a forged export: what it may read of this machine is its own folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
SECRET = np.arange(8, dtype=np.float32)


def graph_that_reads(location: str) -> bytes:
    """A graph whose one weight lies in a file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[8], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "32")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", shape[:1], shape[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "export").mkdir()
    for path in (tmp_path / "secret", tmp_path / "export" / "weights"):
        path.write_bytes(SECRET.tobytes())
    (tmp_path / "export" / "link").symlink_to(tmp_path / "secret")
    return tmp_path / "export"


def speaks(graph: str | bytes) -> bool:
    """Whether the graph opens and gives the weight away."""
    try:
        session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except Exception as error:
        assert "xternal data" in str(error), error
        return False
    return bool((session.run(None, {"x": np.zeros(8, np.float32)})[0] == SECRET).all())


@pytest.mark.parametrize("where", ["../secret", "{parent}/secret", "link"])
def test_a_graph_reads_no_file_outside_its_folder(folder: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, forged = folder / "graph.onnx", graph_that_reads(where.format(parent=folder.parent))
    graph.write_bytes(graph_that_reads("weights"))
    assert speaks(str(graph))
    graph.write_bytes(forged)
    assert not speaks(str(graph))
    # With a voice's weights in it a graph is opened from memory: its folder is then the process's own.
    monkeypatch.chdir(folder)
    assert not speaks(forged)


def test_versions_without_that_refusal_are_not_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert "onnxruntime>=1.25" in project["serve-cpu"]
    assert "onnxruntime-gpu>=1.25" in project["serve-gpu"]
    assert "onnx>=1.21" in project["train"]
    assert tuple(map(int, ort.__version__.split(".")[:2])) >= (1, 25)
    assert tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 21)
