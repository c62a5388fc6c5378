"""Recipes and settings: limits, types, contradictions, and the pages and files that state them."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import yaml

from timbre.cli.pins import constraints, requirements
from timbre.cli.settings_table import settings_markdown
from timbre.core.base import read_base, write_base
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.extras import normalised
from timbre.core.recipe import SECTIONS, FinetuneRecipe, Recipe, ValidateRecipe, load_recipe
from timbre.core.settings import describe_type, keyed_values, read_section, setting
from timbre.nano.pack import NANO_RECIPE
from timbre.pipeline.stages.validate.checks import Findings, check_sound
from timbre.pipeline.stages.validate.survey import survey_clip
from timbre.pipeline.voice.voice_yaml import read_voice_yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"finetune": {"rank": 0}}, "finetune.rank: 0; expected 1 to 256"),
        ({"finetune": {"rank": 8.5}}, "expected a whole number"),
        ({"finetune": {"rank": True}}, "expected a whole number"),
        ({"finetune": {"rank": None}}, "expected a whole number"),
        ({"finetune": {"learning_rate": float("nan")}}, "expected a finite number"),
        ({"finetune": {"learning_rate": float("inf")}}, "expected a finite number"),
        ({"finetune": {"learning_rate": "2e-4"}}, "expected a number"),
        ({"finetune": {"precision": "fp8"}}, "one of auto, fp32, bf16, fp16"),
        ({"finetune": {"adversarial": 1}}, "true or false"),
        ({"evaluate": {"seeds": 3}}, "list of whole numbers"),
        ({"evaluate": {"seeds": [1, "x"]}}, "expected a whole number"),
        ({"evaluate": {"seeds": [-1]}}, "0 to 4294967295"),
        ({"finetune": {"rnak": 3}}, "did you mean `rank`?"),
        ({"finetune": {"zzzzzz": 3}}, "known keys are: accumulate, adversarial"),
        ({"finetune": {3: 3}}, "unknown key `3`"),
        ({"publsh": {}}, "did you mean `publish`?"),
        ({"finetune": [1]}, "a mapping of settings"),
        ([1], "a mapping of sections"),
        ({"finetune": {"min_steps": 3000}}, "at most finetune.max_steps (2000)"),
        ({"validate": {"slice_min_s": 10, "slice_max_s": 3}}, "at most validate.slice_max_s (3)"),
    ],
)
def test_refused_values(values: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Recipe().with_overrides(values, "here")
    assert message in str(caught.value)
    assert "->" in str(caught.value)


def test_all_problems_at_once() -> None:
    values = {"finetune": {"rnak": 1, "rank": 0, "batch": "x"}, "publsh": {}}
    _, problems = Recipe().check_overrides(values, "here")
    assert len(problems) == 4


def test_accepted_values_are_typed() -> None:
    recipe = Recipe().with_overrides({"finetune": {"alpha": 4}, "evaluate": {"seeds": [7]}, "extract": None}, "here")
    assert isinstance(recipe.finetune.alpha, float)
    assert recipe.evaluate.seeds == (7,)
    assert recipe.validate == Recipe().validate
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.finetune.rank = 3  # type: ignore[misc]


def test_only_keyed_settings_change_the_digest() -> None:
    recipe = Recipe()
    same = recipe.with_overrides({"finetune": {"checkpoint_every_steps": 7}}, "here")
    other = recipe.with_overrides({"finetune": {"seed": 7}}, "here")
    assert same.section_digest("finetune") == recipe.section_digest("finetune") != other.section_digest("finetune")
    assert "checkpoint_every_steps" not in keyed_values(FinetuneRecipe())


def test_optional_settings() -> None:
    @dataclasses.dataclass(frozen=True)
    class Small:
        limit: float | None = setting(None, "a limit", low=1)

    Small.__annotations__["limit"] = float | None
    assert read_section(Small(), {"limit": None}, "s") == (Small(), [])
    assert read_section(Small(), {"limit": 2}, "s")[0] == Small(2.0)
    assert len(read_section(Small(), {"limit": 0}, "s")[1]) == 1
    assert describe_type(float | None) == "number or null"


@pytest.mark.parametrize("kind", SECTIONS.values())
def test_defaults_obey_their_own_limits(kind: Any) -> None:
    values = {field.name: field.default for field in dataclasses.fields(kind)}
    assert read_section(kind(), values, "defaults") == (kind(), [])
    assert all(field.metadata["doc"] for field in dataclasses.fields(kind))


def test_default_recipe_file_states_the_built_in_values() -> None:
    path = ROOT / "recipes/default.yaml"
    assert load_recipe(path) == Recipe()
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, kind in SECTIONS.items():
        assert list(written[name]) == [field.name for field in dataclasses.fields(kind)], (
            "in the order of the dataclass"
        )


def test_ci_recipe_is_short() -> None:
    recipe = load_recipe(ROOT / "recipes/ci.yaml")
    assert recipe.finetune.max_steps <= 10
    assert len(recipe.evaluate.seeds) == 1


def test_page_of_settings_is_current() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert page == settings_markdown(), "run: make docs"


def test_constraints_pin_every_direct_dependency() -> None:
    """Only direct ones: what those pull in differs with the Python version."""
    written = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in written if "==" in line}
    asked = {normalised(re.split(r"[<>=;\[ ]", text)[0]) for text in requirements(ROOT / "pyproject.toml")}
    # Of the two serving extras an installation has one.
    assert asked - pinned <= {"onnxruntime-gpu"}, "run: make constraints"


def test_constraints_follow_requirements_of_requirements(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["pytest>=8"]\n[project.optional-dependencies]\ndev = []\n')
    text = constraints(project)
    assert re.search(r"^pytest==\d", text, re.M)
    assert re.search(r"^pluggy==\d", text, re.M)
    assert "numpy" not in text


def read_attributes() -> set[str]:
    """Names of attributes that the stages read anywhere."""
    rooms = ("pipeline", "training", "evaluation", "cli")
    trees = [ast.parse(path.read_text("utf-8")) for room in rooms for path in (ROOT / room).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_read_somewhere(section: str) -> None:
    """A setting that nothing reads changes keys, and so trains voices anew, for nothing."""
    names = {field.name for field in dataclasses.fields(SECTIONS[section])}
    assert names - read_attributes() == set()


def test_recordings_below_the_lowest_rate_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(16_000) * 0.3) * (0.2 + 0.1 * rng.random(16_000))
    sf.write(str(tmp_path / "1.wav"), tone, 8000)
    clip = survey_clip(tmp_path / "1.wav", 60.0, 2)
    for lowest, refused in ((8000, False), (16_000, True)):
        found = Findings()
        check_sound("1.wav", clip, ValidateRecipe(min_rate_hz=lowest), 16_000, found)
        assert any("rate 8000 Hz" in item.value for item in found.problems) == refused


def test_every_number_has_an_upper_bound_and_limits_are_the_operators() -> None:
    for kind in SECTIONS.values():
        for field in dataclasses.fields(kind):
            number = isinstance(field.default, int | float | tuple) and not isinstance(field.default, bool)
            assert not number or field.metadata["high"] is not None, field.name
            if field.name.startswith(("min_snr", "max_clipped", "min_consent", "bootstrap", "held_out")):
                assert not field.metadata["voice"], field.name
    for values in ({"validate": {"min_consent_similarity": -1}}, {"evaluate": {"bootstrap_samples": 300_000_000}},
                   {"validate": {"max_clipped_share": 1}}):  # fmt: skip
        with pytest.raises(InputError, match="a voice may set"):
            Recipe().for_voice(values, "voice.yaml")
    longer = Recipe().finetune.max_minutes + 1
    with pytest.raises(InputError, match="at most the operator's"):
        Recipe().for_voice({"finetune": {"max_minutes": longer}}, "voice.yaml")
    assert Recipe().for_voice({"finetune": {"max_minutes": 4}}, "voice.yaml").finetune.max_minutes == 4
    with pytest.raises(InputError, match="2880"):
        Recipe().with_overrides({"finetune": {"max_minutes": 1e300}}, "recipe")
    assert Recipe().for_voice({"finetune": {"rank": 4}}, "voice.yaml").finetune.rank == 4


def test_a_base_brings_settings_of_its_own_and_the_operator_has_the_last_word() -> None:
    steps = {"finetune": {"min_steps": 60, "max_steps": 120, "patience": 3}}
    ours = Recipe().for_base(steps, "base.yaml").finetune
    assert (ours.min_steps, ours.max_steps, ours.patience) == (60, 120, 3)
    assert ours == dataclasses.replace(Recipe().finetune, min_steps=60, max_steps=120, patience=3)
    set_by_operator = Recipe().with_overrides({"finetune": {"min_steps": 900, "patience": 7}}, "recipe")
    kept = set_by_operator.for_base(steps, "base.yaml").finetune
    assert (kept.min_steps, kept.max_steps, kept.patience) == (900, 2000, 7), "both ends of a range, or neither"
    voice = Recipe().for_base(steps, "base.yaml").for_voice({"finetune": {"max_steps": 80}}, "voice.yaml").finetune
    assert (voice.min_steps, voice.max_steps) == (60, 80)


def test_a_voice_may_set_one_end_of_a_range_whose_other_end_its_base_brings() -> None:
    """80 steps at most are too few for the built-in recipe, not for a base that wants 60."""
    alone = {"finetune": {"max_steps": 80}}
    settings, problems = read_voice_yaml(b"language: en\nbase: nano\nrecipe:\n  finetune:\n    max_steps: 80\n")
    assert settings.recipe == alone
    assert not [problem for problem in problems if "recipe" in problem.where]
    assert Recipe().for_voice(alone, "voice.yaml", with_base=False).finetune.max_steps == 80
    with pytest.raises(InputError, match="min_steps"):
        Recipe().for_voice(alone, "voice.yaml")
    both = {"finetune": {"min_steps": 90, "max_steps": 80}}
    with pytest.raises(InputError, match="min_steps"):
        Recipe().for_voice(both, "voice.yaml", with_base=False)


def test_a_base_may_set_what_a_voice_may_set(tmp_path: Path) -> None:
    original = (ROOT / "bases/nano/base.yaml").read_text(encoding="utf-8")
    folder = tmp_path / "nano"
    folder.mkdir()
    before = read_base(ROOT / "bases/nano")
    for wrong, message in (
        ("    max_stepz: 9\n", "max_stepz"),
        ("  validate:\n    max_clipped_share: 1\n", "max_clipped_share"),
        ("    max_steps: 0\n", "max_steps"),
    ):
        text = re.sub(r"recipe:\n  finetune:\n(    .*\n)+", "recipe:\n  finetune:\n" + wrong, original)
        (folder / "base.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match=message):
            read_base(folder)
    (folder / "base.yaml").write_text(re.sub(r"max_steps: \d+", "max_steps: 90", original), encoding="utf-8")
    changed = read_base(folder)
    assert changed.recipe["finetune"]["max_steps"] == 90
    assert changed.digest == before.digest, "how voices are trained changes nothing that the base computes"
    write_base(changed)
    assert read_base(folder).recipe == changed.recipe


def test_bases_train_with_steps_of_their_own() -> None:
    """Hundreds of steps cost nano words; the official bases keep the steps of their makers."""
    assert read_base(ROOT / "bases/nano").recipe == NANO_RECIPE
    for name in ("gpt-sovits-v2", "gpt-sovits-v2pro", "gpt-sovits-v2proplus"):
        assert not read_base(ROOT / "bases" / name).recipe
