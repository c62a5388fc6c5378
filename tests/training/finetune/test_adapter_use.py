"""A trained voice leaves training: PEFT itself and the engine without torch read it, and it is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from tests.training.finetune.conftest import job_for
from timbre.core.base import Base
from timbre.gptsovits.files.base_networks import load_synthesizer, load_text_to_semantic
from timbre.gptsovits.text_to_semantic.network import T2SBatch
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.guards import SentenceLimits
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import load_voice
from timbre.training.lora import load_adapter, network_of

ANYTHING = SentenceLimits(0.0, 100.0, 100.0, 10_000, -500.0)


@pytest.fixture(scope="module")
def trained(base: Base, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = job_for(base, features, tmp_path_factory.mktemp("trained"), "voice", learning_rate=0.02, max_steps=24)
    job.run()
    return job.output


def test_peft_itself_loads_both_adapters(base: Base, trained: Path) -> None:
    for load, name in ((load_text_to_semantic, "t2s"), (load_synthesizer, "sovits")):
        plain = load(base)
        if name == "sovits":
            plain.fold()
        theirs = PeftModel.from_pretrained(plain, trained / name)
        stored = load_file(trained / name / "adapter_model.safetensors")
        loaded = {k: v for k, v in theirs.state_dict().items() if ".lora_" in k}
        assert len(loaded) == len(stored) > 0
        for key, tensor in stored.items():
            torch.testing.assert_close(loaded[key.replace(".weight", ".default.weight")], tensor.float())


@torch.inference_mode()
def test_peft_computes_what_we_compute(base: Base, trained: Path) -> None:
    batch = T2SBatch(torch.arange(9)[None], torch.tensor([9]), torch.arange(12)[None], torch.tensor([12]))
    theirs = PeftModel.from_pretrained(load_text_to_semantic(base), trained / "t2s").eval()
    ours = network_of(load_adapter(load_text_to_semantic(base), trained / "t2s")).eval()
    plain = load_text_to_semantic(base)
    torch.testing.assert_close(theirs.base_model.model(batch), ours(batch))
    assert float((ours(batch) - plain(batch)).abs().max()) > 1e-3


def test_the_engine_speaks_with_it_and_hears_both_adapters(trained: Path, pico_export: Path, tmp_path: Path) -> None:
    with Engine(pico_export, EngineSettings(limits=ANYTHING)) as engine:
        voice = load_voice(trained, engine.base, name="wren")
        assert voice.prompt.language == "en"
        assert voice.t2s.tensors
        assert voice.acoustic
        assert 0.03 < voice.prompt.pace.phone_s < 0.3
        assert np.linalg.norm(voice.prompt.speaker) == pytest.approx(1.0, abs=1e-3)
        request = SpeechRequest("The quick brown fox.", sampling=Sampling(seed=1))
        spoken = engine.speak(request, voice)
        assert np.isfinite(spoken.wave.samples).all()
        assert np.std(spoken.wave.samples) > 0
        silent = tmp_path / "silenced"
        for part in ("t2s", "sovits"):
            (silent / part).mkdir(parents=True)
            (silent / part / "adapter_config.json").write_bytes((trained / part / "adapter_config.json").read_bytes())
            zeros = {k: v * 0 for k, v in load_file(trained / part / "adapter_model.safetensors").items()}
            save_file(zeros, silent / part / "adapter_model.safetensors")
        for name in ("prompt.safetensors", "prompt.json"):
            (silent / name).write_bytes((trained / name).read_bytes())
        without = engine.speak(request, load_voice(silent, engine.base, name="nobody"))
        assert without.sentences[0].codes != spoken.sentences[0].codes
