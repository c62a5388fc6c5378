"""Every gate can turn red, a relative limit compares with the right thing, and nothing unmeasured ever passes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from timbre.core.errors import ConfigurationError, InputError
from timbre.evaluation.gates import OF_TRAINING, GateSet, decide
from timbre.evaluation.gates_yaml import read_gates
from timbre.evaluation.measurements import Group, Measurements, Sample, read_measurements
from timbre.evaluation.metrics.catalogue import FLOORS, METRICS, WORST_POSSIBLE, Direction, Protocol
from timbre.evaluation.metrics.summary import Interval
from timbre.evaluation.paired import chance_allowance
from timbre.evaluation.reports.advice import ADVICE, advice
from timbre.evaluation.reports.calibration_note import limits_sentence
from timbre.evaluation.reports.chinese import TITLES
from timbre.evaluation.reports.machine import gates_json, junit_xml, open_metrics
from timbre.evaluation.reports.markdown import markdown
from timbre.evaluation.reports.page import report_page
from timbre.evaluation.texts import fixed_sentences

GOOD = {
    "pesq_nb": 3.6, "pesq_wb": 3.2, "stoi": 0.95, "estoi": 0.9, "dnsmos": 3.2, "level_dbfs": -20.0, "peak_dbfs": -2.0,
    "bandwidth_hz": 7000.0, "clipped_share": 0.0, "phone_error_rate": 0.1, "failed_sentences": 0.0,
    "word_error_rate": 0.1, "pace_deviation": 0.1, "pause_deviation": 0.05, "pitch_distance": 0.8,
    "listener_error_rate": 0.1, "distilled_mos": 4.1, "tone_error_rate": 0.1,
    "speaker_similarity": 0.95,
}  # fmt: skip
LIMITS = {
    "pesq_nb": 3.5, "pesq_wb": 3.0, "stoi": 0.85, "estoi": 0.8, "dnsmos": 2.8, "level_dbfs": -35.0, "peak_dbfs": 0.0,
    "bandwidth_hz": 5000.0, "clipped_share": 0.001, "phone_error_rate": 0.2, "failed_sentences": 0.05,
    "word_error_rate": 0.2, "pace_deviation": 0.3, "pause_deviation": 0.1, "pitch_distance": 2.0,
    "listener_error_rate": 0.2, "distilled_mos": 3.5, "tone_error_rate": 0.2,
    "speaker_similarity": 0.85,
    "memorisation": 1.5, "held_out_loss": 0.95,
}  # fmt: skip


def samples(protocol: str, values: dict[str, float], count: int = 6) -> tuple[Sample, ...]:
    chosen = {name: value for name, value in values.items() if Protocol(protocol) in METRICS[name].protocols}
    return tuple(
        Sample(f"s{index}", f"Sentence {index}.", "held-out", 1, f"samples/tts-voice-s{index}-1.wav", chosen)
        for index in range(count)
    )


def measured(
    values: dict[str, float] | None = None, *, base: dict[str, float] | None = None, count: int = 6
) -> Measurements:
    values, base = GOOD | (values or {}), GOOD | (base or {})
    return Measurements(
        voice="ada", base="pico", base_digest="b" * 64, profile="fp32", texts_version="1",
        adapted=Group(samples("copy", values, count), samples("tts", values, count)),
        plain=Group(samples("copy", base, count), samples("tts", base, count)),
        real={"speaker_similarity": 0.8}, models={"dnsmos": "sha256:abc"}, memorisation=1.1,
        held_out_loss=0.8,
    )  # fmt: skip


def gate_lines() -> list[dict[str, object]]:
    return [
        {"metric": name, "protocol": str(METRICS[name].protocols[0]), "limit": limit} for name, limit in LIMITS.items()
    ]


def gates_of(tmp_path: Path, lines: list[dict[str, object]], **top: object) -> GateSet:
    path = tmp_path / "gates.yaml"
    path.write_text(json.dumps({"version": 1, "min_sentences": 5, "gates": lines, **top}))
    return read_gates(path)


def test_a_good_voice_passes_every_gate(tmp_path: Path) -> None:
    verdicts = decide(gates_of(tmp_path, gate_lines()), measured())
    assert verdicts.passed
    assert len(verdicts.verdicts) == len(METRICS)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_gate_turns_red(tmp_path: Path, name: str) -> None:
    """A value just beyond the limit, and no value at all, each turn this gate red and no other."""
    gates = gates_of(tmp_path, gate_lines())
    beyond = LIMITS[name] - 0.01 if METRICS[name].direction is Direction.HIGHER else LIMITS[name] + 0.01
    if name in OF_TRAINING:
        poor, absent = (replace(measured(), **{name: value}) for value in (beyond, None))
    else:
        poor = measured({name: beyond})
        absent = measured()
        strip = {n: v for n, v in GOOD.items() if n != name}
        absent = replace(absent, adapted=Group(samples("copy", strip), samples("tts", strip)))
    for values in (poor, absent):
        verdicts = decide(gates, values)
        assert [item.gate.metric for item in verdicts.red] == [name]
        assert not verdicts.passed
        assert verdicts.red[0].reason


@pytest.mark.parametrize(("value", "passed"), [(3.49, False), (3.5, True)])
def test_the_boundary_itself_passes(tmp_path: Path, value: float, passed: bool) -> None:
    gates = gates_of(tmp_path, [{"metric": "pesq_nb", "protocol": "copy", "limit": 3.5}])
    assert decide(gates, measured({"pesq_nb": value})).passed is passed


def test_one_unmeasurable_sample_is_a_miss_and_is_named(tmp_path: Path) -> None:
    values = measured()
    broken = replace(values.adapted.tts[2], values={"failed_sentences": 0.0}, unmeasurable={"dnsmos": "is silent"})
    tts = (*values.adapted.tts[:2], broken, *values.adapted.tts[3:])
    gates = gates_of(tmp_path, [{"metric": "dnsmos", "protocol": "tts", "limit": 2.0}])
    verdict = decide(gates, replace(values, adapted=Group(values.adapted.copy, tts))).verdicts[0]
    assert not verdict.passed
    assert "1 of 6" in verdict.reason
    assert "silent" in verdict.reason


def test_too_few_sentences_decide_nothing(tmp_path: Path) -> None:
    verdicts = decide(gates_of(tmp_path, gate_lines()), measured(count=4))
    assert not verdicts.passed
    assert "too few" in verdicts.red[0].reason


@pytest.mark.parametrize(("sentences", "passed"), [(2, False), (4, False), (5, True)])
def test_seeds_are_no_sentences(tmp_path: Path, sentences: int, passed: bool) -> None:
    values = measured(count=sentences)
    tts = tuple(replace(item, seed=seed) for item in values.adapted.tts for seed in (1, 2, 3))
    gates = gates_of(tmp_path, [{"metric": "speaker_similarity", "protocol": "tts", "limit": 0.85}])
    verdicts = decide(gates, replace(values, adapted=Group(values.adapted.copy, tts)))
    assert verdicts.passed is passed
    assert verdicts.verdicts[0].count == 3 * sentences
    if not passed:
        assert f"{sentences} different sentences are too few to decide on (limit 5)" in verdicts.red[0].reason


def test_the_interval_is_over_sentences_not_over_seeds(tmp_path: Path) -> None:
    """Asking each sentence four times, with the same answers, makes nobody surer."""
    values = measured(count=6)
    once = tuple(
        replace(item, values={**item.values, "dnsmos": 2.0 + 0.2 * number})
        for number, item in enumerate(values.adapted.tts)
    )
    often = tuple(replace(item, seed=seed) for item in once for seed in range(4))
    gates = gates_of(tmp_path, [{"metric": "dnsmos", "protocol": "tts", "limit": 2.0}])
    single, repeated = (
        decide(gates, replace(values, adapted=Group(values.adapted.copy, tts))).verdicts[0] for tts in (once, often)
    )
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    assert repeated.value == pytest.approx(single.value)


def test_a_metric_that_was_asked_of_some_samples_decides_on_those(tmp_path: Path) -> None:
    values = measured({"dnsmos": 3.0}, count=12)
    unasked = tuple(
        replace(item, values={name: value for name, value in item.values.items() if name != "dnsmos"})
        for item in values.adapted.tts[:6]
    )
    some = replace(values, adapted=Group(values.adapted.copy, (*unasked, *values.adapted.tts[6:])))
    gates = gates_of(tmp_path, [{"metric": "dnsmos", "protocol": "tts", "limit": 2.9}])
    assert decide(gates, some).passed
    assert decide(gates, some).verdicts[0].count == 6
    few = replace(values, adapted=Group(values.adapted.copy, (*unasked, *values.adapted.tts[6:10])))
    assert "too few" in decide(gates, few).red[0].reason


def test_the_interval_is_as_wide_as_was_asked_for(tmp_path: Path) -> None:
    values = measured(count=8)
    tts = tuple(
        replace(item, values={**item.values, "dnsmos": 2.0 + 0.2 * number})
        for number, item in enumerate(values.adapted.tts)
    )
    values = replace(values, adapted=Group(values.adapted.copy, tts))
    gates = gates_of(tmp_path, [{"metric": "dnsmos", "protocol": "tts", "limit": 2.0}])
    wide, narrow = (decide(gates, values, None, Interval(500, level)) for level in (0.99, 0.5))
    assert wide.verdicts[0].low < narrow.verdicts[0].low < narrow.verdicts[0].high < wide.verdicts[0].high
    assert "| 99 % interval |" in markdown(wide, values)
    assert json.loads(gates_json(narrow, values))["confidence"] == 0.5
    assert "50 % interval" in report_page(narrow, values, tmp_path)


def test_both_halves_of_the_calibration_are_in_every_report(tmp_path: Path) -> None:
    def half(passed: int) -> dict[str, object]:
        return {"good": {"measured": 6, "passed": passed}, "degraded": {"measured": 40, "passed": 1}}

    block = {"date": "2026-11-21", "speakers": 12, "setting": half(6), "judging": half(5)}
    values = measured()
    verdicts = decide(gates_of(tmp_path, gate_lines(), calibration=block), values)
    for report in (markdown(verdicts, values), report_page(verdicts, values, tmp_path)):
        assert "setting half: 6 of 6 good voices pass, 1 of 40 degraded ones pass" in report
        assert "judging half: 5 of 6 good voices pass" in report
    assert json.loads(gates_json(verdicts, values))["calibration"] == block
    assert "judging half: 5 of 6 good voices pass" in junit_xml(verdicts, values)
    counted = open_metrics(verdicts, values)
    labels = 'base="pico",half="judging",kind="good"'
    assert f'voice_quality_calibration_voices{{{labels},result="passed"}} 5' in counted
    assert counted.endswith("# EOF\n")
    before = {name: {"good": half(6)["good"], "degraded": half(6)["degraded"]} for name in ("setting", "judging")}
    old = decide(gates_of(tmp_path, gate_lines(), calibration={**block, **before}), values)
    assert "1 of 40 degraded ones pass" in markdown(old, values), "gates.yaml of earlier versions stays readable"
    stale = decide(gates_of(tmp_path, gate_lines(), calibration={**block, "base_digest": "c" * 64}), values)
    assert "for other weights of this base" in markdown(stale, values)
    assert "权重不同" in report_page(stale, values, tmp_path)
    assert "other weights" not in markdown(verdicts, values)
    without = decide(gates_of(tmp_path, gate_lines()), values)
    assert "not calibrated" in markdown(without, values)
    assert "尚未校准" in report_page(without, values, tmp_path)


def test_relative_limits(tmp_path: Path) -> None:
    line = {"metric": "stoi", "protocol": "copy", "base_margin": 0.02, "production_margin": 0.01}
    gates = gates_of(tmp_path, [line])
    assert decide(gates, measured({"stoi": 0.93})).passed
    against_base = decide(gates, measured({"stoi": 0.92})).verdicts[0]
    assert not against_base.passed
    assert "base without adapter" in against_base.reason
    better = measured({"stoi": 0.99})
    against_production = decide(gates, measured({"stoi": 0.94}), better).verdicts[0]
    assert not against_production.passed
    assert "production" in against_production.reason
    assert decide(gates, measured({"stoi": 0.94}), replace(better, base_digest="c" * 64)).passed


def test_a_few_sentences_more_or_less_are_chance(tmp_path: Path) -> None:
    """One failed sentence of six is no verdict on a voice; half of sixty is."""
    gates = gates_of(tmp_path, [{"metric": "failed_sentences", "protocol": "tts", "base_margin": 0.1}])

    def failing(count: int, of: int) -> Measurements:
        values = measured(count=of)
        tts = tuple(
            replace(item, values={**item.values, "failed_sentences": float(number < count)})
            for number, item in enumerate(values.adapted.tts)
        )
        return replace(values, adapted=Group(values.adapted.copy, tts))

    assert decide(gates, failing(1, 6)).passed
    assert not decide(gates, failing(3, 6)).passed
    assert not decide(gates, failing(12, 60)).passed
    assert not decide(gates, failing(7, 60)).passed, "sixty sentences tell: beyond the margin is beyond it"
    assert "for chance" not in decide(gates, failing(12, 60)).red[0].reason
    assert "for chance above the base without adapter" in decide(gates, failing(3, 6)).red[0].reason


@pytest.mark.parametrize("sentences", [9, 25, 100])
def test_what_chance_forgives_is_bounded(sentences: int) -> None:
    """An equal voice is refused about one time in twenty at most, and a true loss of the margin and two standard errors
    passes less than one time in five; with many sentences every loss beyond the margin is red more often than not.
    """
    margin, spread, draws = 0.05, 0.19, 20_000
    random = np.random.default_rng(sentences)

    def passing(loss: float) -> float:
        seen = loss + spread * random.standard_normal((draws, sentences))
        errors = seen.std(axis=1, ddof=1) / sentences**0.5
        allowed = [margin + chance_allowance(margin, float(error)) for error in errors]
        return float(np.mean(seen.mean(axis=1) <= allowed))

    error = spread / sentences**0.5
    assert passing(0.0) > 0.92
    assert passing(margin + 2 * error) < 0.2
    assert chance_allowance(margin, margin / 2) == 0.0
    assert chance_allowance(margin, margin) == pytest.approx(0.645 * margin)
    assert chance_allowance(margin, 1.0) == 1.0
    if sentences == 100:
        assert passing(1.1 * margin) < 0.5


def test_a_sentence_of_another_text_says_nothing_about_chance(tmp_path: Path) -> None:
    """An id whose text was edited since production spoke is no common sentence."""
    gates = gates_of(tmp_path, [{"metric": "stoi", "protocol": "copy", "production_margin": 0.001}])
    production = measured({"stoi": 0.99})
    spread = tuple(
        replace(item, values={**item.values, "stoi": 0.94 + 0.02 * (number % 2)})
        for number, item in enumerate(production.adapted.copy)
    )
    values = replace(production, adapted=Group(spread, production.adapted.tts))
    assert "for chance below production" in decide(gates, values, production).red[0].reason
    edited = tuple(replace(item, text=f"{item.text} Edited.") for item in production.adapted.copy)
    other = replace(production, adapted=Group(edited, production.adapted.tts))
    assert "for chance" not in decide(gates, values, other).red[0].reason


def test_the_worst_sentence_can_decide(tmp_path: Path) -> None:
    values = measured()
    worst = replace(values.adapted.copy[3], values={**values.adapted.copy[3].values, "stoi": 0.5}, file="samples/w.wav")
    copy = (*values.adapted.copy[:3], worst, *values.adapted.copy[4:])
    poor = replace(values, adapted=Group(copy, values.adapted.tts))
    mean = gates_of(tmp_path, [{"metric": "stoi", "protocol": "copy", "limit": 0.85}])
    strict = gates_of(tmp_path, [{"metric": "stoi", "protocol": "copy", "limit": 0.85, "statistic": "worst"}])
    assert decide(mean, poor).passed
    verdict = decide(strict, poor).verdicts[0]
    assert not verdict.passed
    assert verdict.worst_file == "samples/w.wav"


def test_gates_that_do_not_block_are_shown_and_let_through(tmp_path: Path) -> None:
    lines = [
        {"metric": "stoi", "protocol": "copy", "limit": 0.85},
        {"metric": "dnsmos", "protocol": "tts", "limit": 4.9, "blocks": False},
    ]
    verdicts = decide(gates_of(tmp_path, lines), measured())
    assert verdicts.passed
    assert not verdicts.verdicts[1].passed


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "at least one gate"),
        ([{"metric": "stoi", "protocol": "copy"}], "can never fail"),
        (
            [{"metric": "failed_sentences", "protocol": "tts", "limit": 1.2, "blocks": False}],
            r"gates.yaml: gates\[0\].limit: 1.2 cannot be missed: the worst failed_sentences under tts is 1, ",
        ),
        ([{"metric": "clipped_share", "protocol": "tts", "limit": 1}], "1 cannot be missed"),
        ([{"metric": "pesq_nb", "protocol": "copy", "limit": 1.0}], "is 1, which passes[^|]*above 1"),
        ([{"metric": "stoi", "protocol": "copy", "limit": -0.1, "base_margin": 0.1}], "-0.1 cannot be missed"),
        ([{"metric": "stoi", "protocol": "tts", "limit": 1}], "no meaning under tts"),
        ([{"metric": "stoi", "protocol": "copy", "limit": 0.585}], "0.585 is below 0.85"),
        ([{"metric": "pesq_nb", "protocol": "copy", "limit": 3.4, "blocks": False}], "3.4 is below 3.5"),
        ([{"metric": "pesk", "protocol": "copy", "limit": 1}], "'pesk'; expected a metric"),
        ([{"metric": "stoi", "protocol": "sing", "limit": 1}], "sing"),
        ([{"metric": "stoi", "protocol": "copy", "limit": "high"}], "'high'; expected a finite number"),
        ([{"metric": "stoi", "protocol": "copy", "limit": True}], "True; expected a finite number"),
        ([{"metric": "stoi", "protocol": "copy", "limits": 1}], "unknown key"),
        ([{"metric": "stoi", "protocol": "copy", "limit": 1}] * 2, "listed twice"),
        (["stoi"], "with at least"),
    ],
)
def test_bad_gate_files_are_named(tmp_path: Path, lines: list[object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        gates_of(tmp_path, lines)  # type: ignore[arg-type]


def test_every_problem_of_a_file_is_listed(tmp_path: Path) -> None:
    lines: list[object] = [
        {"metric": "pesk", "protocol": "sing", "limit": "high"},
        {"metric": "stoi", "protocol": "copy"},
    ]
    with pytest.raises(ConfigurationError, match="4 problems") as caught:
        gates_of(tmp_path, lines)  # type: ignore[arg-type]
    for words in ("gates[0].metric: 'pesk'", "gates[0].protocol: 'sing'", "gates[0].limit: 'high'", "gates[1]: stoi"):
        assert words in caught.value.message


@pytest.mark.parametrize("name", ["phone_error_rate", "word_error_rate"])
def test_a_voice_may_be_misheard_a_little_more_where_its_owner_is(tmp_path: Path, name: str) -> None:
    """An accent is no lost word: a quarter of what the recogniser mishears of the recordings beyond the base, at most
    ten points, is forgiven by limit and base_margin alike."""
    gates = gates_of(tmp_path, [{"metric": name, "protocol": "tts", "limit": 0.15, "base_margin": 0.05}])

    def passes(value: float, recorded: float | None) -> bool:
        voice = measured({name: value}, base={name: 0.1})
        return decide(gates, replace(voice, real={} if recorded is None else {name: recorded})).passed

    assert passes(0.15, None)
    assert not passes(0.16, None)
    assert not passes(0.16, 0.1), "the owner is heard as well as the base"
    assert not passes(0.16, 0.05)
    assert passes(0.2, 0.3)
    assert not passes(0.21, 0.3)
    assert passes(0.25, 1.0)
    assert not passes(0.26, 1.0), "recordings of other texts excuse no more"
    shown = decide(gates, replace(measured({name: 0.3}, base={name: 0.1}), real={name: 0.3})).verdicts[0]
    assert shown.gate.limit == pytest.approx(0.2)
    assert "above the limit 20.0 %" in shown.reason
    assert "more than 10.0 % above the base" in shown.reason


def test_production_is_the_same_owner_and_nothing_is_forgiven(tmp_path: Path) -> None:
    gates = gates_of(
        tmp_path, [{"metric": "phone_error_rate", "protocol": "tts", "limit": 0.9, "production_margin": 0.05}]
    )
    now = replace(measured({"phone_error_rate": 0.2}), real={"phone_error_rate": 0.9})
    assert not decide(gates, now, measured({"phone_error_rate": 0.1})).passed
    assert decide(gates, now, measured({"phone_error_rate": 0.15})).passed


def test_a_limit_asks_for_no_more_band_than_the_recordings_have(tmp_path: Path) -> None:
    """A microphone of 8 kHz on a base of 12 kHz: the voice owes what its recordings have, and no less."""
    gates = gates_of(tmp_path, [{"metric": "bandwidth_hz", "protocol": "tts", "limit": 9000}])
    narrow = replace(measured({"bandwidth_hz": 6900.0}), real={"bandwidth_hz": 7500.0})
    assert decide(gates, narrow).passed
    assert not decide(gates, replace(narrow, real={"bandwidth_hz": 11000.0})).passed
    assert not decide(gates, replace(measured({"bandwidth_hz": 4000.0}), real={"bandwidth_hz": 7500.0})).passed


def test_every_base_keeps_the_floors() -> None:
    for path in SHIPPED:
        gates = {gate.name: gate for gate in read_gates(path).gates}
        for name, floor in FLOORS.items():
            gate = gates[f"{name}_copy"]
            assert gate.blocks, path
            assert gate.limit is not None, path
            assert gate.limit >= floor, path


def test_worse_than_the_base_or_than_production_is_refused() -> None:
    """By the margins that are shipped with nano."""
    shipped = read_gates(ROOT / "bases" / "nano" / "gates.yaml")
    gate = next(gate for gate in shipped.gates if gate.name == "phone_error_rate_tts")
    assert gate.blocks
    assert gate.base_margin is not None
    assert gate.production_margin is not None


ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "bases").glob("*/gates.yaml"))


@pytest.mark.parametrize("path", [*SHIPPED, None], ids=[*(item.parent.name for item in SHIPPED), "pico"])
def test_every_shipped_gate_can_be_missed(tmp_path: Path, path: Path | None) -> None:
    """The worst value that a metric has, or one far beyond the limit where its scale has no end, turns it red."""
    if path is None:
        from timbre.gptsovits.files.pico import GATES as PICO_GATES

        path = tmp_path / "gates.yaml"
        path.write_text(PICO_GATES, encoding="utf-8")
    found = read_gates(path)
    assert found.gates
    for gate in found.gates:
        about, limit = METRICS[gate.metric], gate.limit
        if limit is None:  # compared with the base, with production or with fp32 only
            margins = (gate.base_margin, gate.production_margin, gate.fp32_margin)
            assert any(margin is not None for margin in margins), gate.name
            continue
        far = limit - 1e6 if about.direction is Direction.HIGHER else limit + 1e6
        worst = WORST_POSSIBLE.get(gate.metric, far)
        poor = replace(measured({gate.metric: worst}), memorisation=far, held_out_loss=far)
        alone = replace(found, gates=(replace(gate, blocks=True),))
        assert decide(alone, poor, None, Interval(1)).red, f"{path}: {gate.name} {limit:g}"


def test_missing_and_unreadable_gate_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing says when a voice is good"):
        read_gates(tmp_path / "gates.yaml")
    (tmp_path / "gates.yaml").write_text("gates: !!python/object:os.system []")
    with pytest.raises(ConfigurationError, match="expected no tags"):
        read_gates(tmp_path / "gates.yaml")


def test_measurements_come_back_as_written(tmp_path: Path) -> None:
    values = measured()
    values.write(tmp_path)
    assert read_measurements(tmp_path) == values
    (tmp_path / "measurements.json").write_text("{}")
    with pytest.raises(InputError, match="measurements"):
        read_measurements(tmp_path)


def test_reports_say_the_same(tmp_path: Path) -> None:
    values = measured({"stoi": 0.5})
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    data = json.loads(gates_json(verdicts, values))
    assert data["passed"] is False
    assert data["gates"]["stoi_copy"]["value"] == pytest.approx(0.5)
    assert data["gates"]["dnsmos_copy"]["model"].endswith("sha256:abc")
    suite = ElementTree.fromstring(junit_xml(verdicts, values)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == (str(len(METRICS)), "1")
    message = suite.find("testcase/failure").get("message")  # type: ignore[union-attr]
    assert message is not None
    assert "0.500" in message
    assert "0.85" in message
    assert ".wav" in message
    metrics = open_metrics(verdicts, values)
    assert 'voice_quality_gate_passed{voice="ada",gate="stoi_copy"} 0' in metrics
    assert metrics.endswith("# EOF\n")
    table = markdown(verdicts, values)
    assert "failed 1 gate" in table
    assert "**red**" in table


def test_a_value_is_written_alike_in_reason_table_and_page(tmp_path: Path) -> None:
    values = measured({"word_error_rate": 0.5})
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    (red,) = verdicts.red
    assert red.reason == "Word error rate 50.0 % is above the limit 20.0 %"
    table = markdown(verdicts, values)
    assert re.search(r"\| Word error rate +\| tts +\| 50\.0 % +\| <= 20\.0 % ", table)
    assert "数值 50.0 %，限值：不高于 20.0 %" in report_page(verdicts, values, tmp_path)
    assert "50.0 %" in junit_xml(verdicts, values)


def test_the_most_important_gate_comes_first_wherever_gates_are_listed(tmp_path: Path) -> None:
    values = measured({"stoi": 0.1, "speaker_similarity": 0.1})
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    assert [item.gate.metric for item in verdicts.red] == ["speaker_similarity", "stoi"]
    assert [item.gate.metric for item in verdicts.ordered][:3] == [
        "speaker_similarity", "word_error_rate", "phone_error_rate"
    ]  # fmt: skip
    table = markdown(verdicts, values)
    assert table.index("| Speaker similarity") < table.index("| Word error rate") < table.index("| Extended STOI")


def test_the_page_needs_nothing_else_and_speaks_two_languages(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    time = np.arange(16_000) / 16_000
    for index in range(6):
        for name in (f"real-s{index}.wav", f"tts-voice-s{index}-1.wav"):
            soundfile.write(folder / name, 0.3 * np.sin(2 * np.pi * 200 * time), 16_000)
    values = measured({"stoi": 0.5})
    hostile = "<script>alert(1)</script><img onerror=x>"
    failed = replace(values.adapted.tts[0], failures=("loops: <b>&", hostile), text=f"A <script> tag{hostile}")
    copied = replace(values.adapted.copy[0], text=hostile)
    adapted = Group((copied, *values.adapted.copy[1:]), (failed, *values.adapted.tts[1:]))
    values = replace(values, voice=f"ada{hostile}", base=hostile, adapted=adapted)
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    page = report_page(verdicts, values, tmp_path, commit="abc", author=f"Ada{hostile} <ada@example.org>")
    assert page.index("Failed: STOI") < page.index("Words are blurred") < page.index("<table>")
    assert "http" not in page
    assert page.count("<script") == 1
    assert "<img onerror" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4
    assert "ada@example.org" not in page
    assert "A &lt;script&gt; tag" in page
    assert "loops: &lt;b&gt;&amp;" in page
    assert page.count("<audio") >= 13
    assert page.count("data:image/png") >= 12
    assert "未通过：STOI" in page
    assert "该怎么办" in page
    assert "经过模型之后词语仍然清晰" in page
    assert "数值 0.500，限值：不低于 0.850" in page
    assert 'lang="zh">底模' in page
    assert "1 of 6 sentences failed: 1 repeating, 1 other" in page
    assert "6 句中有 1 句失败" in page
    assert len(page) < 3_000_000


def test_every_metric_has_advice_and_every_language_sentences() -> None:
    assert all(all(advice(name)) for name in METRICS)
    assert all(all(words) for words in TITLES.values())
    assert set(TITLES) == set(METRICS)
    assert set(ADVICE) <= set(METRICS)
    for language, count in (("en", 55), ("zh", 44)):
        texts = fixed_sentences(language)
        assert len(texts) == len(set(texts)) == count
    with pytest.raises(ConfigurationError, match="'ja'"):
        fixed_sentences("ja")


def test_reports_name_the_limits_and_what_the_voice_set_itself(tmp_path: Path) -> None:
    english, chinese = limits_sentence("ab" * 32, {"finetune": {"rank": 16, "max_minutes": 5}})
    assert english == (
        "Limits of gates.yaml abababababab; the voice's own settings: finetune.rank = 16, finetune.max_minutes = 5."
    )
    assert "finetune.rank = 16" in chinese
    assert limits_sentence("", {}) == ("", "")
    values = measured()
    verdicts = replace(decide(gates_of(tmp_path, gate_lines()), values), gates_digest="ab" * 32, overrides={})
    data = json.loads(gates_json(verdicts, values))
    assert (data["gates_digest"], data["overrides"]) == ("ab" * 32, {})
    for report in (markdown(verdicts, values), report_page(verdicts, values, tmp_path)):
        assert "own settings: none" in report
