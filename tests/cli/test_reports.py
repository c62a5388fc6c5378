"""`timbre report`: the list, and the local address with parts of files and nothing outside the folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from tests.evaluation.test_report_page import Chinese
from timbre.cli.main import timbre
from timbre.cli.reports.listing import index_page, reports_below
from timbre.cli.reports.site import reports_app


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a green report of ada, and a newer red one of eve."""
    (tmp_path / "voices").mkdir()
    for voice, passed, stamp in (("ada", True, 1_000_000_000), ("eve", False, 1_100_000_000)):
        folder = tmp_path / ".timbre" / "reports" / voice / "evaluate"
        folder.mkdir(parents=True)
        (folder / "gates.json").write_text(json.dumps({"passed": passed}), encoding="utf-8")
        (folder / "report.html").write_text(f"<p>{voice} <audio></audio>" + "x" * 1000, encoding="utf-8")
        os.utime(folder / "report.html", (stamp, stamp))
    (tmp_path / ".timbre" / "secret.html").write_text("secret", encoding="utf-8")
    return tmp_path


def test_newest_first_and_one_voice(repo: Path) -> None:
    found = reports_below(repo / ".timbre" / "reports")
    assert [(item.voice, item.passed) for item in found] == [("eve", False), ("ada", True)]
    assert [item.voice for item in reports_below(repo / ".timbre" / "reports", "ada")] == ["ada"]
    assert reports_below(repo / "nowhere") == []
    shown = CliRunner().invoke(timbre, ["--root", str(repo), "report"])
    assert shown.exit_code == 0
    assert shown.output.index("eve") < shown.output.index("ada")
    data = json.loads(CliRunner().invoke(timbre, ["--root", str(repo), "report", "eve", "--json"]).output)
    assert [item["path"] for item in data["reports"]] == ["eve/evaluate/report.html"]
    assert "no report yet" in CliRunner().invoke(timbre, ["--root", str(repo), "report", "bob"]).output


def test_the_list_is_whole_chinese() -> None:
    assert Chinese(index_page([])).english({"Timbre", "English"}) == []


def test_the_list_in_chinese_with_rows(repo: Path) -> None:
    page = index_page(reports_below(repo / ".timbre" / "reports"))
    seen = Chinese(page)
    assert seen._open == []
    assert seen.english({"Timbre", "English", "UTC", "MB", "ada", "eve", "evaluate"}) == []
    assert page.count("<tr>") == 3


def test_parts_of_files_and_nothing_else(repo: Path) -> None:
    (repo / ".timbre" / "reports" / "ada" / "evaluate" / "out.html").symlink_to(repo / ".timbre" / "secret.html")
    assert len(reports_below(repo / ".timbre" / "reports")) == 2
    client: Any = TestClient(reports_app(repo / ".timbre" / "reports"), base_url="http://127.0.0.1")
    assert 'href="reports/eve/evaluate/report.html"' in client.get("/").text
    whole = client.get("/reports/eve/evaluate/report.html")
    part = client.get("/reports/eve/evaluate/report.html", headers={"Range": "bytes=3-5"})
    assert whole.status_code == 200
    assert "default-src 'none'" in whole.headers["content-security-policy"]
    assert (part.status_code, part.text) == (206, "eve")
    assert part.headers["content-range"] == f"bytes 3-5/{len(whole.content)}"
    assert client.get("/reports/eve/evaluate/report.html", headers={"Range": "bytes=99999-"}).status_code == 416
    for path in ("../secret.html", "%2e%2e/secret.html", "ada/evaluate/out.html", "ada", "//etc/passwd", "none.html"):
        found = client.get(f"/reports/{path}")
        assert found.status_code == 404, path
        assert "secret" not in found.text
    assert client.post("/").status_code == 405


def test_other_names_of_this_machine_are_refused(repo: Path) -> None:
    """A page elsewhere that resolves its own name to this machine reads no recordings."""
    stranger: Any = TestClient(reports_app(repo), base_url="http://evil.example")
    assert stranger.get("/").status_code == 400
    wide: Any = TestClient(reports_app(repo, "0.0.0.0"), base_url="http://lab.example")
    assert wide.get("/").status_code == 200


def test_the_command_serves_and_ends(repo: Path) -> None:
    call = [sys.executable, "-m", "timbre.cli.main", "--root", str(repo), "report", "--serve"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)\n", running.stdout.readline())
            assert found is not None
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(found[1], timeout=60) as answer:
                assert b"eve/evaluate/report.html" in answer.read()
        finally:
            running.terminate()
            running.communicate(timeout=60)
