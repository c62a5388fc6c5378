"""Mandarin tones by melody: ideal contours are heard, flat and exchanged ones are not, and turn their gate red."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.evaluation.test_gates import gates_of, measured
from timbre.audio.reader import read
from timbre.audio.waveform import Waveform
from timbre.core.base import load_base
from timbre.core.errors import ConfigurationError
from timbre.evaluation.calibration import MARGINS, RECORDED_MARGINS
from timbre.evaluation.degradation import monotone, with_melody
from timbre.evaluation.gates import decide
from timbre.evaluation.gates_yaml import read_gates
from timbre.evaluation.measurements import Group, Measurements
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.tones import (
    Syllable,
    Track,
    contours,
    heard_tones,
    syllables_of,
    tone_errors,
    tone_network,
    tones_to_judge,
)
from timbre.pipeline.calibration.degraded_adapters import other_tones
from timbre.pipeline.stages.validate.listening import Listener, listener_for
from timbre.text.frontend import phonemize
from timbre.text.phone_codes import NEUTRAL, tone_of
from timbre.text.recognition import BLANK, CLASSES, SILENCE, class_of

TEXTS = (
    "清晨的阳光穿过窗户，照在书桌上。",
    "请把那本蓝色的字典放回第三层书架。",
    "昨天夜里下了一场大雨，院子里的花都湿了。",
)
SHAPES = {1: (5.0, 5.0, 5.0), 2: (-1.0, 0.5, 4.0), 3: (-2.0, -6.0, -4.5), 4: (6.0, 1.0, -5.0), 5: (-1.0, -2.0, -3.0)}
"""Semitones at the beginning, in the middle and at the end of a syllable, as textbooks draw them."""
LENGTH_S, LOWERING = 0.22, 0.08


def phones_of(text: str) -> tuple[str, ...]:
    return phonemize(text, "zh").phones


def tones_of(text: str) -> list[int]:
    return [tone for phone in phones_of(text) if (tone := tone_of(phone))]


def drawn(asked: list[int], spoken: list[int], height: float = 1.0) -> tuple[list[Syllable], Track]:
    """Syllables of which a text asks these tones, with the melody of others."""
    seconds = np.arange(0.0, LENGTH_S * len(asked) + 0.4, 0.01)
    f0 = np.zeros(len(seconds))
    syllables = []
    for number, (tone, said) in enumerate(zip(asked, spoken, strict=True)):
        start = 0.2 + number * LENGTH_S
        voiced = (seconds >= start + 0.05) & (seconds < start + LENGTH_S - 0.01)
        place = (seconds[voiced] - start - 0.05) / (LENGTH_S - 0.06)
        contour = np.interp(place, (0.0, 0.5, 1.0), SHAPES[said]) - LOWERING * number
        f0[voiced] = 200.0 * 2 ** (height * contour / 12)
        syllables.append(Syllable(tone, start + 0.02, start + 0.07, start + LENGTH_S))
    return syllables, (seconds, f0)


def share(syllables: list[Syllable], track: Track) -> float:
    pairs = [(item.tone, tone) for item, tone in zip(syllables, heard_tones(syllables, track), strict=True)]
    return float(np.mean([asked != tone for asked, tone in pairs if asked != NEUTRAL]))


def test_tones_of_a_textbook_are_heard_and_others_are_not() -> None:
    asked = [tone for text in TEXTS for tone in tones_of(text)]
    turned = [int(tone) for tone in np.random.default_rng(1).permutation(asked)]
    assert share(*drawn(asked, asked)) < 0.15
    assert share(*drawn(asked, asked, height=0.7)) < 0.3, "a calm reader has tones too"
    assert share(*drawn(asked, asked, height=0.0)) > 0.6
    assert share(*drawn(asked, turned)) > 0.6
    assert share(*drawn(asked, asked, height=-1.0)) > 0.8


def test_the_speakers_height_is_none_of_the_tones() -> None:
    syllables, (seconds, f0) = drawn(tones_of(TEXTS[1]), tones_of(TEXTS[1]))
    low = contours(syllables, (seconds, f0 * 0.5))
    np.testing.assert_allclose(low, contours(syllables, (seconds, f0)), atol=1e-5)


def test_syllables_stand_where_they_are_heard() -> None:
    phones = phones_of("你好吗")
    sounding = [phone for phone in phones if class_of(phone) not in (None, SILENCE)]
    logits = np.zeros((60, len(CLASSES)), np.float32)
    logits[:, BLANK] = 10.0
    for number, phone in enumerate(sounding):
        kind = class_of(phone)
        assert kind is not None
        logits[10 + 8 * number] = 0.0
        logits[10 + 8 * number, kind] = 10.0
    found = syllables_of(phones, logits)
    assert [item.tone for item in found] == [tone for phone in phones if (tone := tone_of(phone))]
    frames = [round((item.final_s - 0.0125) / 0.02) for item in found]
    assert frames == [18, 34, 50]
    assert [round((item.start_s - 0.0125) / 0.02) for item in found] == [10, 26, 42]
    assert [item.end_s for item in found[:2]] == [item.start_s for item in found[1:]]
    with pytest.raises(UnmeasurableError, match="too few"):
        syllables_of(phones, logits[:4])


def test_what_cannot_be_judged_is_an_error_not_a_number() -> None:
    assert tones_to_judge("zh", phones_of(TEXTS[0]))
    assert not tones_to_judge("zh", phones_of("你好"))
    assert not tones_to_judge("en", phones_of(TEXTS[0]))
    logits = np.zeros((200, len(CLASSES)), np.float32)
    with pytest.raises(UnmeasurableError, match="at least 4"):
        tone_errors(Waveform(np.zeros(16_000, np.float32), 16_000), logits, phones_of("你好"))
    for samples in (np.zeros(64_000), 0.1 * np.random.default_rng(1).standard_normal(64_000)):
        with pytest.raises(UnmeasurableError, match="of voice"):
            tone_errors(Waveform(samples.astype(np.float32), 16_000), logits, phones_of(TEXTS[0]))


def test_other_tones_are_those_of_the_same_text() -> None:
    phones = phones_of(TEXTS[2])
    changed = other_tones(phones, np.random.default_rng(1))
    assert changed != phones
    assert [class_of(phone) for phone in changed] == [class_of(phone) for phone in phones]
    assert sorted(map(tone_of, changed)) == sorted(map(tone_of, phones))


def test_the_network_is_as_small_as_numbers_in_a_repository_may_be() -> None:
    network = tone_network()
    assert sum(part.size for part in (network.mean, network.spread, network.hidden, network.output)) < 5_000


@pytest.fixture(scope="module")
def listener() -> Listener:
    found = listener_for(load_base("nano", ROOT / "bases"))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def recorded() -> list[tuple[str, Waveform, tuple[str, ...]]]:
    """Recordings that the network was not fitted on: eval/ of AISHELL."""
    folder = ROOT / "voices" / "aishell"
    rows = [line.split("|") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:7]]
    return [(Path(file).stem, read(folder / file), phones_of(text)) for file, text in rows]


def test_recordings_with_other_melodies_turn_the_gate_red(
    listener: Listener, recorded: list[tuple[str, Waveform, tuple[str, ...]]], tmp_path: Path
) -> None:
    """By the margins that calibrations write: as recorded it is green, with one pitch and with exchanged tones red."""
    draw = np.random.default_rng(1)

    def rates(
        spoil: Callable[[Waveform], Waveform], texts: Callable[[tuple[str, ...]], tuple[str, ...]]
    ) -> list[float]:
        found = []
        for _, wave, phones in recorded:
            spoilt = spoil(wave)
            found.append(tone_errors(spoilt, listener.scores(wave.samples), texts(phones)).rate)
        return found

    as_recorded = rates(lambda wave: wave, lambda phones: phones)
    again = rates(lambda wave: with_melody(wave, lambda heights: heights), lambda phones: phones)
    flat = rates(lambda wave: monotone(wave, 1), lambda phones: phones)
    exchanged = rates(lambda wave: wave, lambda phones: other_tones(phones, draw))
    assert np.mean(as_recorded) < 0.35
    base, production = MARGINS["tone_error_rate"]
    margins = {
        "base_margin": base,
        "production_margin": production,
        "recorded_margin": RECORDED_MARGINS["tone_error_rate"],
    }
    for only in ({}, {"base_margin": None, "production_margin": None}, {"recorded_margin": None}):
        line = {key: value for key, value in (margins | only).items() if value is not None}
        gates = gates_of(tmp_path, [{"metric": "tone_error_rate", "protocol": "tts", **line}])
        plain = _with_rates(measured(), as_recorded).adapted
        for values, passed in ((as_recorded, True), (again, True), (flat, False), (exchanged, False)):
            voice = replace(
                _with_rates(measured(), values), plain=plain, real={"tone_error_rate": float(np.mean(as_recorded))}
            )
            assert decide(gates, voice).passed is passed, (only, values)


def _with_rates(voice: Measurements, rates: list[float]) -> Measurements:
    samples = tuple(
        replace(item, values={**item.values, "tone_error_rate": rate})
        for item, rate in zip(voice.adapted.tts, rates, strict=True)
    )
    return replace(voice, adapted=Group(voice.adapted.copy, samples))


def test_a_gate_beside_the_recordings_needs_their_value(tmp_path: Path) -> None:
    line = {"metric": "tone_error_rate", "protocol": "tts", "recorded_margin": 0.1}
    gates = gates_of(tmp_path, [line])
    voice = replace(measured({"tone_error_rate": 0.3}), real={"tone_error_rate": 0.2})
    assert decide(gates, voice).passed
    worse = decide(gates, replace(voice, real={"tone_error_rate": 0.19})).red[0].reason
    assert "the recordings (19.0 %)" in worse
    assert "the recordings have no value" in decide(gates, replace(voice, real={})).red[0].reason
    beside = gates_of(tmp_path, [{**line, "limit": 0.5}])
    assert decide(beside, replace(voice, real={})).passed
    with pytest.raises(ConfigurationError, match="stoi is not measured on recordings"):
        gates_of(tmp_path, [{"metric": "stoi", "protocol": "copy", "limit": 0.9, "recorded_margin": 0.1}])


def test_nano_gates_tones() -> None:
    gate = next(item for item in read_gates(ROOT / "bases/nano/gates.yaml").gates if item.metric == "tone_error_rate")
    assert gate.blocks
    assert (gate.base_margin, gate.production_margin) == MARGINS["tone_error_rate"]
    assert gate.recorded_margin == RECORDED_MARGINS["tone_error_rate"]
