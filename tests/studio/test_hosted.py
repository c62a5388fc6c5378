"""A studio for several people: keys and roles, a work tree and branches of their own, several at once."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from tests.git_command import git
from tests.studio.running import VOICE, Answer, send, wav
from timbre.core.errors import ConfigurationError
from timbre.core.recipe import Recipe
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.address import RegistryAddress
from timbre.studio.app import create_hosted
from timbre.studio.door import Door
from timbre.studio.people import Person, Sessions, read_hosted
from timbre.studio.publishing import Publishing
from timbre.studio.work_trees import WorkTrees

KEYS = {"ada": "a" * 24, "bob": "b" * 24, "cleo": "c" * 24}
PEOPLE = f"""people:
  - {{name: Ada Example, address: ada@example.org, roles: [record], key: {KEYS["ada"]}}}
  - {{name: Bob Example, address: bob@example.org, roles: [record, operate], key: {KEYS["bob"]}}}
  - {{name: Cleo Example, address: cleo@example.org, roles: [approve], key: {KEYS["cleo"]}}}
"""
TAKE = wav((0.3 * np.sin(np.arange(36_000) / 17)).astype(np.float32))


@dataclass
class Workshop:
    """A hosted studio over a clone, and its remote."""

    root: Path
    server: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def enter(self, key: str) -> Answer:
        own = {"origin": self.url, "x-timbre-studio": "1"}
        return send("POST", f"{self.url}/enter", key.encode(), own)

    def call(self, who: str, method: str, path: str, body: Any = None) -> Answer:
        """As that person's page."""
        cookie = self.enter(KEYS[who]).headers["set-cookie"].partition(";")[0]
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return send(method, self.url + path, data, {"cookie": cookie, "origin": self.url, "x-timbre-studio": "1"})


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    server, root = tmp_path / "server.git", tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(server)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    git(root, "remote", "add", "origin", str(server))
    (root / "voices").mkdir()
    (root / "voices" / ".gitkeep").write_text("")
    (root / ".gitignore").write_text(".timbre/\n")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "Begin")
    git(root, "push", "-q", "origin", "main")
    people = tmp_path / "people.yaml"
    people.write_text(PEOPLE, encoding="utf-8")
    workspace, recipe = Workspace(root), Recipe()
    registry = RegistryAddress(str(tmp_path / "registry"), {})
    engine = Engine(workspace, recipe, registry)

    def publishing(person: Person, own: Workspace) -> Publishing:
        return Publishing(
            lambda: dataclasses.replace(engine, workspace=own), registry, {**os.environ}, lambda: person.actor,
            may=person.roles, person=person,
        )  # fmt: skip

    sessions = Sessions(read_hosted(people).people)
    app, _ = create_hosted(workspace, recipe, sessions, WorkTrees(workspace, os.environ), publishing)
    config = uvicorn.Config(lambda *_: None, port=0, log_config=None, lifespan="off", ws="none")
    listening = config.bind_socket()
    port = listening.getsockname()[1]
    door = Door(app, sessions, frozenset({"127.0.0.1"}), port, secure=False, lasting=True)
    running = uvicorn.Server(uvicorn.Config(door, log_config=None, lifespan="off", ws="none"))
    threading.Thread(target=running.run, args=([listening],), daemon=True).start()
    limit = time.monotonic() + 30
    while not running.started and time.monotonic() < limit:
        time.sleep(0.02)
    yield Workshop(root, server, port)
    running.should_exit = True


def test_a_key_opens_a_session_and_nothing_else_does(workshop: Workshop) -> None:
    assert workshop.enter("x" * 24).status == 401
    assert workshop.enter("").status == 401
    assert workshop.enter("x" * 4096).status == 401
    foreign = send("POST", f"{workshop.url}/enter", KEYS["ada"].encode(), {"origin": "http://evil.example"})
    assert foreign.status == 403
    # A key in an address would stay in histories and logs: there it opens nothing.
    assert send("GET", f"{workshop.url}/enter?code={KEYS['ada']}").status == 401
    page = send("GET", f"{workshop.url}/")
    assert page.status == 401
    assert b"enter.js" in page.body
    assert send("GET", f"{workshop.url}/enter.js").status == 200
    assert send("GET", f"{workshop.url}/api/state").code == "no-session"
    entered = workshop.enter(KEYS["ada"])
    assert entered.status == 204
    assert {"HttpOnly", "SameSite=strict"} <= set(entered.headers["set-cookie"].split("; "))
    state = workshop.call("ada", "GET", "/api/state").json
    assert (state["may"], state["repository"]) == (["record"], "clone")


def test_two_people_record_and_push_two_voices_at_once(workshop: Workshop) -> None:
    def work(who: str) -> Answer:
        form = {**VOICE, "name": f"voice-{who}", "speaker": who}
        assert workshop.call(who, "POST", "/api/voices", form).status == 201
        for key in ("0001", "0002"):
            taken = workshop.call(who, "PUT", f"/api/voices/voice-{who}/takes/{key}", TAKE)
            assert taken.status == 200, taken.body
        # Another name in the form does not make another author.
        return workshop.call(
            who, "POST", f"/api/voices/voice-{who}/push", {"name": "Eve", "address": "eve@evil.example"}
        )

    with ThreadPoolExecutor(2) as both:
        pushed = list(both.map(work, ("ada", "bob")))
    assert [answer.status for answer in pushed] == [201, 201], [answer.body for answer in pushed]
    for who, answer in zip(("ada", "bob"), pushed, strict=True):
        commit, branch = answer.json["commit"], answer.json["branch"]
        assert git(workshop.server, "rev-parse", branch) == commit
        assert git(workshop.server, "log", "-1", "--format=%ae", commit) == f"{who}@example.org"
        changed = git(workshop.server, "diff", "--name-only", "main", commit).splitlines()
        assert changed
        assert all(path.startswith(f"voices/voice-{who}/") for path in changed)
        seen = [voice["name"] for voice in workshop.call(who, "GET", "/api/state").json["voices"]]
        assert seen == [f"voice-{who}"], "what another person records is seen after the push and its merge"
    assert [path.name for path in (workshop.root / "voices").iterdir()] == [".gitkeep"]
    # Ada's voice is merged: everybody sees it when they come in, and her own takes are still there.
    git(workshop.root, "fetch", "-q")
    git(workshop.root, "merge", "-q", "--ff-only", pushed[0].json["commit"])
    git(workshop.root, "push", "-q", "origin", "HEAD:main")
    for who, voices in (("bob", ["voice-ada", "voice-bob"]), ("ada", ["voice-ada"]), ("cleo", ["voice-ada"])):
        assert [item["name"] for item in workshop.call(who, "GET", "/api/state").json["voices"]] == voices
    lines = workshop.call("ada", "GET", "/api/voices/voice-ada").json["lines"]
    assert sum(line["take"] is not None for line in lines) == 2


def test_a_take_that_was_not_pushed_stays_when_the_remote_moves_on(workshop: Workshop) -> None:
    assert workshop.call("ada", "POST", "/api/voices", VOICE).status == 201
    workshop.call("ada", "PUT", "/api/voices/ada/takes/0001", TAKE)
    (workshop.root / "voices" / "ada").mkdir()
    (workshop.root / "voices" / "ada" / "voice.yaml").write_text("language: en\n")
    git(workshop.root, "add", "--all")
    git(workshop.root, "commit", "-q", "-m", "Another ada")
    git(workshop.root, "push", "-q", "origin", "main")
    view = workshop.call("ada", "GET", "/api/voices/ada").json
    assert sum(line["take"] is not None for line in view["lines"]) == 1


def test_a_person_without_the_role_is_refused(workshop: Workshop) -> None:
    for method, path, body in (
        ("POST", "/api/voices", VOICE),
        ("PUT", "/api/voices/ada/takes/0001", TAKE),
        ("DELETE", "/api/voices/ada/consent", {"voice": "ada"}),
        ("POST", "/api/voices/ada/push", {"name": "C", "address": "c@example.org"}),
        ("POST", "/api/imports", None),
    ):
        refused = workshop.call("cleo", method, path, body)
        assert (refused.status, refused.code) == (403, "not-your-role"), path
    assert workshop.call("cleo", "GET", "/api/state").json["may"] == ["approve"]
    assert workshop.call("ada", "POST", "/api/voices", VOICE).status == 201
    version = {"version": "0" * 12}
    for who, path, body, code in (
        ("ada", "promote", version, "not-your-role"),
        ("ada", "promote", {**version, "approve": True}, "not-your-role"),
        ("ada", "rollback", version, "not-your-role"),
    ):
        assert workshop.call(who, "POST", f"/api/voices/ada/{path}", body).code == code
    workshop.call("bob", "POST", "/api/voices", VOICE)
    # With the role it is the registry that answers: there is no such version.
    assert workshop.call("bob", "POST", "/api/voices/ada/promote", version).code == "refused"
    assert workshop.call("bob", "POST", "/api/voices/ada/promote", {**version, "approve": True}).code == "not-your-role"


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("10.1.2.3", {}, 200),
        ("::ffff:10.1.2.3", {}, 200),
        ("10.1.3.3", {}, 403),
        ("127.0.0.1", {}, 403),
        ("10.1.2.3", {"x-forwarded-proto": "http"}, 403),
        ("10.1.2.3", {"x-forwarded-proto": ""}, 403),
        ("10.1.3.3", {"x-forwarded-for": "10.1.2.3"}, 403),
        ("10.1.2.3", {"host": "studio.example.org"}, 421),
        ("10.1.2.3", {"host": "studio.example.org:8443", "origin": "http://studio.example.org:8443"}, 403),
        ("10.1.2.3", {"origin": "https://studio.example.org"}, 403),
    ],
)
def test_behind_a_proxy_the_peer_the_scheme_and_the_name_count(
    tmp_path: Path, peer: str, headers: dict[str, str], status: int
) -> None:
    path = tmp_path / "people.yaml"
    path.write_text(f"{PEOPLE}proxy: [10.1.2.0/24, '::1']\nhost: studio.example.org:8443\n", encoding="utf-8")
    settings = read_hosted(path)

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("in")(scope, receive, send)

    sessions = Sessions(settings.people)
    door = Door(inside, sessions, frozenset({settings.host}), 9000, True, True, settings.proxies)
    session = sessions.enter(KEYS["ada"])
    sent = {
        "host": "studio.example.org:8443", "origin": "https://studio.example.org:8443", "x-forwarded-proto": "https",
        "x-timbre-studio": "1", "cookie": f"__Host-timbre-studio-9000={session}", **headers,
    }  # fmt: skip
    client = TestClient(door, client=(peer, 4000), base_url="https://studio.example.org:8443")
    assert client.post("/api/state", headers=sent).status_code == status


def test_a_session_ends(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    path.write_text(PEOPLE, encoding="utf-8")
    clock = [0.0]
    sessions = Sessions(read_hosted(path).people, lambda: clock[0])
    session = sessions.enter(KEYS["ada"])
    assert session is not None
    assert sessions.knows(session)
    clock[0] = 12 * 3600 + 1
    assert not sessions.knows(session)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("people: []", "people"),
        (PEOPLE.replace("a" * 24, "short-secret"), "key"),
        (PEOPLE.replace("[record]", "[sing]"), "roles"),
        (PEOPLE.replace("bob@example.org", "ada@example.org"), "address"),
        (PEOPLE.replace("b" * 24, "a" * 24), "key"),
        (PEOPLE.replace("name: Ada Example", "nam: Ada"), "name"),
        (PEOPLE + "host: studio.example.org\n", "certificate"),
        (PEOPLE + "certificate: none.pem\nprivate_key: none.pem\n", "certificate"),
        (PEOPLE + "colour: red\n", "colour"),
        (PEOPLE + "proxy: 127.0.0.1\n", "host"),
        (PEOPLE + "proxy: nginx\nhost: studio.example.org\n", "proxy"),
        (PEOPLE + "proxy: 0.0.0.0/0\nhost: studio.example.org\n", "proxy"),
        (PEOPLE + "proxy: []\nhost: studio.example.org\n", "proxy"),
        (PEOPLE + "proxy: 127.0.0.1\nhost: studio.example.org/x\n", "host"),
        (PEOPLE + "host: studio.example.org:8443\n", "host"),
        (PEOPLE + f"proxy: 127.0.0.1\nhost: a.org\ncertificate: {__file__}\nprivate_key: {__file__}\n", "certificate"),
    ],
)
def test_wrong_settings_are_named_and_keys_are_not_shown(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "people.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as told:
        read_hosted(path)
    assert named in told.value.message
    assert not any(key in told.value.message for key in (*KEYS.values(), "short-secret"))


def test_the_key_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    path.write_text(PEOPLE, encoding="utf-8")
    (ada, *_) = read_hosted(path).people
    assert KEYS["ada"] not in repr(vars(ada))
