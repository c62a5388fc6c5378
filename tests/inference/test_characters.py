"""Character vectors: the exported BERT equals the one of stage 2, reaches the right phones, and is heard."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.inference.test_engine import ANYTHING
from timbre.core.base import Base
from timbre.core.digests import digest_file
from timbre.gptsovits.files.base_networks import load_bert
from timbre.gptsovits.files.pico import make_pico
from timbre.gptsovits.text_to_semantic.configuration import T2S_PICO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.inference.characters import PROJECTION, CharacterVectors
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import GraphError, VoiceError
from timbre.inference.exported_base import ExportedBase, read_export
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import load_voice
from timbre.text.frontend import phonemize
from timbre.training.bert_features import BertFeatures
from timbre.training.export.acoustic_graphs import save_graph
from timbre.training.export.base_export import MAX_POSITIONS, t2s_shape
from timbre.training.export.character_graph import character_graph, character_tokens
from timbre.training.export.parity import t2s_error
from timbre.training.export.t2s_graph import build_t2s_graph

TEXT = "你好，世界。Hello 朋友。"


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_pico(tmp_path_factory.mktemp("bases") / "pro", like="v2Pro")


@pytest.fixture(scope="module")
def export(official: Base, pico_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported pico, to which BERT and a projection to its width were added."""
    folder = tmp_path_factory.mktemp("export") / "with-bert"
    folder.mkdir()
    for path in pico_export.iterdir():
        if path.name != "export.json":
            shutil.copyfile(path, folder / path.name)
    bert = load_bert(official)
    save_graph(character_graph(bert), folder / "bert.fp32.onnx", {})
    (folder / "bert_tokens.json").write_text(json.dumps(character_tokens(official)), encoding="utf-8")
    width = bert.config.hidden_size
    matrix = np.random.default_rng(0).standard_normal((T2S_PICO.hidden, width)).astype(np.float32)
    save_file({PROJECTION: matrix}, folder / "bert_projection.safetensors")
    about = json.loads((pico_export / "export.json").read_text())
    for name, file in (
        ("bert", "bert.fp32.onnx"), ("bert_tokens", "bert_tokens.json"),
        ("bert_projection", "bert_projection.safetensors"),
    ):  # fmt: skip
        about["graphs"][name] = {"fp32": {"file": file, "sha256": digest_file(folder / file)}}
    (folder / "export.json").write_text(json.dumps({**about, "bert": True, "bert_width": width}))
    return folder


def test_vectors_are_those_of_stage_two(official: Base, export: Path) -> None:
    exported = read_export(export)
    exported.verify()
    phonemes = phonemize(TEXT, "zh")
    wanted = BertFeatures(official, torch.device("cpu")).of(phonemes).astype(np.float32)
    projection = load_file(exported.graph("bert_projection"))[PROJECTION]
    vectors = CharacterVectors(exported)
    got = vectors.of(phonemes)
    assert got is not None
    assert got.shape == (len(phonemes.phones), T2S_PICO.hidden)
    # Stage 2 keeps half precision.
    np.testing.assert_allclose(got, wanted.T @ projection.T, atol=2e-3 * float(np.abs(got).max()))
    segments = [(segment.language, len(segment.phones)) for segment in phonemes.segments]
    start = 0
    for language, count in segments:
        assert np.any(got[start : start + count]) == (language == "zh")
        start += count
    assert {language for language, _ in segments} == {"zh", "en"}
    assert vectors.of(phonemize("Hello.", "en")) is None


def test_more_characters_than_bert_reads(export: Path) -> None:
    vectors = CharacterVectors(read_export(export))
    long = phonemize("你好世界" * 160, "zh")
    got = vectors.of(long)
    assert got is not None
    assert len(got) == len(long.phones)


def test_the_graph_adds_vectors_where_the_network_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TextToSemantic(dataclasses.replace(T2S_PICO, bert_width=24)).eval()
    weights = {name: tensor.detach().numpy() for name, tensor in network.named_parameters()}
    save_graph(build_t2s_graph(network.config, weights, max_positions=MAX_POSITIONS), tmp_path / "t2s.onnx", {})
    entry = {"t2s": {"fp32": {"file": "t2s.onnx", "sha256": ""}}}
    fields = dict.fromkeys(item.name for item in dataclasses.fields(ExportedBase))
    exported = ExportedBase(**{**fields, "folder": tmp_path, "t2s": t2s_shape(network), "graphs": entry})  # type: ignore[arg-type]
    assert t2s_error(exported, network, "fp32", np.random.default_rng(1)) < 1e-5
    with torch.no_grad():
        assert network.bert_proj is not None
        network.bert_proj.bias += 0.5
    assert t2s_error(exported, network, "fp32", np.random.default_rng(1)) > 1e-3, "the bias is part of the graph"


def test_character_vectors_are_heard(export: Path, make_voice: Callable[..., Path]) -> None:
    folder = make_voice()
    request = SpeechRequest("你好世界。", language="zh", sampling=Sampling(seed=1), check=False)
    english = SpeechRequest("Good morning.", language="en", sampling=Sampling(seed=1), check=False)
    with Engine(export, EngineSettings(limits=ANYTHING)) as engine:
        plain = load_voice(folder, engine.base, name="ada")
        prompt = load_file(folder / "prompt.safetensors")
        shape = (engine.base.bert_width, len(prompt["phones"]))
        prompt["bert"] = np.random.default_rng(2).standard_normal(shape).astype(np.float16)
        save_file(prompt, folder / "prompt.safetensors")
        read = load_voice(folder, engine.base, name="ada")
        codes = [
            engine.speak(item, voice).sentences[0].codes
            for item, voice in ((request, plain), (request, read), (english, plain), (english, read))
        ]
        assert codes[0] != codes[1], "the prompt's vectors are read"
        assert codes[2] != codes[3], "the prompt's vectors are read"
        joined = np.concatenate([piece.samples for piece in engine.stream(request, read)])
        assert len(joined) == len(codes[1]) * engine.base.samples_per_code
        engine._planner = dataclasses.replace(engine._planner, characters=None)
        assert engine.speak(request, plain).sentences[0].codes != codes[0], "the sentence's vectors are read"
        assert engine.speak(english, plain).sentences[0].codes == codes[2]
        prompt["bert"] = prompt["bert"][:, :-1]
        save_file({name: np.ascontiguousarray(item) for name, item in prompt.items()}, folder / "prompt.safetensors")
        with pytest.raises(VoiceError, match="bert has shape"):
            load_voice(folder, engine.base, name="ada")


def test_a_damaged_table_is_named(export: Path, tmp_path: Path) -> None:
    (tmp_path / "bert_tokens.json").write_text('{"你": 1}')
    base = read_export(export)
    graphs = {**base.graphs, "bert_tokens": {"fp32": {"file": str(tmp_path / "bert_tokens.json"), "sha256": ""}}}
    with pytest.raises(GraphError, match=r"bert_tokens\.json.*CLS"):
        CharacterVectors(dataclasses.replace(base, graphs=graphs))
