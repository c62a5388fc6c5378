"""The site of all voices: what stands where, in two languages, and what a hostile text can do there (nothing)."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.pipeline.release.publish_stages import YAML, Repo, make_repo
from timbre.cli.dashboard.page import index_page, voice_page
from timbre.cli.dashboard.site import collect, write_site
from timbre.cli.main import timbre
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.registry import Actor
from timbre.registry.revocation import revoke

JOB = "https://gitlab.example/voices/-/jobs/12"


@pytest.fixture
def repo(tmp_path: Path, pico_base: Path, pico_export: Path) -> Repo:
    return make_repo(tmp_path, pico_base, pico_export)


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
        if tag not in ("meta", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data


def site(repo: Repo, target: Path) -> dict[str, Page]:
    files = write_site(target, collect(Workspace(repo.root), repo.registry), "now")
    return {path.name: Page(path.read_text(encoding="utf-8")) for path in files if path.suffix == ".html"}


def test_versions_gates_history_and_what_speaks(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("site")
    repo.said(repo.run(job_url=JOB))
    old = repo.production
    repo.record("two")
    repo.said(repo.run())
    new = repo.production
    pages = site(repo, target)
    assert set(pages) == {"index.html", "ada.html"}
    index, page = pages["index.html"], pages["ada.html"]
    assert "ada.html" in index.links and new and new in index.text and old not in index.text
    assert "in production" in index.text and "已上线" in index.text and "1 / 1" in index.text
    assert old and old in page.text and page.text.count("promoted") == 2 and "Sample peak" in page.text
    assert page.tags.count("circle") == 2, "a point a version"
    assert f"{JOB}/artifacts/file/.timbre/reports/ada/evaluate/report.html" in page.links
    assert not page.open and not index.open, "every tag is closed"
    data = json.loads((target / "voices.json").read_text(encoding="utf-8"))
    assert [item["version"] for item in data[0]["history"]] == [old, new]
    assert data[0]["history"][0]["gates"]["peak_dbfs_tts"] == {
        "value": -1.0, "limit": 0.0, "passed": True, "blocks": True
    }  # fmt: skip


def test_jenkins_reports_are_linked_and_other_addresses_are_not(repo: Repo) -> None:
    repo.said(repo.run(job_url="http://jenkins.example/job/voices/7/"))
    (view,) = collect(Workspace(repo.root), repo.registry)
    links = Page(voice_page(view, "now")).links
    assert "http://jenkins.example/job/voices/7/artifact/.timbre/reports/ada/evaluate/report.html" in links
    repo.record("two")
    repo.said(repo.run(job_url="javascript:alert(1)"))
    (view,) = collect(Workspace(repo.root), repo.registry)
    assert not [link for link in Page(voice_page(view, "now")).links if "javascript" in link]


def test_texts_of_a_push_are_only_text(repo: Repo) -> None:
    repo.record("two", YAML.replace("Free | for all", "<script>alert(1)</script>"))
    repo.said(repo.run(author="<img src=x onerror=alert(1)>"))
    views = collect(Workspace(repo.root), repo.registry)
    for page in (Page(index_page(views, "now")), Page(voice_page(views[0], "now"))):
        assert page.tags.count("script") == 1 and "img" not in page.tags
        assert "<img src=x" in page.text


def test_addresses_of_people_stay_in_the_registry(repo: Repo) -> None:
    repo.said(repo.run())
    views = collect(Workspace(repo.root), repo.registry)
    page = index_page(views, "now") + voice_page(views[0], "now")
    assert "Ada" in page and "ada@example.org" not in page


def test_a_limit_of_zero_is_drawn(repo: Repo) -> None:
    repo.said(repo.run())
    (view,) = collect(Workspace(repo.root), repo.registry)
    assert "stroke-dasharray" in voice_page(view, "now") and 'y1="8.0"' in voice_page(view, "now")


def test_voices_that_do_not_speak_say_why(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    repo.record("new one", voice="eve")
    repo.said(repo.run())
    revoke(repo.registry, "ada", actor=Actor("Bob"), reason="she asked us to")
    pages = site(repo, tmp_path_factory.mktemp("site"))
    assert "revoked" in pages["ada.html"].text and "she asked us to" in pages["ada.html"].text
    assert "not published" in pages["eve.html"].text and "未发布" in pages["index.html"].text


def test_a_damaged_voice_hides_no_other(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    repo.said(repo.run())
    (manifest,) = (repo.root / ".timbre" / "registry" / "voices" / "ada" / "versions").glob("*.json")
    manifest.write_text("{", encoding="utf-8")
    repo.record("other", voice="eve")
    pages = site(repo, tmp_path_factory.mktemp("site"))
    assert set(pages) == {"index.html", "ada.html", "eve.html"}
    assert "registry: " in pages["ada.html"].text


def test_the_command_outside_a_repository(
    repo: Repo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.said(repo.run())
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    runner = CliRunner()
    found = runner.invoke(timbre, ["dashboard", "--registry", repo.address, "--output", "site"])
    assert found.exit_code == 0 and "site: 1 voices" in found.output, found.output
    assert Path("site/ada.html").is_file()
    refused = runner.invoke(timbre, ["dashboard"], env={"TIMBRE_REGISTRY": ""})
    assert refused.exit_code != 0 and "no registry given" in str(refused.exception)
