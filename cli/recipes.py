"""Which recipe a command follows."""

from __future__ import annotations

from pathlib import Path

from timbre.cli.invocation import Invocation
from timbre.core.recipe import Recipe, load_recipe


def chosen_recipe(invocation: Invocation, path: Path | None) -> Recipe:
    """The recipe file given, else the repository's recipes/default.yaml, else the built-in values. Raises
    ConfigurationError for a recipe that cannot be read, and outside a voice repository.
    """
    default = invocation.workspace().default_recipe
    if path is not None:
        return load_recipe(path)
    return load_recipe(default) if default.is_file() else Recipe()
