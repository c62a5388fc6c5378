"""The rule that sets limits: worked examples, the half that judges, and the files that come of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.evaluation.test_gates import GOOD as VALUES
from tests.evaluation.test_gates import samples
from timbre.audio.level import peak_dbfs
from timbre.audio.waveform import Waveform
from timbre.core.errors import InputError
from timbre.evaluation.calibration import (
    GOOD,
    INT8_GATES,
    LOADING,
    MARGINS,
    RESOLUTION,
    Specimen,
    calibrate,
    candidates,
    judge_half,
    split_speakers,
    value_of,
)
from timbre.evaluation.degradation import SOUNDS
from timbre.evaluation.gates import Gate, GateSet, decide
from timbre.evaluation.gates_yaml import read_gates
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.evaluation.metrics.catalogue import FLOORS, METRICS, WORST_POSSIBLE, Protocol
from timbre.evaluation.metrics.prosody import semitones
from timbre.evaluation.metrics.signal import active_level_dbfs, bandwidth_hz, clipped_share
from timbre.evaluation.reports.calibration_report import CalibrationContext, gates_yaml, markdown_report, plain_report

SPEAKERS = tuple(f"speaker-{number}" for number in range(12))
ABOUT = CalibrationContext("pico", "b" * 64, "2026-11-21", {"steps": 60}, ("nobody: no recordings",))


def measured(name: str, held_out_loss: float = 0.9, **values: float) -> Measurements:
    chosen = VALUES | values
    return Measurements(
        voice=name, base="pico", base_digest="b" * 64, profile="fp32", texts_version="1",
        adapted=Group(samples("copy", chosen), samples("tts", chosen)), plain=Group((), ()), real={}, models={},
        memorisation=1.0, held_out_loss=held_out_loss,
    )  # fmt: skip


def good_and_spoilt(kinds: dict[str, dict[str, float]] | None = None) -> list[Specimen]:
    """Twelve speakers whose good PESQ goes from 3.9 up in steps of 0.05, each also spoilt in some ways."""
    spoilt = kinds if kinds is not None else {"noisy": {"pesq_nb": 1.5}, "untrained": {"held_out_loss": 1.0}}
    found = []
    for number, name in enumerate(SPEAKERS):
        own = {"pesq_nb": 3.9 + 0.05 * number}
        found.append(Specimen(name, GOOD, measured(name, **own)))
        found += [Specimen(name, kind, measured(name, **{**own, **values})) for kind, values in spoilt.items()]
    return found


def limit_of(gates: GateSet, name: str) -> float:
    limit = next(gate.limit for gate in gates.gates if gate.name == name)
    assert limit is not None
    return limit


def test_limits_come_from_what_the_recordings_do_not_explain() -> None:
    """Else an accented good voice would set a limit that then forgives the accent once more."""
    plain, real = Group((), samples("tts", VALUES | {"phone_error_rate": 0.1})), {"phone_error_rate": 0.5}
    accented = replace(measured("ada", phone_error_rate=0.2), plain=plain, real=real)
    gate = Gate("phone_error_rate", Protocol.TTS)
    assert value_of(gate, accented) == pytest.approx(0.1)
    assert value_of(gate, replace(accented, real={})) == pytest.approx(0.2)


def test_halves_do_not_share_a_speaker_and_nobody_chooses() -> None:
    setting, judging = split_speakers(SPEAKERS)
    assert len(setting) == len(judging) == 6
    assert not set(setting) & set(judging)
    assert split_speakers(tuple(reversed(SPEAKERS))) == (setting, judging)


def test_the_rule_by_hand() -> None:
    specimens = good_and_spoilt()
    setting, _ = split_speakers(SPEAKERS)
    goods = [3.9 + 0.05 * SPEAKERS.index(name) for name in setting]
    spread = max(float(np.median(goods)) - min(goods), RESOLUTION["pesq_nb"])
    found = calibrate(specimens, margin=0.5)
    assert limit_of(found.gates, "pesq_nb_copy") == pytest.approx(min(goods) - 0.5 * spread, abs=0.01)
    # All good ones have the same held-out loss, and half way to the untrained 1.0 is farther than its resolution.
    wanted = 0.9 + 0.5 * RESOLUTION["held_out_loss"]
    assert limit_of(found.gates, "held_out_loss_tts") == pytest.approx(wanted, abs=1e-4)
    assert found.separated["noisy"][0] == "pesq_nb_copy"
    assert found.separated["untrained"] == ("held_out_loss_tts",)


def test_the_base_alone_sets_no_limit_on_what_is_heard() -> None:
    """It sounds a little worse than the good ones of one half by chance: a good voice of the other half may too."""
    setting, judging = split_speakers(SPEAKERS)
    opinions = dict.fromkeys(setting, 1.9) | dict.fromkeys(judging, 1.75)
    found = calibrate([
        Specimen(name, kind, measured(name, held_out_loss=loss, distilled_mos=opinion))
        for name in SPEAKERS
        for kind, loss, opinion in (
            (GOOD, 0.9, opinions[name]), ("untrained", 1.0, opinions[name] - 0.15), ("noisy", 0.9, 1.2),
        )
    ])  # fmt: skip
    assert found.separated["untrained"] == ("held_out_loss_tts",)
    assert found.separated["noisy"][0].startswith("distilled_mos")
    assert limit_of(found.gates, "distilled_mos_tts") < 1.75
    assert found.judging.good == (6, 6)
    assert found.judging.degraded == (12, 0)
    assert found.holds


def test_a_limit_stays_on_this_side_of_what_it_is_there_to_catch() -> None:
    """However generous the margin, the limit goes half way to the nearest spoilt one at most."""
    found = calibrate(good_and_spoilt({"dull": {"pesq_nb": 3.7}}), margin=100.0)
    setting, _ = split_speakers(SPEAKERS)
    worst = min(3.9 + 0.05 * SPEAKERS.index(name) for name in setting)
    assert limit_of(found.gates, "pesq_nb_copy") == pytest.approx((worst + 3.7) / 2, abs=0.01)
    assert found.setting.degraded == (6, 0)
    assert found.setting.good == (6, 6)


def test_rounding_never_crosses_a_good_voice() -> None:
    """A good voice may lie much nearer to a spoilt one than the metric's resolution."""
    found = calibrate([
        Specimen(name, kind, measured(name, held_out_loss=loss))
        for name in SPEAKERS for kind, loss in ((GOOD, 0.999994), ("untrained", 1.0))
    ])  # fmt: skip
    assert found.setting.good == (6, 6)
    assert found.setting.degraded == (6, 0)
    assert 0.999994 < limit_of(found.gates, "held_out_loss_tts") < 1.0


def test_every_limit_can_be_missed() -> None:
    """However generous the margin; and where the good ones are as bad as can be, there is no gate."""
    ruined: dict[str, float] = dict(WORST_POSSIBLE)
    found = calibrate(good_and_spoilt({"ruined": ruined, "untrained": {"held_out_loss": 1.0}}), margin=1e6)
    ends = {name for name in WORST_POSSIBLE if name in {gate.metric for gate in found.gates.gates}}
    assert ends == set(WORST_POSSIBLE)
    for gate in found.gates.gates:
        if gate.metric in WORST_POSSIBLE:
            assert gate.limit is not None
            assert METRICS[gate.metric].better(WORST_POSSIBLE[gate.metric], gate.limit) is False, gate.name
    hopeless = [
        Specimen(name, kind, measured(name, held_out_loss=loss, failed_sentences=1.0))
        for name in SPEAKERS for kind, loss in ((GOOD, 0.9), ("untrained", 1.0))
    ]  # fmt: skip
    # Only the comparison with the base is left of it.
    left = next(gate for gate in calibrate(hopeless).gates.gates if gate.name == "failed_sentences_tts")
    assert left.limit is None
    assert left.base_margin is not None


def test_a_floor_is_raised_to_never_lowered() -> None:
    """Good ones at STOI 0.6 once made a limit of 0.585."""
    poor = [
        Specimen(name, kind, measured(name, stoi=stoi, pesq_nb=pesq))
        for name in SPEAKERS for kind, stoi, pesq in ((GOOD, 0.6, 3.9), ("noisy", 0.2, 2.0))
    ]  # fmt: skip
    found = calibrate(poor)
    for name, floor in FLOORS.items():
        gate = next(gate for gate in found.gates.gates if gate.name == f"{name}_copy")
        assert gate.blocks
        assert gate.limit is not None
        assert gate.limit >= floor
    assert limit_of(found.gates, "stoi_copy") == FLOORS["stoi"]
    assert limit_of(found.gates, "pesq_nb_copy") > 3.5
    assert found.setting.good[1] == 0, "what is below the floor is refused, however good it is for its base"


def test_a_limit_that_catches_nothing_is_dropped() -> None:
    """What is left blocks: limits that caught something, floors, and the comparison with base and production."""
    found = calibrate(good_and_spoilt())
    gates = {gate.name: gate for gate in found.gates.gates}
    floors = {f"{name}_copy" for name in FLOORS}
    relative = {f"{name}_tts" for name in MARGINS}
    assert set(gates) == floors | relative | {"pesq_nb_copy", "held_out_loss_tts"}
    assert all(gate.blocks for gate in gates.values())
    assert {name for name, gate in gates.items() if gate.limit is None} == relative
    assert found.setting.caught["noisy"] == {"pesq_nb_copy": 6}


def test_a_judge_that_is_away_gets_a_relative_gate() -> None:
    away = [
        replace(item, measured=replace(item.measured, unasked={"listener_error_rate": "no model"}))
        for item in good_and_spoilt() if item.measured is not None
    ]  # fmt: skip
    gate = next(gate for gate in calibrate(away).gates.gates if gate.metric == "listener_error_rate")
    assert (gate.limit, gate.base_margin, gate.production_margin) == (None, *MARGINS["listener_error_rate"])


def test_worse_than_the_base_is_refused_whatever_the_limit() -> None:
    """Words are lost against the same base, and every value is inside the limits that the good voices set."""
    plain = measured("base", word_error_rate=0.0).adapted
    specimens = [
        replace(item, measured=replace(item.measured, plain=plain))
        for item in good_and_spoilt({"noisy": {"pesq_nb": 1.5}, "mumbling": {"word_error_rate": 0.19}})
        if item.measured is not None
    ]  # fmt: skip
    within = [item for item in specimens if item.kind != GOOD and item.kind != "noisy"]
    gates = calibrate([replace(item, kind=GOOD) if item.kind == "mumbling" else item for item in specimens]).gates
    found = judge_half(gates, within, SPEAKERS)
    assert found.degraded == (12, 0)
    assert set(found.caught["mumbling"]) == {"word_error_rate_tts"}


def test_what_nothing_separates_passes_and_is_said() -> None:
    found = calibrate(good_and_spoilt({"noisy": {"pesq_nb": 1.5}, "subtle": {"stoi": 0.95}}))
    assert found.separated["subtle"] == ()
    assert not found.holds
    assert found.judging.degraded == (12, 6)
    assert sorted(found.judging.let_through)[0].endswith("subtle")
    assert "| subtle | **nothing** |" in markdown_report(found, ABOUT)


def test_the_judging_half_has_no_say() -> None:
    specimens = good_and_spoilt()
    _, judging = split_speakers(SPEAKERS)
    worse = [
        replace(item, measured=measured(item.speaker, pesq_nb=1.0))
        if item.speaker == judging[0] and item.kind == GOOD else item
        for item in specimens
    ]  # fmt: skip
    before, after = calibrate(specimens), calibrate(worse)
    assert before.gates == after.gates
    assert before.holds
    assert after.judging.good == (6, 5)
    assert after.judging.refused == {judging[0]: ("pesq_nb_copy",)}
    assert not after.holds


def test_an_adapter_that_could_not_be_loaded_is_caught() -> None:
    specimens = good_and_spoilt({"noisy": {"pesq_nb": 1.5}})
    specimens += [Specimen(name, "truncated", None, "not readable") for name in SPEAKERS]
    found = calibrate(specimens)
    assert found.holds
    assert found.judging.caught["truncated"] == {LOADING: 6}


def test_a_gate_without_a_value_for_every_good_voice_is_not_calibrated() -> None:
    specimens = good_and_spoilt()
    setting, _ = split_speakers(SPEAKERS)
    place = next(n for n, item in enumerate(specimens) if item.speaker == setting[0] and item.kind == GOOD)
    found = specimens[place].measured
    assert found is not None
    broken = replace(found.adapted.copy[0], values={}, unmeasurable={"stoi": "too short"})
    adapted = Group((broken, *found.adapted.copy[1:]), found.adapted.tts)
    specimens[place] = replace(specimens[place], measured=replace(found, adapted=adapted))
    names = {gate.name for gate in calibrate(specimens).gates.gates}
    assert "stoi_copy" not in names
    assert "pesq_nb_copy" in names


def test_a_spoilt_voice_without_a_value_is_a_miss() -> None:
    gate = Gate("dnsmos", Protocol.TTS, limit=2.0)
    silent = Sample("s", "Text.", "fixed", 1, "", {}, {"dnsmos": "is silent"})
    found = replace(measured("x"), adapted=Group((), (silent, *measured("x").adapted.tts)))
    assert value_of(gate, found) is None
    specimens = [Specimen("x", "silence", found)]
    assert judge_half(GateSet(1, 5, (gate,), {}), specimens, ("x",)).degraded == (1, 0)


def test_too_few_speakers_are_refused() -> None:
    with pytest.raises(InputError, match="good voices in the"):
        calibrate([Specimen(name, GOOD, measured(name)) for name in SPEAKERS[:3]])


def test_the_files_say_what_was_found(tmp_path: Path) -> None:
    found = calibrate(good_and_spoilt())
    path = tmp_path / "gates.yaml"
    path.write_text(gates_yaml(found, ABOUT), encoding="utf-8")
    read = read_gates(path)
    assert read.gates == (*found.gates.gates, *INT8_GATES)
    assert read.min_sentences == 5
    block = read.calibration
    assert block["judging"] == {
        "speakers": 6, "good": {"measured": 6, "passed": 6}, "degraded": {"measured": 12, "passed": 0}
    }  # fmt: skip
    assert block["base_digest"] == "b" * 64
    assert block["caught"]["noisy"] == ["pesq_nb_copy"]
    report = markdown_report(found, ABOUT)
    assert "| setting | 6 | 6 of 6 | 0 of 12 |" in report
    assert "| judging | 6 | 6 of 6 | 0 of 12 |" in report
    assert "nobody: no recordings" in report
    assert yaml.safe_load(json.dumps(plain_report(found, ABOUT)))["halves"]["setting"]["speakers"]
    specimen = good_and_spoilt()[1]
    assert specimen.measured is not None
    assert not decide(read, specimen.measured).passed


def test_every_metric_can_be_calibrated() -> None:
    assert set(RESOLUTION) == set(METRICS)
    assert {(gate.metric, gate.protocol) for gate in candidates()} == {
        (about.name, protocol) for about in METRICS.values() for protocol in about.protocols
    }
    assert all(gate.why for gate in candidates())


def test_one_pitch_throughout_is_flat_and_as_long() -> None:
    time = np.arange(48_000) / 16_000
    phase = 2 * np.pi * np.cumsum(140 * 2 ** (0.4 * np.sin(2 * np.pi * 1.5 * time))) / 16_000
    buzz = sum(np.sin(number * phase) / number for number in range(1, 12))
    wave = Waveform((0.1 * np.asarray(buzz)).astype(np.float32), 16_000)
    flat = SOUNDS["monotone"](wave, 1)
    assert np.std(semitones(flat)) < 0.3 < 2.0 < np.std(semitones(wave))
    assert np.median(semitones(flat)) == pytest.approx(np.mean(semitones(wave)), abs=1.0)
    assert flat.duration_s == pytest.approx(wave.duration_s, abs=0.02)
    silent = Waveform(np.zeros(16_000, np.float32), 16_000)
    assert not SOUNDS["monotone"](silent, 1).samples.any()


@pytest.mark.parametrize("kind", sorted(set(SOUNDS) - {"monotone"}))
def test_every_spoilt_sound_is_another_one_and_repeatable(kind: str) -> None:
    time = np.arange(32_000) / 16_000
    tone = sum(np.sin(2 * np.pi * f * time) / n for n, f in enumerate((150, 450, 1900, 3800, 6000), 1))
    samples_ = (0.2 * tone * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)
    wave = Waveform(samples_, 16_000)
    spoilt = SOUNDS[kind](wave, 3)
    assert spoilt.rate_hz == 16_000
    assert np.isfinite(spoilt.samples).all()
    assert np.array_equal(spoilt.samples, SOUNDS[kind](wave, 3).samples)

    def peak(samples: np.ndarray) -> float:
        return peak_dbfs(Waveform(samples, 16_000))

    done = {
        "noisy": lambda s: np.std(s - samples_) > 0.4 * np.std(samples_),
        "clipped": lambda s: clipped_share(s) > 0.01 and peak(s) == pytest.approx(peak(samples_), abs=0.01),
        "silence": lambda s: not s.any(),
        "loud": lambda s: peak(s) == pytest.approx(6.0, abs=0.01),
        "quiet": lambda s: active_level_dbfs(s, 16_000) < active_level_dbfs(samples_, 16_000) - 40,
        "band-limited": lambda s: bandwidth_hz(s, 16_000) < 0.6 * bandwidth_hz(samples_, 16_000),
        "reverberant": lambda s: np.corrcoef(s, samples_)[0, 1] < 0.5,
        "wrong-rate": lambda s: len(s) == pytest.approx(len(samples_) / 1.3, abs=2),
        "cut-off": lambda s: len(s) == pytest.approx(0.45 * len(samples_), abs=2),
        "humming": lambda s: np.std(s - samples_) > 1.2 * np.std(samples_),
        "dropouts": lambda s: 0.2 < np.mean((s == 0) & (samples_ != 0)) < 0.6,
        "stuttering": lambda s: len(s) == 2 * len(samples_) and np.array_equal(s[:4_000], s[4_000:8_000]),
        "backwards": lambda s: np.array_equal(s, samples_[::-1]),
    }[kind](spoilt.samples)
    assert done
