"""The shipped nginx configuration in Debian's nginx, on ports of this machine and with a certificate of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.processes import free_port, stop
from tests.deploy.tools import ROOT

TEMPLATE = ROOT / "deploy" / "nginx" / "timbre.conf.template"
NAME = "voices.test"
_PATH = "/usr/sbin:" + os.environ.get("PATH", "")
# Longest silence of a connection that is not a failure: this machine may be busy with other things.
_SILENCE_S = 240


def installed() -> bool:
    return shutil.which("nginx", path=_PATH) is not None


@dataclass(frozen=True)
class Proxy:
    """A running nginx. tls, plain: its ports; context: trusts its certificate."""

    tls: int
    plain: int
    context: ssl.SSLContext

    def connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=_SILENCE_S, context=self.context)
        connection.connect()
        return connection

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, body. Raises IncompleteRead for an answer without its end."""
        connection = self.connect()
        try:
            headers = {"Host": NAME, **({"Content-Type": "application/json"} if body is not None else {})}
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()


@contextlib.contextmanager
def nginx_over(folder: Path, upstreams: Sequence[int], template: Path = TEMPLATE) -> Iterator[Proxy]:
    """nginx with our template over servers on these loopback ports, until the block ends. folder: for its files."""
    _write_certificate(folder)
    tls, plain = free_port(), free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_filled_in(folder, tls, plain, upstreams, template), encoding="utf-8")
    environment = {**os.environ, "PATH": _PATH}
    command = ["nginx", "-c", str(configuration)]
    check = subprocess.run([*command, "-t"], env=environment, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
    master = subprocess.Popen([*command, "-g", "daemon off;"], env=environment)
    context = ssl.create_default_context(cafile=str(folder / "tls.crt"))
    context.check_hostname = False
    try:
        _wait_open(tls)
        yield Proxy(tls, plain, context)
    finally:
        stop(master)


def _write_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}"]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(command, check=True, capture_output=True)


def _filled_in(folder: Path, tls: int, plain: int, upstreams: Sequence[int], template: Path) -> str:
    """The template as the image fills it in, with ports and paths of this machine."""
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s;" for port in upstreams)
    text = template.read_text("utf-8").replace("${SERVER_NAME}", NAME).replace("${UPSTREAMS}", servers)
    hurried = (
        ("client_body_timeout 10s", "client_body_timeout 1s"),
        ("client_header_timeout 10s", "client_header_timeout 1s"),
    )
    for old, new in (
        ("listen 443 ssl;\n    http2 on;", f"listen 127.0.0.1:{tls} ssl;"),  # Debian's nginx has no http2 directive yet
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/nginx/tls", str(folder)),
        *(hurried if template == TEMPLATE else ()),
    ):
        assert old in text, old
        text = text.replace(old, new)
    temporary = "\n".join(
        f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Workers read what root wrote here, in a folder that only its owner may enter, and keep large bodies in it.
    user = "user root;\n" if os.geteuid() == 0 else ""
    return (
        f"{user}pid {folder / 'nginx.pid'};\nerror_log {folder / 'error.log'};\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}\n{text}\n}}\n"
    )


def _wait_open(port: int) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nginx does not listen on {port}"
            time.sleep(0.1)
