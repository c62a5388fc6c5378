"""The official path, mechanically: a base of official v2Pro size with random weights through all five stages."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pipeline.calibration.test_calibration import small_voice
from tests.pipeline.stages.official_size import make_official_size
from timbre.core.base import list_bases, load_base
from timbre.core.errors import CheckFailedError, ConfigurationError
from timbre.core.memory import peak_mib, restart_peak
from timbre.core.recipe import Recipe, load_recipe
from timbre.evaluation.gates import Statistic
from timbre.evaluation.gates_yaml import GATES_FILE, read_gates
from timbre.evaluation.metrics.catalogue import Protocol
from timbre.gptsovits.files.pico import GATES
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.engine import DONE, SKIPPED, Engine, StageOutcome
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.package import MAX_BYTES
from timbre.pipeline.voice.folder import open_voice
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry

MEMORY_LIMIT_MIB = 12 * 1024


def short_recipe() -> Recipe:
    recipe = load_recipe(ROOT / "recipes" / "ci.yaml")
    return dataclasses.replace(
        recipe,
        finetune=dataclasses.replace(
            recipe.finetune, max_steps=1, min_steps=1, validate_every_steps=1, batch=2, gradient_checkpointing="on",
        ),
        evaluate=dataclasses.replace(recipe.evaluate, fixed_sentences=0),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_base_of_official_size_through_all_five_stages(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    voice_folder = small_voice(root / "voices" / "ada", "awb", 0)
    base = make_official_size(root / "bases" / "official-size")
    shutil.copy(ROOT / "bases" / "gpt-sovits-v2pro" / GATES_FILE, base.folder / GATES_FILE)
    for arguments in (("init", "-q"), ("config", "user.name", "Bob"), ("config", "user.email", "b@example.org"),
                      ("commit", "-q", "--allow-empty", "-m", "one")):  # fmt: skip
        subprocess.run(["git", "-C", str(root), *arguments], check=True)
    registry = str(root / ".timbre" / "registry")
    outcomes: list[StageOutcome] = []
    engine = Engine(
        Workspace(root), short_recipe(), registry=RegistryAddress(registry, {}),
        origin=Origin(author="Bob <b@example.org>"),
        on_stage=outcomes.append,
    )  # fmt: skip
    voice = open_voice(voice_folder, engine.recipe)
    restart_peak()
    with pytest.raises(CheckFailedError) as red:
        engine.run(voice, base)
    assert "pesq" in str(red.value).lower(), "random weights cannot copy speech"
    assert [outcome.row.name for outcome in outcomes] == ["validate", "extract", "finetune", "evaluate"]
    verdicts = json.loads((root / ".timbre/reports/ada/evaluate/gates.json").read_text())
    assert verdicts["passed"] is False
    assert not verdicts["gates"]["stoi_copy"]["passed"]
    assert verdicts["gates"]["pesq_nb_copy"]["limit"] == 3.5
    assert verdicts["gates"]["stoi_copy"]["limit"] == 0.85
    # Limits are part of no key: with those of the generated base nothing is trained or measured again.
    (base.folder / GATES_FILE).write_text(GATES, encoding="utf-8")
    outcomes.clear()
    engine.run(voice, base)
    assert [outcome.state for outcome in outcomes] == [SKIPPED] * 4 + [DONE]
    manifest = open_registry(RegistryAddress(registry, {})).resolve("ada")
    kept = sum(entry.size_bytes for entry in manifest.files if not entry.path.startswith("samples/"))
    assert manifest.base == "official-size"
    assert kept < MAX_BYTES
    assert peak_mib() < MEMORY_LIMIT_MIB


def test_the_official_bases_have_the_limits_that_were_promised() -> None:
    names = [name for name in list_bases(ROOT / "bases") if name.startswith("gpt-sovits")]
    assert len(names) == 3
    for name in names:
        gates = read_gates(load_base(name, ROOT / "bases").folder / GATES_FILE)
        limits = {(gate.metric, gate.protocol): gate for gate in gates.gates if gate.fp32_margin is None}
        for metric, limit in (("pesq_nb", 3.5), ("stoi", 0.85)):
            gate = limits[metric, Protocol.COPY]
            assert gate.limit == limit
            assert gate.blocks
            assert gate.statistic is Statistic.MEAN
        assert limits["speaker_similarity", Protocol.TTS].blocks
        assert limits["failed_sentences", Protocol.TTS].blocks
        assert gates.min_sentences >= 5


def test_an_official_base_without_weights_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="no digest yet"):
        _ = load_base("gpt-sovits-v2pro", ROOT / "bases").digest
