"""Loudness after BS.1770-4: the levels that EBU Tech 3341 asks of a meter, for one channel."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.audio.loudness import SILENCE_LUFS, Loudness
from timbre.audio.waveform import Samples


def tone(rate_hz: int, seconds: float, level_dbfs: float, hz: float = 1000.0) -> Samples:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def measured(rate_hz: int, *parts: Samples) -> float:
    meter = Loudness(rate_hz)
    for part in parts:
        for start in range(0, len(part), 7777):
            meter.add(part[start : start + 7777])
    return meter.lufs


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 32_000, 48_000])
def test_a_tone(rate_hz: int) -> None:
    """A full-scale tone of 997 Hz in one channel is -3.01 LUFS."""
    assert measured(rate_hz, tone(rate_hz, 5, 0.0, 997)) == pytest.approx(-3.01, abs=0.1)
    assert measured(rate_hz, tone(rate_hz, 5, -20.0)) == pytest.approx(-23.0, abs=0.1)


def test_gates() -> None:
    """Tech 3341, case 3 and beyond: what is 10 dB below the rest does not count, silence neither."""
    rate_hz = 24_000
    loud, quiet = tone(rate_hz, 30, -20.0), tone(rate_hz, 5, -33.0)
    assert measured(rate_hz, quiet, loud, quiet) == pytest.approx(-23.0, abs=0.1)
    assert measured(rate_hz, np.zeros(60 * rate_hz, np.float32), loud) == pytest.approx(-23.0, abs=0.1)
    assert measured(rate_hz, tone(rate_hz, 5, -80.0)) == SILENCE_LUFS
    assert measured(rate_hz, loud[:100]) == SILENCE_LUFS
    low = measured(rate_hz, tone(rate_hz, 5, -20.0, 30.0))
    assert low < -30  # the ear hardly hears 30 Hz
