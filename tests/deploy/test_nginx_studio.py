"""The shipped nginx configuration before a hosted studio that speaks plain HTTP: nobody gets past the proxy."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.processes import free_port, stop
from tests.deploy.proxies import NAME, Proxy, installed, nginx_over
from tests.deploy.tools import ROOT
from tests.git_command import git

TEMPLATE = ROOT / "deploy" / "nginx" / "studio.conf.template"
KEY = "a" * 24
PAGE = {"Host": NAME, "Origin": f"https://{NAME}", "X-Timbre-Studio": "1"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not installed(), reason="nginx is not installed"),
]


@dataclass(frozen=True)
class Answer:
    """status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Site:
    """A hosted studio behind nginx. port: of the studio itself."""

    proxy: Proxy
    port: int

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None, direct_from: str = ""
    ) -> Answer:
        """By the proxy, or from an address of this machine to the studio itself."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=240, source_address=(direct_from, 0))
            if direct_from
            else self.proxy.connect()
        )
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()


def repository(root: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    (root / "voices").mkdir()
    (root / "voices" / ".gitkeep").write_text("")
    (root / "bases").symlink_to(ROOT / "bases")
    (root / ".gitignore").write_text(".timbre/\nbases\n")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "Begin")
    return root


@pytest.fixture(scope="module", params=["studio --hosted", "serve --studio"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    people = folder / "people.yaml"
    people.write_text(
        f"host: {NAME}\nproxy: 127.0.0.1\npeople:\n"
        f"  - {{name: Ada Example, address: ada@example.org, roles: [record], key: {KEY}}}\n"
    )
    port = free_port()
    ports = ["--port", str(port)] if "hosted" in request.param else ["--studio-port", str(port), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    running = subprocess.Popen(
        [sys.executable, "-m", "timbre.cli.main", *request.param.split(), str(people), *ports],
        cwd=repository(folder / "clone"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    try:
        told = ""
        while "plain HTTP at" not in told:
            line = running.stderr.readline()
            assert line, told
            told += line
        assert f"https://{NAME}/" in told
        with nginx_over(folder, [port], TEMPLATE) as proxy:
            yield Site(proxy, port)
    finally:
        stop(running)  # type: ignore[arg-type]


def enter(site: Site) -> str:
    answer = site.ask("POST", "/enter", PAGE, KEY.encode())
    assert answer.status == 204, answer.body
    return answer.headers["set-cookie"]


def test_a_person_signs_in_and_makes_a_voice_by_tls(site: Site) -> None:
    page = site.ask("GET", "/", {"Host": NAME})
    assert (page.status, page.headers["strict-transport-security"]) == (401, "max-age=31536000")
    assert b"enter.js" in page.body
    given = enter(site)
    assert given.startswith("__Host-")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= set(given.split("; "))
    own = {**PAGE, "Cookie": given.partition(";")[0]}
    state = site.ask("GET", "/api/state", own)
    assert state.status == 200, state.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": f"http://{NAME}"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_the_proxy_does_not_open_the_door_to_other_pages(site: Site, headers: dict[str, str], status: int) -> None:
    assert site.ask("POST", "/enter", {**PAGE, **headers}, KEY.encode()).status == status


def test_a_browser_cannot_claim_https_by_plain_http(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.proxy.plain, timeout=240)
    connection.request("GET", "/", headers={"Host": NAME, "X-Forwarded-Proto": "https"})
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("location")) == (308, f"https://{NAME}/")


def test_nobody_but_the_proxy_is_answered(site: Site) -> None:
    forged = {**PAGE, "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}
    assert site.ask("POST", "/enter", forged, KEY.encode(), direct_from="127.0.0.2").status == 403
    # From the proxy's own address, but by plain HTTP as far as the proxy says.
    assert site.ask("POST", "/enter", PAGE, KEY.encode(), direct_from="127.0.0.1").status == 403
    plain = {**PAGE, "X-Forwarded-Proto": "http"}
    assert site.ask("GET", "/", plain, direct_from="127.0.0.1").status == 403
