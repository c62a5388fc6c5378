"""The five stages on a folder of voices, as `timbre run` has them."""

from __future__ import annotations

import os
from pathlib import Path

from timbre.core.progress import Progress, SilentProgress
from timbre.core.recipe import Recipe, load_recipe
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.private_state import refuse_foreign_state
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.keyring import require_key


def run_pipeline(
    folder: str | Path,
    *voices: str,
    registry: str = "",
    recipe: str | Path | None = None,
    until: str = "",
    author: str = "",
    progress: Progress | None = None,
) -> list[VoiceRun]:
    """Run the stages for some or all voices of a repository; finished stages are skipped.

    folder: holds voices/ (or lies below such a folder). voices: names, none for all. registry: path or URL, "" for
    .timbre/registry of the repository. recipe: a YAML file, None for recipes/default.yaml, else the built-in values.
    until: last stage to run, "" for all five. author: recorded with a published version.

    Variables of the operator (TIMBRE_ENCRYPTION, TIMBRE_MASTER_KEY and those of a registry's address) hold as for the
    command line.

    A voice that fails stops no other: its run has the `error` and the `exit_code`. Raises ConfigurationError outside a
    repository, without a master key where one is demanded, and for a recipe that does not exist; InputError for one
    that cannot be used.
    """
    workspace = Workspace.find(Path(folder))
    refuse_foreign_state(workspace.root, workspace.private)
    settings = _recipe(workspace, recipe)
    require_key(os.environ, settings.publish.encryption == "required")
    workspace.make_private()
    engine = Engine(
        workspace=workspace,
        recipe=settings,
        registry=RegistryAddress(registry or str(workspace.default_registry), os.environ),
        origin=Origin(author=author),
        progress=progress or SilentProgress(),
    )
    return [run_voice(engine, name, until, False, None) for name in voices or workspace.voice_names()]


def _recipe(workspace: Workspace, given: str | Path | None) -> Recipe:
    if given is not None:
        return load_recipe(Path(given))
    default = workspace.default_recipe
    return load_recipe(default) if default.is_file() else Recipe()
