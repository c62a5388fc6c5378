"""DistillMOS and Whisper: what they say where they are, and that a gate on one that is away has no verdict."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.evaluation.test_gates import gates_of, measured
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.core.recipe import Recipe
from timbre.evaluation import whisper
from timbre.evaluation.degradation import SOUNDS
from timbre.evaluation.gates import decide
from timbre.evaluation.measurements import Group
from timbre.evaluation.metrics.distilled import distilled_mos
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.optional_judges import OptionalJudges
from timbre.evaluation.reports.markdown import markdown
from timbre.evaluation.reports.page import report_page
from timbre.evaluation.whisper import Whisper, find_model, units
from timbre.pipeline.stages.evaluate import EvaluateStage

RATE_HZ = 16_000


class Deaf(Whisper):
    """Hears what it is given."""

    def __init__(self, heard: str) -> None:
        self.digest, self._heard = "0" * 64, heard

    def transcribe(self, wave: Waveform, language: str) -> str:
        return self._heard


def test_a_recording_is_predicted_to_sound_better_than_its_noisy_copy() -> None:
    path = sorted((ROOT / "voices" / "kathleen" / "wavs").iterdir())[0]
    wave = resample(read(path), RATE_HZ)
    clean, noisy = (distilled_mos(item.samples) for item in (wave, SOUNDS["noisy"](wave, 1)))
    assert clean > 3.7
    assert noisy < clean - 1.0
    for samples in (np.zeros(2 * RATE_HZ, np.float32), wave.samples[:8_000]):
        with pytest.raises(UnmeasurableError):
            distilled_mos(samples)


@pytest.mark.parametrize(
    ("text", "language", "heard"),
    [
        ("Room 12, please!", "en", "room twelve please"),
        ("It's three o'clock.", "en", "its three oclock"),
        ("我有3个苹果。", "zh", "wo3 you3 san1 ge5 ping2 guo3"),
        ("打开 Wi-Fi", "zh", "da3 kai1 wi fi"),
    ],
)
def test_units_of_a_text(text: str, language: str, heard: str) -> None:
    assert [unit.replace("ge4", "ge5") for unit in units(text, language)] == heard.split()


def test_characters_that_sound_alike_are_no_error_and_tones_are() -> None:
    wave = Waveform(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    for heard, errors in (
        ("他在家。", 0.0),
        ("她在家", 0.0),
        ("他在假", 1 / 3),
        ("他在家他在家他在家他在家他在家", 1.0),
    ):
        judge = OptionalJudges(whisper=Deaf(heard))
        assert judge.word_errors(wave, "他在家。", "zh") == pytest.approx(errors)
    with pytest.raises(UnmeasurableError, match="no words"):
        OptionalJudges(whisper=Deaf("")).word_errors(wave, "...", "en")


def test_the_setting_names_a_model_or_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    monkeypatch.setattr(whisper, "installed", lambda: False)
    assert find_model("off") is None
    assert find_model("auto") is None
    with pytest.raises(ConfigurationError, match="not installed"):
        find_model(str(tmp_path))
    monkeypatch.setattr(whisper, "installed", lambda: True)
    assert find_model(str(tmp_path)) == tmp_path


def test_only_a_run_downloads_a_model_and_only_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of stage 4, which `timbre status` computes too, asks for what is here."""
    asked: list[tuple[str, bool]] = []

    def download_model(name: str, local_files_only: bool) -> str:
        asked.append((name, local_files_only))
        if local_files_only:
            raise FileNotFoundError(name)
        return str(tmp_path)

    library = SimpleNamespace(download_model=download_model)
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(utils=library))
    monkeypatch.setitem(sys.modules, "faster_whisper.utils", library)
    monkeypatch.setattr(whisper, "installed", lambda: True)
    stage, recipe = EvaluateStage(), Recipe().with_overrides({"evaluate": {"listener": "small"}}, "here")
    with pytest.raises(ConfigurationError, match="was downloaded yet"):
        stage.machine(recipe, tmp_path, tmp_path)
    assert asked == [("small", True)]
    stage.prepare(recipe)
    assert asked.pop() == ("small", False)
    stage.prepare(Recipe())
    assert stage.machine(Recipe(), tmp_path, tmp_path)["listener"] == ""
    assert asked[1:] == [("base", True), ("base", True)]


def test_a_gate_on_a_judge_that_is_away_has_no_verdict_and_is_named(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"metric": "stoi", "protocol": "copy", "limit": 0.85},
        {"metric": "distilled_mos", "protocol": "tts", "limit": 3.5},
    ]
    gates = gates_of(tmp_path, lines)
    values = measured()
    strip = tuple(
        replace(item, values={name: value for name, value in item.values.items() if name != "distilled_mos"})
        for item in values.adapted.tts
    )
    values = replace(values, adapted=Group(values.adapted.copy, strip))
    assert not decide(gates, values).passed, "missing without a reason is a miss"
    unasked = replace(values, unasked=OptionalJudges().unasked(("en",)))
    verdicts = decide(gates, unasked)
    assert verdicts.passed
    assert [item.gate.name for item in verdicts.verdicts] == ["stoi_copy"]
    for report in (markdown(verdicts, unasked), report_page(verdicts, unasked, tmp_path)):
        assert "distilled_mos_tts (the extra mos is not installed)" in report
    alone = gates_of(tmp_path, lines[1:])
    assert not decide(alone, unasked).passed, "no verdict at all is no pass"
