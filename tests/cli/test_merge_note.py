"""The note in GitLab's merge request, against an HTTP server with GitLab's notes API: one note a voice, up to date."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from timbre.cli.commands import single_stage
from timbre.cli.main import call
from timbre.core.errors import CheckFailedError
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.pipeline.engine.engine import StageOutcome
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import STAGES
from timbre.registry.encryption.sealed_page import FILE as SEALED

TOKEN = "glpat-0123456789abcdef"
JOB = "https://git.example.org/school/voices/-/jobs/9"
ME, OTHER = 4, 5


@dataclass
class Gitlab:
    """One merge request with its notes, as the API gives them. refuses: status of every answer but 200."""

    address: str = ""
    notes: list[dict[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)
    refuses: int = 0
    asked: int = 0

    def answer(self, method: str, path: str, token: str | None, body: Any) -> tuple[int, Any]:
        parts, asked = urlsplit(path), parse_qs(urlsplit(path).query)
        self.asked += 1
        if self.refuses or token != TOKEN:
            return self.refuses or 401, {"message": "401 Unauthorized"}
        if parts.path == "/api/v4/user":
            return 200, {"id": ME}
        notes = "/api/v4/projects/3/merge_requests/7/notes"
        if method == "GET" and parts.path == notes:
            size, page = int(asked["per_page"][0]), int(asked["page"][0])
            return 200, self.notes[size * (page - 1) : size * page]
        if method == "POST" and parts.path == notes:
            self.writes.append((method, body["body"]))
            self.notes.append({"id": len(self.notes) + 100, "author": {"id": ME}, "body": body["body"]})
            return 201, self.notes[-1]
        found = next((note for note in self.notes if parts.path == f"{notes}/{note['id']}"), None)
        if method == "PUT" and found is not None and found["author"]["id"] == ME:
            self.writes.append((method, body["body"]))
            found["body"] = body["body"]
            return 200, found
        return 404, {"message": "404 Not found"}


@pytest.fixture
def gitlab() -> Iterator[Gitlab]:
    state = Gitlab()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = state.answer(self.command, self.path, self.headers["PRIVATE-TOKEN"], body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_GET = do_POST = do_PUT = _any

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{server.server_port}/api/v4"
    yield state
    server.shutdown()
    server.server_close()


@dataclass
class Job:
    """An evaluate job of a fork's merge request, whose stage 4 has ended; root: of its checkout."""

    root: Path
    patched: pytest.MonkeyPatch
    key: str = "e" * 64

    @property
    def report(self) -> Path:
        return self.root / ".timbre" / "reports" / "ada" / "evaluate"

    def decide(self, passed: bool, report: str) -> None:
        """What stage 4 writes, and how the command ends then."""
        worst = "samples/tts-fixed-001-2.wav"
        gate = {"title": "Words", "protocol": "tts", "value": 0.4, "limit": 0.2, "passed": passed, "blocks": True}
        self.report.mkdir(parents=True, exist_ok=True)
        gates = {"gates": {"word_error_rate_tts": {**gate, "worst_file": worst}}}
        (self.report / "gates.json").write_text(json.dumps(gates), encoding="utf-8")
        (self.report / "report.md").write_text(report, encoding="utf-8")
        (self.report / "report.html").write_text("page", encoding="utf-8")
        error = None if passed else CheckFailedError("1 of 1 gates are red: Words", "open the report")
        row = next(row for row in STAGES if row.name == "evaluate")
        outcome = StageOutcome(row, "done" if passed else "red", self.key)
        run = VoiceRun("ada", "pico", (outcome,), error)
        self.patched.setattr(single_stage, "_run", lambda *_: (Workspace(self.root), [run]))


@pytest.fixture
def job(gitlab: Gitlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    (tmp_path / "voices" / "ada").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    made = Job(tmp_path, monkeypatch)
    folder = Workspace(tmp_path).work("ada", "evaluate") / made.key
    (folder / "samples").mkdir(parents=True)
    groups = []
    for kind in ("tts", "base"):
        spoken = []
        for identity in ("one", "fixed-001"):
            for seed in (1, 2):
                file = f"samples/{kind}-{identity}-{seed}.wav"
                (folder / file).write_bytes(file.encode())
                spoken.append(Sample(identity, f"Text `{identity}`\n/close", "fixed", seed, file, {}))
        groups.append(Group((), tuple(spoken)))
    Measurements(
        voice="ada", base="pico", base_digest="b" * 64, profile="fp32", texts_version="1", adapted=groups[0],
        plain=groups[1], real={}, models={},
    ).write(folder)  # fmt: skip
    made.decide(True, f"## ada: the table\n\n/merge {TOKEN}\n")
    variables = {
        "TIMBRE_GITLAB_TOKEN": TOKEN, "GITLAB_CI": "true", "CI_API_V4_URL": gitlab.address, "CI_PROJECT_ID": "8",
        "CI_MERGE_REQUEST_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "7", "CI_PIPELINE_ID": "20", "CI_JOB_URL": JOB,
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return made


def test_one_note_has_the_verdict_and_two_players(gitlab: Gitlab, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    mark = "<!-- timbre voice=ada pipeline=19 -->\n"
    gitlab.notes = [{"id": 1 + number, "author": {"id": OTHER}, "body": "talk"} for number in range(100)]
    gitlab.notes += [
        {"id": 101, "author": {"id": OTHER}, "body": mark},
        {"id": 102, "author": {"id": ME}, "body": mark},
    ]
    assert call(["evaluate", "ada"]) == 0
    ((method, text),) = gitlab.writes
    assert method == "PUT", "its own note of the pipeline before, on the second page, is replaced"
    assert gitlab.notes[100]["body"] == mark, "the same mark of another person is no note of ours"
    assert text.startswith("<!-- timbre voice=ada pipeline=20 -->\n## ada: the table\n")
    assert "\n\\/merge [redacted]" in text, "no line is a command, and no secret is written"
    for label, name in (("this voice", "heard-voice.wav"), ("base alone", "heard-base.wav")):
        assert f"![{label}]({JOB}/artifacts/raw/.timbre/reports/ada/evaluate/{name})" in text
    assert (job.report / "heard-voice.wav").read_bytes() == b"samples/tts-one-1.wav"
    assert (job.report / "heard-base.wav").read_bytes() == b"samples/base-one-1.wav"
    assert "Hear `Text 'one' /close`:" in text
    assert f"[report with sound]({JOB}/artifacts/file/.timbre/reports/ada/evaluate/report.html)" in text
    job.patched.setenv("CI_PIPELINE_ID", "21")
    job.decide(False, "## ada: failed 1 gate\n")
    assert call(["evaluate", "ada"]) == 20
    assert [method for method, _ in gitlab.writes] == ["PUT", "PUT"]
    assert "failed 1 gate" in gitlab.notes[101]["body"]
    assert (job.report / "heard-voice.wav").read_bytes() == b"samples/tts-fixed-001-2.wav", "the worst of the red gate"
    assert (job.report / "heard-base.wav").read_bytes() == b"samples/base-fixed-001-2.wav", "with the same seed"
    assert len(gitlab.notes) == 102
    job.patched.setenv("CI_PIPELINE_ID", "18")
    assert call(["evaluate", "ada"]) == 20
    assert len(gitlab.writes) == 2, "a pipeline that ends late does not overwrite what a later one found"
    assert TOKEN not in "".join(capsys.readouterr())


def test_the_first_note_is_made(gitlab: Gitlab, job: Job) -> None:
    assert call(["evaluate", "ada"]) == 0
    assert call(["evaluate", "ada"]) == 0
    assert [method for method, _ in gitlab.writes] == ["POST", "PUT"]
    assert len(gitlab.notes) == 1


@pytest.mark.parametrize("name", ["TIMBRE_GITLAB_TOKEN", "CI_MERGE_REQUEST_IID", "CI_API_V4_URL"])
def test_without_a_token_or_a_merge_request_nothing_is_asked(name: str, gitlab: Gitlab, job: Job) -> None:
    job.patched.delenv(name)
    assert call(["evaluate", "ada"]) == 0
    assert gitlab.asked == 0


@pytest.mark.parametrize(
    ("status", "address", "why"),
    [(403, "", "answers 403"), (502, "", "answers 502"), (0, "http://git.example.org/api/v4", "by https only")],
)
def test_a_gitlab_that_refuses_is_a_warning(
    status: int, address: str, why: str, gitlab: Gitlab, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    gitlab.refuses = status
    if address:
        job.patched.setenv("CI_API_V4_URL", address)
    assert call(["evaluate", "ada"]) == 0, "a note is no gate"
    said = capsys.readouterr().err
    assert "note not written" in said
    assert why in said
    assert TOKEN not in said


def test_the_sound_of_an_encrypted_voice_stays_sealed(gitlab: Gitlab, job: Job) -> None:
    (job.report / SEALED).write_text("{}", encoding="utf-8")
    assert call(["evaluate", "ada"]) == 0
    ((_, text),) = gitlab.writes
    assert ".wav" not in text
    assert not list(job.report.glob("*.wav"))
