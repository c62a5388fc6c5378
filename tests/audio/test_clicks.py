"""Noise in clicks: seen although the background between them is quiet, and not in speech itself."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pipeline.voice.bad_inputs import clip
from timbre.audio.clicks import MAX_DB, ClickStream
from timbre.audio.waveform import Samples


def ratio_db(samples: Samples, blocks: int = 1) -> float:
    stream = ClickStream()
    for part in np.array_split(samples, blocks):
        stream.push(part.astype(np.float32))
    return stream.finish()


def crackling(speech: Samples, db: float) -> Samples:
    """Speech with bursts of 3 ms, seven a second, whose power together is `db` below that of the speech."""
    random = np.random.default_rng(1)
    noise = np.zeros(len(speech))
    burst = np.exp(-np.arange(48) / 12.0)
    for place in random.integers(0, len(speech) - 48, round(7 * len(speech) / 16_000)):
        noise[place : place + 48] += burst * random.standard_normal(48)
    noise *= np.sqrt(np.mean(np.square(speech)) / np.mean(np.square(noise)) * 10 ** (-db / 10))
    return (speech + noise).astype(np.float32)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_clicks_are_measured_and_speech_is_none(number: int) -> None:
    speech = clip("awb", number).samples
    assert ratio_db(speech) > 20
    assert ratio_db(crackling(speech, 0)) < 6
    assert 5 < ratio_db(crackling(speech, 10)) < 17


def test_the_blocks_make_no_difference_and_nothing_has_no_clicks() -> None:
    speech = crackling(clip("awb", 1).samples, 5)
    assert ratio_db(speech, 7) == pytest.approx(ratio_db(speech), abs=0.3)
    assert ratio_db(np.zeros(0, np.float32)) == MAX_DB
    assert ratio_db(np.zeros(16_000, np.float32)) == MAX_DB
