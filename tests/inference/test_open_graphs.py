"""Graphs that are opened before the engine that runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tests.inference.pico_voice import write_voice
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import GraphError
from timbre.inference.exported_base import ExportedBase, read_export
from timbre.inference.open_graphs import open_graphs
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import load_voice


@pytest.fixture(scope="module")
def base(pico_export: Path) -> ExportedBase:
    return read_export(pico_export)


def test_an_engine_speaks_the_same_with_graphs_that_were_opened_before(base: ExportedBase, tmp_path: Path) -> None:
    settings = EngineSettings()
    voice = load_voice(write_voice(tmp_path / "ada", base.folder, np.random.default_rng(3)), base, name="ada")
    request = SpeechRequest("Good morning.", check=False, sampling=Sampling(seed=4))
    with Engine(base, settings) as own, Engine(base, settings, open_graphs(base, settings)) as given:
        expected, found = own.speak(request, voice), given.speak(request, voice)
    assert len(expected.wave.samples) > 0
    assert np.array_equal(found.wave.samples, expected.wave.samples)


def test_an_engine_opens_no_graph_that_it_was_given(base: ExportedBase, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = open_graphs(base, EngineSettings())

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a graph is opened twice")

    monkeypatch.setattr(ort, "InferenceSession", refuse)
    Engine(base, EngineSettings(), graphs).close()
    with pytest.raises(GraphError, match="opened twice"):
        Engine(base, EngineSettings())


@pytest.mark.parametrize("name", ["prior", "generator", "t2s", "weights"])
def test_a_missing_file_is_named(base: ExportedBase, name: str, tmp_path: Path) -> None:
    for path in base.folder.iterdir():
        if path != base.graph(name):
            (tmp_path / path.name).symlink_to(path)
    copy = ExportedBase(**{**vars(base), "folder": tmp_path})
    with pytest.raises((GraphError, OSError), match=base.graph(name).name):
        open_graphs(copy, EngineSettings())
