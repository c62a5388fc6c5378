"""Codes of speech whose text is known: silence is where it is quiet, however unlikely the text's phones are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, SILENCE
from timbre.text.symbols import ids_of
from timbre.training.text_codes import LOUD_RANGE_DB, codes_of_text, levels_of, loud

PHONES = ids_of(phonemize("Red and blue.", "en").phones)
QUIET, SPOKEN = -48.0, -14.0
SPEECH = slice(12, 52)


def accented() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Scores of 64 codes and their levels: silence, forty codes of a speaker in whose speech the text's phones are
    unlikely and silence a little less so, silence."""
    chances = np.full((64, len(CLASSES)), 1e-6)
    chances[:, SILENCE] = 0.9
    chances[SPEECH] = 0.004
    chances[SPEECH, CLASSES.index("ZH")] = 0.5  # what the recogniser takes it for
    chances[SPEECH, SILENCE] = 0.08
    levels = np.full(64, QUIET)
    levels[SPEECH] = SPOKEN
    return np.log(chances).astype(np.float32), levels


def silent(codes: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    return codes // 2 == 0


def test_the_loud_speech_of_an_accent_is_no_silence() -> None:
    scores, levels = accented()
    deaf = codes_of_text(scores, PHONES)
    heard = codes_of_text(scores, PHONES, levels)
    assert deaf is not None
    assert heard is not None
    assert silent(deaf.codes[SPEECH]).mean() > 0.5, "what this is about"
    assert not silent(heard.codes[SPEECH]).any()
    assert silent(heard.codes[:12]).all()
    assert silent(heard.codes[52:]).all()
    begun = heard.codes[SPEECH][heard.codes[SPEECH] % 2 == 0]
    assert len(begun) == sum(1 for code in deaf.codes if code % 2 == 0 and code // 2), "every sound of the text once"


def test_text_that_does_not_fit_is_refused_with_levels_and_without() -> None:
    scores, levels = accented()
    scores[:] = -8.0
    assert codes_of_text(scores, PHONES) is None
    assert codes_of_text(scores, PHONES, levels) is None


def test_pauses_inside_stay_pauses() -> None:
    scores, levels = accented()
    scores[30:36] = accented()[0][0]
    levels[30:36] = QUIET
    found = codes_of_text(scores, PHONES, levels)
    assert found is not None
    assert silent(found.codes[30:36]).all()
    assert not silent(found.codes[SPEECH])[[*range(18), *range(24, 40)]].any()


def test_loud_is_above_the_middle_of_pauses_and_peaks() -> None:
    levels = np.concatenate([np.full(30, -60.0), np.linspace(-60, -10, 50), np.full(20, -10.0)])
    found = loud(levels)
    assert levels[found].min() == pytest.approx(-35, abs=1.5)
    quiet = np.concatenate([np.full(30, -100.0), np.linspace(-100, -10, 50), np.full(20, -10.0)])
    assert quiet[loud(quiet)].min() >= -10 - LOUD_RANGE_DB
    assert not loud(np.full(50, -20.0)).any(), "all alike"
    assert not loud(np.full(1, -20.0)).any()


def test_levels_are_those_of_equal_pieces() -> None:
    wave = np.concatenate([np.full(640, 0.1), np.zeros(640), np.full(640, 1.0)]).astype(np.float32)
    np.testing.assert_allclose(levels_of(wave, 3), [-20.0, -100.0, 0.0], atol=1e-4)
    assert len(levels_of(wave[:2], 3)) == 3
