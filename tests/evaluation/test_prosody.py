"""Melody and pauses beside recordings: what differs is measured in semitones and seconds, and silence is no value."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.audio.waveform import Waveform
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.prosody import pauses_s, pitch_distance, semitones

RATE_HZ = 16_000


def spoken(middle_hz: float, swing: float, seconds: float = 2.0) -> np.ndarray:  # type: ignore[type-arg]
    """A buzz whose F0 swings once a second by `swing` semitones around middle_hz: [T]."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    f0 = middle_hz * 2 ** (swing * np.sin(2 * np.pi * time) / 12)
    phase = 2 * np.pi * np.cumsum(f0) / RATE_HZ
    return sum(np.sin(n * phase) / n for n in range(1, 12)).astype(np.float32) * 0.1  # type: ignore[no-any-return,union-attr]


def melody(middle_hz: float, swing: float) -> np.ndarray:  # type: ignore[type-arg]
    return semitones(Waveform(spoken(middle_hz, swing), RATE_HZ))


def test_a_flat_an_exaggerated_and_another_voice_are_far_from_the_recordings() -> None:
    recorded = melody(120.0, 4.0)
    same, flat, wild, high = (
        pitch_distance(melody(*voice), recorded) for voice in ((120.0, 4.0), (120.0, 0.0), (120.0, 9.0), (160.0, 4.0))
    )
    assert same < 0.1
    assert flat > 2.0
    assert wild > 2.0
    assert high == pytest.approx(12 * np.log2(160 / 120), abs=0.3)


def test_what_has_no_voice_has_no_melody() -> None:
    hiss = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32) * 0.1
    for samples in (np.zeros(RATE_HZ, np.float32), hiss, spoken(120.0, 4.0)[:400]):
        with pytest.raises(UnmeasurableError, match="too little for a melody"):
            pitch_distance(semitones(Waveform(samples, RATE_HZ)), melody(120.0, 4.0))


def test_a_pause_inside_counts_and_edges_do_not() -> None:
    piece, silence = spoken(120.0, 4.0, 1.0), np.zeros(RATE_HZ, np.float32)
    edges = np.concatenate([silence, piece, silence])
    inside = np.concatenate([piece, silence[: RATE_HZ // 2], piece])
    assert pauses_s(Waveform(edges, RATE_HZ)) < 0.1
    assert pauses_s(Waveform(inside, RATE_HZ)) == pytest.approx(0.5, abs=0.13)
    with pytest.raises(UnmeasurableError, match="no speech"):
        pauses_s(Waveform(silence, RATE_HZ))
