"""GE2E: the same vectors as Resemblyzer, which is where the weights come from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.encoders.ge2e import load_ge2e, mel_filters, mel_frames, normalise_volume, partial_starts


def speech_like(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    """A buzzing vowel with moving formants: enough structure for the encoder to tell seeds apart. [T] at 16 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    pitch = rng.uniform(90, 250) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(2, 5) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    wave = sum(np.sin(k * phase) / k * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * time)) for k in range(1, 20))
    wave = wave + 0.02 * rng.standard_normal(len(time))
    return (level * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


@pytest.fixture(scope="module")
def encoder():
    return load_ge2e()


@pytest.mark.parametrize("seconds", [0.4, 1.6, 2.37, 5.0])
@pytest.mark.parametrize("level", [0.001, 0.1])
def test_equals_resemblyzer(encoder, seconds: float, level: float) -> None:
    resemblyzer = pytest.importorskip("resemblyzer")
    from resemblyzer.audio import normalize_volume

    theirs = resemblyzer.VoiceEncoder("cpu", verbose=False)
    wave = speech_like(seconds, 3, level)
    expected = theirs.embed_utterance(normalize_volume(wave, -30, increase_only=True))
    assert np.abs(encoder.embed(wave) - expected).max() < 2e-5


def test_mel_equals_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    wave = speech_like(1.0, 1)
    expected = librosa.feature.melspectrogram(y=wave, sr=16000, n_fft=400, hop_length=160, n_mels=40).T
    ours = mel_frames(torch.from_numpy(wave)).numpy()
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-5 * expected.max()
    assert np.abs(mel_filters().numpy() - librosa.filters.mel(sr=16000, n_fft=400, n_mels=40)).max() < 1e-7


def test_many_equals_one_by_one(encoder) -> None:
    waves = [speech_like(seconds, i) for i, seconds in enumerate([0.3, 2.0, 7.1, 1.0])]
    together = encoder.embed_many(waves)
    assert together.shape == (4, 256)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for wave, vector in zip(waves, together, strict=True):
        assert np.abs(encoder.embed(wave) - vector).max() < 1e-5
    assert np.abs(together[1] - together[2]).max() > 0.01
    assert encoder.embed_many([]).shape == (0, 256)


def test_partials_cover_the_clip() -> None:
    assert partial_starts(100) == [0]
    assert partial_starts(16000 * 3) == [0, 77, 154]
    assert partial_starts(16000 * 2 + 4000) == [0, 77]  # the third would hold 0.71 s of 1.6 s


def test_volume_rule() -> None:
    quiet = speech_like(1, 2, level=0.001)
    assert abs(10 * np.log10(np.mean(normalise_volume(quiet) ** 2)) + 30) < 0.01
    loud = speech_like(1, 2, level=0.2)
    assert normalise_volume(loud) is loud


@pytest.mark.parametrize("wave", [np.zeros(16000, np.float32), np.full(100, np.nan, np.float32), np.zeros((2, 9)), []])
def test_refuses_what_holds_no_speech(encoder, wave) -> None:
    with pytest.raises(InputError):
        encoder.embed(np.asarray(wave, np.float32))


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load_ge2e(tmp_path / "absent.pt")
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(1024, 40)}}, tmp_path / "part.pt")
    with pytest.raises(ConfigurationError, match="do not fit"):
        load_ge2e(tmp_path / "part.pt")


def test_import_does_not_pull_librosa() -> None:
    code = (
        "import sys, timbre.gptsovits.encoders.ge2e as g; g.packaged_weights()\n"
        "assert not {'librosa', 'resemblyzer'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
