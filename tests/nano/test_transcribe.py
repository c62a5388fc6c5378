"""Recordings without texts get what a listener hears in them, where the content encoder agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from timbre.core.errors import ConfigurationError
from timbre.nano import transcribe as module
from timbre.nano.alignment import Alignment, read_alignments
from timbre.nano.content_network import ContentConfig, ContentEncoder
from timbre.nano.corpus import RATE_HZ, Clip, Corpus, PartWriter, to_int16
from timbre.nano.transcribe import by_whisper, transcribe

SAID = {"one": "A quiet harbour.", "two": "", "three": "Fresh bread.", "four": "Not what is said."}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    writer = PartWriter(tmp_path, "voices", frozenset())
    for name in SAID:
        writer.add(name, f"voices/{name}.ogg", name, "en", "", to_int16(np.zeros(RATE_HZ, np.float32)))
    writer.close()
    return tmp_path


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> ContentEncoder:
    """Believes every text but one."""

    def aligned(identity: str, scores: object, phones: object, audio: object) -> Alignment | None:
        assert audio is not None
        return None if identity == "four" else Alignment(identity, ("AH",), (1.0,))

    monkeypatch.setattr(module, "align_scores", aligned)
    return ContentEncoder(ContentConfig(layers=1)).eval()


def test_what_is_heard_and_fits_is_written(corpus: Path, encoder: ContentEncoder) -> None:
    lines: list[str] = []
    assert transcribe(encoder, corpus, lambda _, clip: SAID[clip.id], lines.append) == 2
    clips = Corpus.open(corpus, ["voices"]).clips
    assert {clip.id: clip.text for clip in clips} == SAID | {"four": ""}
    assert sorted(read_alignments(corpus, "voices")) == ["one", "three"]
    assert lines == ["voices: 2 of 4 clips have texts"]


def test_texts_that_are_there_are_kept_and_not_heard_again(corpus: Path, encoder: ContentEncoder) -> None:
    transcribe(encoder, corpus, lambda _, clip: SAID[clip.id], lambda line: None)
    asked: list[str] = []

    def listener(_: Corpus, clip: Clip) -> str:
        asked.append(clip.id)
        return ""

    assert transcribe(encoder, corpus, listener, lambda line: None) == 2
    assert sorted(asked) == ["four", "two"]
    assert Corpus.open(corpus, ["voices"]).clips[0].text == "A quiet harbour."


def test_an_interrupted_run_changes_nothing(corpus: Path, encoder: ContentEncoder) -> None:
    before = (corpus / "voices.jsonl").read_bytes()

    def listener(_: Corpus, clip: Clip) -> str:
        if clip.id == "three":
            raise KeyboardInterrupt
        return SAID[clip.id]

    with pytest.raises(KeyboardInterrupt):
        transcribe(encoder, corpus, listener, lambda line: None)
    assert (corpus / "voices.jsonl").read_bytes() == before
    assert not (corpus / "voices.alignment.jsonl").exists()


def test_a_folder_without_a_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbre.evaluation.whisper.installed", lambda: False)
    with pytest.raises(ConfigurationError, match="faster-whisper"):
        by_whisper(tmp_path)
