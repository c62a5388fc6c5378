"""Codes that say what sounds: segments, time at 25 codes a second, the codebook and its projection."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timbre.nano.alignment import Alignment
from timbre.nano.label_codes import (
    ROWS,
    UNITS,
    Segment,
    code_rows,
    label_codes,
    projection_of,
    quantizer_of,
    segments_of,
    tone_of,
)
from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, SILENCE
from timbre.text.symbols import ids_of
from timbre.training.text_codes import codes_of_text

NAMES = {name: index for index, name in enumerate(CLASSES)}


def phones_of_text(text: str, language: str) -> np.ndarray:
    return np.array(ids_of(phonemize(text, language).phones), np.int16)


def test_a_final_carries_its_tone_and_nothing_else_does() -> None:
    assert [tone_of(symbol) for symbol in ("ang4", "i05", "AH0", "zh", ",")] == [4, 5, 0, 0, 0]


def test_segments_find_their_phones_and_pauses_their_marks() -> None:
    phones = phones_of_text("你好。", "zh")  # n i2 h ao3 .
    alignment = Alignment("x", ("<silence>", "n", "i", "h", "ao", "<silence>"), (0.1, 0.2, 0.3, 0.4, 0.6, 0.7))
    found = segments_of(alignment, phones)
    assert [segment.place for segment in found] == [0, 0, 1, 2, 3, 4]
    assert [segment.tone for segment in found] == [0, 0, 2, 0, 3, 0]


def test_a_sound_that_differs_from_the_text_keeps_its_place() -> None:
    phones = phones_of_text("the", "en")  # DH AH0
    found = segments_of(Alignment("x", ("DH", "IY"), (0.1, 0.2)), phones)
    assert [segment.place for segment in found] == [0, 1]


def test_every_sound_gets_a_code_however_short() -> None:
    names = ("D", "AO", "G", "Z")
    ends = (0.01, 0.02, 0.03, 0.4)
    segments = [Segment(NAMES[name], 0, index, ends[index]) for index, name in enumerate(names)]
    labelled = label_codes(segments, 10)
    assert labelled is not None
    assert labelled.places.tolist() == [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]
    assert (labelled.codes[:4] % 2 == 0).all()
    assert (labelled.codes[4:] % 2 == 1).all()
    assert label_codes(segments, 3) is None


def test_two_equal_sounds_differ_from_a_long_one() -> None:
    two = [Segment(NAMES["S"], 0, 0, 0.08), Segment(NAMES["S"], 0, 1, 0.16)]
    labelled = label_codes(two, 4)
    assert labelled is not None
    assert (labelled.codes % 2).tolist() == [0, 1, 0, 1]


def test_the_nearest_row_to_log_odds_is_the_most_probable_code() -> None:
    width = 256
    frame = torch.randn(len(CLASSES), width), torch.zeros(len(CLASSES))
    tone = torch.randn(5, width), torch.zeros(5)
    begins = torch.randn(1, width), torch.zeros(1)
    weight, bias = projection_of(frame, tone, begins)
    hidden = torch.randn(1, width, 40) * 3
    features = torch.nn.functional.conv1d(hidden, weight, bias, stride=2)
    codes = quantizer_of(width).encode(features)[0, 0]
    mean = hidden.view(width, 20, 2).mean(2).T
    wanted = (mean @ frame[0].T).argmax(1)
    pairs = zip(wanted.tolist(), codes.tolist(), strict=True)
    spoken = [(kind, code) for kind, code in pairs if kind != 0]  # class 0 is the blank of CTC, which no code means
    right = sum(UNITS[code // 2][0] == kind for kind, code in spoken)
    assert right >= 0.9 * len(spoken)  # the details may decide between two classes that are nearly equal


def test_every_code_has_its_own_row() -> None:
    rows = code_rows(256)
    assert len(rows) == ROWS == 2 * len(UNITS)
    assert (torch.cdist(rows, rows) + torch.eye(ROWS) * 9 > 0.3).all()


def test_codes_of_a_known_text_follow_it_whatever_is_heard() -> None:
    phones = [int(phone) for phone in phones_of_text("Hi.", "en")]  # HH AY1 .
    scores = np.full((8, len(CLASSES)), -6.0, np.float32)
    for index, name in enumerate(("<silence>", "HH", "HH", "AE", "AY", "AY", "<silence>", "<silence>")):
        scores[index, NAMES[name]] = -0.1
    scores[3, NAMES["AY"]] = -2.0
    labelled = codes_of_text(scores, phones)
    assert labelled is not None
    assert [UNITS[code // 2][0] for code in labelled.codes] == [
        SILENCE, NAMES["HH"], NAMES["HH"], NAMES["AY"], NAMES["AY"], NAMES["AY"], SILENCE, SILENCE,
    ]  # fmt: skip
    assert labelled.places.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_speech_for_a_text_is_no_codes(count: int) -> None:
    phones = [int(phone) for phone in phones_of_text("Nothing at all.", "en")]
    assert codes_of_text(np.zeros((count, len(CLASSES)), np.float32), phones) is None
