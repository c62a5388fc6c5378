"""Git's notes as a witness: what they say of a history that was cut off at its end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.git_command import git
from tests.registry.conftest import make_files, make_manifest
from timbre.cli.main import call
from timbre.core.errors import ConfigurationError
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.git_notes import fetch_notes, note_heads, noted
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry
from timbre.registry.signing_keys import new_key
from timbre.registry.verification import audit

ADA = Actor("ada")


@pytest.fixture
def clones(tmp_path: Path) -> tuple[Repository, Repository]:
    """Two clones of one bare repository."""
    git(tmp_path, "init", "-q", "--bare", "server.git")
    git(tmp_path, "clone", "-q", "server.git", "one")
    (tmp_path / "one" / "voices").mkdir()
    (tmp_path / "one" / "voices" / ".gitkeep").touch()
    git(tmp_path / "one", "add", ".")
    git(tmp_path / "one", "commit", "-qm", "first")
    git(tmp_path / "one", "push", "-q", "origin", "HEAD:main")
    git(tmp_path, "clone", "-q", "-b", "main", "server.git", "two")
    return Repository(tmp_path / "one"), Repository(tmp_path / "two")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key"))
    return {"TIMBRE_SIGNING_KEY": str(tmp_path / "key"), "TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}


def moved(registry: Registry, voice: str, content: str) -> None:
    made = registry.publish(make_manifest(voice, content), make_files(content), actor=ADA)
    registry.promote(voice, made.version, actor=ADA)


def test_a_cut_end_contradicts_the_notes(
    tmp_path: Path, clones: tuple[Repository, Repository], keys: dict[str, str]
) -> None:
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), keys))
    moved(registry, "ada", "one")
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "registry", before)
    moved(registry, "ada", "three")
    assert note_heads(clones[0], registry, ["ada"], "origin") == 1
    assert note_heads(clones[0], registry, ["ada"], "origin") == 0
    shutil.rmtree(tmp_path / "registry")
    before.rename(tmp_path / "registry")
    assert [item for item in audit(registry, "ada") if "exported base" not in item.problem] == []
    heads = fetch_notes(clones[1], "origin")
    assert "cut off" in " ".join(item.problem for item in audit(registry, "ada", heads))


def test_notes_of_two_machines_are_merged(
    tmp_path: Path, clones: tuple[Repository, Repository], keys: dict[str, str]
) -> None:
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), keys))
    for number, clone in enumerate((*clones, *clones)):
        voice = f"voice-{number % 3}"
        moved(registry, voice, f"v{number}")
        assert note_heads(clone, registry, [voice], "origin") == 1
    heads = fetch_notes(clones[0], "origin")
    assert sorted((head.voice, head.number) for head in heads) == [
        ("voice-0", 2), ("voice-0", 4), ("voice-1", 2), ("voice-2", 2)
    ]  # fmt: skip
    found = [item.problem for head in heads for item in audit(registry, head.voice, heads)]
    assert [problem for problem in found if "exported base" not in problem] == []


def test_where_there_is_nothing_to_note(
    tmp_path: Path, clones: tuple[Repository, Repository], keys: dict[str, str]
) -> None:
    plain = open_registry(RegistryAddress(str(tmp_path / "plain"), {}))
    moved(plain, "ada", "one")
    assert note_heads(clones[0], plain, ["ada"], "origin") == 0, "records that are not signed have no head"
    assert noted(clones[0]) == []
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), keys))
    moved(registry, "ada", "one")
    with pytest.raises(ConfigurationError, match="no commit to note"):
        note_heads(Repository(tmp_path), registry, ["ada"], "origin")
    with pytest.raises(ConfigurationError, match="git fetch"):
        note_heads(clones[0], registry, ["ada"], "--upload-pack=touch")


def test_commands_note_and_audit_compares(
    tmp_path: Path,
    clones: tuple[Repository, Repository],
    keys: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), keys))
    moved(registry, "ada", "one")
    moved(registry, "ada", "three")
    for name, value in {**keys, "TIMBRE_GIT_NOTES": "origin", "TIMBRE_REGISTRY": str(tmp_path / "registry")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIMBRE_ROOT", str(clones[0].path))
    assert call(["rollback", "ada", "--reason", "worse"]) == 0
    assert [head.number for head in noted(clones[0])] == [5]
    shutil.rmtree(tmp_path / "registry" / "voices" / "ada")
    capsys.readouterr()
    assert call(["audit", "--json"]) == 0, "a voice that is gone leaves nothing to look at"
    capsys.readouterr()
    assert call(["audit", "--notes", "origin", "--json"]) == 20
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["affects"] == ["ada"]
