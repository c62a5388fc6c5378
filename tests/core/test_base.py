"""base.yaml: what is accepted, what is refused and by which words, and what its digest covers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from timbre.core.base import Base, list_bases, load_base, load_weights, read_base, write_base
from timbre.core.errors import ConfigurationError, TimbreError
from timbre.core.recipe import load_recipe
from timbre.core.speaking_defaults import SpeakingDefaults
from timbre.core.weights import BaseFile, Hub, list_tools, read_tool
from timbre.pipeline.voice.voice_yaml import read_voice_yaml

ROOT = Path(__file__).resolve().parents[2]


def plain(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": "tiny",
        "architecture": "pico",
        "rate_hz": 16000,
        "hop": 320,
        "fft": 1280,
        "languages": ["en"],
        "phones": "v2",
        "speaker_encoder": "ge2e",
        "bert": False,
        "weights": "here",
        "files": [{"role": "acoustic", "path": "acoustic.safetensors", "sha256": "a" * 64}],
        "licences": [{"what": "weights", "name": "MIT"}],
    }
    return {key: item for key, item in (value | changes).items() if item is not ...}


def put(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.yaml").write_text("# head\n" + yaml.safe_dump(plain(**changes)), encoding="utf-8")
    return folder


def test_reads_and_writes_back(tmp_path: Path) -> None:
    base = read_base(put(tmp_path / "tiny", networks={"acoustic": {"channels": 8}}))
    assert (base.rate_hz, base.frames_hz, base.languages) == (16000, 50.0, ("en",))
    write_base(base)
    again = read_base(tmp_path / "tiny")
    assert again == base
    assert (tmp_path / "tiny" / "base.yaml").read_text(encoding="utf-8").startswith("# head\nname: tiny\n")
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["base.yaml"]


def test_how_a_base_speaks_is_part_of_it_where_it_differs(tmp_path: Path) -> None:
    usual = read_base(put(tmp_path / "usual"))
    assert usual.speaking == SpeakingDefaults()
    assert usual.speaking.prompt_codes
    own = read_base(put(tmp_path / "own", speaking={"repetition_penalty": 1, "prompt_codes": False}))
    assert own.speaking == SpeakingDefaults(repetition_penalty=1.0, prompt_codes=False)
    assert own.digest != usual.digest, "engines speak otherwise with it"
    same = read_base(put(tmp_path / "same", speaking={"repetition_penalty": 1.35}))
    assert same.digest == usual.digest, "what every base does is not said"
    write_base(own)
    assert read_base(tmp_path / "own") == own
    write_base(usual)
    assert "speaking" not in (tmp_path / "usual" / "base.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arhitecture": "v2"}, "did you mean `architecture`"),
        ({"architecture": "v9"}, "architecture: 'v9'; expected one of"),
        ({"rate_hz": ...}, "rate_hz: missing"),
        ({"rate_hz": "16k"}, "rate_hz: '16k'"),
        ({"rate_hz": True}, "rate_hz: True"),
        ({"hop": 160}, "100 frames a second"),
        ({"languages": ["en", "tlh"]}, "languages: 'tlh'"),
        ({"languages": "en"}, "languages: 'en'; expected a list"),
        ({"bert": "no"}, "bert: 'no'"),
        ({"speaking": []}, "speaking: [] is not a mapping"),
        ({"speaking": {"temprature": 1.0}}, "speaking: temprature: unknown"),
        ({"speaking": {"temperature": 9}}, "speaking: temperature: 9 is not a number from 0 to 2"),
        ({"speaking": {"temperature": float("nan")}}, "speaking: temperature: nan"),
        ({"speaking": {"top_k": 1.5}}, "speaking: top_k: 1.5 is not a whole number from 0"),
        ({"speaking": {"prompt_codes": 0}}, "speaking: prompt_codes: 0 is not true or false"),
        ({"name": "Tiny One"}, "name: 'Tiny One'"),
        ({"speaker_encoder": "ecapa"}, "speaker_encoder: 'ecapa'"),
        ({"files": [{"role": "acoustic", "path": "../x"}]}, "leaves the folder"),
        ({"files": [{"role": "acoustic", "path": "/x"}]}, "leaves the folder"),
        ({"files": [{"role": "acoustic", "path": "x", "sha256": "abc"}]}, "64 hex digits"),
        ({"files": [{"role": "a", "path": "x"}, {"role": "a", "path": "y"}]}, "role 'a' is listed twice"),
        ({"files": [{"role": "a", "path": "x", "sha": "y"}]}, "did you mean `sha256`"),
        ({"hub": {"repo": "a/b", "revision": "main"}}, "full commit id"),
        ({"licences": [{"name": "MIT"}]}, "licences"),
        ({"networks": [1]}, "networks"),
    ],
)
def test_refuses(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_base(put(tmp_path / "tiny", **changes))
    assert words in str(caught.value)
    assert "base.yaml" in caught.value.message


def test_lists_every_problem_of_a_file(tmp_path: Path) -> None:
    changes = {"rate_hz": "16k", "languages": ["tlh"], "files": [{"role": "A", "path": "../x", "sha": 1}], "hub": 3}
    with pytest.raises(ConfigurationError) as caught:
        read_base(put(tmp_path / "tiny", **changes))
    for words in (
        "6 problems",
        "rate_hz: '16k'",
        "'tlh'",
        "unknown key `sha`",
        "role 'A'",
        "leaves the folder",
        "hub: 3",
    ):
        assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: !!python/name:os.system ''", "expected no tags"),
        ("name: &a x\nfiles: *a", "expected no aliases"),
        ("name: x\nname: y", "key `name` twice"),
        ("name: [", "expected valid YAML"),
        ("- name", "a list; expected lines of `key: value`"),
        ("[" * 300, "deep nesting"),
    ],
)
def test_every_reader_of_yaml_refuses_the_same(tmp_path: Path, text: str, words: str) -> None:
    """One reader: what voice.yaml may not hold, no other document may."""
    (tmp_path / "base.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "weights.yaml").write_text(text, encoding="utf-8")
    readers: list[Callable[[], object]] = [
        lambda: read_base(tmp_path),
        lambda: read_tool(tmp_path),
        lambda: load_recipe(tmp_path / "base.yaml"),
    ]
    for read in readers:
        with pytest.raises(TimbreError) as caught:
            read()
        assert words in str(caught.value)
        assert ".yaml" in str(caught.value)
    assert words in str(read_voice_yaml(text.encode())[1][0])


def test_finds_by_name_or_folder(tmp_path: Path) -> None:
    put(tmp_path / "tiny")
    tool = {"name": "broom", "files": [{"role": "denoiser", "path": "b.onnx"}]}
    (tmp_path / "broom").mkdir()
    (tmp_path / "broom" / "weights.yaml").write_text(yaml.safe_dump(tool), encoding="utf-8")
    assert list_bases(tmp_path) == ["tiny"]
    assert list_tools(tmp_path) == ["broom"]
    assert load_base("tiny", tmp_path) == load_base(str(tmp_path / "tiny"))
    assert load_weights("broom", tmp_path) == read_tool(tmp_path / "broom")
    assert isinstance(load_weights("tiny", tmp_path), Base)
    with pytest.raises(ConfigurationError, match="did you mean 'tiny'"):
        load_base("tinny", tmp_path)


def test_weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = read_base(put(tmp_path / "tiny"))
    assert here.weights_dir() == tmp_path / "tiny"
    pulled = dataclasses.replace(here, weights="pulled")
    assert pulled.weights_dir(tmp_path / "w") == tmp_path / "w" / "tiny"
    stored = dataclasses.replace(pulled, weights_root=read_base(tmp_path / "tiny", tmp_path / "store").weights_root)
    assert stored.weights_dir() == tmp_path / "store" / "tiny"
    assert stored == pulled
    with pytest.raises(ConfigurationError, match="timbre base pull tiny"):
        pulled.file_path("acoustic")
    with pytest.raises(ConfigurationError, match="no file with role 'bert'"):
        pulled.file("bert")
    (tmp_path / "tiny" / "acoustic.safetensors").write_bytes(b"x")
    assert here.file_path("acoustic") == tmp_path / "tiny" / "acoustic.safetensors"


def test_digest_covers_sizes_and_files_only(tmp_path: Path) -> None:
    base = read_base(put(tmp_path / "tiny"))
    moved = dataclasses.replace(base, licences=(), description="other words", hub=Hub("a/b"))
    assert moved.digest == base.digest
    assert dataclasses.replace(base, networks={"acoustic": {"channels": 9}}).digest != base.digest
    other = dataclasses.replace(base, files=(BaseFile("acoustic", "acoustic.safetensors", "b" * 64),))
    assert other.digest != base.digest
    with pytest.raises(ConfigurationError, match="sha256 is null"):
        _ = dataclasses.replace(base, files=(BaseFile("acoustic", "acoustic.safetensors"),)).digest
