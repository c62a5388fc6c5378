"""Labels in time: from flite, espeak-ng and pocketsphinx, and as frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from timbre.nano.alignment import UNKNOWN, Alignment, EnglishAligner, read_alignments, words_of, write_alignments
from timbre.nano.corpus import CONTENT_RATE_HZ, RATE_HZ, resampled, to_int16
from timbre.nano.espeak import ENGLISH_PHONES, english_alignment, mandarin_alignment
from timbre.nano.mandarin_alignment import FINALS, INITIALS, _renamed, borrowed, spoken_classes, syllables
from timbre.nano.synthetic import flite_alignment, speak_flite
from timbre.text.recognition import CLASSES, SILENCE

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


@needs_flite
@pytest.mark.slow
def test_pocketsphinx_finds_the_times_that_flite_knows() -> None:
    speech = speak_flite("x", "rms", "The quick brown fox jumps over the lazy dog.", 1.1)
    heard = to_int16(resampled(speech.audio.astype(np.float32) / 32768.0, RATE_HZ, CONTENT_RATE_HZ))
    found = EnglishAligner().align("x", heard, speech.text)
    assert found is not None
    frames = int(speech.audio.size / 480) - 1
    known, guessed = speech.alignment.frame_labels(frames), found.frame_labels(frames)
    assert np.mean(known == guessed) > 0.7
    assert EnglishAligner().align("x", heard, "") is None


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


def test_every_mandarin_class_has_borrowed_phones() -> None:
    arpabet = set(CLASSES[SILENCE + 1 : SILENCE + 40])
    assert set(INITIALS) | set(FINALS) == set(CLASSES[SILENCE + 40 :])
    assert {phone for value in (*INITIALS.values(), *FINALS.values()) for phone in value.split()} <= arpabet


def test_borrowed_times_are_given_back_to_initials_and_finals() -> None:
    groups = syllables(spoken_classes("你好"))
    assert groups == [("n", "i"), ("h", "ao")]
    wanted = [pair for group in groups for pair in borrowed(group)]
    entries = [("SIL", 0.1), ("N", 0.15), ("IY", 0.3), ("HH", 0.35), ("AW", 0.6), ("SIL", 0.8)]
    item = _renamed("x", entries, wanted)
    assert item is not None
    assert item.phones == ("<silence>", "n", "i", "h", "ao", "<silence>")
    assert item.ends_s[2] == 0.3
    assert _renamed("x", entries[:-2], wanted) is None
