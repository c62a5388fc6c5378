"""Where graphs run: what is asked for, what is offered, and what is said when they differ. On the processor."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from timbre.core.errors import ConfigurationError
from timbre.inference.device import (
    CPU,
    CPU_PROVIDER,
    CUDA_PROVIDER,
    PROBE,
    Device,
    choose_device,
    lost_provider,
    refused_by,
)
from timbre.inference.errors import GraphError
from timbre.inference.session import open_session
from timbre.serving.errors import explain

BOTH = (CUDA_PROVIDER, CPU_PROVIDER)


def works(_: Device) -> str:
    """A device that refuses nothing."""
    return ""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """y = x + x."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy"]
    body = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "twice", values[:1], values[1:])
    path = tmp_path / "twice.onnx"
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("wanted", "offered", "name", "said"),
    [
        ("auto", (CPU_PROVIDER,), "cpu", ""),
        ("auto", BOTH, "cuda:0", ""),
        ("cpu", BOTH, "cpu", ""),
        ("cuda", BOTH, "cuda:0", ""),
        ("cuda:3", BOTH, "cuda:3", ""),
        ("cuda:3", (CPU_PROVIDER,), "cpu", "cuda:3 was requested"),
    ],
)
def test_what_is_asked_for_and_offered(wanted: str, offered: tuple[str, ...], name: str, said: str) -> None:
    device = choose_device(wanted, offered, works)
    assert device.name == name
    assert device.providers[-1] == CPU_PROVIDER
    assert said in device.fallback
    assert bool(said) == bool(device.fallback)
    assert (device.providers[0] == CUDA_PROVIDER) == name.startswith("cuda")
    if name.startswith("cuda"):
        assert dict(device.session_providers)[CUDA_PROVIDER]["device_id"] == name.partition(":")[2]


@pytest.mark.parametrize("wanted", ["", "gpu", "cuda:", "cuda:-1", "cuda:0 ", "CPU"])
def test_other_words_are_refused(wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="device"):
        choose_device(wanted)


@pytest.mark.parametrize("wanted", ["auto", "cuda", "cuda:1"])
def test_what_is_offered_and_cannot_be_used_is_said(wanted: str) -> None:
    """ONNX Runtime for CUDA offers it on machines without a driver too."""
    device = choose_device(wanted, BOTH, lambda tried: f"no {tried.name}")
    assert (device.name, device.providers) == ("cpu", (CPU_PROVIDER,))
    number = "cuda:1" if wanted == "cuda:1" else "cuda:0"
    assert device.fallback == f"{number} cannot be used: no {number}"


def test_a_device_is_tried_before_it_is_named() -> None:
    """With this ONNX Runtime for the processor the attempt itself fails, as without CUDA's libraries."""
    assert refused_by(CPU) == ""
    if CUDA_PROVIDER in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has the provider that is to be missing")
    assert CUDA_PROVIDER in choose_device("auto", BOTH).fallback


def test_the_probe_is_the_smallest_graph() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    body = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert onnx.load_from_string(PROBE) == model


def test_providers_are_taken_in_their_order(graph: Path) -> None:
    offered = tuple(ort.get_available_providers())
    before = tuple(item for item in offered if item != CPU_PROVIDER)
    session = open_session(graph, device=Device("test", (*before, CPU_PROVIDER)))
    assert session.get_providers()[-1] == CPU_PROVIDER
    assert set(session.get_providers()) == set(offered)


class _Kept(logging.Handler):
    """The records that reach it; pytest's own handler sees them twice where two loggers carry it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Kept]:
    """What the engine logs, at warning and above."""
    log, handler = logging.getLogger("timbre.engine"), _Kept()
    monkeypatch.setattr(log, "disabled", False)
    monkeypatch.setattr(log, "level", logging.WARNING)
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_a_graph_that_misses_its_device_speaks_and_says_so(graph: Path, kept: _Kept) -> None:
    if CUDA_PROVIDER in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has the provider that is to be missing")
    session = open_session(graph, device=choose_device("cuda", BOTH, works))
    assert np.array_equal(session.run(None, {"x": np.ones(3, np.float32)})[0], np.full(3, 2, np.float32))
    assert [record.getMessage() for record in kept.records] == ["a graph runs on the processor"]
    assert vars(kept.records[0])["device"] == "cuda:0"
    kept.records.clear()
    assert not lost_provider(CPU, open_session(graph))
    assert not kept.records


def test_a_damaged_graph_is_no_matter_of_devices(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    for device in (CPU, choose_device("cuda", BOTH, works)):
        with pytest.raises(GraphError, match="refuses it"):
            open_session(broken, device=device)


def test_a_run_that_fails_on_the_device_is_answered_with_503(graph: Path) -> None:
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as caught:
        open_session(graph).run(None, {"x": np.ones((2, 2), np.float32)})
    answer = explain(caught.value)
    assert answer is not None
    assert (answer.status_code, answer.code) == (503, "engine_failed")
    assert answer.headers is not None
    assert answer.headers["Retry-After"]
