"""The teacher's tokens beside the front end's phones."""

from __future__ import annotations

import numpy as np
import pytest

from timbre.nano.corpus import RATE_HZ
from timbre.nano.teacher import Span, matched, settled, spans_of, trimmed
from timbre.text.frontend import phonemize


def names(text: str, language: str, tokens: str, frames: int = 4) -> list[tuple[str, str]]:
    phones = phonemize(text, language).phones
    spans = spans_of(phones, tokens, [10, *([frames] * len(tokens)), 10])
    assert spans is not None
    return [(phones[span.phone] if span.phone >= 0 else "", span.name) for span in spans]


def test_english_phones_get_the_time_of_their_tokens() -> None:
    found = names("I see her.", "en", "ˈI sˈi hɜɹ.")
    assert found == [
        ("", "<silence>"), ("AY1", "AY"), ("S", "S"), ("IY1", "IY"), ("HH", "HH"), ("ER1", "ER"), (".", "<silence>"),
    ] or [name for _, name in found] == ["<silence>", "AY", "S", "IY", "HH", "ER", "<silence>"]  # fmt: skip


def test_a_reduced_vowel_is_labelled_as_it_sounds() -> None:
    assert ("AH0", "AE") in names("and", "en", "ænd")


def test_a_mandarin_final_takes_all_its_tokens_and_tone() -> None:
    found = names("旋转", "zh", "ɕɥɛ↗nꭧwa↓n")
    assert [name for _, name in found] == ["<silence>", "x", "van", "zh", "uan", "<silence>"]


def test_a_phone_without_a_token_takes_half_of_its_neighbour() -> None:
    phones = phonemize("一天", "zh").phones  # y i4 t ian1
    spans = spans_of(phones, "i↘tʰjɛ→n", [4] * 10)
    assert spans is not None
    assert [(span.name, round(span.end_s, 3)) for span in spans[:3]] == [("<silence>", 0.1), ("y", 0.2), ("i", 0.3)]


def test_another_text_is_refused() -> None:
    assert spans_of(phonemize("Good morning.", "en").phones, "ʃˈuz", [1] * 6) is None


def test_matching_prefers_the_same_character() -> None:
    found, cost = matched(list("kæt"), list("kæt"))
    assert found == [0, 1, 2]
    assert cost == 0


def test_the_last_phone_ends_where_it_stops_to_sound() -> None:
    audio = np.zeros(RATE_HZ, np.float32)
    audio[: RATE_HZ // 4] = 0.3
    spans = settled([Span(0, "T", 0.8), Span(1, "<silence>", 1.0)], audio)
    assert spans[0].end_s == pytest.approx(0.27, abs=0.03)


def test_outer_silence_is_cut_to_that_of_recordings() -> None:
    spans, begin, end = trimmed([Span(-1, "<silence>", 0.5), Span(0, "S", 0.7), Span(1, "<silence>", 1.5)])
    assert (begin, end) == (pytest.approx(0.35), pytest.approx(0.85))
    assert [round(span.end_s, 3) for span in spans] == [0.15, 0.35, 0.5]
