"""A repository that `timbre init` wrote: no code, no Makefile; one push brings a voice into production."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.forge import Forge
from tests.e2e.gitlab_tool import ROOT
from timbre.pipeline.ci.voice_repository import make_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("gitlab")]


def test_one_push_from_init_to_a_published_voice(forge: Forge, variants: dict[str, Path]) -> None:
    for name in ("ci", "recipes"):
        shutil.rmtree(forge.desk / name)
    for name in (".gitlab-ci.yml", "Makefile", ".gitignore"):
        (forge.desk / name).unlink()
    made = make_repository(forge.desk, "gitlab", "timbre:train", lfs=False)
    assert "Makefile" not in made.files
    shutil.copyfile(ROOT / "recipes" / "ci.yaml", forge.desk / "recipes" / "default.yaml")
    ignored = forge.desk / ".gitignore"
    ignored.write_text(ignored.read_text("utf-8") + ".gitlab-ci-local/\n", encoding="utf-8")
    forge.record(variants["one"])
    forge.commit("A repository for voices, with ada")
    pipeline = forge.push()
    assert pipeline is not None
    assert pipeline.green, pipeline.log
    assert {"lint", "tests"} & set(pipeline.jobs) == set()
    assert forge.version() == forge.versions()[0]
