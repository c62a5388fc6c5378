"""Quotas of the policy: refused before the work, refused before anything is stored, and free again after pruning."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.pipeline.engine.tiny_stages import ROWS, count, tiny_base, tiny_voice
from tests.registry.conftest import make_files, make_manifest
from timbre.cli.main import call
from timbre.core.errors import ConfigurationError
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine import voice_runs
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.manifest import Manifest
from timbre.registry.open import open_registry
from timbre.registry.policy import Quota, parse_policy
from timbre.registry.prune import Keep, choose, prune
from timbre.registry.quota import NoRoomError
from timbre.registry.registry import Registry
from timbre.registry.usage import usage

ADA = Actor("ada")


def under(tmp_path: Path, **quota: object) -> RegistryAddress:
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"quota": quota}))
    return RegistryAddress(str(tmp_path / "registry"), {"TIMBRE_POLICY": str(tmp_path / "policy.yaml")})


def published(registry: Registry, content: str, voice: str = "ada", size: int = 600) -> Manifest:
    files = {**make_files("one"), "t2s/adapter.bin": content.encode().ljust(size)}
    return registry.publish(make_manifest(voice, content), files, actor=ADA)


def test_what_a_voice_may_take_is_counted_with_its_files(tmp_path: Path) -> None:
    registry = open_registry(under(tmp_path, voice="1500"))
    first = published(registry, "one")
    second = published(registry, "two")
    before = usage(registry.store)
    with pytest.raises(NoRoomError) as caught:
        published(registry, "three")
    text = str(caught.value)
    for words in ("voice 'ada' holds 0.0 MB", "(quota: voice)", str(tmp_path / "policy.yaml"), "timbre prune"):
        assert words in text
    assert usage(registry.store) == before, "nothing was stored"
    assert published(registry, "two") == second, "what is there takes nothing"
    assert published(registry, "one", "ben").voice == "ben", "another voice has its own"
    registry.promote("ada", second.version, actor=ADA)
    keep = Keep(days=0, predecessors=0, without_marks=True)
    prune(registry, choose(registry, keep), keep, actor=ADA)
    assert [item.version for item in registry.versions("ada")] == [second.version] != [first.version]
    assert published(registry, "three").version == make_manifest("ada", "three").version


def test_what_the_registry_may_take_counts_files_of_others_once(tmp_path: Path) -> None:
    registry = open_registry(under(tmp_path, registry="1500"))
    published(registry, "one")
    published(registry, "two", "ben")
    with pytest.raises(NoRoomError, match=r"registry .* holds .*quota: registry"):
        published(registry, "three", "eve")
    assert published(registry, "one", "eve").voice == "eve", "all its files are there already"


@pytest.mark.parametrize(
    ("until", "job", "refused"),
    [("", "", True), ("finetune", "https://ci/7", True), ("finetune", "", False)],
    ids=["a whole run", "a job of CI", "a stage by hand"],
)
def test_a_run_is_refused_before_its_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str, job: str, refused: bool
) -> None:
    address = under(tmp_path, voice="1k")
    published(open_registry(address), "one")
    voice = tiny_voice(tmp_path)
    monkeypatch.setattr(voice_runs, "open_voice", lambda path, recipe: voice)
    monkeypatch.setattr(Workspace, "load_base", lambda self, name: tiny_base(tmp_path))
    engine = Engine(workspace=Workspace(tmp_path), rows=ROWS, registry=address, origin=Origin(job_url=job))
    run = voice_runs.run_voice(engine, "ada", until, False, None)
    assert isinstance(run.error, NoRoomError) == refused
    assert count(tmp_path, "validate") == (not refused)
    if refused:
        assert run.exit_code == 40
        assert "the next version takes" in str(run.error)


def test_a_quota_is_a_size(tmp_path: Path) -> None:
    assert parse_policy({"quota": {"voice": "2Gi", "registry": 5}}, "policy").quota == Quota(2 << 30, 5)
    for wrong in ({"voice": "much"}, {"voice": 0}, {"voice": True}, {"voices": "1k"}, {"registry": -1}, "1k"):
        with pytest.raises(ConfigurationError, match="quota"):
            parse_policy({"quota": wrong}, "policy")


def test_the_policy_in_force_shows_its_quotas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = under(tmp_path, voice="2Gi")
    monkeypatch.setenv("TIMBRE_POLICY", address.environment["TIMBRE_POLICY"])
    assert call(["policy", "show", "--registry", address.url]) == 0
    shown = capsys.readouterr().out
    assert "quota: voice 2147.5 MB\n" in shown
    assert "bases: all\n" in shown
