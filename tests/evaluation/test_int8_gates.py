"""int8 beside fp32: a loss turns its gate red and the version is served with fp32, and it is published all the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.evaluation.test_gates import measured, samples
from timbre.core.errors import ConfigurationError
from timbre.evaluation.calibration import INT8_GATES
from timbre.evaluation.gates import GateSet, Verdicts, decide, edited_by_hand
from timbre.evaluation.gates_yaml import read_gates
from timbre.evaluation.measurements import Measurements, Sample, read_measurements
from timbre.evaluation.reports.machine import gates_json, junit_xml
from timbre.evaluation.reports.markdown import markdown
from timbre.evaluation.reports.page import report_page
from timbre.pipeline.verdict.gates_table import gates_table
from timbre.registry.manifest import Manifest, Provenance

GATES = GateSet(1, 5, INT8_GATES, {})
FP32 = {"word_error_rate": 0.1, "speaker_similarity": 0.95, "distilled_mos": 3.0}
LOST = {"word_error_rate": 0.106, "speaker_similarity": 0.939, "distilled_mos": 2.89}
"""Just more than int8 may lose."""

MANIFEST = Manifest(
    voice="ada", version="0123456789ab", source="1", base="pico", base_digest="b" * 64, languages=("en",),
    rate_hz=16_000, created="2026-01-01T00:00:00.000000+00:00", passed=True, gates={"pesq": {"passed": True}},
    consent={}, review_required=False, provenance=Provenance(None, None, "tester", None, "0" * 64), files=(),
)  # fmt: skip


def heard(int8: Mapping[str, float], fp32: Mapping[str, float] = FP32, count: int = 6) -> Measurements:
    """Six sentences with both profiles, all with the same values, so that chance explains nothing."""
    spoken, beside = samples("tts", dict(fp32), count), samples("tts", dict(int8), count)
    found = measured(count=count)
    beside = tuple(replace(item, file=item.file.replace("voice", "int8")) for item in beside)
    return replace(found, adapted=replace(found.adapted, tts=spoken), beside=beside)


def judged(found: Measurements, gates: GateSet = GATES) -> Verdicts:
    return decide(gates, found)


def test_equal_sound_is_served_with_int8() -> None:
    found = judged(heard(FP32))
    assert {item.gate.name for item in found.int8} == {f"{name}_tts_int8" for name in FP32}
    assert all(item.passed and item.value == item.fp32 for item in found.int8)
    assert found.served_profile == "int8"


@pytest.mark.parametrize("name", sorted(FP32))
def test_a_loss_beyond_its_margin_is_red_and_fp32_serves(name: str) -> None:
    found = judged(heard({**FP32, name: LOST[name]}))
    red = [item for item in found.int8 if not item.passed]
    assert [item.gate.metric for item in red] == [name]
    assert "fp32" in red[0].reason
    assert found.served_profile == "fp32"
    assert found.passed, "the voice is published: with fp32"
    assert not found.red


def test_a_gain_and_a_loss_within_the_margin_pass() -> None:
    better = {"word_error_rate": 0.0, "speaker_similarity": 1.0, "distilled_mos": 4.5}
    assert judged(heard(better)).served_profile == "int8"
    edge = {"word_error_rate": 0.1049, "speaker_similarity": 0.9401, "distilled_mos": 2.901}
    assert judged(heard(edge)).served_profile == "int8"


@pytest.mark.parametrize("why", ["words", "everything"])
def test_a_sentence_that_int8_cannot_say_is_a_miss(why: str) -> None:
    found = heard(FP32)
    silent = Sample(
        **{**vars(found.beside[2]), "values": {"failed_sentences": 1.0}, "unmeasurable": {"speech": "not spoken"}}
    )
    only = replace(found.beside[2], values={key: value for key, value in FP32.items() if key != "word_error_rate"})
    beside = (*found.beside[:2], silent if why == "everything" else only, *found.beside[3:])
    verdicts = judged(replace(found, beside=beside))
    assert verdicts.served_profile == "fp32"
    first = next(item for item in verdicts.int8 if item.gate.metric == "word_error_rate")
    assert "1 of 6 sentences cannot be measured with int8" in first.reason


def test_too_few_sentences_prove_nothing() -> None:
    assert judged(heard(FP32, count=4)).served_profile == "fp32"


def test_a_few_words_more_or_less_are_chance() -> None:
    """One word in six sentences, elsewhere than before; the same loss in each of them is none."""
    found = heard(FP32)
    rates = (0.2, 0.0, 0.1, 0.2, 0.1, 0.06)
    beside = tuple(
        replace(item, values={**FP32, "word_error_rate": rate}) for item, rate in zip(found.beside, rates, strict=True)
    )
    assert judged(replace(found, beside=beside)).served_profile == "int8"
    assert judged(heard({**FP32, "word_error_rate": 0.11})).served_profile == "fp32"


def test_nothing_compared_is_served_with_fp32() -> None:
    found = judged(measured())
    assert found.served_profile == "fp32"
    assert not found.int8
    assert set(found.undecided) == {gate.name for gate in INT8_GATES}
    deaf = replace(heard(FP32), unasked={"word_error_rate": "no recogniser hears ja"})
    assert judged(deaf).served_profile == "fp32", "likeness alone says nothing about words"
    assert "no recogniser hears ja" in markdown(judged(deaf), deaf)
    no_mos = replace(heard(FP32), unasked={"distilled_mos": "the extra is not installed"})
    assert judged(no_mos).served_profile == "int8"


def test_an_evaluation_with_int8_is_compared_with_fp32_too() -> None:
    """adapted is then int8, and what was spoken beside it fp32."""
    found = heard(LOST)
    turned = replace(found, profile="int8", adapted=replace(found.adapted, tts=found.beside), beside=found.adapted.tts)
    verdicts = judged(turned)
    assert [item.passed for item in verdicts.int8] == [False] * 3
    assert [item.fp32 for item in verdicts.int8] == [item.fp32 for item in judged(found).int8]


def test_every_report_shows_both_profiles(tmp_path: Path) -> None:
    found = heard({**FP32, "word_error_rate": 0.2})
    verdicts = judged(found)
    written = json.loads(gates_json(verdicts, found))
    assert written["served_profile"] == "fp32"
    gate = written["gates"]["word_error_rate_tts_int8"]
    assert (gate["value"], gate["fp32"], gate["fp32_margin"], gate["passed"], gate["blocks"]) == (
        pytest.approx(0.2), pytest.approx(0.1), 0.005, False, False
    )  # fmt: skip
    assert "Served with the fp32 graphs, since int8 loses too much: Word error rate 20.0 %" in markdown(verdicts, found)
    page = report_page(verdicts, found, tmp_path)
    for text in ("int8 beside fp32", "int8 与 fp32 对比", "Served with the fp32 graphs", "+10.0 %", "10.0 %", "0.5 %"):
        assert text in page
    assert "red: served with fp32" in gates_table(written["gates"]).text()
    assert "does not block" in junit_xml(verdicts, found)
    good = heard(FP32)
    assert "Served on a processor with the int8 graphs" in report_page(judged(good), good, tmp_path)


def test_measurements_keep_both_profiles(tmp_path: Path) -> None:
    found = heard(LOST)
    found.write(tmp_path)
    assert read_measurements(tmp_path).beside == found.beside
    path = tmp_path / "measurements.json"
    data = json.loads(path.read_text())
    del data["beside"]
    path.write_text(json.dumps(data))
    assert read_measurements(tmp_path).beside == (), "those of an earlier program are read"


def test_a_manifest_says_what_the_report_said() -> None:
    for values in (FP32, LOST, {**FP32, "speaker_similarity": 0.9}):
        found = heard(values)
        verdicts = judged(found)
        gates = json.loads(gates_json(verdicts, found))["gates"]
        manifest = replace(MANIFEST, gates=gates)
        assert manifest.int8_passed is (verdicts.served_profile == "int8")
    assert not MANIFEST.int8_passed, "nothing was compared"


@pytest.mark.parametrize("path", sorted((ROOT / "bases").glob("*/gates.yaml")), ids=lambda path: path.parent.name)
def test_every_shipped_base_judges_int8(path: Path) -> None:
    gates = read_gates(path)
    assert [gate for gate in gates.gates if gate.judges_int8] == list(INT8_GATES)
    assert not any("int8" in name for name in edited_by_hand(gates)), "no calibration sets them"
    alone = replace(gates, gates=tuple(gate for gate in gates.gates if gate.judges_int8))
    assert judged(heard(FP32), alone).served_profile == "int8"
    assert judged(heard(LOST), alone).served_profile == "fp32"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"metric": "word_error_rate", "protocol": "tts", "fp32_margin": 0.01, "blocks": True}, "blocks"),
        ({"metric": "word_error_rate", "protocol": "tts", "fp32_margin": 0.01, "limit": 0.3}, "a gate of its own"),
        ({"metric": "word_error_rate", "protocol": "tts", "fp32_margin": -0.01}, "0 or more"),
        ({"metric": "pesq_nb", "protocol": "copy", "fp32_margin": 0.01}, "not asked of the int8 graphs"),
        ({"metric": "memorisation", "protocol": "tts", "fp32_margin": 0.01}, "not asked of the int8 graphs"),
    ],
)
def test_a_gate_of_int8_that_asks_for_more_is_refused(tmp_path: Path, line: dict[str, object], message: str) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text(json.dumps({"gates": [line]}))
    with pytest.raises(ConfigurationError, match=message):
        read_gates(path)
