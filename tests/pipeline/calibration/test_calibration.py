"""Good and degraded adapters on the generated base: every kind is what it says, and a run resumes where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT
from tests.evaluation.test_judge import held_out  # noqa: F401
from timbre.cli.main import call
from timbre.core.base import Base, read_base
from timbre.core.cancellation import Cancellation, Interrupted
from timbre.core.errors import InputError
from timbre.core.recipe import FinetuneRecipe, load_recipe
from timbre.evaluation.calibration import GOOD, UNTRAINED, calibrate, split_speakers
from timbre.evaluation.gates_yaml import read_gates
from timbre.evaluation.judge import Judge, TrainingOutcome
from timbre.inference.engine import Engine
from timbre.inference.errors import VoiceError
from timbre.inference.exported_base import read_export
from timbre.inference.t2s_slots import Lora
from timbre.inference.voice import Delta, Prompt, Voice
from timbre.pipeline.bases.exported import exports_folder
from timbre.pipeline.calibration import measure
from timbre.pipeline.calibration.degraded_adapters import (
    KINDS,
    NOT_FINITE,
    OTHER_LANGUAGE,
    OVER_TRAINED,
    SHUFFLED,
    TONAL,
    TRUNCATED,
    WRONG_SPEAKER,
    AdapterDegrader,
    Subject,
    bit_flips,
    degradations_in_turn,
    random_weights,
    scaled_weights,
)
from timbre.pipeline.calibration.degraded_adapters import degradations_by_speaker as kinds_for
from timbre.pipeline.calibration.measure import CalibrationPlan, Measuring
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.registry.address import RegistryAddress

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def engine(pico_export: Path) -> Iterator[Engine]:
    with Engine(read_export(pico_export)) as running:
        yield running


@pytest.fixture
def degrader(engine: Engine, make_voice: Make, held_out, tmp_path: Path) -> AdapterDegrader:  # type: ignore[no-untyped-def]  # noqa: F811
    adapter, other = make_voice("ada", 1), make_voice("bob", 2)
    for folder, memorised in ((adapter, 1.0), (other, 1.7)):
        about = {"memorisation": memorised, "held_out_loss": 0.9}
        (folder / "training.json").write_text(json.dumps(about))
    subject = Subject("ada", adapter, held_out[:2], held_out[1:], lambda: other, tmp_path / "scratch")
    return AdapterDegrader(engine, subject, fixed=1, seed=1)


def test_every_kind_is_another_adapter(degrader: AdapterDegrader) -> None:
    good = degrader.case(GOOD)
    assert good.outcome == TrainingOutcome(1.0, 0.9)
    assert len(good.copies) == 2
    assert len(good.spoken) == 3
    for kind in KINDS:
        if kind in (TRUNCATED, NOT_FINITE):
            with pytest.raises(VoiceError, match="safetensors" if kind == TRUNCATED else "finite"):
                degrader.case(kind)
            continue
        case = degrader.case(kind)
        same_sound = all(
            left.copy.samples.shape == right.copy.samples.shape and np.allclose(left.copy.samples, right.copy.samples)
            for left, right in zip(case.copies, good.copies, strict=True)
        )
        assert same_sound == (kind in (SHUFFLED, OTHER_LANGUAGE)), kind
        assert len(case.spoken) == len(good.spoken)
        waves = [item.wave.samples for item in case.spoken if item.wave is not None]
        assert waves, kind
        assert all(np.isfinite(wave).all() for wave in waves), kind


@pytest.mark.parametrize("damage", [random_weights, bit_flips, lambda voice, seed: scaled_weights(voice)])
def test_damage_is_heard_where_training_kept_the_base(damage: Callable[[Voice, int], Voice]) -> None:
    kept = Delta(np.ones((4, 8), np.float32), np.ones((8, 4), np.float32), 0.0)
    voice = Voice("ada", "local", "0" * 64, cast(Prompt, None), Lora({}), {"layer": kept})
    weight = np.zeros((8, 8), np.float32)
    assert not kept.added_to(weight).any()
    update = damage(voice, 1).acoustic["layer"].added_to(weight)
    assert np.isfinite(update).all()
    assert np.abs(update).mean() > 0.01


def test_tones_are_wrong_and_sounds_right(degrader: AdapterDegrader) -> None:
    assert not set(TONAL) & set(KINDS)
    good = degrader.case(GOOD)
    assert [item.wave for item in degrader.case(TONAL[1]).spoken] == [item.wave for item in good.spoken]
    flat = degrader.case(TONAL[0])
    assert [item.phones for item in flat.spoken] == [item.phones for item in good.spoken]


def test_each_kind_reports_its_training(degrader: AdapterDegrader) -> None:
    assert degrader.case(UNTRAINED).outcome == TrainingOutcome(1.0, 1.0)
    assert degrader.case(OVER_TRAINED).outcome == TrainingOutcome(1.7, 0.9)
    assert degrader.case("noisy").outcome == degrader.case(GOOD).outcome


def test_texts_and_recordings_are_exchanged(degrader: AdapterDegrader) -> None:
    good, shuffled = degrader.case(GOOD), degrader.case(SHUFFLED)
    assert [item.sentence for item in shuffled.spoken] == [item.sentence for item in good.spoken]
    assert [item.wave for item in shuffled.spoken] == [good.spoken[-1].wave, *(i.wave for i in good.spoken[:-1])]
    wrong = degrader.case(WRONG_SPEAKER)
    assert [item.id for item in wrong.held_out] == ["00002", "00003"]


def test_few_speakers_meet_as_many_kinds_as_they_can() -> None:
    assert [kinds for _, kinds in sorted(degradations_in_turn(("a", "b"), 12).items())] == [KINDS[:12], KINDS[12:]]
    assert degradations_in_turn(("a", "b"), 0) == {"a": KINDS, "b": KINDS}


def test_kinds_go_round_in_each_half() -> None:
    names = [f"speaker-{number}" for number in range(12)]
    assert kinds_for(names, 0) == dict.fromkeys(names, KINDS)
    chosen = kinds_for(names, 4)
    assert {len(kinds) for kinds in chosen.values()} == {4}
    for half in split_speakers(names):
        assert {kind for name in half for kind in chosen[name]} == set(KINDS), "each half has every kind"


def small_voice(folder: Path, sample: str, first: int) -> Path:
    """Eight clips of a sample voice as a voice of its own."""
    rows = (ROOT / "voices" / sample / "metadata.csv").read_text(encoding="utf-8").splitlines()
    (folder / "wavs").mkdir(parents=True)
    chosen = rows[1 + first : 9 + first]
    for row in chosen:
        shutil.copy(ROOT / "voices" / sample / row.split("|")[0], folder / "wavs")
    (folder / "metadata.csv").write_text("\n".join([rows[0], *chosen]) + "\n", encoding="utf-8")
    settings = yaml.safe_load((ROOT / "voices" / sample / "voice.yaml").read_text(encoding="utf-8"))
    settings.pop("recipe", None)  # its own steps would count, not those of the calibration
    (folder / "voice.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return folder


def test_a_calibration_trains_at_the_rate_of_the_recipe(
    pico_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder = tmp_path / "repository", tmp_path / "voice"
    (root / "voices").mkdir(parents=True)
    folder.mkdir()
    shutil.copytree(pico_base, root / "bases" / "pico")
    about = root / "bases" / "pico" / "base.yaml"
    document = yaml.safe_load(about.read_text())
    plans: list[CalibrationPlan] = []

    class Planned:
        def __init__(
            self, base: object, root: object, registry: object, plan: CalibrationPlan, *others: object
        ) -> None:
            plans.append(plan)
            raise InputError("enough", "")

    monkeypatch.setattr(measure, "Measuring", Planned)

    def rate(*options: str) -> float:
        assert call(["--root", str(root), "gates", "calibrate", "pico", str(folder), *options]) != 0
        return plans.pop().rate

    assert rate() == FinetuneRecipe().learning_rate == CalibrationPlan().rate
    about.write_text(yaml.safe_dump({**document, "recipe": {"finetune": {"learning_rate": 3e-4}}}))
    assert rate() == 3e-4
    (tmp_path / "recipe.yaml").write_text("finetune: {learning_rate: 0.0005}\n")
    assert rate("--recipe", str(tmp_path / "recipe.yaml")) == 5e-4
    assert rate("--rate", "0.001") == 1e-3


def test_over_training_is_not_guarded_by_practice(
    pico_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Running:
        def __init__(self, *options: object, **named: object) -> None: ...

        def run(self, voice: object, base: Base, until: str) -> list[SimpleNamespace]:
            asked.append(dict(base.recipe["finetune"]))
            rows = (SimpleNamespace(name=name) for name in ("validate", "finetune"))
            return [SimpleNamespace(row=row, path=tmp_path, key="k") for row in rows]

    monkeypatch.setattr(measure, "Engine", Running)
    settings = {"practice_weight": 2.0, "kl_weight": 0.1}
    base = replace(read_base(pico_base), recipe={"finetune": settings})
    run = Measuring(base, tmp_path, RegistryAddress(str(tmp_path), {}))
    run._train(cast(VoiceFolder, None))
    run._train(cast(VoiceFolder, None), over_trained=True)
    assert asked == [settings, {"kl_weight": 0.1}]


def test_what_is_misheard_of_the_recordings_is_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[dict[str, float]] = []
    judge = SimpleNamespace(
        recogniser=None,
        recorded=lambda recordings: None,
        measurements=lambda name, adapted, plain, about, outcome, languages: known.append(about),
    )
    case = SimpleNamespace(held_out=(), copies=(), spoken=(), outcome=None)
    for name in ("band_of", "tones_of"):
        monkeypatch.setattr(measure, name, lambda *options: {})
    monkeypatch.setattr(measure, "misheard_of", lambda *options: {"phone_error_rate": 0.5})
    monkeypatch.setattr(measure, "_keep", lambda *options: None)
    run = Measuring(cast(Base, None), tmp_path, RegistryAddress(str(tmp_path), {}))
    degrader = cast(AdapterDegrader, SimpleNamespace(case=lambda kind: case))
    run._measure(tmp_path, "ada", GOOD, degrader, cast(Judge, judge))
    assert known == [{"phone_error_rate": 0.5}]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_from_recordings_to_limits_and_on_where_it_was(pico_base: Path, pico_export: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    (root / "voices").mkdir(parents=True)
    shutil.copytree(pico_base, root / "bases" / "pico")
    base = read_base(root / "bases" / "pico")
    shutil.copytree(pico_export, exports_folder(root) / base.digest)
    folders = [
        small_voice(tmp_path / "good" / f"{sample}-{first}", sample, first)
        for sample in ("awb", "wren") for first in (0, 10)
    ]  # fmt: skip
    plan = CalibrationPlan(steps=2, minutes=1, copies=2, fixed=1, kinds_per_voice=4)
    recipe = load_recipe(ROOT / "recipes" / "ci.yaml")
    said: list[str] = []
    cancel = Cancellation()

    def stop_at_third(line: str) -> None:
        said.append(line)
        if sum("measured" in item for item in said) == 3:
            cancel.cancel("enough for now")

    options = (base, root, RegistryAddress(str(tmp_path / "registry"), {}), plan, recipe)
    with pytest.raises(Interrupted):
        Measuring(*options, cancel=cancel, say=stop_at_third).specimens(folders)
    first = list(said)
    specimens, left_out = Measuring(*options, say=said.append).specimens(folders)
    again = said[len(first) :]
    assert not left_out
    assert len(specimens) == 4 * 5
    heard = [item.measured for item in specimens if item.measured is not None]
    assert {item.unasked.get("tone_error_rate") for item in heard} == {"no text is Mandarin"}
    assert not {line.split(":")[0] for line in first if "measured" in line} & {
        line.split(":")[0] for line in again if "measured" in line
    }, "what was measured is not measured again"
    count = len(said)
    repeated, _ = Measuring(*options, say=said.append).specimens(folders)
    assert repeated == specimens
    assert not [line for line in said[count:] if "measured" in line]
    found = calibrate(specimens, min_sentences=2)
    # The networks are random: no copy of theirs reaches the floors of PESQ and STOI.
    assert found.setting.good == (2, 0)
    assert found.setting.degraded[0] == found.judging.degraded[0] == 8
    arguments = ["gates", "calibrate", "pico", *map(str, folders), "--steps", "2", "--minutes", "1", "--copies", "2",
                 "--fixed", "1", "--degraded", "4", "--recipe", str(ROOT / "recipes" / "ci.yaml"), "--write",
                 "--registry", str(tmp_path / "registry")]  # fmt: skip
    assert call(["--root", str(root), *arguments]) in (0, 20)
    written = read_gates(root / "bases" / "pico" / "gates.yaml")
    assert written.calibration["speakers"] == 4
    assert written.calibration["setting"]["good"]["measured"] == 2
    assert call(["--root", str(root), "gates", "show", "pico"]) == 0
