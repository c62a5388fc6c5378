"""A damaged int8 graph of nano turns its gates red, and the sound one passes them: heard, not calculated."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.conftest import ROOT
from tests.exports import kept_export
from timbre.audio.reader import read
from timbre.core.base import load_base
from timbre.core.progress import SilentProgress
from timbre.evaluation.gates import decide
from timbre.evaluation.gates_yaml import read_gates
from timbre.evaluation.judge import Judge, Plan
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.evaluation.rendition import Recording
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.exported_base import ExportedBase, read_export
from timbre.inference.reference import ReferenceEncoder, prepare
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Voice

pytestmark = pytest.mark.slow
TEXTS = ("The harbour was quiet.", "A narrow path leads to the beach.", "Fresh bread and smoked fish were laid out.")


@pytest.fixture(scope="module")
def exported() -> ExportedBase:
    return read_export(kept_export(load_base("nano", ROOT / "bases")))


@pytest.fixture(scope="module")
def held_out() -> list[Recording]:
    files = sorted((ROOT / "voices" / "wren" / "wavs").glob("*.flac"))
    return [Recording(f"{index:05d}", text, "en", read(files[index])) for index, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def voice(exported: ExportedBase, held_out: list[Recording]) -> Voice:
    prompt = ReferenceEncoder(exported).prompt(prepare(held_out[0].wave), "en", None)
    return Voice("wren", "1", exported.digest, prompt, NO_LORA, {})


def heard(
    exported: ExportedBase, profile: str, voice: Voice, held_out: list[Recording], output: Path
) -> tuple[Sample, ...]:
    with Engine(exported, EngineSettings(profile=profile)) as engine:
        return Judge(engine).beside(voice, held_out, Plan((1,), 21), 24, output, SilentProgress())


def damaged(exported: ExportedBase, folder: Path) -> ExportedBase:
    """The same base, of whose int8 graph every second row of weights has the wrong sign."""
    shutil.copytree(exported.folder, folder)
    found = read_export(folder)
    path = found.graph("t2s", "int8")
    model = onnx.load(str(path))
    harmed = 0
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 2:
            weights = numpy_helper.to_array(tensor).copy()
            weights[::2] = np.clip(-weights[::2].astype(np.int16), -127, 127).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
            harmed += 1
    assert harmed
    onnx.save(model, str(path))
    return found


def test_a_damaged_int8_graph_is_heard(
    exported: ExportedBase, voice: Voice, held_out: list[Recording], tmp_path: Path
) -> None:
    fp32 = heard(exported, "fp32", voice, held_out, tmp_path)
    gates = read_gates(ROOT / "bases" / "nano" / "gates.yaml")
    gates = replace(gates, gates=tuple(gate for gate in gates.gates if gate.judges_int8))
    measured = Measurements(
        voice="wren", base="nano", base_digest=exported.digest, profile="fp32", texts_version="1",
        adapted=Group((), fp32), plain=Group((), ()), real={}, models={}, unasked={"distilled_mos": "not asked here"},
    )  # fmt: skip
    served = {}
    for name, graphs in (("sound", exported), ("damaged", damaged(exported, tmp_path / "damaged"))):
        beside = heard(graphs, "int8", voice, held_out, tmp_path)
        verdicts = decide(gates, replace(measured, beside=beside))
        served[name] = verdicts.served_profile, {item.gate.metric: (item.value, item.fp32) for item in verdicts.int8}
    assert served["sound"][0] == "int8", served
    assert served["damaged"][0] == "fp32", served
    words, plain = served["damaged"][1]["word_error_rate"]
    assert words is not None
    assert plain is not None
    assert words > plain + 0.05, served
