"""The content encoder: its geometry, its batches, that it learns, and that a resumed run is the same run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nano.tone_corpus import PHONES, TONES_HZ, tone_source, write_tones
from timbre.nano.alignment import read_alignments
from timbre.nano.content import ContentTrainer, ContentTraining, load_averaged
from timbre.nano.content_network import PROSODY_OUTPUTS, ContentConfig, ContentEncoder, frames_of
from timbre.nano.phone_error import heads, heard_by_frames, smooth_path
from timbre.text.recognition import CLASSES, SILENCE

TINY = ContentConfig(
    hidden=32, layers=1, heads=2, feed_forward=48, bands=24, conv_channels=(72, 28, 72, 32), position_kernel=8,
    position_groups=4, mask_share=0.0,
)  # fmt: skip
TRAINING = ContentTraining(
    network=TINY, steps=90, rise_steps=10, learning_rate=4e-3, average=0.9, log_steps=5, bf16=False
)  # fmt: skip


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 33_333])
def test_frames_have_the_geometry_of_hubert(samples: int) -> None:
    encoder = ContentEncoder(TINY).eval()
    with torch.inference_mode():
        frame, ctc, prosody = encoder(torch.randn(1, samples) * 0.05)
    expected = (samples - 400) // 320 + 1
    assert frames_of(samples) == expected
    assert frame.shape == ctc.shape == (1, expected, len(CLASSES))
    assert prosody.shape == (1, expected, PROSODY_OUTPUTS)


def test_front_end_begins_as_log_band_energies() -> None:
    encoder = ContentEncoder(ContentConfig()).eval()
    time = np.arange(16_000) / 16_000
    sweep = (0.1 * np.sin(2 * np.pi * np.where(time < 0.5, 517.0, 3041.0) * time)).astype(np.float32)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    with torch.inference_mode():
        bands = encoder.hubert.feature_extractor(torch.from_numpy(sweep + noise)[None])[0, :112].T.numpy()
    early, late = bands[5:20].mean(0), bands[30:45].mean(0)
    mels = np.linspace(2595 * np.log10(1 + 80 / 700), 2595 * np.log10(1 + 7800 / 700), 112)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    assert abs(hertz[int(np.argmax(early - late))] - 500) < 80
    assert abs(hertz[int(np.argmax(late - early))] - 3000) < 200
    with torch.inference_mode():
        louder = encoder.hubert.feature_extractor(torch.from_numpy(3 * (sweep + noise))[None])[0, :112].T.numpy()
    assert bands.min() >= 0
    assert np.abs(louder - bands).max() < 0.15  # the level of a clip does not matter, its course does


def test_batches_label_what_sounds(tmp_path: Path) -> None:
    source = tone_source(write_tones(tmp_path))
    right = total = 0
    for step in range(6):
        batch = source.batch(step)
        rows, frames = batch.labels.shape
        assert batch.waveform.shape == (rows, 400 + 320 * (frames - 1))
        assert batch.waveform.dtype == np.float32
        assert batch.target_lengths.sum() == batch.targets.size
        assert batch.prosody.shape == (rows, frames, 4)
        for wave, labels in zip(batch.waveform, batch.labels, strict=True):
            for frame, label in enumerate(labels):
                if label != SILENCE:
                    piece = wave[320 * frame : 320 * frame + 400] * np.hanning(400)
                    hertz = np.argmax(np.abs(np.fft.rfft(piece, 4096))) * 16_000 / 4096
                    wanted = TONES_HZ[PHONES.index(CLASSES[label])]
                    right += abs(hertz / wanted - 1) < 0.2  # the speed moves the tone by up to 16 %
                    total += 1
    assert total > 300
    assert right / total > 0.9


def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    source = tone_source(write_tones(tmp_path))
    first = source.batch(7)
    source.batch(8)
    assert np.array_equal(first.waveform, source.batch(7).waveform)
    assert not np.array_equal(first.waveform[0, :1000], source.batch(9).waveform[0, :1000])


def test_training_learns_the_tones(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    corpus = write_tones(tmp_path / "corpus")
    lines: list[str] = []
    trainer = ContentTrainer(TRAINING, tone_source(corpus), tmp_path / "run", lines.append)
    trainer.train()
    assert trainer.loop.clock.step == 90
    assert len(lines) == 18
    encoder = load_averaged(tmp_path / "run", TINY)
    alignments = read_alignments(corpus.folder, "real")
    right, total = 0, 0
    for clip in corpus.clips[:8]:
        frame, _ = heads(encoder, corpus.heard(clip))
        labels = alignments[clip.id].frame_labels(len(frame))
        right += int((frame.argmax(1) == labels).sum())
        total += labels.size
    assert right / total > 0.75  # silence alone would be about a third


def test_a_resumed_run_equals_one_that_was_not_stopped(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    corpus = write_tones(tmp_path / "corpus", clips=12)
    config = replace(TRAINING, steps=6, network=replace(TINY, mask_share=0.1))
    whole = ContentTrainer(config, tone_source(corpus), tmp_path / "whole")
    whole.train()
    first = ContentTrainer(config, tone_source(corpus), tmp_path / "parts")
    first.train(until=3)
    second = ContentTrainer(config, tone_source(corpus), tmp_path / "parts")
    assert second.loop.resume()
    assert second.loop.clock.step == 3
    second.train()
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name
    assert torch.equal(whole.loop.average.state["frame_head.weight"], second.loop.average.state["frame_head.weight"])


def test_stop_is_heeded_and_saved(tmp_path: Path) -> None:
    trainer = ContentTrainer(TRAINING, tone_source(write_tones(tmp_path / "corpus", clips=12)), tmp_path / "run")
    trainer.loop.stop = True
    trainer.train()
    assert trainer.loop.clock.step == 0
    assert (tmp_path / "run" / "content.ckpt").is_file()


def test_learning_rate_rises_stays_and_falls_to_zero() -> None:
    config = ContentTraining(steps=100, rise_steps=10, decay_share=0.4, learning_rate=1.0)
    assert config.rate(0) == pytest.approx(0.1)
    assert config.rate(30) == 1.0
    assert 0 < config.rate(80) < 0.6
    assert config.rate(100) == pytest.approx(0.0)


def test_smooth_path_against_all_paths() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        scores = random.standard_normal((5, 3)).astype(np.float32)
        best = max(
            sum(scores[frame, kind] for frame, kind in enumerate(path)) - 1.5 * sum(np.diff(path) != 0)
            for path in np.ndindex(3, 3, 3, 3, 3)
        )
        path = smooth_path(scores, 1.5)
        assert scores[np.arange(5), path].sum() - 1.5 * (np.diff(path) != 0).sum() == pytest.approx(best, abs=1e-5)


def test_flicker_is_not_heard() -> None:
    scores = np.full((40, len(CLASSES)), -6.0, dtype=np.float32)
    scores[:, 5] = -0.1
    scores[20, 5], scores[20, 9] = -1.0, -0.3
    assert heard_by_frames(scores) == [5]
