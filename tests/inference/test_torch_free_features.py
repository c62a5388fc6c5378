"""Features in numpy equal the torch ones that the networks were trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from timbre.audio.waveform import Waveform
from timbre.inference.copy_synthesis import magnitude_spectrum

torch = pytest.importorskip("torch")


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16_000)) / 16_000
    tone = np.sin(2 * np.pi * (150 + 20 * np.sin(3 * time)) * time)
    return (0.2 * tone + 0.02 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize(("fft_size", "hop"), [(1280, 320), (2048, 640)])
def test_magnitude_spectrum_equals_the_training_one(fft_size: int, hop: int) -> None:
    from timbre.gptsovits.acoustic.spectrogram import Spectrogram, SpectrogramConfig

    wave = speech(1.234)
    config = SpectrogramConfig(rate_hz=16_000, n_fft=fft_size, hop=hop, window=fft_size)
    wanted = Spectrogram(config)(torch.from_numpy(wave)[None])[0].numpy()
    got = magnitude_spectrum(wave, fft_size, hop)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=2e-4)


@pytest.mark.parametrize("seconds", [0.7, 1.6, 3.3, 7.25])
def test_speaker_mels_equal_the_torch_ones(seconds: float) -> None:
    from timbre.gptsovits.encoders.ge2e import normalise_volume, partials
    from timbre.inference.speaker import _partials, _raised

    wave = speech(seconds, 1)
    wanted = partials(torch.from_numpy(normalise_volume(wave))).numpy()
    got = _partials(_raised(wave))
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=1e-4)


@pytest.mark.slow
def test_speaker_vectors_equal_the_torch_ones(pico_export: Path) -> None:
    from timbre.gptsovits.encoders.ge2e import load_ge2e
    from timbre.inference.exported_base import read_export
    from timbre.inference.speaker import SpeakerEncoder

    wave = speech(4.0, 2)
    got = SpeakerEncoder(read_export(pico_export)).embed(Waveform(wave, 16_000))
    np.testing.assert_allclose(got, load_ge2e().embed(wave), atol=1e-4)
