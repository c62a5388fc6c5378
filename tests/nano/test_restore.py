"""A packed base becomes a work folder that training goes on from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nano.tone_corpus import tone_source, write_tones
from timbre.core.base import Base, load_base
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import load_synthesizer, load_text_to_semantic
from timbre.gptsovits.files.checkpoints import read_state_dict
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano import pack as packing
from timbre.nano.alignment import read_alignments
from timbre.nano.augmentation import Augmenter
from timbre.nano.checkpointing import START, Clock, WeightAverage, read_checkpoint, save_checkpoint, write_checkpoint
from timbre.nano.content import CHECKPOINT, ContentTrainer, load_averaged
from timbre.nano.content_network import ContentConfig, ContentEncoder, content_features
from timbre.nano.corpus import Corpus
from timbre.nano.recipe import NanoRecipe
from timbre.nano.restore import fit_heads, restore
from timbre.nano.stages import content_trainer, training_of
from timbre.text.recognition import CLASSES

STEPS = 700


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A packed base of networks that were not trained."""
    folder = tmp_path_factory.mktemp("packed")
    torch.manual_seed(1)
    for place, network in (
        ("acoustic/joint.pt", Synthesizer(SynthesizerConfig.nano())),
        ("semantic/t2s.pt", TextToSemantic(T2S_NANO)),
    ):
        (folder / place).parent.mkdir()
        save_checkpoint(folder / place, network, {}, WeightAverage(network), Clock(3, 1.0))
    encoder = ContentEncoder(ContentConfig()).eval()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packing, "load_averaged", lambda folder: encoder)
        packing.pack(folder, folder / "bases" / "nano")
    return load_base("nano", folder / "bases")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    (folder / "unseen-speakers.txt").write_text("VCTK/p999\n")
    return folder


@pytest.fixture(scope="module")
def work(base: Base, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_tones(folder / "corpus", clips=12)
    restore(base, NanoRecipe(), speech, folder, STEPS, quiet)
    return folder


def test_the_networks_are_those_of_the_base(base: Base, work: Path) -> None:
    for name, network in (("acoustic", load_synthesizer(base)), ("semantic", load_text_to_semantic(base))):
        start = torch.load(work / name / START, weights_only=True)
        wanted = network.float().state_dict()
        assert start.keys() == wanted.keys()
        assert all(torch.equal(start[key], wanted[key]) for key in wanted)
    head = read_state_dict(base.file_path(packing.RECOGNISER, None))
    restored = load_averaged(work / "content").ctc_head.state_dict()
    assert all(torch.equal(restored[key], value.float()) for key, value in head.items())


def test_features_are_two_frames_a_code(work: Path) -> None:
    corpus, encoder = Corpus.open(work / "corpus"), load_averaged(work / "content")
    clip = corpus.clips[0]
    assert content_features(encoder, corpus.heard(clip)).shape == (clip.samples // 480, encoder.config.hidden)


def test_packing_a_restored_folder_keeps_what_codes_are_heard(base: Base, work: Path, tmp_path: Path) -> None:
    """The head of classes once came from a fit on the corpus, which heard 73 % of the frames right."""
    again = packing.pack(work, tmp_path / "bases" / "nano")
    before, after = load_synthesizer(base).float().ssl_proj, load_synthesizer(again).float().ssl_proj
    assert torch.allclose(before.weight, after.weight, atol=1e-3, rtol=2e-3)
    assert torch.allclose(before.bias, after.bias, atol=1e-3, rtol=2e-3)


def test_the_content_encoder_trains_on_from_its_place(work: Path) -> None:
    source = tone_source(Corpus.open(work / "corpus"))
    trainer = ContentTrainer(training_of(NanoRecipe().content, "cpu"), source, work / "content")
    assert trainer.loop.resume()
    assert trainer.loop.clock.step == STEPS
    assert torch.equal(trainer.encoder.ctc_head.weight, load_averaged(work / "content").ctc_head.weight)
    before = trainer.encoder.hubert.encoder.layers[0].feed_forward.output_dense.weight.detach().clone()
    trainer.loop.save = lambda: None  # type: ignore[method-assign]
    trainer.train(until=STEPS + 1)
    assert trainer.loop.clock.step == STEPS + 1
    after = trainer.encoder.hubert.encoder.layers[0].feed_forward.output_dense.weight
    assert not torch.equal(before, after)


@pytest.mark.parametrize("step", [0, STEPS])
def test_a_training_from_the_beginning_has_a_frame_head_of_its_own(
    work: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Weights that a fit made large let 1,700 steps gain nothing."""
    monkeypatch.setattr(Augmenter, "load", lambda speech, config: Augmenter(config))
    shutil.copytree(work, tmp_path / "work")
    folder = tmp_path / "work" / "content"
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    checkpoint["clock"]["step"] = step
    write_checkpoint(folder / CHECKPOINT, checkpoint)
    fitted = load_averaged(folder)
    encoder = content_trainer(NanoRecipe().content, speech, tmp_path / "work").encoder
    assert torch.equal(encoder.ctc_head.weight, fitted.ctc_head.weight)
    assert torch.equal(encoder.frame_head.weight, fitted.frame_head.weight) == bool(step)
    assert encoder.config.mask_share == NanoRecipe().content.mask_share


def test_the_heads_know_what_the_features_tell(tmp_path: Path) -> None:
    corpus = write_tones(tmp_path, clips=30)
    alignments = read_alignments(tmp_path, "real")
    torch.manual_seed(2)
    encoder = ContentEncoder(ContentConfig())
    pitch = {clip.id: np.where(np.arange(clip.samples // 480) % 20 < 10, 200.0, 0.0).astype(np.float32)
             for clip in corpus.clips}  # fmt: skip
    share = fit_heads(encoder, corpus, alignments, pitch)
    assert share > 0.9, "tones are easy to tell apart in log band energies"
    clip = corpus.clips[0]
    with torch.inference_mode():
        frame, _, prosody = encoder(torch.from_numpy(corpus.heard(clip))[None])
    heard = {CLASSES[index] for index in frame[0].argmax(-1).tolist()}
    assert heard <= {*alignments[clip.id].phones}
    assert torch.isfinite(prosody).all()


def test_a_restore_that_was_killed_is_repeated(
    base: Base, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tones(tmp_path / "corpus", clips=4)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("timbre.nano.restore.take_code_heads", killed)
        restore(base, NanoRecipe(), speech, tmp_path, STEPS, quiet)
    assert not (tmp_path / "content" / CHECKPOINT).exists()
    restore(base, NanoRecipe(), speech, tmp_path, STEPS, quiet)
    assert (tmp_path / "content" / CHECKPOINT).is_file()


def test_training_that_is_there_is_not_overwritten(base: Base, speech: Path, work: Path) -> None:
    before = (work / "content" / "content.ckpt").read_bytes()
    with pytest.raises(ConfigurationError, match="training exists already") as caught:
        restore(base, NanoRecipe(), speech, work, 0, quiet)
    assert "--work" in caught.value.remedy
    assert (work / "content" / "content.ckpt").read_bytes() == before
