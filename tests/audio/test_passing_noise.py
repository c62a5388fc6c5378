"""Noise that comes and goes: what a denoiser takes away in the pauses, against the voice."""

import numpy as np
import pytest

from timbre.audio.passing_noise import MAX_DB, RATE_HZ, voice_over_loss_db
from timbre.audio.waveform import Samples, Waveform


def tone(seconds: float, level: float, frequency_hz: float = 1000.0) -> Samples:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (level * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def test_the_ratio_is_that_of_what_stays_to_what_goes() -> None:
    voice, ticks = tone(1.0, 0.2), tone(1.0, 0.1)
    before = Waveform(np.concatenate((voice, ticks)), RATE_HZ)
    after = Waveform(np.concatenate((voice, np.zeros_like(ticks))), RATE_HZ)
    assert voice_over_loss_db(before, after) == pytest.approx(6.0, abs=0.2)


def test_a_frame_that_keeps_a_tenth_is_speech_and_untouched_sound_has_no_loss() -> None:
    voice = tone(1.0, 0.2)
    assert voice_over_loss_db(Waveform(voice, RATE_HZ), Waveform(voice, RATE_HZ)) == MAX_DB
    assert voice_over_loss_db(Waveform(voice, RATE_HZ), Waveform(0.4 * voice, RATE_HZ)) == MAX_DB


def test_rumble_that_nobody_hears_does_not_count() -> None:
    voice, rumble = tone(1.0, 0.2), tone(1.0, 0.2, 20.0)
    before = Waveform(np.concatenate((voice, rumble)), RATE_HZ)
    after = Waveform(np.concatenate((voice, np.zeros_like(rumble))), RATE_HZ)
    assert voice_over_loss_db(before, after) > 30.0
