"""The second half of the acoustic stage on a corpus of made-up sounds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_acoustic import tiny
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.configuration import FlowConfig, PriorEncoderConfig, WaveNetConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.nano.acoustic import build
from timbre.nano.corpus import Corpus
from timbre.nano.joint import (
    JointLoss,
    JointSettings,
    criticism_at,
    parameter_groups,
    start_from_autoencoder,
    train_joint,
)
from timbre.nano.joint_data import SentenceSampler, source_of
from timbre.nano.pitch_tracks import PitchTracks
from timbre.nano.semantic_data import phone_ids
from timbre.nano.speaker_vectors import SpeakerVectors

pytest.importorskip("parselmouth")
CPU = torch.device("cpu")


def small():
    return dataclasses.replace(
        tiny(), ssl_width=8, codebook_size=16,
        prior=PriorEncoderConfig(
            filter_channels=16, ssl_layers=1, text_layers=1, joint_layers=1, mrte_width=16, mrte_heads=2, dropout=0.0
        ),
        flow=FlowConfig(couplings=1, wavenet=WaveNetConfig(layers=1)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def sampler_of(corpus: Corpus, max_frames: int = 450) -> SentenceSampler:
    random = np.random.default_rng(0)
    codes = {
        clip.id: random.integers(0, 16, 50 if index % 2 else 44).astype(np.int16)
        for index, clip in enumerate(corpus.clips)
    }
    phones = {clip.id: phone_ids(clip.text, clip.language) for clip in corpus.clips}
    vectors = SpeakerVectors({clip.id: np.full(256, 1 / 16, np.float32) for clip in corpus.clips})
    return SentenceSampler(corpus, codes, phones, PitchTracks.of(corpus), vectors, max_frames, seed=1)


LISTENED_TO = JointSettings(
    max_frames=200, steps=3, segment_frames=16, generator_every=0, critics_weight=1.0, critics_from_step=1,
    ear_from_step=1,
)  # fmt: skip
"""Three steps in which critics and the ears beside them pull from the second."""


def stored(path: Path) -> dict[str, Any]:
    """What a training left in a file."""
    return torch.load(path, weights_only=True)


def started(corpus: Corpus) -> Synthesizer:
    torch.manual_seed(0)
    model = Synthesizer(small())
    start_from_autoencoder(model, build(small(), corpus, 1).state_dict())
    return model


def test_a_batch_covers_what_wave_and_codes_both_have(corpus: Corpus) -> None:
    sampler = sampler_of(corpus)
    batch = sampler.batch(0)
    assert batch.wave.shape[2] == batch.codes.shape[2] * 960 == int(batch.lengths.max()) * 480
    assert batch.wave.shape[0] * int(batch.lengths.max()) <= 450
    assert set(batch.lengths.tolist()) <= {88, 100}
    assert torch.equal(batch.wave, sampler.batch(0).wave)
    for row, length in enumerate(batch.lengths.tolist()):
        assert not batch.wave[row, 0, length * 480 :].any()
    assert batch.pitched.all()
    drawn = {clip.id for step in range(30) for clip in sampler.draw(step)}
    assert drawn == {clip.id for clip in corpus.select(split="train")}


def test_sources_are_drawn_by_their_weights_and_mandarin_of_the_teacher_apart(corpus: Corpus) -> None:
    clips = [
        dataclasses.replace(clip, part="teacher", language="zh" if index % 2 else "en")
        for index, clip in enumerate(corpus.select(split="train"))
    ]
    assert source_of(dataclasses.replace(clips[1], part="real", id="aishell/1.flac")) == "aishell"
    codes = {clip.id: np.zeros(50, np.int16) for clip in clips}
    mixed = cast(Corpus, SimpleNamespace(select=lambda split: clips))
    for source, other in (("teacher", "zh"), ("teacher zh", "en")):
        sampler = SentenceSampler(
            mixed, codes, codes, PitchTracks.of(corpus), SpeakerVectors({}), 450, seed=1, weights={source: 0.0}
        )
        drawn = {clip.id for step in range(20) for clip in sampler.draw(step)}
        assert drawn == {clip.id for clip in clips if clip.language == other}


def test_short_clips_are_drawn_as_often_as_the_recipe_says(corpus: Corpus) -> None:
    clips = list(corpus.select(split="train"))
    cut = {clip.id: index % 2 == 0 for index, clip in enumerate(clips)}
    clips = [dataclasses.replace(clip, seconds=1.5 if cut[clip.id] else 2.5) for clip in clips]
    codes = {clip.id: np.zeros(50, np.int16) for clip in clips}
    mixed = cast(Corpus, SimpleNamespace(select=lambda split: clips))

    def share(short: float) -> float:
        sampler = SentenceSampler(
            mixed, codes, codes, PitchTracks.of(corpus), SpeakerVectors({}), 100, seed=1, short=short
        )
        drawn = [clip.id for step in range(300) for clip in sampler.draw(step)]
        return sum(cut[name] for name in drawn) / len(drawn)

    usual = sum(cut.values()) / len(cut)
    assert abs(share(1.0) - usual) < 0.1
    assert share(0.0) == 0
    assert abs(share(4.0) - 4 * usual / (3 * usual + 1)) < 0.1


def test_without_codes_there_is_nothing_to_train_on(corpus: Corpus) -> None:
    with pytest.raises(ConfigurationError, match="codes and phones"):
        SentenceSampler(corpus, {}, {}, PitchTracks.of(corpus), SpeakerVectors({}), 400, seed=1)


def test_whisper_pulls_while_the_critics_still_learn() -> None:
    settings = JointSettings(critics_weight=2.0, critics_from_step=200, warm_up_steps=100)
    assert [criticism_at(settings, step) for step in (0, 198, 299, 399, 900)] == [
        (0, 0), (0, 0), (1, 1), (2, 2), (2, 2)
    ]  # fmt: skip
    at_once = dataclasses.replace(settings, ear_from_step=0)
    assert [criticism_at(at_once, step) for step in (0, 49, 99, 299)] == [(0, 0.02), (0, 1), (0, 2), (1, 2)]


def test_the_conditions_start_without_effect(corpus: Corpus) -> None:
    model = started(corpus).eval()
    z = torch.randn(1, 18, 20)
    condition = torch.randn(1, 16, 1)
    assert torch.equal(model.dec.polar(z, condition)[0], model.dec.polar(z, None)[0])
    spectrum = torch.rand(1, 961, 20)
    mask = torch.ones(1, 1, 20)
    with_it = model.enc_q(spectrum, mask, condition, 0.0).mean
    assert torch.allclose(with_it, model.enc_q(spectrum, mask, None, 0.0).mean)
    with pytest.raises(ValueError, match="lacks"):
        start_from_autoencoder(Synthesizer(small()), {})


def test_prior_and_generator_learn_and_the_posterior_does_not_move(corpus: Corpus) -> None:
    model, sampler = started(corpus), sampler_of(corpus)
    settings = JointSettings()
    loss_of = JointLoss(model.config, settings, CPU)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), 5e-3)
    posterior = {name: value.clone() for name, value in model.enc_q.state_dict().items()}
    before = {name: value.clone() for name, value in model.named_parameters()}
    kl = []
    for step in range(30):
        terms = loss_of(model, sampler.batch(step % 4), step % 2 == 0)
        assert set(terms) == {"kl", "spoken", "total"} | ({"magnitude", "wave"} if step % 2 == 0 else set())
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        kl.append(float(terms["kl"].detach()))
    assert np.mean(kl[-5:]) < np.mean(kl[:5]) - 0.2
    for name, value in model.enc_q.state_dict().items():
        assert torch.equal(value, posterior[name]), name
    moved = {name.split(".")[0] for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"enc_p", "flow", "dec", "ref_enc", "sv_emb", "ge_to512"} <= moved
    assert not moved & {"enc_q", "ssl_proj", "quantizer"}


def test_the_stage_trains_and_resumes(corpus: Corpus, tmp_path: Path) -> None:
    settings = JointSettings(max_frames=200, steps=2, segment_frames=16)
    path = train_joint(started(corpus), sampler_of(corpus, 200), tmp_path, settings, CPU)
    first = torch.load(path, weights_only=True)["clock"]
    longer = dataclasses.replace(settings, steps=3)
    train_joint(started(corpus), sampler_of(corpus, 200), tmp_path, longer, CPU)
    assert torch.load(path, weights_only=True)["clock"]["step"] == first["step"] + 1 == 3


def test_discriminators_are_heard_and_a_stopped_run_continues_with_them(corpus: Corpus, tmp_path: Path) -> None:
    settings = JointSettings(
        max_frames=200, steps=4, segment_frames=16, generator_every=1, checkpoint_steps=2, report_steps=2,
        adversarial_weight=0.5, adversarial_from_step=1,
    )  # fmt: skip
    rows: list[dict[str, float]] = []

    def unbroken(line: str) -> None:
        rows.append(json.loads(line))

    whole = train_joint(started(corpus), sampler_of(corpus, 200), tmp_path / "whole", settings, CPU, unbroken)
    assert {"generator", "features", "discriminator"} <= rows[0].keys()

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_joint(started(corpus), sampler_of(corpus, 200), tmp_path / "broken", settings, CPU, stop)
    broken = train_joint(started(corpus), sampler_of(corpus, 200), tmp_path / "broken", settings, CPU)
    # As good as without, but of the same seeds.
    silent = train_joint(
        started(corpus), sampler_of(corpus, 200), tmp_path / "without",
        dataclasses.replace(settings, adversarial_weight=1e-30), CPU,
    )  # fmt: skip

    for name, value in stored(whole)["network"].items():
        assert torch.equal(value, stored(broken)["network"][name]), name
    judges, again = stored(whole)["extra"]["judges"], stored(broken)["extra"]["judges"]
    assert all(torch.equal(judges[name], again[name]) for name in judges)
    assert not torch.equal(
        stored(whole)["network"]["dec.direct.weight"], stored(silent)["network"]["dec.direct.weight"]
    )
    torch.manual_seed(settings.seed)
    seeded = Discriminators(DiscriminatorConfig.nano()).state_dict()
    assert any(not torch.equal(judges[name], seeded[name]) for name in seeded)


@pytest.mark.parametrize(
    ("identity", "part", "language", "source"),
    [
        ("aishell/train/B1", "real", "zh", "aishell"),
        ("vctk/p1/001", "real", "en", "vctk"),
        ("teacher/x", "teacher", "zh", "teacher zh"),
        ("teacher/y", "teacher", "en", "teacher"),
    ],
)
def test_weights_are_given_by_corpus_and_for_the_teachers_mandarin(
    corpus: Corpus, identity: str, part: str, language: str, source: str
) -> None:
    clip = dataclasses.replace(corpus.clips[0], id=identity, part=part, language=language)
    assert source_of(clip) == source


def test_the_pitch_term_counts_voiced_frames_of_rows_with_a_track(corpus: Corpus) -> None:
    loss_of = JointLoss(small(), JointSettings(pitch_weight=1.0), CPU)
    batch = sampler_of(corpus).batch(0)
    rows, frames = batch.voiced.shape
    voiced = torch.zeros(rows, frames)
    voiced[:, :10] = 1.0
    pitched = torch.zeros(rows, dtype=torch.bool)
    pitched[0] = True
    batch = dataclasses.replace(batch, voiced=voiced, pitched=pitched)
    mask = torch.ones(rows, 1, frames)
    target = torch.zeros(rows, 18, frames)
    latent = torch.zeros(rows, 18, frames)
    latent[0, 1, :10], latent[0, 1, 10:] = 0.5, 7.0
    latent[1:, :2], latent[:, 2:] = 9.0, 9.0
    assert loss_of.pitch_term(latent, target, batch, mask).item() == pytest.approx(0.5)
    latent[0, 0] = 0.25
    assert loss_of.pitch_term(latent, target, batch, mask).item() == pytest.approx(0.75)
    assert loss_of.pitch_term(latent, target, dataclasses.replace(batch, pitched=~pitched & False), mask).item() == 0.0


def test_the_pitch_of_the_spoken_mean_is_trained(corpus: Corpus) -> None:
    pitch = {}
    for weight in (0.0, 4.0):
        model, sampler = started(corpus), sampler_of(corpus)
        settings = JointSettings(pitch_weight=weight)
        optimizer = torch.optim.AdamW(parameter_groups(model, settings), 5e-3)
        loss_of = JointLoss(model.config, settings, CPU)
        for step in range(30):
            terms = loss_of(model, sampler.batch(step % 4), False)
            optimizer.zero_grad()
            terms["total"].backward()
            optimizer.step()
        asked = JointLoss(model.config, JointSettings(pitch_weight=1.0), CPU)
        pitch[weight] = np.mean([asked(model, sampler.batch(step), False)["pitch"].item() for step in range(4)])
    assert pitch[4.0] < 0.8 * pitch[0.0], pitch
