"""The corpus cache: what is in it, and above all what never is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.nano.speech_folder import write_speech
from timbre.core.errors import ConfigurationError, InputError
from timbre.nano.corpus import (
    CORPORA,
    Corpus,
    PartWriter,
    build_real,
    check_allowed,
    evaluation_files,
    read_metadata,
    training_files,
    unseen_speakers,
)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_speech(tmp_path / "speech")


def test_real_part_holds_training_clips_only(speech: Path, tmp_path: Path) -> None:
    count = build_real(speech, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus", unseen=unseen_speakers(speech))
    assert count == len(corpus.clips) == 9
    assert not [clip for clip in corpus.clips if "eval" in clip.path or clip.speaker == "S2"]
    assert {clip.speaker for clip in corpus.clips} == {"LJ", "VCTK_p1", "A1", "S1"}


def test_audio_is_resampled_and_kept(speech: Path, tmp_path: Path) -> None:
    build_real(speech, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    clip = next(clip for clip in corpus.clips if clip.speaker == "VCTK_p1")
    wave = corpus.waveform(clip)
    assert wave.dtype == np.float32
    assert clip.samples == wave.size == 48_000
    assert clip.seconds == 2.0
    spectrum = np.abs(np.fft.rfft(wave))
    assert abs(np.argmax(spectrum) / 2.0 - 600) < 2  # its sine
    assert sum(clip.samples for clip in corpus.clips) * 2 == (tmp_path / "corpus" / "real.i16").stat().st_size


@pytest.mark.parametrize(
    ("path", "speaker"),
    [
        ("ljspeech/eval/x.flac", "LJ"),
        ("speechocean762/S2/1.ogg", "S2"),
        ("flite/a.wav", "flite_awb"),
        ("f/a.wav", "awb_time"),
    ],
)
def test_held_out_is_refused_when_written_and_when_read(path: str, speaker: str, tmp_path: Path) -> None:
    unseen = frozenset({"S2"})
    with pytest.raises(ConfigurationError):
        check_allowed(path, speaker, unseen)
    writer = PartWriter(tmp_path, "real", unseen)
    with pytest.raises(ConfigurationError):
        writer.add("x", path, speaker, "en", "text", np.zeros(8, dtype=np.int16))
    row = {"id": "x", "path": path, "speaker": speaker, "language": "en", "text": "", "seconds": 1.0, "split": "train"}
    (tmp_path / "real.jsonl").write_text(json.dumps({**row, "offset": 0, "samples": 8}) + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        Corpus.open(tmp_path, ["real"], unseen)


def test_allowed_clips_pass() -> None:
    check_allowed("speechocean762/S1/1.ogg", "S1", frozenset({"S2"}))
    check_allowed("flite/x", "flite_slt", frozenset({"S2"}))


def test_without_the_list_of_unseen_speakers_nothing_is_built(speech: Path, tmp_path: Path) -> None:
    (speech / "unseen-speakers.txt").unlink()
    with pytest.raises(ConfigurationError, match="unseen-speakers"):
        build_real(speech, tmp_path / "corpus")


def test_a_part_is_whole_or_absent(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, "real", frozenset())
    writer.add("a", "c/a.ogg", "S", "en", "text", np.ones(100, dtype=np.int16))
    with pytest.raises(ConfigurationError):
        Corpus.open(tmp_path)
    writer.close()
    assert [clip.id for clip in Corpus.open(tmp_path).clips] == ["a"]


def test_wrong_line_is_named(speech: Path) -> None:
    with (speech / "vctk" / "metadata.csv").open("a", encoding="utf-8") as table:
        table.write("one|two\n")
    with pytest.raises(InputError, match=r"metadata.csv:3"):
        read_metadata(speech, "vctk")


def test_evaluation_files_are_the_eval_clips(speech: Path) -> None:
    assert [file.path for file in evaluation_files(speech)] == ["ljspeech/eval/LJ900.wav"]


@pytest.mark.shared
def test_real_speech_splits_cleanly() -> None:
    speech = Path(os.environ.get("TIMBRE_SHARED", Path(__file__).parents[3] / "shared")) / "speech"
    if not speech.is_dir():
        pytest.skip("shared speech is absent")
    training = training_files(speech)
    evaluation = evaluation_files(speech, CORPORA)
    assert len(training) > 3000
    assert len(evaluation) > 40
    assert not {file.path for file in training} & {file.path for file in evaluation}
    assert not {file.speaker for file in training} & unseen_speakers(speech)
