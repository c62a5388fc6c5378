"""Augmentation: lengths, levels and repeatability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from timbre.nano.augmentation import AugmentationConfig, Augmenter, add_noise, change_speed, reverberate, tilt

Audio = npt.NDArray[np.float32]
ALWAYS = AugmentationConfig(speed_chance=1.0, tilt_chance=1.0, noise_chance=1.0, room_chance=1.0)


@pytest.fixture
def tone() -> Audio:
    return (0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)


def _peak_hz(audio: Audio) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio))) * 16_000 / audio.size)


@pytest.mark.parametrize("factor", [0.86, 1.0, 1.16])
def test_speed_scales_length_and_pitch(tone: Audio, factor: float) -> None:
    changed = change_speed(tone, factor)
    assert abs(changed.size - tone.size / factor) <= 2
    assert abs(_peak_hz(changed) - 440 * factor) < 2


@pytest.mark.parametrize("slope_db", [-6.0, 6.0])
def test_tilt_moves_treble_against_bass(slope_db: float) -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    before, after = np.abs(np.fft.rfft(noise)) ** 2, np.abs(np.fft.rfft(tilt(noise, slope_db))) ** 2
    bass = 10 * np.log10(after[:800].mean() / before[:800].mean())
    treble = 10 * np.log10(after[-800:].mean() / before[-800:].mean())
    assert treble - bass == pytest.approx(slope_db, abs=0.5)


@pytest.mark.parametrize("noise", [None, np.ones(100, dtype=np.float32), np.ones(90_000, dtype=np.float32)])
def test_noise_has_the_ratio_asked_for(tone: Audio, noise: Audio | None) -> None:
    noisy = add_noise(tone, noise, 10.0, np.random.default_rng(1))
    assert noisy.shape == tone.shape
    ratio = 10 * np.log10(np.mean(tone**2) / np.mean((noisy - tone) ** 2))
    assert ratio == pytest.approx(10.0, abs=0.1)


def test_a_room_keeps_length_level_and_time(tone: Audio) -> None:
    click = np.zeros(4000, dtype=np.float32)
    click[1000] = 1.0
    room = np.exp(-np.arange(800) / 100).astype(np.float32)
    assert int(np.argmax(np.abs(reverberate(click, room)))) == 1000
    wet = reverberate(tone, room)
    assert wet.shape == tone.shape
    assert np.sqrt(np.mean(wet**2)) == pytest.approx(np.sqrt(np.mean(tone**2)), rel=1e-3)


def test_colour_repeats_with_its_generator_and_never_clips(tone: Audio) -> None:
    augmenter = Augmenter(ALWAYS, noises=[tone[::-1].copy()], rooms=[np.ones(1, dtype=np.float32)])
    loud = tone * 9
    first = augmenter.colour(loud, np.random.default_rng(5))
    assert np.array_equal(first, augmenter.colour(loud, np.random.default_rng(5)))
    assert not np.array_equal(first, augmenter.colour(loud, np.random.default_rng(6)))
    assert first.shape == tone.shape
    assert np.abs(first).max() <= 1.0


def test_speed_stays_in_its_range() -> None:
    augmenter = Augmenter(ALWAYS)
    factors = [augmenter.speed(np.random.default_rng(seed)) for seed in range(200)]
    assert 0.84 <= min(factors) < 0.88
    assert 1.16 < max(factors) <= 1.2
    assert Augmenter(AugmentationConfig(speed_chance=0.0)).speed(np.random.default_rng(0)) == 1.0
