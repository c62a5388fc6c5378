"""Good people are not refused: one bad recording, an offset, short folders, long sentences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from benchmarks.stage_one import run_stage_one
from tests.pipeline.voice.bad_inputs import RATE_HZ, SMALL, clip, good_folder, noisy, put
from timbre.core.recipe import ValidateRecipe
from timbre.pipeline.stages.validate.checks import Findings, check_amount
from timbre.pipeline.stages.validate.leaving_out import settle_rejected

FILES = [f"wavs/{number:04d}.wav" for number in range(10)]


def settled(bad: int, seconds: float = 12.0, slices: int = 1) -> tuple[Findings, frozenset[str]]:
    found = Findings()
    for file in FILES[:bad]:
        found.reject(file, "SNR 1 dB", "at least 12 dB", "record it again")
    rest = settle_rejected(
        found, FILES, dict.fromkeys(FILES, seconds), dict.fromkeys(FILES, slices), ValidateRecipe()
    )  # fmt: skip
    return found, rest


def test_a_few_bad_recordings_are_left_out_and_named() -> None:
    found, left = settled(2)
    assert left == frozenset(FILES[:2])
    assert found.problems == []
    assert [remark.where for remark in found.remarks] == FILES[:2]
    assert "left out" in found.remarks[0].value


@pytest.mark.parametrize(("bad", "seconds", "slices"), [(3, 12.0, 1), (1, 6.0, 1), (5, 12.0, 1)])
def test_many_bad_ones_or_too_little_rest_refuse_the_folder(bad: int, seconds: float, slices: int) -> None:
    found, left = settled(bad, seconds, slices)
    assert left == frozenset()
    assert len(found.problems) == bad


def test_a_drowned_clip_leaves_a_voice_without_it_and_without_its_slices(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada", 5)
    put(folder, "wavs/0002.wav", noisy(clip("awb", 2).samples, 0.08))
    outcome = run_stage_one(folder, tmp_path, recipe=SMALL)
    assert outcome.problems == ()
    found = json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))
    assert {piece["clip"] for piece in found["slices"]} == {f"wavs/{n:04d}.wav" for n in (1, 3, 4, 5)}
    assert {f"slices/{path.name}" for path in (outcome.output / "slices").iterdir()} == {
        piece["file"] for piece in found["slices"]
    }
    assert any(remark["where"] == "wavs/0002.wav" and "left out" in remark["value"] for remark in found["remarks"])


def test_an_offset_is_taken_out_and_said(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    put(folder, "wavs/0001.wav", clip("awb", 1).samples * np.float32(0.5) + np.float32(0.2))
    outcome = run_stage_one(folder, tmp_path, recipe=SMALL)
    assert outcome.problems == ()
    found = json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))
    assert any("DC offset +0.2" in remark["value"] for remark in found["remarks"])
    first = next(piece for piece in found["slices"] if piece["clip"] == "wavs/0001.wav")
    samples, _ = sf.read(str(outcome.output / first["file"]))
    assert abs(float(samples.mean())) < 1e-3


def test_samples_far_beyond_full_scale_are_judged_and_not_a_bug(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada", 5)
    for value in (1e20, 1e38):
        samples = clip("awb", 1).samples * np.float32(value)
        put(folder, "wavs/0001.wav", samples, subtype="FLOAT")
        outcome = run_stage_one(folder, tmp_path, recipe=SMALL)
        assert outcome.problems == ()
        said = (outcome.report / "validation.json").read_text(encoding="utf-8")
        assert "times full scale: left out" in said


@pytest.mark.parametrize(("speech_s", "recorded_s", "passes"), [(50, 61, True), (50, 59, False), (40, 61, False)])
def test_a_minute_of_recordings_is_enough_with_its_pauses(speech_s: float, recorded_s: float, passes: bool) -> None:
    found = Findings()
    check_amount(speech_s, ValidateRecipe(), found, recorded_s)
    assert (not found.problems) is passes
    assert bool(found.remarks) is passes


def test_more_than_five_minutes_is_said_to_be_more_than_needed() -> None:
    found = Findings()
    check_amount(301.0, ValidateRecipe(), found)
    assert not found.problems
    assert "301 s" in found.remarks[0].value


def test_sentences_of_eleven_seconds_can_be_prompts_where_there_are_no_others(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    recipe = SMALL | {"slice_max_s": 3.01, "slice_min_s": 3.0}
    outcome = run_stage_one(folder, tmp_path, recipe=recipe)
    assert outcome.problems == ()
    found = json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))
    assert any("longer ones are prompts" in remark["value"] for remark in found["remarks"])
    assert any(piece["prompt"] for piece in found["slices"])


def test_hours_in_small_files_are_refused_by_their_headers_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = good_folder(tmp_path / "ada")
    for number in (1, 2, 3):
        with sf.SoundFile(str(folder / f"wavs/{number:04d}.flac"), "w", RATE_HZ, 1) as stream:
            for _ in range(3):
                stream.write(np.zeros(60 * RATE_HZ, dtype=np.float32))
    text = (folder / "metadata.csv").read_text().replace(".wav", ".flac")
    (folder / "metadata.csv").write_text(text)
    for number in (1, 2, 3):
        (folder / f"wavs/{number:04d}.wav").unlink()
    monkeypatch.setattr("timbre.pipeline.stages.validate.stage.survey_clip", None)
    problems = run_stage_one(folder, tmp_path, recipe=SMALL | {"max_total_s": 500.0}).problems
    assert ["540 s of sound by their headers" in problem.value for problem in problems] == [True]
