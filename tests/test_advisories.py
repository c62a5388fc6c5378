"""ci/advisories.sh with a stub of the vulnerability service: found, accepted, and not to be asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
IDENTIFIER = "PYSEC-2026-1"
ADVISORY = {
    "id": IDENTIFIER, "summary": "Anybody may do anything", "aliases": ["CVE-2026-1"],
    "modified": "2026-01-01T00:00:00Z",
    "affected": [{"package": {"name": "setuptools", "ecosystem": "PyPI"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]},
    ]}],
}  # fmt: skip


class Service(BaseHTTPRequestHandler):
    """Answers as OSV does: one package has an advisory."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"vulns": [ADVISORY]} if asked["package"]["name"] == "setuptools" else {}
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def ask(folder: Path, url: str, accepted: str = "") -> subprocess.CompletedProcess[str]:
    for name in ("ci", "docker"):
        (folder / name).mkdir()
    shutil.copy(ROOT / "ci" / "advisories.sh", folder / "ci")
    shutil.copy(ROOT / "docker" / "build.lock", folder / "docker")
    (folder / "ci" / "advisories.txt").write_text(accepted, encoding="utf-8")
    environment = {**os.environ, "PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url}
    # Proxies of this machine know nothing of its own addresses.
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    command = [str(folder / "ci" / "advisories.sh"), str(Path(sys.executable).parent)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_an_advisory_fails_the_job(service: str, tmp_path: Path) -> None:
    done = ask(tmp_path, service)
    assert done.returncode == 1, done.stderr
    assert IDENTIFIER in done.stdout


def test_an_accepted_advisory_does_not(service: str, tmp_path: Path) -> None:
    done = ask(tmp_path, service, f"# not reachable\n{IDENTIFIER}  # builds nothing of strangers\n")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_service_that_does_not_answer_is_no_proof(tmp_path: Path) -> None:
    assert ask(tmp_path, "http://127.0.0.1:9/v1/query").returncode == 1


def test_every_accepted_advisory_has_a_reason() -> None:
    lines = (ROOT / "ci" / "advisories.txt").read_text(encoding="utf-8").splitlines()
    accepted = [line for line in lines if line.partition("#")[0].strip()]
    assert [line for line in accepted if not line.partition("#")[2].strip()] == []
