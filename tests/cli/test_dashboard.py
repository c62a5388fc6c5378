"""The site of all voices: what stands where, in two languages, and what a hostile text can do there (nothing)."""

from __future__ import annotations

import dataclasses
import html.parser
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.dashboard import fabricate
from tests.evaluation.test_report_page import Chinese
from tests.pipeline.release import publish_stages
from tests.pipeline.release.publish_stages import YAML, Repo, make_repo
from timbre.cli.dashboard.metrics import FAMILIES
from timbre.cli.dashboard.site import CACHE_FILE, FEED_FILE, METRICS_FILE, Site
from timbre.cli.dashboard.voice_view import ACTS, RUN_STATES, STATES, artifact_link
from timbre.cli.main import timbre
from timbre.core.cancellation import Cancellation
from timbre.core.errors import InfrastructureError, InputError
from timbre.core.redaction import Redactor
from timbre.pipeline.engine.run_log import RunLog, run_area
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.promotion import promote_by_hand
from timbre.registry.events import Act
from timbre.registry.names import RUN_AREAS
from timbre.registry.registry import Actor, Registry
from timbre.registry.revocation import revoke
from timbre.registry.run_records import RunStore

JOB = "https://gitlab.example/voices/-/jobs/12"
NAMES = {
    "MOS", "Timbre", "English", "voice", "nano", "ci", "Ada", "Lovelace", "MB", "now", "UTC", "MiB", "s",
    "validate", "extract", "finetune", "evaluate", "publish",
}  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path, pico_base: Path, pico_export: Path) -> Repo:
    return make_repo(tmp_path, pico_base, pico_export)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Eleven voices with three versions each; the first and the last are red."""
    return fabricate(tmp_path_factory.mktemp("made"), 11, 3)


class Page(html.parser.HTMLParser):
    """Tags that were opened, links, and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data


def go(repo: Repo, cancel: Cancellation | None = None, **origin: str) -> None:
    engine = dataclasses.replace(repo.engine(**origin), cancel=cancel or Cancellation())
    run_voice(
        engine, "ada", "", False, None, runs=RunLog(RunStore(repo.registry.store, run_area(engine.origin)), Redactor())
    )


def site(repo: Repo, target: Path) -> dict[str, Page]:
    files = Site(target, repo.registry, Workspace(repo.root)).write("now")
    return {path.name: Page(path.read_text(encoding="utf-8")) for path in files if path.suffix == ".html"}


def test_versions_runs_gates_history_and_what_speaks(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("site")
    go(repo, job_url=JOB)
    old = repo.production
    repo.record("two", YAML.replace("Free | for all", "<script>alert(1)</script>"))
    go(repo, author="<img src=x onerror=alert(1)>")
    new = repo.production
    repo.registry.rollback("ada", actor=Actor("Bob <bob@example.org>"), reason="it hisses")
    (repo.root / "red").touch()
    repo.record("three")
    go(repo, job_url=JOB)
    pages = site(repo, target)
    assert set(pages) == {"index.html", "ada.html"}
    index, page = pages["index.html"], pages["ada.html"]
    assert "ada.html" in index.links, "every tag is closed"
    assert not page.open, "every tag is closed"
    assert not index.open, "every tag is closed"
    assert old
    assert new
    assert old in page.text
    assert new in page.text
    assert "rolled back" in page.text
    assert "it hisses" in page.text
    assert "run: red" in page.text
    assert "运行：未通过" in page.text
    assert "Sample peak" in index.text, "the card says which gate is red"
    assert "example.org" not in page.text + index.text
    assert "<img src=x" in page.text
    assert "img" not in page.tags
    assert page.tags.count("script") == index.tags.count("script") == 1
    assert page.tags.count("circle") == 3, "a point a version, and one for the red run"
    assert f"{JOB}/artifacts/file/.timbre/reports/ada/evaluate/report.html" in page.links
    (data,) = json.loads((target / "voices.json").read_text(encoding="utf-8"))
    assert [item["version"] for item in data["history"]] == [old, new]
    assert data["now"] == "red"
    assert data["runs"][-1]["red"] == ["Sample peak"]
    assert data["history"][0]["gates"]["peak_dbfs_tts"] == {
        "value": -1.0, "limit": 0.0, "passed": True, "blocks": True
    }  # fmt: skip
    feed = ElementTree.fromstring((target / FEED_FILE).read_text(encoding="utf-8"))
    entries = feed.findall("{http://www.w3.org/2005/Atom}entry")
    assert [entry.findtext("{http://www.w3.org/2005/Atom}title") for entry in entries] == ["ada: red"]
    assert list((target / "samples" / "ada").iterdir()), "the production version can be played"
    revoke(repo.registry, "ada", actor=Actor("Bob"), reason="she asked us to")
    pages = site(repo, target)
    assert "revoked" in pages["ada.html"].text
    assert "she asked us to" in pages["ada.html"].text
    assert not (target / "samples" / "ada").exists()
    assert "audio" not in pages["ada.html"].tags


def test_each_way_in_which_a_real_run_ends_is_visible(
    repo: Repo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path_factory.mktemp("site")
    older = repo.head
    repo.record("two")
    go(repo)
    first = repo.production
    repo.git("checkout", "-q", older)
    go(repo)
    repo.git("checkout", "-q", "main")
    for number, error in enumerate(
        (InputError("wavs/1.wav: too quiet", "record again"), InfrastructureError("the bucket is away", "wait"))
    ):
        repo.record(f"wrong {number}")
        with monkeypatch.context() as patched:
            patched.setattr(publish_stages.Look, "run", _raising(error))
            go(repo)
        page = site(repo, target)["ada.html"].text
        assert "Last run" in page
        assert error.message in page
        assert error.remedy in page
    stopped = Cancellation()
    stopped.cancel("signal SIGTERM")
    repo.record("four", YAML + "review: required\n")
    go(repo, stopped)
    # Jobs of one commit stand in one line, as they end last: a run of its own for each state.
    repo.record("five", YAML + "review: required\n")
    go(repo)
    pages = site(repo, target)
    assert "waiting for review" in pages["index.html"].text
    waiting = next(item.version for item in repo.registry.versions("ada") if item.review_required)
    promote_by_hand(repo.registry, "ada", waiting, Actor("Eve <eve@example.org>"), approve=True)
    repo.registry.rollback("ada", actor=Actor("Bob"), reason="it hisses")
    assert repo.production == first
    text = site(repo, target)["ada.html"].text
    for state in ("promoted", "superseded", "refused", "failed", "cancelled", "waiting"):
        english, chinese, _ = RUN_STATES[state]
        assert f"run: {english}" in text, state
        assert f"运行：{chinese}" in text, state
    for shown in ("too quiet", "the bucket is away", "SIGTERM", "approved by", "批准者 Eve", "rolled back", "回滚"):
        assert shown in text, shown


def _raising(error: Exception) -> Callable[..., Any]:
    def run(*_: Any) -> Any:
        raise error

    return run


def test_links_to_reports_and_to_nothing_else() -> None:
    path = ".timbre/reports/ada/evaluate/report.html"
    assert artifact_link(JOB, "ada") == f"{JOB}/artifacts/file/{path}"
    assert artifact_link("http://jenkins.example/job/7/", "ada") == f"http://jenkins.example/job/7/artifact/{path}"
    assert artifact_link("javascript:alert(1)", "ada") == ""


def test_voices_that_do_not_speak_say_why(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    repo.record("new one", voice="eve")
    pages = site(repo, tmp_path_factory.mktemp("site"))
    assert "not published" in pages["eve.html"].text
    assert "未发布" in pages["index.html"].text


def test_a_damaged_voice_hides_no_other(tmp_path: Path) -> None:
    registry = fabricate(tmp_path / "registry", 2, 1)
    (manifest,) = (tmp_path / "registry" / "voices" / "voice-000" / "versions").glob("*.json")
    manifest.write_text("{", encoding="utf-8")
    Site(tmp_path / "site", registry).write("now")
    assert "registry: " in (tmp_path / "site" / "voice-000.html").read_text()
    assert "voice-001" in (tmp_path / "site" / "index.html").read_text()


def test_a_reader_of_chinese_sees_no_english(made: Registry, tmp_path: Path) -> None:
    Site(tmp_path, made).write("now")
    titles = {
        "Measure",
        "DNSMOS",
        "PESQ",
        "STOI",
        "Speaker",
        "similarity",
        "Word",
        "error",
        "rate",
        "overall",
        "narrow",
        "band",
    }
    for name in ("index.html", "voice-000.html", "voice-001.html"):
        seen = Chinese((tmp_path / name).read_text(encoding="utf-8"))
        assert seen.english(NAMES | titles) == []
    assert all(
        any(letter >= "一" for letter in names[1]) for names in (*STATES.values(), *RUN_STATES.values(), *ACTS.values())
    )
    assert set(ACTS) == {str(act) for act in Act}


def test_red_voices_come_first_and_gates_by_importance(made: Registry, tmp_path: Path) -> None:
    Site(tmp_path, made).write("now")
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert index.index('href="voice-010.html"') < index.index('href="voice-001.html"')
    assert 'data-s="red"' in index
    assert "DNSMOS overall" in index
    page = (tmp_path / "voice-000.html").read_text(encoding="utf-8")
    titles = ("Speaker similarity", "Word error rate", "DNSMOS overall", "PESQ narrow band", "Measure 0")
    places = [page.index(f'aria-label="{title}"') for title in titles]
    assert places == sorted(places)


def test_a_second_build_writes_only_what_changed(made: Registry, tmp_path: Path) -> None:
    Site(tmp_path, made).write("now")
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("voice-*.html")}
    runs = RunStore(made.store)
    runs.finish("voice-003", runs.begin("voice-003", made.now(), {}), {"state": "refused", "error": "no <words>"}, {})
    Site(tmp_path, made).write("now")
    changed = {name for name, stamp in stamps.items() if (tmp_path / name).stat().st_mtime_ns != stamp}
    assert changed == {"voice-003.html"}
    assert "no &lt;words&gt;" in (tmp_path / "index.html").read_text(encoding="utf-8")
    (tmp_path / CACHE_FILE).write_text("{", encoding="utf-8")
    assert len(Site(tmp_path, made).write("now")) == 4 + 11, "a damaged cache costs a whole build"


def test_metrics_of_all_voices_for_prometheus(tmp_path: Path) -> None:
    made = fabricate(tmp_path / "registry", 3, 2)
    odd = 'x"} 1\nvoice_pipeline_state{voice="root'
    for area, voice in ((RUN_AREAS[1], "voice-002"), (RUN_AREAS[0], "voice-001")):
        runs = RunStore(made.store, area=area)
        about = {"state": "tried", "gates": {odd: {"value": 1.5, "passed": True}}}
        runs.finish(voice, runs.begin(voice, made.now(), {}), about, {})
    Site(tmp_path / "site", made).write("now")
    text = (tmp_path / "site" / METRICS_FILE).read_text(encoding="utf-8")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == set(FAMILIES)
    assert text.count("# TYPE ") == len(FAMILIES), "each family stands together"
    states = {item.labels["voice"]: item.labels["state"] for item in families["voice_pipeline_state"].samples}
    assert states == {"voice-000": "red", "voice-001": "published", "voice-002": "published"}
    failed = {item.labels["voice"] for item in families["voice_pipeline_last_run_failed"].samples if item.value}
    assert failed == {"voice-000"}
    gates = {(item.labels["voice"], item.labels["gate"]): item.value
             for item in families["voice_quality_gate_passed"].samples}  # fmt: skip
    assert [key for key, value in gates.items() if not value] == [("voice-000", "dnsmos_tts")]
    assert gates["voice-001", odd] == 1, "of the last run that was judged, whatever its gates are called"
    assert ("voice-002", odd) not in gates, "a merge request writes no metric"
    stages = [item for item in families["voice_pipeline_stage_seconds"].samples if item.labels["voice"] == "voice-002"]
    assert {item.labels["stage"]: item.value for item in stages}["finetune"] == 60.0


def test_the_command_outside_a_repository(made: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    found = runner.invoke(
        timbre, ["dashboard", "--registry", made.store.url.removeprefix("file://"), "--output", "site"]
    )
    assert found.exit_code == 0, found.output
    assert "site: 11 voices" in found.output, found.output
    assert Path("site/voice-001.html").is_file()
    refused = runner.invoke(timbre, ["dashboard"], env={"TIMBRE_REGISTRY": ""})
    assert refused.exit_code != 0
    assert "no registry given" in str(refused.exception)
