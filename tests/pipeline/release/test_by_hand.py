"""A pipeline of unchanged recordings after a person moved production: with real commits, commands and stages."""

from __future__ import annotations

import pytest

from tests.pipeline.release.publish_stages import YAML, Repo
from tests.pipeline.release.test_publish import repo
from timbre.cli.main import call

__all__ = ["repo"]


@pytest.fixture
def spoken(repo: Repo) -> list[str]:
    """The versions of three recordings in the order of their commits; the last speaks."""
    repo.run()
    versions = [str(repo.production)]
    for sound in ("two", "three"):
        repo.record(sound)
        repo.run()
        versions.append(str(repo.production))
    return versions


def unrelated(repo: Repo) -> None:
    (repo.root / "note.txt").write_text(repo.head, encoding="utf-8")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "note")


@pytest.mark.parametrize("steps", [("rollback", "rollback --to"), ("promote",)])
def test_what_a_person_left_stays_back_until_the_recordings_change(
    repo: Repo, spoken: list[str], steps: tuple[str, ...]
) -> None:
    first, _, third = spoken
    commands = {
        "rollback": ["rollback", "ada", "--reason", "hiss"],
        "rollback --to": ["rollback", "ada", "--to", first],
        "promote": ["promote", "ada", first],
    }
    for step in steps:
        assert call(commands[step]) == 0
    for _ in range(2):
        said = repo.said(repo.run())
        assert repo.production == first
        assert f"to bring {third} back: timbre promote ada {third}" in said
        unrelated(repo)
    repo.record("four")
    repo.run()
    assert repo.production not in spoken
    repo.git("revert", "--no-edit", "HEAD")
    repo.run()
    assert repo.production == third, "the recordings changed in between"


def test_reviewed_versions_come_back_with_their_recordings(repo: Repo) -> None:
    """Every promotion is a person's there, and none of them a step back."""
    versions = []
    for sound in ("reviewed", "again"):
        repo.record(sound, f"{YAML}review: required\n")
        version = str(repo.run().outcomes[-1].facts["version"])
        assert call(["promote", "ada", version, "--approve"]) == 0
        assert repo.production == version
        versions.append(version)
    repo.git("revert", "--no-edit", "HEAD")
    repo.run()
    assert repo.production == versions[0]
