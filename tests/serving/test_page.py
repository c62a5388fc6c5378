"""The page in a headless browser: heard, seen, compared, in two languages, by keyboard alone, with a key."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import NEEDS_CHROMIUM, chromium, overflowing, violations
from tests.serving.running import FAST, Running, wait_until
from tests.serving.shelf_of_voices import Shelf

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]
KEY = "k-0123456789abcdef"
TEXT = "Good morning to everybody, and welcome to the third lesson."
PAINTED = """canvas => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let painted = 0;
    for (let index = 3; index < data.length; index += 4) painted += data[index] > 0;
    return painted / (data.length / 4);
}"""

# The words of a refusal come half a second after its status.
SLOW_REFUSALS = """
    const json = Response.prototype.json;
    Response.prototype.json = async function () {
        if (!this.ok) await new Promise(done => setTimeout(done, 500));
        return json.call(this);
    };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(()) as (found,):
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh page that fails the test on any script error, console error or request to another host."""
    context = browser.new_context(viewport={"width": 1000, "height": 780}, locale="en-GB")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if "127.0.0.1" in request.url or request.url.startswith("blob:")
            else wrong.append(request.url))  # fmt: skip
    page.on("console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None)
    page.set_default_timeout(120_000)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def live(serve: Callable[..., Running], shelf: Shelf) -> Running:
    shelf.publish("ada", 1)
    shelf.publish("ada", 2)
    shelf.publish("bob", 3)
    server = serve(FAST)
    wait_until(lambda: server.server.states.get("ready") == 2)
    return server


def visit(page: Any, live: Running) -> None:
    """Opens the page and waits for its list of voices, which comes after the state of the server."""
    page.goto(live.url)
    page.wait_for_selector('#health[data-state="ok"]')
    page.wait_for_selector("#voice option", state="attached")


def keep(page: Any, name: str) -> None:
    """A screenshot for people to look at, where TIMBRE_SCREENSHOTS names a folder."""
    folder = os.environ.get("TIMBRE_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def spoken(page: Any, lane: str = "a") -> dict[str, str]:
    """Waits until a lane has spoken; its figures by name."""
    page.wait_for_selector(f'.lane[data-lane="{lane}"][data-state="done"]')
    found = page.query_selector_all(f'.lane[data-lane="{lane}"] dd')
    return {item.get_attribute("data-figure"): item.inner_text() for item in found}


def test_no_violation_on_any_screen(live: Running, browser: Any) -> None:
    for width, scheme, locale in ((1280, "light", "en-GB"), (390, "dark", "zh-CN")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale=locale)
        page = context.new_page()
        page.set_default_timeout(120_000)
        visit(page, live)
        page.click("#speak")
        spoken(page)
        page.check("#compare")
        assert violations(page) == [], (width, scheme, locale)
        assert overflowing(page) == [], (width, scheme, locale)
        keep(page, f"server-{width}")
        context.close()


def test_choose_type_and_hear(live: Running, page: Any) -> None:
    visit(page, live)
    assert "2 voices" in page.inner_text("#health")
    page.select_option("#voice", "ada")
    page.fill("#text", TEXT)
    assert page.inner_text("#count").startswith(f"{len(TEXT)} ")
    before = page.eval_on_selector('.lane[data-lane="a"] canvas', PAINTED)
    page.click("#speak")
    figures = spoken(page)
    assert figures["spokenBy"].startswith("ada@")
    assert 0 < float(figures["first"].split()[0]) < 20
    seconds = float(figures["length"].split()[0])
    assert seconds > 0.5
    assert page.eval_on_selector('.lane[data-lane="a"] canvas', PAINTED) > before + 0.05
    keep(page, "page")
    with page.expect_download() as download:
        page.click('.lane[data-lane="a"] .save')
    data = Path(download.value.path()).read_bytes()
    rate = int.from_bytes(data[24:28], "little")
    assert data[:4] == b"RIFF"
    assert (len(data) - 44) / 2 / rate == pytest.approx(seconds, abs=0.02)
    page.click('.lane[data-lane="a"] .play')
    wait_until(lambda: page.evaluate("!document.getElementById('stop').disabled"))
    page.click("#stop")


def test_two_versions_side_by_side(live: Running, page: Any) -> None:
    visit(page, live)
    page.select_option("#voice", "ada")
    wait_until(lambda: page.evaluate("document.querySelectorAll('.lane[data-lane=\"a\"] select option').length === 2"))
    page.fill("#text", TEXT)
    page.check("#compare")
    page.click("#speak")
    first, second = spoken(page, "a"), spoken(page, "b")
    assert first["spokenBy"] != second["spokenBy"]
    assert {first["spokenBy"], second["spokenBy"]} == {
        f"ada@{item['id']}" for item in live.call("GET", "/v1/audio/voices/ada").json["versions"]
    }
    keep(page, "compare")


def test_two_candidates_are_compared_before_one_is_released(
    serve: Callable[..., Running], shelf: Shelf, page: Any
) -> None:
    versions = {shelf.publish("ada", seed, promote=False) for seed in (1, 2)}
    visit(page, serve(FAST))
    page.check("#compare")
    assert {page.input_value(f'.lane[data-lane="{lane}"] select') for lane in "ab"} == versions


def test_chinese_and_a_narrow_window(live: Running, page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    visit(page, live)
    page.click("#language")
    assert page.inner_text("#speak") == "朗读"
    assert page.eval_on_selector("html", "root => root.lang") == "zh"
    wait_until(lambda: "个声音" in page.inner_text("#health"))
    missing = page.evaluate("[...document.querySelectorAll('[data-word]')].filter(e => !e.textContent).length")
    assert missing == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    keep(page, "chinese")
    page.reload()
    page.wait_for_selector('#health[data-state="ok"]')
    assert page.inner_text("#speak") == "朗读"


def test_by_keyboard_alone(live: Running, page: Any) -> None:
    visit(page, live)
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if seen[-1] == "text":
            break
    assert seen == ["language", "voice", "speed", "seed", "text"]
    page.keyboard.press("Control+A")
    page.keyboard.type(TEXT)
    page.keyboard.press("Control+Enter")
    assert "length" in spoken(page)
    page.keyboard.press("Escape")
    assert page.is_disabled("#stop")
    unlabelled = page.evaluate(
        "[...document.querySelectorAll('input, select, textarea')].filter(e => !e.labels.length).map(e => e.id)"
    )
    assert unlabelled == []


def test_errors_are_shown_in_the_servers_words(live: Running, page: Any) -> None:
    visit(page, live)
    page.fill("#text", "?!…")
    page.click("#speak")
    wait_until(lambda: page.evaluate("document.getElementById('message').textContent.includes('spoken')"))
    assert page.is_enabled("#speak")


def test_a_key_is_asked_for_and_used(serve: Callable[..., Running], shelf: Shelf, page: Any) -> None:
    shelf.publish("ada", 1)
    live = serve(dataclasses.replace(FAST, api_keys=(KEY,)))
    page.add_init_script(SLOW_REFUSALS)
    page.goto(live.url)
    page.wait_for_selector("#key-row:not([hidden])")
    assert "API key" in page.inner_text("#message")
    page.fill("#key", KEY)
    page.press("#key", "Tab")
    wait_until(lambda: page.evaluate("document.querySelectorAll('#voice option').length === 1"))
    page.click("#speak")
    assert spoken(page)["spokenBy"].startswith("ada@")
    assert page.evaluate("localStorage.getItem('timbre.key')") is None


def test_the_servers_limit_and_what_was_left_out_are_shown(
    serve: Callable[..., Running], shelf: Shelf, page: Any
) -> None:
    shelf.publish("ada", 1)
    live = serve(dataclasses.replace(FAST, max_characters=77))
    assert live.call("GET", "/health").json["max_characters"] == 77
    visit(page, live)
    page.fill("#text", "Good \u2603 morning.")
    assert page.inner_text("#count") == "15 of 77 characters"
    page.click("#language")
    assert page.inner_text("#count") == "15 / 77 字"
    page.click("#speak")
    assert spoken(page)["unspoken"] == "1"
