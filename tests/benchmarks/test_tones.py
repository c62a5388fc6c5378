"""Recordings with another melody: the pitch changes, length and sounds do not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tones import MELODIES, errors, with_melody
from tests.conftest import ROOT
from timbre.audio.reader import read
from timbre.audio.waveform import Waveform
from timbre.evaluation.metrics.prosody import semitones

pytest.importorskip("parselmouth")


def test_the_melody_is_flattened_and_turned() -> None:
    wave = read(sorted((ROOT / "voices" / "aishell" / "wavs").iterdir())[0])
    heights = {name: semitones(with_melody(wave, melody)) for name, melody in MELODIES.items()}
    ranges = {name: np.subtract(*np.percentile(found, [85, 15])) for name, found in heights.items()}
    assert ranges["put together again"] > 2.0, "semitones"
    assert ranges["one pitch"] < 0.5
    assert ranges["upside down"] > 1.0
    assert MELODIES["upside down"](np.array([1.0, 2.0, 6.0])).tolist() == [5.0, 4.0, 0.0]
    assert len(with_melody(wave, MELODIES["one pitch"]).samples) == pytest.approx(len(wave.samples), rel=0.01)
    silence = Waveform(np.zeros(16_000, np.float32), 16_000)
    assert with_melody(silence, MELODIES["one pitch"]) is silence


def test_a_wrong_tone_is_an_error_over_toned_syllables_only() -> None:
    toned, toneless = errors("妈妈骑马", "骂骂骑马")
    assert toned.errors > 0
    assert toneless.errors == 0
