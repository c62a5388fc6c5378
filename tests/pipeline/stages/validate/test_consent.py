"""The recorded statement: words and speaker are required, or a named person answers for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.stage_one import run_stage_one
from tests.pipeline.stages.validate.test_transcripts import sound_of
from tests.pipeline.voice.bad_inputs import ROOT, SMALL, clip, good_folder, put
from timbre.core.base import load_base
from timbre.core.recipe import ValidateRecipe
from timbre.pipeline.voice.voice_yaml import read_voice_yaml
from timbre.text.alignment_score import log_softmax
from timbre.text.consent import CONSENT, CONSENT_PHRASES, consent_score
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids

LIMIT = ValidateRecipe().min_consent_words
YAML = "language: en\nconsent:\n  kind: recorded\n  statement: consent.wav\n  rights: tests only\n"


def heard(text: str, language: str) -> np.ndarray:
    return log_softmax(sound_of(tuple(spoken_class_ids(phonemize(text, language).phones)), sure=9.0))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_words_of_the_script_are_a_consent_and_other_words_are_not(language: str) -> None:
    script = CONSENT[language].replace("[name]", "Ada").replace("[purpose]", "school").replace("[姓名]", "小明")
    assert consent_score(heard(script.replace("[用途]", "学校"), language), language) > LIMIT
    for phrase in CONSENT_PHRASES[language]:
        assert consent_score(heard(phrase, language), language) > LIMIT
    other = {"en": "The harbour was quiet when the fishing boats came home.", "zh": "清晨的阳光穿过窗户，照在书桌上。"}
    assert consent_score(heard(other[language], language), language) < LIMIT


def test_a_statement_without_words_of_consent_is_refused_until_somebody_answers_for_it(tmp_path: Path) -> None:
    folder, base = good_folder(tmp_path / "ada"), load_base("nano", ROOT / "bases")
    put(folder, "consent.wav", np.concatenate([clip("awb", number).samples for number in (7, 8)]))
    (folder / "voice.yaml").write_text(YAML)
    problems = run_stage_one(folder, tmp_path, recipe=SMALL, base=base).problems
    assert ["words of a consent" in problem.value for problem in problems] == [True]
    assert "approved_by" in problems[0].remedy
    (folder / "voice.yaml").write_text(YAML + '  approved_by: "Ms Lee, 2026-11-28"\n')
    outcome = run_stage_one(folder, tmp_path, recipe=SMALL, base=base)
    assert outcome.problems == ()
    written = (outcome.report / "validation.json").read_text(encoding="utf-8")
    assert "approved by Ms Lee" in written
    assert '"approved_by": "Ms Lee, 2026-11-28"' in written


def test_without_a_recogniser_for_the_language_a_person_has_to_listen(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    put(folder, "consent.wav", np.concatenate([clip("awb", number).samples for number in (7, 8)]))
    (folder / "voice.yaml").write_text(YAML)
    problems = run_stage_one(folder, tmp_path, recipe=SMALL).problems
    assert ["cannot be checked" in problem.value for problem in problems] == [True]


def test_rights_are_required_for_recorded_voices_too_and_approval_is_kept() -> None:
    _, problems = read_voice_yaml(YAML.replace("  rights: tests only\n", "").encode())
    assert [problem.where for problem in problems] == ["voice.yaml: consent.rights"]
    plain, _ = read_voice_yaml(YAML.encode())
    approved, _ = read_voice_yaml((YAML + "  approved_by: Ms Lee\n").encode())
    assert approved.consent.approved_by == "Ms Lee"
    # Voices without it keep the digest that they had before there was such a key.
    assert "approved_by" not in plain.normalised()["consent"]
    assert plain.normalised() != approved.normalised()
