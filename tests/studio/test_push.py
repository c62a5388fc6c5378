"""The push: only the voice's folder, on a branch of its own, never by force; and the merge request of three forges."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from tests.git_command import git
from tests.studio.running import VOICE, Studio, start, wav
from timbre.core.errors import ConfigurationError
from timbre.studio.forges import forge_of
from timbre.studio.git_push import Author, VoicePush

ADA = {"name": "Ada Example", "address": "ada@example.org"}
TAKE = wav((0.3 * np.sin(np.arange(48_000) / 17)).astype(np.float32))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone in which somebody works on other things, beside its bare remote."""
    for key, value in (("NAME", "Somebody"), ("EMAIL", "s@example.org")):
        for who in ("AUTHOR", "COMMITTER"):
            os.environ[f"GIT_{who}_{key}"] = value
    server, clone = tmp_path / "server.git", tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(server)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(clone)], check=True)
    git(clone, "remote", "add", "origin", str(server))
    (clone / "voices").mkdir()
    (clone / "voices" / ".gitkeep").write_text("")
    (clone / ".gitignore").write_text(".timbre/\nbases\nregistry/\n")
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "-m", "Begin")
    git(clone, "push", "-q", "origin", "main")
    yield clone
    for who in ("AUTHOR", "COMMITTER"):
        del os.environ[f"GIT_{who}_NAME"], os.environ[f"GIT_{who}_EMAIL"]


@pytest.fixture
def studio_in(repository: Path) -> Iterator[Studio]:
    running = start(repository)
    running.enter()
    assert running.call("POST", "/api/voices", VOICE).status == 201
    for key in ("0001", "0002"):
        assert running.call("PUT", f"/api/voices/ada/takes/{key}", TAKE).status == 200
    yield running
    running.server.should_exit = True


def test_only_the_folder_of_the_voice_is_pushed(studio_in: Studio, repository: Path, tmp_path: Path) -> None:
    (repository / "notes.txt").write_text("half done")
    git(repository, "add", "notes.txt")
    (repository / "voices" / "bob").mkdir()
    (repository / "voices" / "bob" / "voice.yaml").write_text("language: en\n")
    studio_in.call("DELETE", "/api/voices/ada/takes/0002")
    before = (git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain"))
    plan = studio_in.call("GET", "/api/voices/ada/push").json
    paths = {change["path"] for change in plan["changes"]}
    assert "voices/ada/wavs/0001.flac" in paths
    assert "voices/ada/voice.yaml" in paths
    assert all(path.startswith("voices/ada/") and ".studio" not in path for path in paths)
    assert plan["target"] == "main"
    assert plan["branch"] == "studio/ada"
    pushed = studio_in.call("POST", "/api/voices/ada/push", ADA)
    assert pushed.status == 201, pushed.json
    server = tmp_path / "server.git"
    commit = git(server, "rev-parse", "refs/heads/studio/ada")
    assert commit == pushed.json["commit"]
    assert git(server, "rev-parse", "main") == before[0]
    assert set(git(server, "diff", "--name-only", "main", commit).splitlines()) == paths
    assert git(server, "log", "-1", "--format=%an <%ae> %cn", commit) == "Ada Example <ada@example.org> Ada Example"
    assert (git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain")) == before
    assert studio_in.call("GET", "/api/voices/ada/push").json["changes"] == []
    assert studio_in.call("POST", "/api/voices/ada/push", ADA).code == "nothing-to-push"


def test_a_remote_that_moved_on_is_built_upon(studio_in: Studio, repository: Path, tmp_path: Path) -> None:
    assert studio_in.call("POST", "/api/voices/ada/push", ADA).status == 201
    server, other = tmp_path / "server.git", tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(server), str(other)], check=True)
    git(other, "switch", "-q", "studio/ada")
    (other / "voices/ada/remark.txt").write_text("by a colleague")
    git(other, "add", "--all")
    git(other, "commit", "-q", "-m", "Remark")
    git(other, "push", "-q", "origin", "studio/ada")
    theirs = git(server, "rev-parse", "studio/ada")
    studio_in.call("PUT", "/api/voices/ada/takes/0003", TAKE)
    assert studio_in.call("POST", "/api/voices/ada/push", ADA).status == 201
    assert git(server, "merge-base", "--is-ancestor", theirs, "studio/ada") == ""
    # The branch is merged and main goes on: the next push begins there.
    git(other, "fetch", "-q")
    git(other, "switch", "-q", "main")
    git(other, "merge", "-q", "--no-ff", "-m", "Merge", "origin/studio/ada")
    git(other, "push", "-q", "origin", "main")
    merged = git(server, "rev-parse", "main")
    studio_in.call("PUT", "/api/voices/ada/takes/0004", TAKE)
    assert studio_in.call("POST", "/api/voices/ada/push", ADA).status == 201
    assert git(server, "rev-parse", "studio/ada^") == merged


def test_a_push_between_fetch_and_push_is_taken_up(
    studio_in: Studio, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert studio_in.call("POST", "/api/voices/ada/push", ADA).status == 201
    server = tmp_path / "server.git"
    raced: list[str] = []
    real = VoicePush._push_lfs

    def race(self: VoicePush, remote: str, commit: str) -> None:
        if not raced:
            tree, tip = git(server, "rev-parse", "studio/ada^{tree}"), git(server, "rev-parse", "studio/ada")
            raced.append(git(server, "commit-tree", tree, "-p", tip, "-m", "Raced"))
            git(server, "update-ref", "refs/heads/studio/ada", raced[0])
        real(self, remote, commit)

    monkeypatch.setattr(VoicePush, "_push_lfs", race)
    studio_in.call("PUT", "/api/voices/ada/takes/0003", TAKE)
    pushed = studio_in.call("POST", "/api/voices/ada/push", ADA)
    assert pushed.status == 201
    assert pushed.json["moved_on"]
    assert git(server, "rev-parse", "studio/ada^") == raced[0]


def test_a_protected_remote_says_so_and_nothing_is_forced(studio_in: Studio, tmp_path: Path) -> None:
    hook = tmp_path / "server.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'only owners may push' >&2\nexit 1\n")
    hook.chmod(0o755)
    answer = studio_in.call("POST", "/api/voices/ada/push", ADA)
    assert answer.status == 409
    assert "only owners may push" in answer.json["error"]["message"]
    source = (Path(__file__).parents[2] / "studio" / "git_push.py").read_text("utf-8")
    assert "--force" not in source
    assert '"-f"' not in source


@pytest.mark.parametrize(
    "author",
    [
        {"name": "", "address": "a@b.c"},
        {"name": "A <x>", "address": "a@b.c"},
        {"name": "A", "address": "nobody"},
        {"name": "A\nB", "address": "a@b.c"},
        {},
    ],
)
def test_an_author_has_a_name_and_an_address(studio_in: Studio, tmp_path: Path, author: dict[str, str]) -> None:
    assert studio_in.call("POST", "/api/voices/ada/push", author).code == "field"
    assert git(tmp_path / "server.git", "branch", "--list", "studio/*") == ""


def test_without_repository_or_remote_it_says_which(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    running = start(tmp_path)
    running.enter()
    running.call("POST", "/api/voices", VOICE)
    assert running.call("GET", "/api/voices/ada/push").code == "no-repository"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert running.call("GET", "/api/voices/ada/push").code == "no-remote"
    running.server.should_exit = True


def test_recordings_go_to_lfs_where_that_is_configured(repository: Path, tmp_path: Path) -> None:
    if shutil.which("git-lfs") is None:
        pytest.fail("git-lfs is not installed")
    (repository / ".gitattributes").write_text("voices/**/*.flac filter=lfs diff=lfs merge=lfs -text\n")
    git(repository, "lfs", "install", "--local")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-q", "-m", "LFS")
    git(repository, "push", "-q", "origin", "main")
    running = start(repository)
    running.enter()
    running.call("POST", "/api/voices", VOICE)
    running.call("PUT", "/api/voices/ada/takes/0001", TAKE)
    changes = running.call("GET", "/api/voices/ada/push").json["changes"]
    assert [change["path"] for change in changes if change["lfs"]] == ["voices/ada/wavs/0001.flac"]
    pushed = running.call("POST", "/api/voices/ada/push", ADA)
    assert pushed.status == 201, pushed.json
    server = tmp_path / "server.git"
    pointer = git(server, "show", "studio/ada:voices/ada/wavs/0001.flac")
    assert pointer.startswith("version https://git-lfs")
    oid = pointer.split("sha256:")[1].split()[0]
    assert (server / "lfs/objects" / oid[:2] / oid[2:4] / oid).read_bytes() == (
        running.voice / "wavs/0001.flac"
    ).read_bytes()
    running.server.should_exit = True


class Stub(BaseHTTPRequestHandler):
    """The three verbs of a forge that the studio uses. The class attribute holds what was asked."""

    asked: list[tuple[str, str, Any, dict[str, str]]]
    kind: str

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, body: Any) -> None:
        self.asked.append((self.command, self.path, body, dict(self.headers)))
        path = urlsplit(self.path).path
        status, found = 200, self._found(path, body)
        if self.headers.get("PRIVATE-TOKEN" if self.kind == "gitlab" else "Authorization", "").split()[-1:] != [
            "t0ken"
        ]:
            status, found = 401, {"message": "no"}
        data = json.dumps(found).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)

    def _found(self, path: str, body: Any) -> Any:
        made = [item for item in self.asked if item[0] == "POST" and item[2] is not body]
        gitlab = {"iid": 7, "web_url": "https://forge/mr/7"}
        other = {"number": 7, "html_url": "https://forge/mr/7", "head": {"ref": "studio/ada"}}
        if path.endswith(("/merge_requests", "/pulls")):
            one = gitlab if self.kind == "gitlab" else other
            return one if self.command == "POST" else [one] if made else []
        if path.endswith("/statuses"):
            return [{"name": "validate ada", "status": "success", "target_url": "https://forge/1"},
                    {"name": "finetune ada", "status": "running", "target_url": "javascript:alert(1)"}]  # fmt: skip
        if path.endswith("/check-runs"):
            return {"check_runs": [
                {"name": "validate ada", "status": "completed", "conclusion": "success", "html_url": "https://forge/1"},
                {"name": "finetune ada", "status": "in_progress", "conclusion": None, "html_url": None}]}  # fmt: skip
        return {"state": "pending", "statuses": [
            {"context": "validate ada", "status": "success", "target_url": "https://forge/1"},
            {"context": "finetune ada", "status": "running", "target_url": ""}]}  # fmt: skip

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(params=["gitlab", "github", "gitea"])
def forge(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, list[Any]]]:
    handler = type("Handler", (Stub,), {"asked": [], "kind": request.param})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield request.param, f"http://127.0.0.1:{server.server_port}/school/voices", handler.asked  # type: ignore[attr-defined]
    server.shutdown()


def test_a_merge_request_is_opened_once_and_its_jobs_are_followed(
    forge: tuple[str, str, list[Any]], repository: Path
) -> None:
    kind, web, asked = forge
    environment = {**os.environ, "TIMBRE_FORGE": kind, "TIMBRE_FORGE_URL": web, "TIMBRE_FORGE_TOKEN": "t0ken"}
    running = start(repository, environment)
    running.enter()
    running.call("POST", "/api/voices", VOICE)
    for number in (1, 2):
        running.call("PUT", f"/api/voices/ada/takes/{number:04d}", TAKE)
        pushed = running.call("POST", "/api/voices/ada/push", ADA).json
        assert (pushed["url"], pushed["number"], pushed["refused"]) == ("https://forge/mr/7", 7, "")
    posts = [item for item in asked if item[0] == "POST"]
    assert len(posts) == 1
    assert posts[0][2].get("source_branch", posts[0][2].get("head")) == "studio/ada"
    assert posts[0][2].get("target_branch", posts[0][2].get("base")) == "main"
    lookup = parse_qs(urlsplit(asked[0][1]).query)
    assert lookup.get("source_branch") == ["studio/ada"] or lookup.get("head") == ["school:studio/ada"]
    follow = running.call("GET", "/api/voices/ada/follow").json
    assert [(job["name"], job["state"]) for job in follow["jobs"]] == [
        ("validate ada", "passed"), ("finetune ada", "running"),
    ]  # fmt: skip
    assert follow["jobs"][0]["url"] == "https://forge/1"
    assert follow["jobs"][1]["url"] == ""
    assert "t0ken" not in json.dumps([pushed, follow])
    running.server.should_exit = True


def test_a_wrong_token_leaves_the_push_and_gives_the_link(
    forge: tuple[str, str, list[Any]], repository: Path, tmp_path: Path
) -> None:
    kind, web, _ = forge
    environment = {**os.environ, "TIMBRE_FORGE": kind, "TIMBRE_FORGE_URL": web, "TIMBRE_FORGE_TOKEN": "wrong"}
    running = start(repository, environment)
    running.enter()
    running.call("POST", "/api/voices", VOICE)
    running.call("PUT", "/api/voices/ada/takes/0001", TAKE)
    pushed = running.call("POST", "/api/voices/ada/push", ADA).json
    assert pushed["number"] == 0
    assert "401" in pushed["refused"]
    assert "studio" in pushed["url"]
    assert git(tmp_path / "server.git", "rev-parse", "studio/ada") == pushed["commit"]
    assert running.call("GET", "/api/voices/ada/follow").json["problems"]
    running.server.should_exit = True


@pytest.mark.parametrize(
    ("remote", "kind", "link"),
    [
        ("git@github.com:school/voices.git", "github", "https://github.com/school/voices/compare/main...studio/"),
        ("https://u:secret@gitlab.example.org/a/b/voices.git", "gitlab", "https://gitlab.example.org/a/b/voices/-/"),
        ("ssh://git@codeberg.org:2222/school/voices", "gitea", "https://codeberg.org/school/voices/compare/main..."),
        ("/srv/git/voices.git", "", ""),
    ],
)  # fmt: skip
def test_links_of_remotes(remote: str, kind: str, link: str) -> None:
    found = forge_of(remote, {})
    assert found.kind == kind
    assert found.link("studio/ada", "main").startswith(link)
    assert bool(found.link("studio/ada", "main")) == bool(link)
    assert "secret" not in found.link("studio/ada", "main")


def test_a_token_is_sent_by_https_only() -> None:
    forge = forge_of("http://gitlab.example.org/a/b", {"TIMBRE_FORGE_TOKEN": "t0ken"})
    with pytest.raises(ConfigurationError, match="https"):
        forge.open("studio/ada", "main", "x", "y")
    with pytest.raises(ConfigurationError, match="expected one of"):
        forge_of("", {"TIMBRE_FORGE": "sourceforge"})


def test_hooks_of_git_do_not_lead_elsewhere(studio_in: Studio, repository: Path, tmp_path: Path) -> None:
    push = VoicePush(repository, "ada", {**os.environ, "GIT_DIR": str(tmp_path / "elsewhere")})
    assert push.push(Author("Ada", "ada@example.org"), "Voice").branch == "studio/ada"
