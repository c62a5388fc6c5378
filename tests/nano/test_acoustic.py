"""The first half of the acoustic stage on a corpus of made-up sounds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nano.synthetic_corpus import tone, write_corpus
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import StyleEncoderConfig, SynthesizerConfig, WaveNetConfig
from timbre.gptsovits.acoustic.generator_configuration import SourceIstftConfig
from timbre.nano.acoustic import AcousticSettings, build, train_autoencoder
from timbre.nano.acoustic_data import SegmentSampler
from timbre.nano.autoencoder import AutoencoderLoss, LossWeights
from timbre.nano.checkpointing import Clock, WeightAverage, load_checkpoint, save_checkpoint
from timbre.nano.corpus import Corpus
from timbre.nano.latent_basis import fit_basis, start_from_basis
from timbre.nano.pitch_tracks import PitchTracks
from timbre.training.pitch import continuous, track

pytest.importorskip("parselmouth")
CPU = torch.device("cpu")


def tiny() -> SynthesizerConfig:
    return dataclasses.replace(
        SynthesizerConfig.nano(), latent_channels=18, hidden_channels=16, condition_channels=16,
        posterior=WaveNetConfig(layers=1), style=StyleEncoderConfig(bins=80, width=16),
        generator=SourceIstftConfig(
            width=16, inner_width=32, blocks=1, refinements=4, fft_size=1920, hop=480, rate_hz=24000
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def test_pitch_is_found_where_it_sounds_and_nowhere_else() -> None:
    f0 = track(tone(2.0, 150.0))
    assert f0.shape == (100,)
    assert (f0[:4] == 0).all()
    voiced = f0[20:80]
    assert (voiced > 0).mean() > 0.95
    assert 130 < np.median(voiced) < 170


def test_continuous_pitch_bridges_gaps_in_octaves() -> None:
    f0 = np.array([0, 100, 0, 400, 0], np.float32)
    assert continuous(f0) == pytest.approx([100, 100, 200, 400, 400], rel=1e-3)
    assert (continuous(np.zeros(3, np.float32)) == 0).all()


def test_the_direct_paths_start_as_inverses_of_each_other(corpus: Corpus) -> None:
    model = build(tiny(), corpus, seed=1)
    random = torch.Generator().manual_seed(0)
    patterns = torch.randn(8, 961, generator=random)
    logs = 1.0 + torch.randn(400, 8, generator=random) @ patterns
    basis = fit_basis(torch.exp(logs), 16, 24000)
    start_from_basis(model.enc_q, model.dec, basis)
    latent = model.encode(torch.exp(logs[:20]).T.unsqueeze(0)).mean
    assert float(latent.detach()[:, 2:10].std()) == pytest.approx(1.0, abs=0.3)
    rebuilt = model.dec.direct(latent)[0].T
    wanted = torch.log(torch.exp(logs[:20]) + 0.01)
    assert (rebuilt - wanted).abs().mean() < 0.25 * wanted.std()
    with pytest.raises(ConfigurationError, match="frames for 200"):
        fit_basis(torch.exp(logs), 200, 24000)


def test_loss_falls(corpus: Corpus) -> None:
    model = build(tiny(), corpus, seed=1)
    sampler = SegmentSampler(corpus, PitchTracks.of(corpus), 16, seed=0)
    loss_of = AutoencoderLoss(tiny(), LossWeights(), CPU)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    totals = []
    for step in range(25):
        terms = loss_of(model, sampler.batch(step, 4))
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        totals.append(float(terms["total"].detach()))
    assert np.mean(totals[-5:]) < 0.8 * np.mean(totals[:5])


def test_every_parameter_that_shall_learn_gets_a_gradient(corpus: Corpus) -> None:
    model = build(tiny(), corpus, seed=1)
    sampler = SegmentSampler(corpus, PitchTracks.of(corpus), 16, seed=0)
    AutoencoderLoss(tiny(), LossWeights(), CPU)(model, sampler.batch(0, 4))["total"].backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    assert without == {
        "enc_q.enc.cond_layer.weight_g", "enc_q.enc.cond_layer.weight_v", "enc_q.enc.cond_layer.bias",
        "dec.cond.weight", "dec.cond.bias",
    }  # fmt: skip


def test_batches_come_from_training_clips_only_and_depend_on_the_step_alone(corpus: Corpus) -> None:
    clips = [
        dataclasses.replace(clip, split="dev" if index % 3 == 0 else "train") for index, clip in enumerate(corpus.clips)
    ]
    some = Corpus(corpus.folder, clips)
    pitch = PitchTracks.of(corpus)
    sampler = SegmentSampler(some, pitch, 16, seed=3)
    seen = {clip.id for step in range(40) for clip, _ in sampler.draw(step, 8)}
    assert seen == {clip.id for clip in clips if clip.split == "train"}
    again = SegmentSampler(some, pitch, 16, seed=3)
    assert torch.equal(sampler.batch(7, 4).wave, again.batch(7, 4).wave)
    assert not torch.equal(sampler.batch(7, 4).wave, sampler.batch(8, 4).wave)
    only_dev = Corpus(corpus.folder, [dataclasses.replace(clip, split="dev") for clip in clips])
    with pytest.raises(ConfigurationError, match="no training clip"):
        SegmentSampler(only_dev, pitch, 16, seed=3)


def test_a_resumed_run_continues_as_if_never_stopped(corpus: Corpus, tmp_path: Path) -> None:
    def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage, numbers: range) -> None:
        for step in numbers:
            terms = loss_of(model, sampler.batch(step, 2))
            optimizer.zero_grad()
            terms["total"].backward()
            optimizer.step()
            average.update(model)

    sampler = SegmentSampler(corpus, PitchTracks.of(corpus), 16, seed=0)
    loss_of = AutoencoderLoss(tiny(), LossWeights(), CPU)
    whole, part, later = (build(tiny(), corpus, seed=1) for _ in range(3))
    optimizers = [torch.optim.AdamW(model.parameters(), 1e-3) for model in (whole, part, later)]
    averages = [WeightAverage(model) for model in (whole, part, later)]
    torch.manual_seed(9)
    steps(whole, optimizers[0], averages[0], range(4))
    torch.manual_seed(9)
    steps(part, optimizers[1], averages[1], range(2))
    save_checkpoint(tmp_path / "c.pt", part, {"a": optimizers[1]}, averages[1], Clock(2, 0.5))
    torch.manual_seed(1234)
    clock, _ = load_checkpoint(tmp_path / "c.pt", later, {"a": optimizers[2]}, averages[2])
    assert clock == Clock(2, 0.5)
    steps(later, optimizers[2], averages[2], range(2, 4))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, later.state_dict()[name]), name
        assert torch.equal(averages[0].state[name], averages[2].state[name]), name


def test_a_checkpoint_of_another_network_is_refused_by_name(corpus: Corpus, tmp_path: Path) -> None:
    model, other = torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    save_checkpoint(tmp_path / "c.pt", model, {"a": optimizer}, WeightAverage(model), Clock())
    with pytest.raises(ConfigurationError, match=r"c\.pt"):
        load_checkpoint(tmp_path / "c.pt", other, {}, WeightAverage(other))


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 2)
    path = tmp_path / "c.pt"
    save_checkpoint(path, model, {}, WeightAverage(model), Clock(1))
    before = path.read_bytes()

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, model, {}, WeightAverage(model), Clock(2))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["c.pt"]


def test_the_stage_trains_and_resumes(corpus: Corpus, tmp_path: Path) -> None:
    settings = AcousticSettings(batch=2, frames=16, steps=3, eval_clips_per_corpus=0)
    path = train_autoencoder(corpus, tmp_path / "none", tmp_path / "out", tiny(), settings, CPU)
    first = torch.load(path, weights_only=True)["clock"]
    assert first["step"] == 3
    longer = dataclasses.replace(settings, steps=5)
    train_autoencoder(corpus, tmp_path / "none", tmp_path / "out", tiny(), longer, CPU)
    assert torch.load(path, weights_only=True)["clock"]["step"] == 5
    assert (tmp_path / "out" / "autoencoder.jsonl").read_text().count("\n") == 2


def test_the_latent_stays_principal_components_while_its_pitch_learns(corpus: Corpus, tmp_path: Path) -> None:
    start = build(tiny(), corpus, seed=1)
    settings = AcousticSettings(batch=2, frames=16, steps=3, eval_clips_per_corpus=0, learning_rate=1e-2)
    path = train_autoencoder(corpus, tmp_path / "none", tmp_path / "out", tiny(), settings, CPU, start.state_dict())
    trained = build(tiny(), corpus, seed=2)
    trained.load_state_dict(torch.load(path, weights_only=True)["network"])
    spectrum = torch.rand(1, 961, 8)
    before, after = (model.encode(spectrum).mean.detach() for model in (start, trained))
    assert torch.equal(before[:, 2:], after[:, 2:])
    assert not torch.equal(before[:, :2], after[:, :2])
