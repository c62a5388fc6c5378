"""What the scenarios share: recordings in two variants, a registry with the exported base, two voices made for real.

Scenarios begin with an empty registry but for the stage cache of these two trainings: training again what is known
would only cost time. The two that make them are scenarios themselves.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import gitlab_tool
from tests.e2e.forge import Forge, new_forge
from tests.e2e.gitlab_tool import Pipeline
from tests.e2e.material import operator_registry, voice_folder
from timbre.pipeline.ci.plan import Action, Plan, PlannedVoice
from timbre.pipeline.ci.push import Push


@dataclass(frozen=True)
class PushedVoice:
    """A forge and the pipeline of its first push with a voice."""

    forge: Forge
    pipeline: Pipeline


@pytest.fixture(scope="session")
def gitlab() -> None:
    """Skips, counted, where gitlab-ci-local cannot be had."""
    reason = gitlab_tool.missing()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Voice folders on pico: `one`, and `two`, which has one other recording."""
    root = tmp_path_factory.mktemp("recordings")
    return {"one": voice_folder(root / "one"), "two": voice_folder(root / "two", first=1)}


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory, pico_base: Path, pico_export: Path) -> Path:
    """A registry as `timbre base publish pico` leaves it: the exported base and nothing else."""
    return operator_registry(tmp_path_factory.mktemp("operator"), pico_base, pico_export)


@pytest.fixture(scope="session")
def first(
    gitlab: None, tmp_path_factory: pytest.TempPathFactory, pico_base: Path, operator: Path, variants: dict[str, Path]
) -> PushedVoice:
    """The first voice of a repository, every stage for real."""
    forge = new_forge(tmp_path_factory.mktemp("first"), pico_base, operator)
    forge.record(variants["one"])
    forge.commit("Ada's voice")
    pipeline = forge.push()
    assert pipeline is not None
    return PushedVoice(forge, pipeline)


@dataclass(frozen=True)
class Retried:
    """A training that was killed and started again, as a runner does both. killed: the first attempt's exit code."""

    killed: int
    left: tuple[str, ...]
    output: str
    exit_code: int
    registry: Path
    work: Path


@pytest.fixture(scope="session")
def retried(first: PushedVoice, tmp_path_factory: pytest.TempPathFactory, variants: dict[str, Path]) -> Retried:
    """Variant `two` through stages 1 to 4 on one checkout; stage 3 is killed at its first checkpoint."""
    from tests.e2e.retry import kill_and_retry

    root = tmp_path_factory.mktemp("retried")
    checkout, registry = root / "checkout", root / "registry"
    shutil.copytree(first.forge.root / "registry", registry)
    shutil.rmtree(registry / "voices")
    subprocess.run(["git", "clone", "-q", str(first.forge.root / "server.git"), str(checkout)], check=True)
    shutil.rmtree(checkout / "voices" / "ada")
    shutil.copytree(variants["two"], checkout / "voices" / "ada")
    return Retried(**kill_and_retry(checkout, registry))


@pytest.fixture
def seed(retried: Retried) -> Path:
    """A registry that holds the stages of both variants, and no voice."""
    return retried.registry


@pytest.fixture
def forge(tmp_path: Path, pico_base: Path, seed: Path) -> Forge:
    """A fresh server, with a repository without voices."""
    return new_forge(tmp_path, pico_base, seed)


@pytest.fixture
def published(forge: Forge, variants: dict[str, Path]) -> Callable[..., str]:
    """published(variant): pushes that variant of ada's recordings and returns the version that speaks then."""

    def push(variant: str = "one", voice: str = "ada") -> str:
        forge.record(variants[variant], voice)
        forge.commit(f"{voice}: variant {variant}")
        pipeline = forge.push()
        assert pipeline is not None, pipeline.log if pipeline else ""
        assert pipeline.green, pipeline.log if pipeline else ""
        version = forge.version(voice)
        assert version is not None
        return version

    return push


@pytest.fixture
def plan() -> Plan:
    """A push of three voices: one new, with a review, one that was reverted, one that is gone."""
    voices = (
        PlannedVoice("ada", Action.BUILD, "added", review=True, training_min=60),
        PlannedVoice("ben", Action.PROMOTE, "reverted"),
        PlannedVoice("eve", Action.RETIRE, "deleted"),
    )
    return Plan(Push("0" * 40, "1" * 40, True), voices)
