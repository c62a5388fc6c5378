"""The limiter keeps peaks under a ceiling without a click, and pieces are limited as the whole is."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.audio.level import LOOK_AHEAD_S, Limiter, apply_gain, limit, peak_dbfs
from timbre.audio.waveform import Samples, Waveform

RATE_HZ = 24_000
HALF = round(LOOK_AHEAD_S * RATE_HZ)


def speech(count: int, seed: int = 0) -> Samples:
    """Noise with the bursts of speech; the first, the last and one sample between are its highest peaks."""
    random = np.random.default_rng(seed)
    samples = 0.2 * random.standard_normal(count) * np.repeat(random.random(count // 100 + 1), 100)[:count]
    samples[[0, count // 3, -1]] = 1.5, -3.0, 2.0
    return samples.astype(np.float32)


def pushed(limiter: Limiter, samples: Samples, sizes: int | None, seed: int = 1) -> list[Samples]:
    random, found, place = np.random.default_rng(seed), [], 0
    while place < len(samples):
        size = sizes or int(random.integers(1, 2_000))
        found.append(limiter.push(samples[place : place + size]))
        place += size
    return [*found, limiter.flush()]


@pytest.mark.parametrize("sizes", [1, 7, 2 * HALF, 2 * HALF + 1, 5_000, None])
def test_pieces_are_limited_as_the_whole_is(sizes: int | None) -> None:
    sound = speech(3_000 if sizes == 1 else 30_000)
    whole = limit(Waveform(sound, RATE_HZ), -1.0)
    limiter = Limiter(RATE_HZ, -1.0)
    pieces = pushed(limiter, sound, sizes)
    np.testing.assert_allclose(np.concatenate(pieces), whole.wave.samples, atol=1e-6)
    assert -20 * np.log10(limiter.least_gain) == pytest.approx(whole.reduction_db)
    given = np.cumsum([len(piece) for piece in pieces[:-1]])
    taken = np.minimum(np.cumsum([sizes or 0] * len(given)), len(sound)) if sizes else given
    assert np.all(taken - given <= 2 * HALF), "ten milliseconds behind"


@pytest.mark.parametrize("count", [1, 5, HALF, 3 * HALF, 30_000])
def test_no_sample_passes_the_ceiling_and_the_rest_stays_as_it_is(count: int) -> None:
    sound = speech(count, seed=2)
    found = limit(Waveform(sound, RATE_HZ), -1.0)
    assert len(found.wave.samples) == count
    assert peak_dbfs(found.wave) == pytest.approx(-1.0, abs=0.01)
    assert found.reduction_db == pytest.approx(20 * np.log10(np.abs(sound).max()) + 1.0, abs=0.01)
    far = np.ones(count, bool)
    for peak in np.flatnonzero(np.abs(sound) > 10 ** (-1 / 20)):
        far[max(0, peak - 2 * HALF) : peak + 2 * HALF + 1] = False
    np.testing.assert_array_equal(found.wave.samples[far], sound[far])


def test_gain_changes_smoothly() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    tone[12_000:12_040] *= 4.0
    found = limit(Waveform(tone, RATE_HZ), -3.0).wave.samples
    audible = np.flatnonzero(np.abs(tone) > 0.1)
    gain = found[audible] / tone[audible]
    assert gain.min() == pytest.approx(10 ** (-3 / 20) / np.abs(tone).max(), rel=1e-3)
    assert np.abs(np.diff(gain) / np.diff(audible)).max() < 0.01, "no click"


def test_what_stays_below_is_handed_back() -> None:
    quiet = apply_gain(Waveform(speech(10_000), RATE_HZ), -20.0)
    found = limit(quiet, -1.0)
    assert found.wave is quiet
    assert found.reduction_db == 0.0
    limiter = Limiter(RATE_HZ, -1.0)
    np.testing.assert_array_equal(np.concatenate(pushed(limiter, quiet.samples, 500)), quiet.samples)
    assert limiter.least_gain == 1.0


def test_silence_and_nothing() -> None:
    assert not len(limit(Waveform(np.zeros(0, np.float32), RATE_HZ), -1.0).wave.samples)
    assert not len(Limiter(RATE_HZ, -1.0).flush())
