"""Which sounds are heard, and which line comes next."""

from __future__ import annotations

from timbre.pipeline.voice.reading_script import SENTENCES
from timbre.studio.book import plan_lines
from timbre.studio.coverage import coverage, next_line, sounds_of
from timbre.text.recognition import ARPABET


def test_sounds_have_neither_stress_nor_tone() -> None:
    assert sounds_of("Hello.", "en") == {"HH", "AH", "L", "OW"}
    assert sounds_of("你好。", "zh") == {"n", "i", "h", "ao"}
    assert sounds_of("…", "en") == frozenset()


def test_the_script_holds_every_sound_of_english() -> None:
    lines = [(text, "en") for text in SENTENCES["en"]]
    found = coverage([], lines)
    assert set(found.missing) == set(ARPABET)
    assert found.heard == ()
    half = coverage(lines[:2], lines)
    assert half.heard
    assert set(half.heard) | set(half.missing) == set(ARPABET)
    assert not set(half.heard) & set(half.missing)


def test_the_next_line_holds_most_of_what_is_missing() -> None:
    texts = {"1": ("Hello.", "en"), "2": ("Vision and courage matter more.", "en"), "3": ("Hello.", "en")}
    assert next_line(["1", "2", "3"], texts, ["ZH", "V"]) == "2"
    assert next_line(["1", "3"], texts, []) == "1"
    assert next_line([], texts, ["ZH"]) == ""


def test_chosen_lines_reach_every_sound_sooner_than_the_order_of_the_script() -> None:
    for language in ("en", "zh"):
        texts = {str(number): (text, language) for number, text in enumerate(SENTENCES[language])}
        everything = list(texts.values())
        chosen: list[str] = []
        while missing := coverage((texts[key] for key in chosen), everything).missing:
            chosen.append(next_line([key for key in texts if key not in chosen], texts, missing))
        in_order = next(n for n in range(1, 99) if not coverage(everything[:n], everything).missing)
        assert len(chosen) < in_order


def test_rows_keep_their_ids_and_sentences_take_free_ones() -> None:
    rows = [("wavs/0001.flac", "A.", "en"), ("wavs/0003-x.mp3", "B.", "en")]
    assert plan_lines(rows, ("A.", "C.", "D.")) == [
        ("0001", "A."), ("0003-x", "B."), ("0002", "C."), ("0003", "D."),
    ]  # fmt: skip
