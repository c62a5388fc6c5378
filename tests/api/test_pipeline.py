"""timbre.api holds to what the operator and the recipe demand, as the command line does."""

from __future__ import annotations

from pathlib import Path

import pytest

from timbre.api import run_pipeline
from timbre.core.errors import ConfigurationError


def test_encryption_that_the_recipe_demands_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voices").mkdir()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("publish: {encryption: required}\n")
    with pytest.raises(ConfigurationError, match=r"publish\.encryption: required"):
        run_pipeline(tmp_path, recipe=recipe)
    recipe.write_text("publish: {samples: 3}\n")
    assert run_pipeline(tmp_path, recipe=recipe) == []
    monkeypatch.setenv("TIMBRE_ENCRYPTION", "required")
    with pytest.raises(ConfigurationError, match="TIMBRE_ENCRYPTION=required"):
        run_pipeline(tmp_path)


def test_outside_a_repository(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no `voices/` folder"):
        run_pipeline(tmp_path)
