"""The listener's table, without a recogniser."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.listener import Heard, model_folder, row_of, syllables, table
from timbre.text.edit_distance import edit_counts


def heard(wanted: str, found: str, *failures: str) -> Heard:
    return Heard(wanted, "S", found, edit_counts(wanted.split(), found.split()), None, failures)


def test_a_row_counts_words_texts_and_failures() -> None:
    row = row_of("nano", "English", "known", [heard("a b c", "a b c"), heard("d", "e", "cut off")])
    assert (row.texts, row.error, row.toneless, row.right, row.failed) == (2, 25.0, None, 50.0, 50.0)
    assert "| nano | English | known | 2 | 25.0 |  | 50.0 | 50.0 |" in table([row])


def test_characters_that_sound_alike_are_the_same_syllables() -> None:
    assert syllables("他", True) == syllables("她", True) == ["ta1"]
    assert syllables("妈骂", False) == ["ma", "ma"]


def test_without_a_model_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIMBRE_WHISPER", raising=False)
    assert "TIMBRE_WHISPER" in str(model_folder(None))
    assert "model.bin" in str(model_folder(tmp_path))
