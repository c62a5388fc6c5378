"""Commands around the registry: alerts of moves by hand, who acts, publish and evaluate, base export, tables."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.pipeline.release.publish_stages import ROWS, Repo
from tests.pipeline.release.test_publish import repo
from timbre.cli import stage_engine as stage_engine_module
from timbre.cli.main import call
from timbre.core.table import Table
from timbre.pipeline.ci.actor import acting_person
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.origin import origin_of
from timbre.pipeline.engine.alerts import Alert, Webhook
from timbre.pipeline.release.promotion import order_place
from timbre.registry.aliases import Alias
from timbre.registry.events import Act

__all__ = ["repo"]


@pytest.fixture
def short_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run stages 1 to 4 in their short form."""
    original = stage_engine_module.Engine
    monkeypatch.setattr(stage_engine_module, "Engine", lambda **options: original(**{**options, "rows": ROWS}))


def test_publish_and_evaluate(repo: Repo, short_stages: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["evaluate", "ada", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["voices"]
    assert found["gates"]["peak_dbfs_tts"]["passed"]
    assert repo.registry.voices() == []
    assert call(["publish", "ada", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["voices"]
    assert (found["version"], found["promoted"]) == (repo.production, True)
    assert call(["publish", "--markdown"]) == 0
    assert "no stage run" in capsys.readouterr().out
    assert call(["run", "ada", "--rebuild"]) == 0
    text = capsys.readouterr().out
    assert "Sample peak  tts   -1     <= 0   -     -           passed" in text
    assert "✔ 5 publish" in text
    (repo.root / "red").touch()
    assert call(["evaluate", "ada"]) == 20
    said = capsys.readouterr()
    assert "  red" in said.out
    assert "1 of 1 gates are red" in said.err
    assert call(["evaluate", "ada", "--markdown"]) == 20
    assert "failed before its gates" in capsys.readouterr().out, "these stages write no report.md"


def test_moves_by_hand_alert(repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Alert] = []
    monkeypatch.setattr(Webhook, "send", lambda self, alert, log: heard.append(alert))
    monkeypatch.setenv("TIMBRE_WEBHOOK", "https://chat.example.org/hook")
    repo.run()
    first = repo.production
    repo.record("two")
    repo.run()
    second = repo.production
    assert call(["rollback", "ada", "--reason", "hiss", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alias"]["previous"] == second
    assert call(["promote", "ada", str(second), "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("**ada**: production now points to")
    assert call(["promote", "ada", str(second)]) == 0
    assert [alert.title for alert in heard] == [
        f"timbre: voice ada rolled back to {first}",
        f"timbre: voice ada promoted to {second}",
    ]
    assert heard[0].text == "hiss"
    assert heard[0].fields["by"] == "Bob <bob@example.org>"
    assert call(["promote", "ada", "00000000000"]) == 10
    assert call(["promote", "ada", "000000000000"]) == 10
    assert "timbre history ada" in capsys.readouterr().err


def test_base_export_and_publish(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["base", "export", "pico", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["digest"] == repo.base.digest
    assert "export.json" in found["files"]
    assert found["parity"]
    assert call(["base", "publish", "pico", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new"] is True
    assert call(["base", "publish", "pic0"]) == 40
    assert "did you mean 'pico'?" in capsys.readouterr().err


def test_who_acts(tmp_path: Path) -> None:
    ci = {"GITLAB_USER_NAME": "Carol", "GITLAB_USER_EMAIL": "c@example.org", "USER": "runner"}
    assert acting_person(ci, tmp_path) == "Carol <c@example.org>"
    assert acting_person({"GITHUB_ACTOR": "dave"}, tmp_path) == "dave"
    assert acting_person({"BUILD_USER": "Eve"}, tmp_path) == "Eve"


def test_who_acts_by_git_and_by_login(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert acting_person({"USER": "runner"}, repo.root) == "Bob <bob@example.org>"
    monkeypatch.setattr(Repository, "user", lambda self: ("", ""))
    assert acting_person({"USER": "runner"}, repo.root) == "runner"
    assert acting_person({}, repo.root) == "unknown"


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({"CI_MERGE_REQUEST_IID": "7"}, "7"),
        ({"CHANGE_ID": "8"}, "8"),
        ({"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF_NAME": "9/merge"}, "9"),
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main"}, ""),
        ({"CI_COMMIT_REF_NAME": "main"}, ""),
    ],
)
def test_merge_requests_are_recognised(environment: dict[str, str], number: str, tmp_path: Path) -> None:
    assert origin_of(environment, tmp_path).merge_request == number


def test_a_move_by_hand_keeps_the_later_commit(repo: Repo) -> None:
    old = repo.head
    new = repo.record("two")
    git = Repository(repo.root)

    def alias(commit: str | None) -> Alias:
        return Alias("ada", "production", "0" * 12, commit, 1, None, Act.PROMOTED, "", "", "")

    assert order_place(alias(new), old, git) == new
    assert order_place(alias(old), new, git) == new
    assert order_place(alias(old), new, None) == old
    assert order_place(alias(None), old, git) == old
    assert order_place(None, old, git) == old
    assert order_place(alias(old), None, git) == old


def test_tables_align_wide_characters_and_escape_bars() -> None:
    table = Table(("a", "b"), [("音色", "x"), ("k|v", "two\nlines")])
    assert table.text().splitlines()[1] == "音色  x"
    assert table.text().splitlines()[0] == "a     b"
    assert table.markdown().splitlines()[3] == "| k\\|v | two lines |"


def test_the_history_of_a_session_says_who_did_what_and_what_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Publish, review, promote, roll back, rotate, revoke; and keys are destroyed by whom the policy names only."""
    from tests.registry.conftest import make_files, make_manifest
    from timbre.registry.actor import Actor
    from timbre.registry.address import RegistryAddress
    from timbre.registry.encryption.master import new_master
    from timbre.registry.open import open_registry

    for name, value in {"TIMBRE_MASTER_KEY": new_master(), "TIMBRE_REGISTRY": str(tmp_path / "registry")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIMBRE_ROOT", raising=False)
    registry = open_registry(RegistryAddress(str(tmp_path / "registry"), os.environ))
    ids = []
    for content in ("one", "three"):
        manifest = make_manifest("ada", content, review=True)
        ids.append(registry.publish(manifest, make_files(content), actor=Actor("ci")).version)
        assert call(["promote", "ada", ids[-1], "--approve", "--by", "grace", "--reason", "sounds right"]) == 0
    assert call(["rollback", "ada", "--by", "grace", "--reason", "worse"]) == 0
    assert call(["keys", "rotate", "ada"]) == 0
    (tmp_path / "policy.yaml").write_text("revoke: [grace]\n")
    monkeypatch.setenv("TIMBRE_POLICY", str(tmp_path / "policy.yaml"))
    assert call(["keys", "revoke", "ada", "--yes"]) == 40
    assert call(["revoke", "ada", "--yes", "--reason", "withdrawn", "--by", "grace"]) == 40, "a typed name is claimed"
    (tmp_path / "policy.yaml").write_text("revoke: ['claimed:grace']\n")
    assert call(["revoke", "ada", "--yes", "--reason", "withdrawn", "--by", "grace"]) == 0
    capsys.readouterr()
    assert call(["history", "ada", "--json"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    acts = ["published", "promoted", "published", "promoted", "rolled-back", "rotated", "revoked"]
    assert sorted(item["act"] for item in events) == sorted(acts)
    assert {item["proof"] for item in events} == {"claimed"}
    assert [item["approved_by"] for item in events if item["act"] == "promoted"] == ["grace", "grace"]
