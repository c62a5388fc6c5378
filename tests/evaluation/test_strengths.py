"""Which adapter strength is kept: the likest that costs no words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.inference.pico_voice import write_voice
from timbre.audio.level import to_db
from timbre.audio.waveform import Waveform
from timbre.core.progress import SilentProgress
from timbre.core.recipe import FinetuneRecipe
from timbre.core.speaking_defaults import SpeakingDefaults
from timbre.evaluation import strengths
from timbre.evaluation.judge import without_adapter
from timbre.evaluation.rendition import Recording, Sentence
from timbre.evaluation.strengths import PAIRS, StrengthTrial, TradeOff, choose, scaled
from timbre.inference.engine import Engine
from timbre.inference.exported_base import read_export
from timbre.inference.recogniser import Recogniser
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.stages import strength
from timbre.pipeline.stages.strength import keep_gain, keep_pace, scale_adapter, write_trade_off
from timbre.pipeline.stages.table import StageContext

BASE = StrengthTrial(0.0, 0.0, 0.20, 0.70)


def test_likeness_never_costs_words() -> None:
    full, half, weak = (
        StrengthTrial(1, 1, 0.30, 0.95),
        StrengthTrial(0.5, 1, 0.215, 0.90),
        StrengthTrial(0, 0.5, 0.19, 0.80),
    )
    found = choose([BASE, full, half, weak], 0.02)
    assert found.best == half
    assert "21.5%" in found.reason
    assert choose([BASE, full, half, weak], 0.5).best == full
    assert choose([BASE, full], 0.02).best == BASE
    assert choose([BASE, full, StrengthTrial(0.5, 1, 0.21, 0.945), weak], 0.5).best.t2s == 0.5
    assert choose([BASE, StrengthTrial(1, 1, 0.2, 0.9), StrengthTrial(0.5, 1, 0.2, 0.9)], 0.02).best.t2s == 0.5


def test_words_count_beside_phones() -> None:
    """A voice that blurs no more phones than the base, and loses whole words by them, is not kept."""
    likest, careful = StrengthTrial(1, 1, 0.20, 0.95, 0.30), StrengthTrial(0.5, 1, 0.20, 0.90, 0.11)
    base = StrengthTrial(0.0, 0.0, 0.20, 0.70, 0.10)
    assert choose([base, likest, careful], 0.02).best == careful


def test_a_voice_that_is_misheard_like_its_owner_is_kept() -> None:
    full, half = StrengthTrial(1, 1, 0.29, 0.95, 0.14), StrengthTrial(0.5, 1, 0.21, 0.80, 0.10)
    base = StrengthTrial(0.0, 0.0, 0.20, 0.70, 0.10)
    owner = {"phone_error_rate": 0.5, "word_error_rate": 0.3}
    assert choose([base, full, half], 0.02).best == half
    found = choose([base, full, half], 0.02, owner)
    assert found.best == full
    assert found.plain()["recorded"] == owner
    assert "50.0% of phones and 30.0% of words are misheard" in found.reason
    assert choose([base, full, half], 0.02, {"phone_error_rate": 0.5}).best == half, "words count by themselves"
    assert choose([base, full, half], 0.02, {"phone_error_rate": 0.2, "word_error_rate": 0.1}).best == half


def test_a_checkpoint_half_way_is_kept_where_it_is_heard_better() -> None:
    last, early = StrengthTrial(1, 1, 0.30, 0.95), StrengthTrial(1, 1, 0.19, 0.94, early=True)
    found = choose([BASE, last, early], 0.02)
    assert found.best == early
    assert "checkpoint half way" in found.reason
    assert choose([BASE, StrengthTrial(1, 1, 0.19, 0.97), early], 0.02).best.early is False


def test_the_base_is_tried_first() -> None:
    assert PAIRS[0] == (0.0, 0.0)
    assert (1.0, 1.0) in PAIRS
    assert len(set(PAIRS)) == len(PAIRS)


def test_likeness_beyond_enough_is_not_paid_for_with_words() -> None:
    base = StrengthTrial(0.0, 0.0, 0.12, 0.77, 0.06)
    clear, alike = StrengthTrial(1, 1, 0.08, 0.93, 0.03), StrengthTrial(1, 1, 0.10, 0.99, 0.07)
    assert choose([base, alike, clear], 0.02).best == clear
    same_words = replace(alike, error_rate=0.09, word_error_rate=0.04)
    assert choose([base, alike, clear, same_words], 0.02).best == same_words, "two points of both are chance"
    fewer_words = StrengthTrial(0.5, 1, 0.09, 0.94, 0.0)
    assert choose([base, alike, clear, fewer_words], 0.02).best == fewer_words, "words count beside phones"
    below = StrengthTrial(0.5, 0.5, 0.05, 0.91, 0.0)
    assert choose([base, alike, clear, below], 0.02).best == clear, "not as alike as that"


def test_of_what_chance_may_have_mixed_up_the_likest_is_kept() -> None:
    base = StrengthTrial(0.0, 0.0, 0.12, 0.68, 0.06)
    near, likest = StrengthTrial(0.5, 1, 0.0, 0.896, stretch=1.68), StrengthTrial(0.5, 1, 0.0, 0.904, stretch=2.0)
    assert choose([base, near, likest], 0.02).best == likest, "equal errors"
    later = replace(likest, error_rate=0.029)
    assert choose([base, near, later], 0.02).best == later, "less than three points"
    worse = replace(likest, error_rate=0.031)
    assert choose([base, near, worse], 0.02).best == near
    equal = replace(later, likeness=near.likeness)
    assert choose([base, equal, near], 0.02).best == near, "as alike, with fewer errors"


def test_the_written_adapter_is_what_was_heard(tmp_path: Path, pico_export: Path) -> None:
    """Scaling in memory and in the files is the same."""
    folder = write_voice(tmp_path / "voice", pico_export, np.random.default_rng(0))
    base = read_export(pico_export)
    heard = scaled(load_voice(folder, base, name="ada"), 0.5, 0.25)
    scale_adapter(folder / "t2s", 0.5)
    scale_adapter(folder / "sovits", 0.25)
    kept = load_voice(folder, base, name="ada")
    for name, (_, up) in kept.t2s.tensors.items():
        assert np.allclose(up, heard.t2s.tensors[name][1], atol=1e-7)
        assert np.any(up)
    for name, delta in kept.acoustic.items():
        assert delta.scale == pytest.approx(heard.acoustic[name].scale)
    keep_pace(folder, 1.0, 1.6)
    assert load_voice(folder, base, name="ada").prompt.pace == scaled(kept, 1.0, 1.0, np.float32(1.6)).prompt.pace
    nothing = scaled(kept, 0.0, 0.0)
    assert not nothing.t2s.tensors
    assert not nothing.acoustic
    scale_adapter(folder / "t2s", 0.0)
    assert not any(np.any(up) for _, up in load_voice(folder, base, name="ada").t2s.tensors.values())


def test_the_trade_off_is_reported(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text('{"schema": 1}')
    write_trade_off(tmp_path, "training.json", choose([BASE, StrengthTrial(1, 1, 0.2, 0.9)], 0.02))
    said = json.loads((tmp_path / "training.json").read_text())["trade_off"]
    assert said["chosen"] == 1
    assert len(said["tried"]) == 2
    assert said["tried"][0]["error_rate"] == 0.2
    assert (tmp_path / "trade_off.svg").read_text().lstrip().startswith("<?xml")


@pytest.mark.parametrize(
    ("ratio", "rate", "edges"), [(1.0, 0.28, 1.2), (0.8, 0.28, 1.2), (0.25, 0.07, 0.3), (1.5, 0.42, 1.8)]
)
def test_a_voice_that_does_not_take_over_a_slow_pace_expects_its_own(
    tmp_path: Path, ratio: float, rate: float, edges: float
) -> None:
    tensors = {
        "rate": np.array(0.28, np.float32), "pauses": np.array([0.2, 0.4, 1.2], np.float32),
        "codes": np.arange(4),
    }  # fmt: skip
    save_file(tensors, tmp_path / "prompt.safetensors")
    keep_pace(tmp_path, ratio)
    found = load_file(tmp_path / "prompt.safetensors")
    assert float(found["rate"]) == pytest.approx(rate)
    assert found["rate"].shape == ()
    np.testing.assert_allclose(found["pauses"], [0.2, 0.4, edges], rtol=1e-6)
    assert found["codes"].tolist() == [0, 1, 2, 3]


def test_a_voice_that_is_drawn_out_to_its_owners_pace_keeps_the_owners_seconds(tmp_path: Path) -> None:
    save_file({"rate": np.array(0.28, np.float32)}, tmp_path / "prompt.safetensors")
    before = (tmp_path / "prompt.safetensors").stat().st_mtime_ns
    keep_pace(tmp_path, 0.8)
    assert (tmp_path / "prompt.safetensors").stat().st_mtime_ns == before, "nothing to say, nothing written"
    keep_pace(tmp_path, 0.8, 1.6)
    found = load_file(tmp_path / "prompt.safetensors")
    assert (float(found["rate"]), float(found["stretch"])) == (pytest.approx(0.28), pytest.approx(1.6))


def test_stage_3_keeps_what_was_heard_of_voice_and_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings' errors decide with the voice's, and adapters and pace are those of the kept pair."""
    output = tmp_path / "output"
    for name in ("t2s", "sovits"):
        (output / name).mkdir(parents=True)
        (output / name / "adapter_config.json").write_text('{"lora_alpha": 16}')
    save_file({"rate": np.array(0.3, np.float32)}, output / "prompt.safetensors")
    tried = [
        StrengthTrial(0, 0, 0.1, 0.7, pace=0.3), StrengthTrial(0.5, 1, 0.18, 0.9, pace=0.4, level_dbfs=-10.0),
        StrengthTrial(0, 0.5, 0.1, 0.8, pace=0.9),
    ]  # fmt: skip
    owner: dict[str, float] = {"phone_error_rate": 0.5}

    class Hearing:
        recogniser = object()

        def __init__(self, exported: object) -> None: ...

        def __enter__(self) -> Hearing:
            return self

        def __exit__(self, *error: object) -> None: ...

    class Listening:
        level_dbfs = -16.0

        def __init__(self, *options: object) -> None: ...

        def strengths(self) -> list[StrengthTrial]:
            return list(tried)

        def paces(self, known: list[StrengthTrial], able: StrengthTrial) -> list[StrengthTrial]:
            asked.append((len(known), able))
            return slower

    slower: list[StrengthTrial] = []
    asked: list[tuple[int, StrengthTrial]] = []
    fakes: dict[str, Any] = {
        "held_out_of": lambda *options: [None, None], "exported_base": lambda *options, **others: None,
        "Engine": Hearing, "load_voice": lambda *options, **others: SimpleNamespace(lexicon={}),
        "Trials": Listening, "misheard_of": lambda *options: owner,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(strength, name, fake)
    context = SimpleNamespace(
        base=SimpleNamespace(
            files=[SimpleNamespace(role="recogniser")], rate_hz=24_000, speaking=SpeakingDefaults(follow_text=True)
        ),
        root=tmp_path, output=output,
        inputs={"extract": tmp_path}, registry=None, progress=SilentProgress(), voice=SimpleNamespace(name="ada"),
        key="k" * 64,
    )  # fmt: skip
    found = strength.settle_strengths(cast(StageContext, context), FinetuneRecipe())
    assert found is not None
    assert found.best == tried[1], "0.08 more than the base: 0.02, and a quarter of what is misheard of the owner"
    alphas = [
        json.loads((output / name / "adapter_config.json").read_text())["lora_alpha"] for name in ("t2s", "sovits")
    ]
    assert alphas == [8, 16]
    kept = load_file(output / "prompt.safetensors")
    assert float(kept["rate"]) == pytest.approx(0.4 * 0.3)
    assert float(kept["gain"]) == pytest.approx(10 ** (-6 / 20), abs=1e-4), "as loud as the recordings"
    assert (kept["gain"].shape, found.plain()["recorded_dbfs"]) == ((), -16.0)
    owner.clear()
    again = strength.settle_strengths(cast(StageContext, context), FinetuneRecipe())
    assert again is not None
    assert again.best == tried[2]
    assert float(load_file(output / "prompt.safetensors")["gain"]) == 1.0, "nothing was measured of it"
    assert asked == [(3, tried[1]), (3, tried[2])], "the pair that the words allow is tried at other paces"
    slower.append(StrengthTrial(0, 1, 0.11, 0.95, pace=0.8, stretch=1.6))
    drawn_out = strength.settle_strengths(cast(StageContext, context), FinetuneRecipe())
    assert drawn_out is not None
    assert drawn_out.best == slower[0]
    assert float(load_file(output / "prompt.safetensors")["stretch"]) == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("spoken", "recorded", "gain"),
    [(-16.0, -16.0, 1.0), (-22.0, -16.0, 1.9953), (-60.0, -16.0, 8.0), (-1.0, -40.0, 0.125)],
)
def test_a_voice_becomes_as_loud_as_its_recordings(spoken: float, recorded: float, gain: float) -> None:
    kept = TradeOff(0, "", (replace(BASE, level_dbfs=spoken),), recorded_dbfs=recorded)
    assert kept.gain == pytest.approx(gain, abs=1e-4)
    assert replace(kept, recorded_dbfs=None).gain == 1.0


def test_likeness_is_measured_at_the_level_of_the_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """GE2E hears how loud a wave is."""

    class Speaking:
        def __init__(self, engine: object) -> None: ...

        def speak(self, sentence: Sentence, seed: int, voice: tuple[float, float]) -> SimpleNamespace:
            wave = Waveform(np.full(16_000, seed * (0.1 + voice[1]), np.float32), 16_000)
            return SimpleNamespace(wave=wave, expected_s=1.0, phones=(), words=())

    heard: list[list[float]] = []

    def embed_many(waves: list[Waveform]) -> np.ndarray:
        heard.append([float(wave.samples[0]) for wave in waves])
        return np.ones((len(waves), 4))

    encoder = SimpleNamespace(embed_many=embed_many)
    monkeypatch.setattr(strengths, "SpeakerEncoder", lambda *options, **others: encoder)
    monkeypatch.setattr(strengths, "Renderer", Speaking)
    monkeypatch.setattr(strengths, "scaled", lambda voice, t2s, acoustic, stretch: (t2s, acoustic))
    engine = SimpleNamespace(base=None, settings=SimpleNamespace(threads=1))
    recordings = [Recording("r", "One.", "en", Waveform(np.full(16_000, 0.2, np.float32), 16_000))] * 2
    trials = strengths.Trials(
        cast(Engine, engine), cast(Recogniser, SimpleNamespace(hear=lambda wave, spoken: [])), cast(Voice, "voice"),
        recordings, 1,
    )  # fmt: skip
    assert trials.level_dbfs == pytest.approx(to_db(0.2), abs=0.01)
    found = trials.strengths()
    assert found[0].level_dbfs == pytest.approx(to_db(0.1) + 10 * np.log10(2.5), abs=0.01), "mean of the powers"
    assert found[1].level_dbfs == pytest.approx(to_db(1.1) + 10 * np.log10(2.5), abs=0.01)
    for waves in heard[1:]:
        assert waves == pytest.approx([0.2 / 2.5**0.5, 0.4 / 2.5**0.5], rel=1e-3), "one gain for all of a voice"


def test_each_trial_measures_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {0.0: 1.0, 0.5: 2.0, 1.0: 3.0, 0.25: 2.0}

    class Speaking:
        def __init__(self, engine: object) -> None: ...

        def speak(self, sentence: Sentence, seed: int, voice: tuple[float, float]) -> SimpleNamespace:
            wave = Waveform(np.ones(round(seconds[voice[0]] * voice[1] * 16_000), np.float32), 16_000)
            return SimpleNamespace(wave=wave, expected_s=4.0, phones=(), words=())

    encoder = SimpleNamespace(embed=lambda wave: np.ones(4), embed_many=lambda waves: np.ones((2, 4)))
    monkeypatch.setattr(strengths, "SpeakerEncoder", lambda *options, **others: encoder)
    monkeypatch.setattr(strengths, "Renderer", Speaking)
    monkeypatch.setattr(strengths, "scaled", lambda voice, t2s, acoustic, stretch: (t2s, stretch))
    engine = SimpleNamespace(base=None, settings=SimpleNamespace(threads=1))
    recordings = [Recording("r", "One.", "en", Waveform(np.ones(16_000, np.float32), 16_000))] * 2
    trials = strengths.Trials(
        cast(Engine, engine), cast(Recogniser, SimpleNamespace(hear=lambda wave, spoken: [])), cast(Voice, "voice"),
        recordings, 2,
    )  # fmt: skip
    found = trials.strengths()
    assert [trial.pace for trial in found] == [seconds[trial.t2s] / 4.0 for trial in found]
    assert len(found) == len(PAIRS), "without a voice half way"
    likest = replace(found[1], likeness=1.2)
    slower = trials.paces([found[0], likest, found[2]], found[2])
    wanted = [(0.5, 2**share) for share in (0.5, 0.75, 1.0)] + [(1.0, (4 / 3) ** share) for share in (0.5, 0.75, 1.0)]
    assert [trial.t2s for trial in slower] == [t2s for t2s, _ in wanted]
    assert [trial.stretch for trial in slower] == pytest.approx([stretch for _, stretch in wanted], abs=1e-3)
    own = {0.5: 0.5, 1.0: 0.75}
    assert [trial.pace for trial in slower] == pytest.approx([own[t2s] * stretch for t2s, stretch in wanted], abs=1e-3)
    assert "x1.41" in slower[0].title
    assert trials.paces(found[:1], likest) == slower[3:] + trials.paces(found[:1], found[0])


@pytest.mark.parametrize(
    ("pace", "wanted"),
    [
        (1.0, ()),
        (0.95, ()),
        (1.07, ()),
        (0.64, (1.25, 1.398, 1.562)),
        (0.2, (1.414, 1.682, 2.0)),
        (4.0, (0.894, 0.846, 0.8)),
    ],
)
def test_paces_go_half_way_and_all_of_it_as_far_as_recognisers_follow(pace: float, wanted: tuple[float, ...]) -> None:
    assert strengths.paces_towards(pace) == wanted


def test_the_base_alone_speaks_at_its_own_pace_and_level(tmp_path: Path, pico_export: Path) -> None:
    folder = write_voice(tmp_path / "voice", pico_export, np.random.default_rng(0))
    keep_pace(folder, 1.0, 1.6)
    keep_gain(folder, 0.5)
    voice = load_voice(folder, read_export(pico_export), name="ada")
    assert (voice.prompt.gain, without_adapter(voice).prompt.gain) == (0.5, 1.0)
    plain = without_adapter(voice).prompt.pace
    assert voice.prompt.pace.stretch == pytest.approx(1.6)
    assert plain.stretch == 1.0
    phones = ("HH", "AY1", ".")
    assert 1.6 * plain.expected_s(phones) == pytest.approx(voice.prompt.pace.expected_s(phones))
    assert 1.6 * plain.pausing_s(phones) == pytest.approx(voice.prompt.pace.pausing_s(phones))
