"""What Git says in odd repositories: bytes that are no text, refusals, hooks, submodules, other people's CI."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.ci.test_changes import Work
from timbre.cli.main import call
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.printable import printable
from timbre.pipeline.ci.changes import changed_voices
from timbre.pipeline.ci.git import ZERO, Repository
from timbre.pipeline.ci.jobs import jobs_of
from timbre.pipeline.ci.origin import origin_of
from timbre.pipeline.ci.plan import Plan, PlannedVoice
from timbre.pipeline.ci.push import Push, push_of
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.folder import open_voice

GBK = b"gbk\xb0\xa1\xff"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = Work(tmp_path / "work")
    made.voice("ada")
    made.commit()
    return made


def odd_folder(work: Work, name: bytes) -> None:
    folder = work.path / "voices" / os.fsdecode(name)
    folder.mkdir()
    (folder / "voice.yaml").write_text("language: en\n")


@pytest.mark.parametrize("name", [GBK, b"new\nline", b"esc\x1b[31m"])
def test_a_folder_name_that_no_text_can_hold_is_shown_with_escapes(
    work: Work, name: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    before = work.git("rev-parse", "HEAD")
    odd_folder(work, name)
    work.commit()
    (change,) = changed_voices(Repository(work.path), before, "HEAD").changes
    assert change.voice.isprintable()
    assert "\\" in change.voice
    json.dumps(change.voice).encode()
    assert change.voice in Workspace(work.path).voice_names()
    assert call(["--root", str(work.path), "changed", "--from", before]) == 0
    # CI gets a job that ends in bad input, and the others go on.
    for command in (["ci"], ["voices"], ["status"]):
        assert call(["--root", str(work.path), *command]) in (0, 10, 40)
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert "new\nline" not in said.out + said.err
    assert call(["--root", str(work.path), "validate", "--", change.voice]) == 10


def test_an_author_in_another_encoding_is_kept_with_escapes(work: Work) -> None:
    tree, parent = work.git("rev-parse", "HEAD^{tree}"), work.git("rev-parse", "HEAD")
    who = b" \xd0\xa1\xc3\xf7 <x@y> 1795870000 +0000\n"
    body = f"tree {tree}\nparent {parent}\n".encode() + b"author" + who + b"committer" + who + b"\nm\n"
    command = ["git", "hash-object", "-t", "commit", "-w", "--stdin"]
    made = subprocess.run(command, cwd=work.path, input=body, capture_output=True, check=True).stdout.decode().strip()
    work.git("checkout", "-q", made)
    head = Repository(work.path).head()
    assert head is not None
    assert head.hash == made
    assert head.author.endswith("<x@y>")
    assert head.author.isprintable()
    head.author.encode()
    assert origin_of({}, work.path).author == head.author


def test_a_line_break_in_a_name_forges_no_line_of_a_log(work: Work) -> None:
    author = origin_of({"CI_COMMIT_AUTHOR": "Eve\nvoices/ada: promoted", "CI_COMMIT_SHA": "a" * 40}, work.path).author
    assert "\n" not in author
    assert author.startswith("Eve")
    assert printable("a\u202eb") == "a\\u202eb"
    assert printable("é録音") == "é録音"
    assert printable(GBK.decode(errors="surrogateescape")) == "gbk\\xb0\\xa1\\xff"


def test_a_repository_that_git_refuses_is_no_missing_repository(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", str(work.path.parent))
    for ask in (
        lambda: Repository(work.path).head(),
        lambda: Repository(work.path).resolve("HEAD"),
        lambda: Repository(work.path).is_ancestor("HEAD", "HEAD"),
        lambda: changed_voices(Repository(work.path), ZERO, "HEAD"),
        lambda: origin_of({}, work.path),
    ):
        with pytest.raises(ConfigurationError, match="dubious ownership") as caught:
            ask()
        assert "safe.directory" in caught.value.remedy


def test_no_repository_and_no_commit_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "voices").mkdir()
    # A checkout above the folder of temporary files would be found otherwise.
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert call(["--root", str(tmp_path), "ci"]) == 40
    (tmp_path / ".git").unlink()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert call(["--root", str(tmp_path), "changed", "--from", ZERO]) == 40
    assert "no commit yet" in capsys.readouterr().err
    assert Repository(tmp_path).head() is None


def test_the_repository_of_a_hook_is_not_taken_for_this_one(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Work(tmp_path / "other")
    other.voice("eve")
    other.commit("other")
    for name in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git/index"))
    assert set(Repository(work.path).voice_trees("HEAD")) == {"ada"}


def test_a_submodule_as_a_voice_is_named(work: Work, tmp_path: Path) -> None:
    other = Work(tmp_path / "other")
    other.voice("eve")
    other.commit()
    before = work.git("rev-parse", "HEAD")
    work.git("submodule", "add", "-q", str(other.path), "voices/sub")
    work.commit()
    found = changed_voices(Repository(work.path), before, "HEAD")
    assert [change.voice for change in found.changes] == ["sub"]
    assert "voices/sub is a Git submodule" in found.note
    with pytest.raises(InputError, match="submodule"):
        open_voice(work.path / "voices" / "sub")


def test_voices_in_a_part_of_a_larger_repository(work: Work) -> None:
    (work.path / "tts").mkdir()
    work.git("mv", "voices", "tts/voices")
    first = work.commit()
    (work.path / "tts/voices/ada/metadata.csv").write_text("two")
    second = work.commit()
    work.git("revert", "--no-edit", "HEAD")
    found = changed_voices(Repository(work.path / "tts"), second, "HEAD")
    assert [str(change.kind) for change in found.changes] == ["reverted"]
    assert Repository(work.path / "tts").had_tree(
        "ada", Repository(work.path / "tts").voice_trees(first)["ada"], second
    )


def test_a_pull_request_of_every_ci_publishes_nothing(work: Work, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"before": ZERO, "repository": {"default_branch": "main"}}))
    push = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(event), "GITHUB_EVENT_NAME": "push"}
    for environment in (
        {"GITLAB_CI": "1", "CI_MERGE_REQUEST_IID": "12"},
        {"JENKINS_URL": "x", "CHANGE_ID": "12", "CHANGE_TARGET": "main"},
        {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF_NAME": "12/merge"},
        {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_REF_NAME": "main"},
        {"GITEA_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF_NAME": "12/merge"},
        push | {"GITHUB_REF_NAME": "other"},
        push | {"GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"},
        {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main"},
    ):
        assert not push_of(environment, Repository(work.path)).publishes, environment
    assert push_of(push | {"GITHUB_REF_NAME": "main"}, Repository(work.path)).publishes


def test_a_plan_with_an_odd_name_gives_harmless_jobs() -> None:
    from timbre.pipeline.ci.plan import Action

    plan = Plan(Push(ZERO, "HEAD", True), (PlannedVoice("gbk\\xd0", Action.BUILD, "added", named=False),))
    (job,) = jobs_of(plan)
    assert job.command == "timbre validate 'gbk\\xd0'"
    assert job.name.isascii()
