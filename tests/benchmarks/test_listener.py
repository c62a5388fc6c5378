"""The listener's table, without a recogniser."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from benchmarks.listener import Heard, judged, model_folder, row_of, table
from timbre.evaluation.whisper import Whisper
from timbre.inference.engine import Engine
from timbre.inference.request import SpeechRequest
from timbre.inference.voice import Voice
from timbre.text.edit_distance import edit_counts


def heard(wanted: str, found: str, *failures: str) -> Heard:
    return Heard(wanted, "S", found, edit_counts(wanted.split(), found.split()), None, failures)


def test_a_row_counts_words_texts_and_failures() -> None:
    row = row_of("nano", "English", "known", [heard("a b c", "a b c"), heard("d", "e", "cut off")])
    assert (row.texts, row.error, row.toneless, row.right, row.failed) == (2, 25.0, None, 50.0, 50.0)
    assert "| nano | English | known | 2 | 25.0 |  | 50.0 | 50.0 |" in table([row])


class Deaf:
    """Hears the same whatever is said."""

    def __init__(self, heard: str) -> None:
        self._heard = heard

    def transcribe(self, wave: object, language: str) -> str:
        return self._heard


@pytest.mark.parametrize(
    ("language", "text", "found", "errors", "toneless"),
    [("en", "Room 12, please.", "room twelve cheese", (1, 3), None), ("zh", "妈骂他", "骂骂她", (1, 3), (0, 3))],
)
def test_words_and_syllables_are_counted_as_stage_4_counts_them(
    language: str, text: str, found: str, errors: tuple[int, int], toneless: tuple[int, int] | None
) -> None:
    engine = SimpleNamespace(speak=lambda request, voice: SimpleNamespace(wave=None, sentences=()))
    (item,) = judged(
        cast(Whisper, Deaf(found)), cast(Engine, engine), [cast(Voice, SimpleNamespace(name="S"))], [text], language,
        lambda line: None,
    )  # fmt: skip
    assert (item.edits.errors, item.edits.length) == errors
    assert (None if item.toneless is None else (item.toneless.errors, item.toneless.length)) == toneless


def test_more_takes_of_a_text_have_the_same_voice_and_other_seeds() -> None:
    asked: list[tuple[str, int, str]] = []

    def speak(request: SpeechRequest, voice: Voice) -> SimpleNamespace:
        assert request.sampling is not None
        asked.append((request.text, request.sampling.seed or 0, voice.name))
        return SimpleNamespace(wave=None, sentences=())

    voices = [cast(Voice, SimpleNamespace(name=name)) for name in "AB"]
    options = (cast(Whisper, Deaf("one")), cast(Engine, SimpleNamespace(speak=speak)), voices, ["one", "two", "three"])
    judged(*options, "en", lambda line: None)
    once = list(asked)
    assert once == [("one", 0, "A"), ("two", 1, "B"), ("three", 2, "A")]
    assert len(judged(*options, "en", lambda line: None, seeds=3)) == 9
    takes = asked[3:]
    assert set(once) < set(takes), "the first take is the one that was always spoken"
    assert len({seed for _, seed, _ in takes}) == 9
    assert {(text, name) for text, _, name in takes} == {(text, name) for text, _, name in once}


def test_without_a_model_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIMBRE_WHISPER", raising=False)
    assert "TIMBRE_WHISPER" in str(model_folder(None))
    assert "model.bin" in str(model_folder(tmp_path))
