"""Metric functions against published vectors, known answers and inputs that have no answer."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from timbre.audio.level import peak_dbfs
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.evaluation.metrics.alignment import align
from timbre.evaluation.metrics.catalogue import METRICS, Direction, metric
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.perceptual import dnsmos, pesq, stoi
from timbre.evaluation.metrics.phones import (
    EditCounts,
    SentenceLimits,
    edit_counts,
    longest_loop,
    sentence_failures,
    total,
)
from timbre.evaluation.metrics.signal import active_level_dbfs, bandwidth_hz, clipped_share
from timbre.evaluation.metrics.speaker import real_to_real, relative_similarity
from timbre.evaluation.metrics.summary import summarise

SHARED = Path(os.environ.get("TIMBRE_SHARED", Path(__file__).parents[3] / "shared"))
VECTORS = SHARED / "speech" / "metrics-vectors"
RATE = 16_000


def read(name: str) -> np.ndarray:
    samples, rate = soundfile.read(VECTORS / name, dtype="float32")
    assert rate == RATE
    return samples


def vectors() -> list[dict[str, str]]:
    if not VECTORS.is_dir():
        return []
    with (VECTORS / "scores.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="|"))


def speechlike(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """A buzz with moving formants and pauses: enough structure for PESQ and STOI to have an opinion."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    buzz = sum(
        np.sin(k * phase) * np.exp(-((k * 120 - 700 - 500 * np.sin(2 * np.pi * 2 * time)) ** 2) / 4e5)
        for k in range(1, 25)
    )
    gate = (np.sin(2 * np.pi * 1.3 * time) > -0.5).astype(float)
    return (0.1 * buzz * gate + 1e-4 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.mark.shared
@pytest.mark.skipif(not vectors(), reason="no shared metric vectors beside the checkout")
@pytest.mark.parametrize("row", vectors(), ids=lambda row: row["degraded"])
def test_pesq_and_stoi_equal_the_published_scores(row: dict[str, str]) -> None:
    reference, degraded = read(row["reference"]), read(row["degraded"])
    assert pesq(reference, degraded, band="wb") == pytest.approx(float(row["pesq_wb_16k"]), abs=1e-3)
    assert pesq(reference, degraded, band="nb") == pytest.approx(float(row["pesq_nb_16k"]), abs=1e-3)
    assert stoi(reference, degraded) == pytest.approx(float(row["stoi"]), abs=1e-3)
    assert stoi(reference, degraded, extended=True) == pytest.approx(float(row["estoi"]), abs=1e-3)


@pytest.mark.shared
@pytest.mark.skipif(not vectors(), reason="no shared metric vectors beside the checkout")
@pytest.mark.parametrize("kind", ["white20", "clip", "rain10", "same"])
def test_alignment_undoes_40_ms_and_6_db(kind: str) -> None:
    stem = vectors()[0]["reference"].removesuffix("_ref.flac")
    reference, degraded = read(f"{stem}_ref.flac"), read(f"{stem}_{kind}.flac")
    moved = np.concatenate([np.zeros(640, np.float32), degraded])[: len(degraded)] * np.float32(10 ** (-6 / 20))
    straight, found = align(reference, degraded, RATE), align(reference, moved, RATE)
    assert found.delay_s == pytest.approx(straight.delay_s + 0.040, abs=1e-4)
    assert found.gain_db == pytest.approx(straight.gain_db - 6, abs=0.1)
    for band in ("nb", "wb"):
        assert pesq(found.reference, found.degraded, band=band) == pytest.approx(
            pesq(straight.reference, straight.degraded, band=band), abs=0.05
        )
    assert stoi(found.reference, found.degraded) == pytest.approx(stoi(straight.reference, straight.degraded), abs=0.01)


def test_alignment_finds_delay_and_gain_of_a_synthetic_pair() -> None:
    sound = speechlike()
    late = np.concatenate([np.zeros(480, np.float32), sound]) * np.float32(0.5)
    found = align(sound, late, RATE)
    assert found.delay_s == pytest.approx(0.030)
    assert found.gain_db == pytest.approx(-6.02, abs=0.05)
    np.testing.assert_allclose(found.reference, found.degraded, atol=1e-6)
    assert align(late, sound, RATE).delay_s == pytest.approx(-0.030)


def voiced(phases: int, seconds: float = 4.0, hz: float = 110.0) -> np.ndarray:
    """Syllables of harmonics whose amplitudes are always the same and whose phases are drawn."""
    draw, fixed = np.random.default_rng(phases), np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    loudness = np.repeat(fixed.uniform(0.0, 1.0, (round(seconds / 0.16), 30)), round(0.16 * RATE), axis=0)[: len(time)]
    smooth = np.hanning(800) / np.hanning(800).sum()
    angle = 2 * np.pi * np.cumsum(hz * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * time))) / RATE
    sound = np.zeros(len(time))
    for number in range(1, 31):
        strength = np.convolve(loudness[:, number - 1], smooth, "same") / number
        sound += strength * np.cos(number * angle + draw.uniform(0, 2 * np.pi))
    return np.asarray(0.1 * sound, np.float32)


@pytest.mark.parametrize("phases", [1, 2, 3, 4])
def test_a_copy_with_phases_of_its_own_is_in_step(phases: int) -> None:
    """What no listener hears moves no copy by a pitch period, at which STOI says that nothing is understood."""
    reference, copy = voiced(0), voiced(phases)
    found = align(reference, copy, RATE)
    assert abs(found.delay_s) <= 0.0015
    assert found.gain_db == pytest.approx(0.0, abs=1.0)
    late = align(reference, np.concatenate([np.zeros(400, np.float32), copy]), RATE)
    assert late.delay_s == pytest.approx(0.025, abs=0.0015)
    assert stoi(found.reference, found.degraded) == pytest.approx(stoi(late.reference, late.degraded), abs=0.02)
    assert stoi(found.reference, found.degraded) > 0.95


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(RATE, np.float32),
        np.full(RATE, np.nan, np.float32),
        np.zeros(0, np.float32),
        np.zeros((2, RATE), np.float32),
    ],
)
def test_what_cannot_be_measured_is_an_error_not_a_number(bad: np.ndarray) -> None:
    good = speechlike(1.0)
    for call in (
        lambda: align(good, bad, RATE),
        lambda: pesq(good, bad, band="wb"),
        lambda: pesq(bad, good, band="nb"),
        lambda: stoi(good, bad),
        lambda: dnsmos(bad),
    ):
        with pytest.raises(UnmeasurableError):
            call()


def test_pairs_of_unequal_length_are_refused() -> None:
    with pytest.raises(UnmeasurableError, match="align it first"):
        stoi(speechlike(2.0), speechlike(1.5))


def test_noise_lowers_every_perceptual_metric() -> None:
    sound = speechlike(10.0)
    noisy = sound + np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32) * 0.05
    assert pesq(sound, noisy, band="wb") < pesq(sound, sound, band="wb") - 0.5
    assert stoi(sound, noisy) < stoi(sound, sound) - 0.02
    assert 1.0 <= dnsmos(noisy).background < dnsmos(sound).background


def test_flat_tops_are_found_at_any_level() -> None:
    sound = speechlike(4.0)
    assert clipped_share(sound) < 1e-4
    top = float(np.quantile(np.abs(sound), 0.98))
    clipped = np.clip(sound, -top, top)
    assert clipped_share(clipped) > 0.005
    assert clipped_share(0.1 * clipped) == pytest.approx(clipped_share(clipped), rel=0.05)
    with pytest.raises(UnmeasurableError):
        clipped_share(np.zeros(100, np.float32))


def test_edit_counts_by_kind() -> None:
    assert edit_counts("kitten", "sitting") == EditCounts(2, 0, 1, 6)
    assert edit_counts("abc", "") == EditCounts(0, 3, 0, 3)
    assert edit_counts("", "ab").rate == float("inf")
    assert edit_counts("", "").rate == 0.0
    pooled = total([edit_counts("abcd", "abcd"), edit_counts("ab", "xx")])
    assert pooled.rate == pytest.approx(2 / 6)


def test_loops_are_found_and_speech_is_not_one() -> None:
    rng = np.random.default_rng(0)
    healthy = rng.integers(0, 512, 200).tolist()
    assert longest_loop(healthy) == 1
    assert longest_loop([*healthy[:50], *[7] * 12, *healthy[50:]]) == 1
    assert longest_loop([*healthy[:20], *([3, 9, 4, 1, 8] * 6)]) == 6
    assert longest_loop([5] * 60) == 60
    assert longest_loop([]) == 1


def test_each_reason_fails_a_sentence() -> None:
    healthy = {
        "duration_s": 2.0,
        "expected_s": 2.1,
        "rms_dbfs": -20.0,
        "error_rate": 0.1,
        "loop": 1,
        "reached_limit": False,
    }
    limits = SentenceLimits()
    assert sentence_failures(**healthy, limits=limits) == ()
    for field, value, word in (
        ("duration_s", 1.0, "duration"),
        ("duration_s", 4.2, "duration"),
        ("rms_dbfs", -80.0, "silent"),
        ("error_rate", 0.9, "missing"),
        ("error_rate", float("nan"), "missing"),
        ("loop", 9, "loops"),
        ("reached_limit", True, "cut off"),
    ):
        reasons = sentence_failures(**{**healthy, field: value}, limits=limits)
        assert len(reasons) == 1
        assert word in reasons[0]


def test_speaker_similarity_is_relative_to_the_speakers_own_clips() -> None:
    rng = np.random.default_rng(0)
    centre, other = rng.standard_normal(256), rng.standard_normal(256)
    real = (centre + 0.3 * rng.standard_normal((6, 256))).astype(np.float32)
    same = (centre + 0.3 * rng.standard_normal((4, 256))).astype(np.float32)
    wrong = (other + 0.3 * rng.standard_normal((4, 256))).astype(np.float32)
    assert relative_similarity(same, real).mean() == pytest.approx(1.0, abs=0.03)
    assert relative_similarity(wrong, real).mean() < 0.3
    with pytest.raises(UnmeasurableError):
        real_to_real(real[:1])
    with pytest.raises(UnmeasurableError):
        relative_similarity(np.zeros((1, 256), np.float32), real)


def test_level_peak_and_bandwidth() -> None:
    time = np.arange(2 * RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    assert peak_dbfs(Waveform(tone, RATE)) == pytest.approx(-6.02, abs=0.01)
    assert active_level_dbfs(tone, RATE) == pytest.approx(-9.03, abs=0.1)
    paused = np.concatenate([tone, np.zeros_like(tone)])
    assert active_level_dbfs(paused, RATE) == pytest.approx(-9.03, abs=0.1)
    assert active_level_dbfs(np.zeros(10, np.float32), RATE) == pytest.approx(-200)
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1
    from scipy.signal import butter, sosfilt

    telephone = sosfilt(butter(10, 3400, fs=RATE, output="sos"), noise).astype(np.float32)
    assert bandwidth_hz(noise, RATE) > 7500
    assert 3000 < bandwidth_hz(telephone, RATE) < 4200
    with pytest.raises(UnmeasurableError):
        bandwidth_hz(np.zeros(RATE, np.float32), RATE)


def test_summary_names_the_worst_and_is_repeatable() -> None:
    values = [3.0, 4.0, 1.0, 5.0]
    up = summarise(values, Direction.HIGHER)
    assert (up.mean, up.worst, up.worst_index, up.count) == (3.25, 1.0, 2, 4)
    assert summarise(values, Direction.LOWER).worst == 5.0
    assert up == summarise(values, Direction.HIGHER)
    assert up.low <= up.mean <= up.high
    for bad in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="summarise"):
            summarise(bad, Direction.HIGHER)


def test_catalogue_is_complete_and_names_what_it_knows() -> None:
    assert set(METRICS) >= {"pesq_nb", "pesq_wb", "stoi", "phone_error_rate", "speaker_similarity", "failed_sentences"}
    assert all(entry.caution and entry.model and entry.protocols for entry in METRICS.values())
    assert metric("pesq_nb").better(3.5, 3.5)
    assert not metric("pesq_nb").better(3.49, 3.5)
    assert not metric("pesq_nb").better(float("nan"), 3.5)
    assert metric("phone_error_rate").better(0.1, 0.2)
    with pytest.raises(ConfigurationError, match="no metric named 'pesq'"):
        metric("pesq")
