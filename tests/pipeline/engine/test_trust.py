"""What a merge request may try, and does not get: state from the checkout, forged outputs, the trusted cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.engine.tiny_stages import ROWS, count, tiny_base, tiny_voice
from timbre.audio.reader import write
from timbre.audio.waveform import Waveform
from timbre.cli.main import call
from timbre.core.digests import digest_bytes
from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.locks import exclusive
from timbre.pipeline.ci.origin import Origin, origin_of
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.registry_cache import stage_cache
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.local_store import LocalStore


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Mallory", "-c", "user.email=m@example.org")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / "voices" / "ada").mkdir(parents=True)
    (root / "voices" / "ada" / "voice.yaml").write_text("language: en\n")
    (root / ".gitignore").write_text(".timbre/\n")
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a voice")
    return root


def engine(root: Path, **changes: Any) -> Engine:
    return Engine(**{"workspace": Workspace(root), "rows": ROWS, "sleep": lambda seconds: None, **changes})


def states(root: Path, **changes: Any) -> list[str]:
    return [item.state for item in engine(root, **changes).run(tiny_voice(root), tiny_base(root / "bases"))]


@pytest.mark.parametrize(
    "forged", [".timbre/work/ada/evaluate/k/stage.json", ".timbre/exports/d/export.json", ".timbre/locks/x"]
)
def test_state_in_the_checkout_is_refused(checkout: Path, forged: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkout / forged
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    git(checkout, "add", "-f", forged)
    assert call(["--root", str(checkout), "status"]) == 40
    assert forged in capsys.readouterr().err
    git(checkout, "rm", "-q", "--cached", "-f", forged)
    call(["--root", str(checkout), "status"])
    assert ".timbre" not in capsys.readouterr().err


@pytest.mark.parametrize("link", [".timbre", ".timbre/work", ".timbre/locks/ada.holder", ".timbre/exports/x/t2s.onnx"])
def test_a_link_on_the_way_to_the_state_is_refused(
    checkout: Path, tmp_path: Path, link: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkout / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path)
    assert call(["--root", str(checkout), "status"]) == 40
    assert "symbolic link" in capsys.readouterr().err


def test_a_lock_writes_through_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "alias.json"
    victim.write_text("an alias")
    for name in ("ada.holder", "ada.lock"):
        (tmp_path / "locks").mkdir(exist_ok=True)
        (tmp_path / "locks" / name).symlink_to(victim)
        with pytest.raises((ConfigurationError, OSError)), exclusive(tmp_path / "locks" / "ada.lock", "voice ada"):
            raise AssertionError("the lock was taken through a link")
        (tmp_path / "locks" / name).unlink()
        assert victim.read_text() == "an alias"


@pytest.mark.parametrize("stage", [row.name for row in ROWS[:3]])
def test_one_flipped_byte_of_equal_size_is_neither_judged_nor_published(tmp_path: Path, stage: str) -> None:
    states(tmp_path)
    files = [path for path in (tmp_path / ".timbre/work/ada" / stage).rglob("*") if path.is_file()]
    victim = next(path for path in files if path.name != "stage.json")
    data = victim.read_bytes()
    victim.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    before = count(tmp_path, stage)
    assert states(tmp_path)[[row.name for row in ROWS].index(stage)] == "done"
    assert count(tmp_path, stage) == before + 1


def test_a_file_that_is_not_listed_makes_an_output_untrusted(tmp_path: Path) -> None:
    states(tmp_path)
    folder = next((tmp_path / ".timbre/work/ada" / ROWS[0].name).glob("[0-9a-f]*"))
    (folder / "extra.json").write_text("{}")
    assert states(tmp_path)[0] == "done"


def test_a_key_covers_what_the_inputs_hold_and_not_only_their_names(tmp_path: Path) -> None:
    """A forged output of stage 1 under the true key, with a stage.json that fits it, leads to other keys behind it."""
    run = engine(tmp_path).run(tiny_voice(tmp_path), tiny_base(tmp_path / "bases"))
    first = run[0].path
    assert first is not None
    record = json.loads((first / "stage.json").read_text())
    name = next(name for name in record["files"] if not name.startswith("report/"))
    data = (first / name).read_bytes() + b"x"
    (first / name).write_bytes(data)
    record["files"][name] = {"size_bytes": len(data), "sha256": digest_bytes(data)}
    (first / "stage.json").write_text(json.dumps(record))
    again = engine(tmp_path).run(tiny_voice(tmp_path), tiny_base(tmp_path / "bases"))
    assert again[0].key == run[0].key
    assert again[1].key != run[1].key


def test_a_merge_request_reads_the_trusted_cache_and_poisons_only_its_own(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "registry")
    trusted, merge = stage_cache(store, Origin()), stage_cache(store, Origin(why_not="merge request 7"))
    first = tmp_path / "first"
    states(first, cache=merge)
    assert list(store.list("stages/")) == [], "a merge request wrote into the trusted cache"
    third = tmp_path / "third"
    assert states(third, cache=merge)[0] == "fetched", "its next job finds what it made"
    second = tmp_path / "second"
    assert states(second, cache=trusted)[0] == "done", "publish took what a merge request made"
    shutil.rmtree(third)
    assert states(third, cache=stage_cache(store, Origin(why_not="merge request 8")))[0] == "fetched"


def test_another_place_for_the_cache_of_merge_requests(tmp_path: Path) -> None:
    store, own = LocalStore(tmp_path / "registry"), LocalStore(tmp_path / "own")
    states(tmp_path / "repo", cache=stage_cache(store, Origin(why_not="merge request 7"), own))
    assert list(store.list("")) == []
    assert list(own.list("")) != []


MAIN = {"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}


@pytest.mark.parametrize(
    ("environment", "publishes"),
    [
        ({}, True),
        ({"CI": "true"}, False),
        ({"GITLAB_CI": "true", **MAIN}, True),
        ({"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main"}, False),
        ({"GITLAB_CI": "true"}, False),
        ({"GITLAB_CI": "true", "CI_DEFAULT_BRANCH": "main"}, False),
        ({"GITLAB_CI": "true", **MAIN, "CI_COMMIT_BRANCH": "draft"}, False),
        ({"GITLAB_CI": "true", **MAIN, "CI_MERGE_REQUEST_IID": "7"}, False),
        ({"JENKINS_URL": "https://j"}, False),
        ({"JENKINS_URL": "https://j", "GIT_BRANCH": "origin/main"}, False),
        ({"JENKINS_URL": "https://j", "GIT_BRANCH": "origin/main", "TIMBRE_DEFAULT_BRANCH": "main"}, True),
        ({"JENKINS_URL": "https://j", "GIT_BRANCH": "origin/draft", "TIMBRE_DEFAULT_BRANCH": "main"}, False),
        ({"JENKINS_URL": "https://j", "BRANCH_NAME": "main", "BRANCH_IS_PRIMARY": "true"}, True),
        ({"JENKINS_URL": "https://j", "BRANCH_NAME": "main"}, False),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main"}, False),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "TIMBRE_DEFAULT_BRANCH": "main"}, True),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/draft", "TIMBRE_DEFAULT_BRANCH": "main"}, False),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/tags/main", "TIMBRE_DEFAULT_BRANCH": "main"}, False),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "EVENT": "main"}, True),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "EVENT": "other"}, False),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_REF": "refs/heads/main",
          "EVENT": "main"}, False),
    ],
)  # fmt: skip
def test_only_a_known_default_branch_publishes(
    environment: dict[str, str], publishes: bool, checkout: Path, tmp_path: Path
) -> None:
    if default := environment.pop("EVENT", ""):
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"repository": {"default_branch": default}}))
        environment["GITHUB_EVENT_PATH"] = str(event)
    origin = origin_of(environment, checkout)
    assert (origin.why_not == "") is publishes, origin.why_not


@pytest.mark.parametrize("name", ["slice.wav", "slice.flac"])
def test_a_full_disk_under_a_sound_is_worth_a_retry(tmp_path: Path, name: str) -> None:
    from timbre.pipeline.engine.failures import explain

    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OSError) as raised:
        write(tmp_path / name, Waveform(np.zeros(16_000, dtype=np.float32), 16_000))
    assert isinstance(explain(raised.value), InfrastructureError)


def test_a_full_disk_in_a_stage_or_in_the_copy_of_its_report_is_worth_a_retry(tmp_path: Path) -> None:
    import errno

    from timbre.pipeline.engine.failures import explain

    shutil_error = shutil.Error([("a", "b", f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}: 'b'")])
    for error in (shutil_error, RuntimeError("Error opening 'x.wav': No space left on device")):
        assert isinstance(explain(error), InfrastructureError), error
