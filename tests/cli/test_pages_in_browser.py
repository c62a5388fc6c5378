"""Every page that Timbre writes, in a headless browser: axe-core, telephone and desktop, light and dark, two languages,
the keyboard alone; and a blind listening test from its first sentence to the saved file.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dashboard import fabricate
from tests.chromium import NEEDS_CHROMIUM, chromium, overflowing, violations
from tests.evaluation.test_gates import measured
from tests.evaluation.test_report_page import TRAINING, heard_page
from tests.pipeline.release.test_compare import measured_mos, page_of, publish, sides, spread
from timbre.cli.dashboard.site import Site
from timbre.cli.reports.listing import Report, index_page
from timbre.evaluation.listening import read_listening
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]
PAGES = ("report.html", "site/index.html", "site/voice-000.html", "compare.html", "reports.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each page."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "made").mkdir()
    (folder / "report.html").write_text(heard_page(folder / "made", training=TRAINING), encoding="utf-8")
    Site(folder / "site", fabricate(folder / "registry", 6, 4)).write("now")
    registry = open_registry(RegistryAddress(str(folder / "two"), {}))
    old = publish(registry, folder / "old", "one", spread(measured()), 8)
    publish(registry, folder / "new", "second", spread(measured({"dnsmos": measured_mos() + 0.2})), 16)
    found = sides((registry, old, ""), folder, f"ada@{old}", "ada")
    (folder / "compare.html").write_text(page_of(found), encoding="utf-8")
    rows = [
        Report("ada", "evaluate", "ada/evaluate/report.html", datetime.now(UTC), 2_000_000, passed)
        for passed in (True, False, None)
    ]
    (folder / "reports.html").write_text(index_page(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(()) as (found,):
        yield found


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def served(pages: Path) -> Iterator[str]:
    """The pages' address over HTTP: Chromium loses what a page from a file stored when it is reloaded at once."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def visit(browser: Any, pages: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page, from its file unless an address is given; fails the test on any script error and on any request to
    another address."""
    contexts, wrong = [], list[str]()

    def go(name: str, width: int = 1280, scheme: str = "light", locale: str = "en-GB", address: str = "") -> Any:
        own = ("file:", "data:", "blob:", *([f"{address}/"] if address else []))
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, locale=locale, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(own) else wrong.append(request.url))
        page.goto(f"{address}/{name}" if address else (pages / name).as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def keep(page: Any, name: str) -> None:
    """A screenshot for people to look at, where TIMBRE_SCREENSHOTS names a folder."""
    folder = os.environ.get("TIMBRE_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_no_violation_on_any_screen(visit: Callable[..., Any], name: str) -> None:
    for width, scheme, locale in ((1280, "light", "en-GB"), (390, "dark", "zh-CN")):
        page = visit(name, width, scheme, locale)
        assert violations(page) == [], (width, scheme, locale)
        assert overflowing(page) == [], (width, scheme, locale)
        keep(page, f"{name.replace('/', '-')}-{width}")


def test_axe_can_find_something(visit: Callable[..., Any]) -> None:
    page = visit("report.html")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
    assert any(item.startswith("image-alt") for item in violations(page))


@pytest.mark.parametrize("name", PAGES)
def test_the_browser_chooses_the_language_and_the_keyboard_changes_it(
    visit: Callable[..., Any], served: str, name: str
) -> None:
    page = visit(name, locale="zh-CN", address=served)
    assert page.evaluate("document.documentElement.lang") == "zh"
    assert page.locator('[lang="en"]:visible').count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator('main [lang="zh"]:visible').count() == 0
    page.reload()
    assert page.evaluate("document.documentElement.lang") == "en", "the choice stays"


def test_filters_by_keyboard(visit: Callable[..., Any]) -> None:
    page = visit("site/index.html")
    page.focus("#q")
    page.keyboard.type("voice-003")
    assert page.locator(".cards .card:visible").count() == 1
    page.keyboard.press("Control+A")
    page.keyboard.type("nowhere")
    assert page.is_visible("#none")


def test_a_listening_test_by_keyboard(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit("compare.html")
    known = json.loads(page.inner_text("#test") or page.evaluate("document.getElementById('test').textContent"))
    count = len(known["pairs"])
    assert count == 2
    page.fill("#listener", "Ada")
    assert page.is_disabled('[data-choice="first"]'), "nobody judges what was not heard"
    for _ in range(count):
        for button in ("#play1", "#play2"):
            page.focus(button)
            page.keyboard.press("Enter")
        page.focus('[data-choice="first"]')
        page.keyboard.press("Enter")
    page.wait_for_selector("#outcome:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "save"
    assert violations(page) == []
    shown = float(page.inner_text("#p"))
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    path = tmp_path / "result.json"
    download.value.save_as(path)
    found = read_listening(path, known["a"], known["b"])
    assert found.listeners == ("Ada",)
    assert found.wins_a + found.wins_b == count
    assert shown == pytest.approx(found.p, rel=0.05)
    trials = json.loads(path.read_text(encoding="utf-8"))["trials"]
    assert all(trial["chose"] == trial["first"] for trial in trials), "1 is what came first"


def test_the_order_is_not_always_the_same(visit: Callable[..., Any]) -> None:
    """Who always chooses the first sound prefers A, B, or neither; and the sentences take turns."""
    rounds = visit("compare.html").evaluate("""() => {
        const at = id => document.getElementById(id), seen = [];
        for (let round = 0; round < 24; round++) {
            at('again').click();
            const sentence = at('sentence').textContent;
            while (at('outcome').hidden) {
                at('play1').click(); at('play2').click();
                document.querySelector('[data-choice="first"]').click();
            }
            seen.push([sentence, at('wins-a').textContent]);
        }
        return seen;
    }""")
    assert len({sentence for sentence, _ in rounds}) == 2
    assert {wins for _, wins in rounds} == {"0", "1", "2"}
