"""Labels in time: from flite and espeak-ng, and as frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from timbre.nano.alignment import UNKNOWN, Alignment, read_alignments, words_of, write_alignments
from timbre.nano.corpus import RATE_HZ
from timbre.nano.espeak import ENGLISH_PHONES, english_alignment, mandarin_alignment
from timbre.nano.mandarin_syllables import spoken_classes, syllables
from timbre.nano.synthetic import flite_alignment, speak_flite
from timbre.text.recognition import CLASSES

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def test_frame_labels_take_the_class_at_the_centre_of_a_frame() -> None:
    item = Alignment("x", ("<silence>", "AA", "S"), (0.05, 0.1, 0.14))
    labels = item.frame_labels(8)
    names = [CLASSES[index] if index != UNKNOWN else None for index in labels]
    # Centres at 12.5, 32.5, ... 152.5 ms.
    assert names == ["<silence>", "<silence>", "AA", "AA", "AA", "S", "S", None]


def test_alignments_survive_the_file(tmp_path: Path) -> None:
    items = [Alignment("b", ("AA",), (0.5,)), Alignment("a", ("S", "AA"), (0.1, 0.2))]
    write_alignments(tmp_path, "real", items)
    assert read_alignments(tmp_path, "real") == {item.id: item for item in items}
    assert read_alignments(tmp_path, "flite") == {}


def test_words() -> None:
    words = words_of("The felons' side, it's well-known’s end.")
    assert words == ["the", "felons'", "side", "it's", "well", "known's", "end"]


def test_flite_segments() -> None:
    item = flite_alignment("x", "pau:0.184 dh:0.236 ax:0.270 zh:0.3 pau:0.5 ")
    assert item.phones == ("<silence>", "DH", "AH", "ZH", "<silence>")
    assert item.ends_s == (0.184, 0.236, 0.270, 0.3, 0.5)
    with pytest.raises(ValueError, match="'qq'"):
        flite_alignment("x", "qq:0.1")


@needs_flite
def test_flite_speech_and_times_agree() -> None:
    speech = speak_flite("x", "kal16", "Sit.", 1.0)
    item = speech.alignment
    assert item.spoken() == tuple(CLASSES.index(name) for name in ("S", "IH", "T"))
    assert item.ends_s[-2] < speech.audio.size / RATE_HZ < item.ends_s[-1] + 0.05  # flite cuts its last pause short
    # The vowel is louder than the closing silence.
    begin, end = int(item.ends_s[1] * RATE_HZ), int(item.ends_s[2] * RATE_HZ)
    audio = speech.audio.astype(float)
    assert np.std(audio[begin:end]) > 20 * np.std(audio[int(item.ends_s[-2] * RATE_HZ) + 1200 :])


def test_espeak_events_become_classes() -> None:
    events = [(0.0, "D"), (0.05, "@2"), (0.1, "f"), (0.2, "O@"), (0.4, ";"), (0.45, "_:")]
    item = english_alignment("x", events, 0.6)
    assert item is not None
    assert item.phones == ("DH", "AH", "F", "AO", "R", "<silence>")
    assert item.ends_s == pytest.approx((0.05, 0.1, 0.2, 0.3, 0.45, 0.6))
    assert english_alignment("x", [(0.0, "Y~")], 0.1) is None
    assert {phone for value in ENGLISH_PHONES.values() for phone in value.split()} <= set(CLASSES)


def test_espeak_syllables_become_initials_and_finals() -> None:
    events = [(0.0, "n"), (0.1, "i"), (0.2, "_|"), (0.2, "X"), (0.3, "Au"), (0.5, "_|"), (0.5, "_:")]
    item = mandarin_alignment("x", [("n", "i"), ("h", "ao")], events, 0.7)
    assert item is not None
    assert item.phones == ("n", "i", "h", "ao", "<silence>")
    assert item.ends_s == pytest.approx((0.1, 0.2, 0.3, 0.5, 0.7))
    assert mandarin_alignment("x", [("n", "i")], events, 0.7) is None


def test_a_mandarin_sentence_falls_into_initials_and_finals() -> None:
    assert syllables(spoken_classes("你好")) == [("n", "i"), ("h", "ao")]
