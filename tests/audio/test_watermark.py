"""The mark in synthetic speech: it survives what files go through, and is not seen where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr

from benchmarks.watermark import alarms, noisy, resampled, through_mp3
from timbre.audio.reader import read
from timbre.audio.watermark import SCORE, Marker, find_mark, find_mark_anywhere, mark
from timbre.audio.waveform import Samples, Waveform

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 24_000
NAME = "ada@0123456789ab"
OTHERS = [f"v{index}@0123456789ab" for index in range(200)]


def babble(seconds: float, seed: int = 0) -> Samples:
    """Noise with the spectrum and the syllables of speech: loud and soft four times a second, bands that move."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    time_s = np.arange(count) / RATE_HZ
    sound = np.zeros(count)
    for low, high in ((200, 700), (700, 1500), (1500, 2800), (2800, 5000)):
        spectrum = np.fft.rfft(random.standard_normal(count))
        frequencies = np.fft.rfftfreq(count, 1 / RATE_HZ)
        spectrum[(frequencies < low) | (frequencies > high)] = 0
        knots = np.arange(0, seconds + 1, 0.08)
        moving = np.interp(time_s, knots, random.random(len(knots)) ** 2)
        sound += np.fft.irfft(spectrum, count) * moving * 500 / high
    envelope = 0.1 + np.clip(np.sin(2 * np.pi * 2 * time_s), 0, 1)
    return (0.3 * sound * envelope / np.abs(sound * envelope).max()).astype(np.float32)


@pytest.fixture(scope="module")
def marked() -> Samples:
    return mark(Waveform(babble(16), RATE_HZ), NAME).samples


@pytest.mark.parametrize(
    "change",
    [
        lambda sound: Waveform(sound, RATE_HZ),
        through_mp3,
        resampled(16_000),
        resampled(44_100),
        noisy,
        lambda sound: Waveform(sound[30_001:] * np.float32(0.2), RATE_HZ),
    ],
)
def test_what_it_survives(marked: Samples, change: Callable[[Samples], Waveform]) -> None:
    found = find_mark(change(marked), [*OTHERS, NAME])
    assert found.found
    assert found.score > SCORE + 0.5
    assert found.voice == NAME


@pytest.mark.parametrize("start_s", [0, 6, 12])
def test_six_seconds_of_a_voice_are_enough(start_s: int) -> None:
    """Levels of recorded speech jump; where they are steady the mark is plain."""
    clips = [read(path) for path in sorted((ROOT / "voices" / "awb" / "wavs").glob("*.flac"))[:6]]
    joined = np.concatenate([clip.samples for clip in clips])
    rate = clips[0].rate_hz
    spoken = Waveform(joined[start_s * rate : (start_s + 6) * rate], rate)
    assert find_mark(mark(spoken, NAME), [*OTHERS, NAME]).voice == NAME
    assert find_mark(through_mp3(resampled_to(mark(spoken, NAME)))).score > SCORE + 2
    assert not find_mark(spoken).found


def resampled_to(wave: Waveform) -> Samples:
    """At the rate of the tests."""
    return np.asarray(soxr.resample(wave.samples, wave.rate_hz, RATE_HZ), np.float32)


def test_who_did_not_speak_is_not_named(marked: Samples) -> None:
    assert find_mark(Waveform(marked, RATE_HZ), OTHERS).found
    assert find_mark(Waveform(marked, RATE_HZ), OTHERS).voice == ""
    assert not find_mark(Waveform(babble(16), RATE_HZ), [*OTHERS, NAME]).found
    assert find_mark(Waveform(np.zeros(RATE_HZ * 5, np.float32), RATE_HZ), [NAME]).score == 0
    assert find_mark(Waveform(np.zeros(100, np.float32), RATE_HZ)).score == 0


def test_keys_that_were_not_used_are_not_seen() -> None:
    counted, tail, trials = alarms([babble(12, seed) for seed in range(3)], 200)
    assert (counted, trials) == (0, 600)
    assert tail < 1e-4


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 32_000, 44_100])
@pytest.mark.parametrize("length", [0, 1, 400, 12_345])
def test_pieces_make_the_same_sound(rate_hz: int, length: int) -> None:
    sound = np.asarray(soxr.resample(babble(1), RATE_HZ, rate_hz), np.float32)[:length]
    whole = mark(Waveform(sound, rate_hz), NAME).samples
    random = np.random.default_rng(1)
    marker, pieces, start = Marker(rate_hz, NAME), [], 0
    while start < len(sound):
        size = int(random.integers(1, 900))
        pieces.append(marker.push(sound[start : start + size]))
        start += size
    pieces.append(marker.finish())
    assert np.array_equal(np.concatenate(pieces), whole)
    assert len(whole) == len(sound)
    plain = Marker(rate_hz, NAME, 0.0)
    assert np.allclose(np.concatenate([plain.push(sound), plain.finish()]), sound, atol=1e-6)
    assert np.abs(whole - sound).max(initial=0) < 0.2


def test_parts_that_were_marked_one_by_one() -> None:
    """As a book is: each passage with a mark of its own, after a silence."""
    parts = [mark(Waveform(babble(13, seed), RATE_HZ), NAME).samples for seed in range(4)]
    pause = np.zeros(9_999, np.float32)
    book = np.concatenate([item for part in parts for item in (part, pause)])
    found = find_mark_anywhere(Waveform(book, RATE_HZ), [*OTHERS, NAME])
    assert found.found
    assert not find_mark_anywhere(Waveform(np.concatenate([babble(50), pause]), RATE_HZ), [NAME]).found
