"""Which voices a push concerns, on real Git repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from timbre.core.errors import ConfigurationError, InputError
from timbre.pipeline.ci.changes import Change, Kind, changed_voices
from timbre.pipeline.ci.git import ZERO, Repository


class Work:
    """A repository to play with; commit() returns the new hash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"]
        done = subprocess.run(["git", *identity, *arguments], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def voice(self, name: str, text: str = "one") -> None:
        folder = self.path / "voices" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "voice.yaml").write_text("language: en\n")
        (folder / "metadata.csv").write_text(text)

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


def kinds(work: Work, older: str, newer: str) -> dict[str, Kind]:
    return {change.voice: change.kind for change in changed_voices(Repository(work.path), older, newer).changes}


def test_added_changed_deleted_and_untouched(work: Work) -> None:
    for name in ("ada", "bob", "eve"):
        work.voice(name, name)
    first = work.commit()
    assert kinds(work, ZERO, first) == {"ada": Kind.ADDED, "bob": Kind.ADDED, "eve": Kind.ADDED}
    work.voice("ada", "two")
    work.voice("new", "new")
    work.git("rm", "-rq", "voices/bob")
    (work.path / "code.py").write_text("pass\n")
    second = work.commit()
    assert kinds(work, first, second) == {"ada": Kind.CHANGED, "bob": Kind.DELETED, "new": Kind.ADDED}
    assert kinds(work, second, second) == {}


def test_a_revert_is_told_from_a_change(work: Work) -> None:
    work.voice("ada", "one")
    work.commit()
    work.voice("ada", "two")
    second = work.commit()
    work.git("revert", "--no-edit", "HEAD")
    third = work.git("rev-parse", "HEAD")
    assert kinds(work, second, third) == {"ada": Kind.REVERTED}
    work.git("rm", "-rq", "voices/ada")
    fourth = work.commit()
    work.git("revert", "--no-edit", "HEAD")
    assert kinds(work, fourth, "HEAD") == {"ada": Kind.REVERTED}


def test_a_rename_keeps_its_old_name(work: Work) -> None:
    work.voice("ada", "one")
    first = work.commit()
    work.git("mv", "voices/ada", "voices/grace")
    work.commit()
    assert changed_voices(Repository(work.path), first, "HEAD").changes == (Change("grace", Kind.RENAMED, "ada"),)


def test_merges_and_force_pushes_compare_trees(work: Work) -> None:
    work.voice("ada")
    base = work.commit()
    work.git("checkout", "-qb", "side")
    work.voice("bob")
    work.commit()
    work.git("checkout", "-q", "main")
    work.voice("eve")
    before = work.commit()
    work.git("merge", "-q", "--no-edit", "side")
    assert kinds(work, before, "HEAD") == {"bob": Kind.ADDED}
    merged = work.git("rev-parse", "HEAD")
    work.git("reset", "-q", "--hard", base)
    assert kinds(work, merged, "HEAD") == {"bob": Kind.DELETED, "eve": Kind.DELETED}


def test_an_unknown_older_commit_lists_every_voice_and_says_so(work: Work) -> None:
    work.voice("ada")
    work.commit()
    found = changed_voices(Repository(work.path), "f" * 40, "HEAD")
    assert [change.voice for change in found.changes] == ["ada"]
    assert "not in this clone" in found.note
    assert changed_voices(Repository(work.path), ZERO, "HEAD").note == ""
    with pytest.raises(InputError, match="no such commit"):
        changed_voices(Repository(work.path), ZERO, "nowhere")
    with pytest.raises(InputError, match="no such commit"):
        changed_voices(Repository(work.path), ZERO, "--help")


def test_folders_without_voice_yaml_and_odd_names_are_no_voices(work: Work) -> None:
    work.voice("ada")
    (work.path / "voices" / "notes").mkdir()
    (work.path / "voices" / "notes" / "readme.txt").write_text("x")
    (work.path / "voices" / "README.md").write_text("x")
    work.commit()
    assert set(kinds(work, ZERO, "HEAD")) == {"ada"}


def test_ancestry_and_shallow_clones(work: Work, tmp_path: Path) -> None:
    work.voice("ada")
    first = work.commit()
    second = work.commit("more")
    repository = Repository(work.path)
    assert repository.is_ancestor(first, second)
    assert repository.is_ancestor(first, first)
    assert not repository.is_ancestor(second, first)
    assert not repository.is_ancestor("f" * 40, first)
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{work.path}", str(tmp_path / "s")], check=True)
    shallow = Repository(tmp_path / "s")
    assert shallow.shallow
    assert not repository.shallow
    assert shallow.resolve(first) is None
    assert shallow.is_ancestor(second, second)
    with pytest.raises(ConfigurationError, match="shallow clone"):
        shallow.is_ancestor(first, second)
    head = repository.head()
    assert head is not None
    assert head.hash == second
    assert head.author == "Ada <ada@example.org>"
    assert Repository(tmp_path).head() is None


def test_paths_that_differ(work: Work) -> None:
    work.voice("ada")
    one = work.commit()
    work.git("mv", "voices/ada", "voices/eve")
    (work.path / "größe\n.py").write_text("", encoding="utf-8")
    two = work.commit()
    repository = Repository(work.path)
    was, now = ({f"voices/{name}/{file}" for file in ("voice.yaml", "metadata.csv")} for name in ("ada", "eve"))
    assert set(repository.changed_paths(one, two)) == was | now | {"größe\n.py"}, "what moved, under both names"
    assert set(repository.changed_paths("f" * 40, two)) == now | {"größe\n.py"}, "not in this clone: every file"
    assert repository.changed_paths(two, two) == []


def test_a_missing_git_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="git"):
        Repository(tmp_path).head()
