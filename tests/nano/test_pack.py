"""Packing: what a work folder holds becomes a base that every room can read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.conftest import ROOT
from timbre.cli.main import call
from timbre.core.base import load_base
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import load_content_encoder, load_synthesizer, load_text_to_semantic
from timbre.gptsovits.files.checkpoints import read_state_dict
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano import pack as packing
from timbre.nano import speech_stages
from timbre.nano.checkpointing import START, Clock, WeightAverage, save_checkpoint
from timbre.nano.content_network import ContentConfig, ContentEncoder


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)
    for folder, name, network in (
        ("acoustic", "joint", Synthesizer(SynthesizerConfig.nano())),
        ("semantic", "t2s", TextToSemantic(T2S_NANO)),
    ):
        (tmp_path / folder).mkdir()
        save_checkpoint(tmp_path / folder / f"{name}.pt", network, {}, WeightAverage(network), Clock(3, 1.0))
    encoder = ContentEncoder(ContentConfig()).eval()
    monkeypatch.setattr(packing, "load_averaged", lambda folder: encoder)
    return tmp_path


def test_a_packed_base_loads_with_the_weights_that_were_trained(work: Path, tmp_path: Path) -> None:
    target = tmp_path / "bases" / "nano"
    packing.pack(work, target)
    base = load_base("nano", tmp_path / "bases")
    assert base.locked
    assert base.speaking == packing.NANO_SPEAKING
    assert not base.speaking.prompt_codes
    assert (base.architecture, base.rate_hz, base.hop, base.fft, base.speaker_encoder) == (
        "nano", 24000, 480, 1920, "ge2e",
    )  # fmt: skip
    acoustic = packing.load_acoustic(work).state_dict()
    for name, value in load_synthesizer(base).float().state_dict().items():
        assert torch.equal(value, acoustic[name].half().float()), name
    semantic = packing.load_semantic(work).state_dict()
    for name, value in load_text_to_semantic(base).float().state_dict().items():
        assert torch.equal(value, semantic[name].half().float()), name
    encoder = packing.load_averaged(work)
    wave = torch.randn(1, 8000)
    with torch.no_grad():
        found = load_content_encoder(base).float()(wave).last_hidden_state
        wanted = encoder.hidden(wave)
    assert torch.allclose(found, wanted, atol=0.05)
    head = read_state_dict(base.file_path(packing.RECOGNISER, None))
    assert torch.equal(head["weight"], encoder.ctc_head.weight.detach().half())
    size = sum((target / item.path).stat().st_size for item in base.files)
    assert size <= 40_000_000


def test_what_is_packed_was_finished(work: Path, tmp_path: Path) -> None:
    def finish(model: Synthesizer) -> None:
        assert model.modulation is not None
        model.modulation.weight.fill_(0.25)

    packed = load_synthesizer(packing.pack(work, tmp_path / "out", finish=finish))
    assert packed.modulation is not None
    assert (packed.modulation.weight == 0.25).all()


def test_a_missing_stage_and_an_oversized_base_are_refused(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGEST_BYTES", 1_000_000)
    with pytest.raises(ConfigurationError, match="MB of weights"):
        packing.pack(work, work / "out")
    (work / "semantic" / "t2s.pt").unlink()
    with pytest.raises(ConfigurationError, match=r"t2s\.pt"):
        packing.pack(work, work / "out")


def test_a_restored_part_is_packed_until_it_is_trained_again(work: Path) -> None:
    restored = TextToSemantic(T2S_NANO).state_dict()
    torch.save(restored, work / "semantic" / START)
    trained = packing.load_semantic(work).state_dict()
    assert not all(torch.equal(value, restored[name]) for name, value in trained.items())
    (work / "semantic" / "t2s.pt").unlink()
    packed = packing.load_semantic(work)
    assert all(torch.equal(value, restored[name]) for name, value in packed.state_dict().items())
    assert not packed.training


def test_a_share_of_what_training_changed_is_kept(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"kept: 0\.25 needs .*start"):
        packing.load_acoustic(work, 0.25)
    began = Synthesizer(SynthesizerConfig.nano()).state_dict()
    torch.save(began, work / "acoustic" / START)
    stored = torch.load(work / "acoustic" / "joint.pt", weights_only=True)
    stored["average"]["state"]["modulation.weight"] += 0.5
    torch.save(stored, work / "acoustic" / "joint.pt")
    trained = packing.load_acoustic(work).state_dict()
    found = packing.load_acoustic(work, 0.25)
    part, moved = found.state_dict(), 0
    for name, value in found.named_parameters():
        if not name.startswith("ssl_proj."):  # set from the encoder's heads
            torch.testing.assert_close(value.detach(), 0.75 * began[name] + 0.25 * trained[name])
            moved += not torch.equal(value, trained[name])
    assert moved > 100
    assert float(part["modulation.weight"].amin()) == 0.5, "a filter is fitted, not trained: it is kept whole"
    packed = load_synthesizer(packing.pack(work, tmp_path / "out", kept=0.25)).float().state_dict()
    assert torch.equal(packed["enc_p.proj.weight"], part["enc_p.proj.weight"].half().float())


def test_the_recipe_says_how_much_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []
    fitted: list[tuple[Any, float]] = []
    base = SimpleNamespace(files=())

    def pack(work: Path, folder: Path, **options: Any) -> Any:
        kept.append(options["kept"])
        options["finish"]("the model")
        return base

    monkeypatch.setattr(packing, "pack", pack)
    monkeypatch.setattr(speech_stages, "sentence_sampler", lambda *given: None)
    monkeypatch.setattr(speech_stages, "fit_model", lambda model, *given: fitted.append((model, given[-1])))
    (tmp_path / "recipe.yaml").write_text("acoustic: {kept: 0.25, modulation: 0.5}\n")
    options = ["--speech", str(tmp_path), "--work", str(tmp_path), "--to", str(tmp_path / "out")]
    for recipe in (["--recipe", str(tmp_path / "recipe.yaml")], ["--recipe", str(ROOT / "recipes" / "nano.yaml")]):
        assert call(["pretrain", "pack", *options, *recipe]) == 0
    assert kept == [0.25, 1.0]
    assert fitted == [("the model", 0.5)]
