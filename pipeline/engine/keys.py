"""The key of a stage: a digest of everything that can change what it makes, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from timbre.core.base import Base
from timbre.core.digests import digest_value
from timbre.core.recipe import Recipe
from timbre.pipeline.bases.recogniser import listening_key
from timbre.pipeline.stages.table import BASE, BASE_RATE, FOLDER, RECOGNISER, MachineStage, Stage, StageRow
from timbre.pipeline.voice.folder import VoiceFolder


def input_keys(row: StageRow, voice: VoiceFolder, base: Base, stage_keys: Mapping[str, str]) -> dict[str, str]:
    """Input name -> key, for every input of the row. stage_keys: of the stages before it, over key and
    content of their outputs.

    Raises ConfigurationError when the base has no digest yet (its weights were never pulled).
    """
    return {name: _input_key(name, voice, base, stage_keys) for name in row.inputs}


def machine_keys(stage: Stage, recipe: Recipe, base: Base, root: Path) -> dict[str, str]:
    """Further inputs of a stage that depends on what is installed here; {} for every other stage."""
    return dict(stage.machine(recipe, root / "bases", base.weights_root)) if isinstance(stage, MachineStage) else {}


def stage_key(row: StageRow, version: int, recipe: Recipe, inputs: Mapping[str, str]) -> str:
    """sha256(stage name, stage code version, the recipe sections it reads, keys of its inputs), 64 hex digits."""
    sections = {name: recipe.section_digest(name) for name in row.sections}
    return digest_value({"stage": row.name, "version": version, "recipe": sections, "inputs": dict(inputs)})


def _input_key(name: str, voice: VoiceFolder, base: Base, stage_keys: Mapping[str, str]) -> str:
    if name == FOLDER:
        return voice.digest()
    if name == BASE:
        return base.digest
    if name == RECOGNISER:
        return listening_key(base)
    if name == BASE_RATE:
        return digest_value({"rate_hz": base.rate_hz, "languages": sorted(base.languages)})
    return stage_keys[name]
