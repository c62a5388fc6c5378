"""Every screen, in two languages, on a desktop and on a telephone, light and dark: contrast, focus, targets, words.

What is computed here is what a person would look for: WCAG 2.2 ratios of all text and of the edges of controls, a ring
on every stop of the Tab key, targets that a finger meets, nothing cut off, one language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import NEEDS_CHROMIUM, chromium, overflowing, violations
from tests.git_command import git
from tests.studio.running import VOICE, Studio, recording, sentence
from tests.studio.test_page import keep, until, with_lines
from timbre.studio.door import Door
from timbre.studio.people import Sessions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), NEEDS_CHROMIUM]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOKS = [
    ("en", "desktop", "light"), ("zh", "desktop", "light"), ("en", "phone", "light"), ("zh", "phone", "light"),
    ("en", "phone", "dark"), ("zh", "desktop", "dark"),
]  # fmt: skip
SCREENS = Path(__file__).with_name("screens.js")
FOLLOWED = {
    "pushed": None,
    "problems": [],
    "jobs": [
        {"name": "ada: validate", "state": "passed", "url": "https://example.org/1"},
        {"name": "ada: finetune", "state": "running", "url": ""},
    ],
    "runs": [{
        "id": "0123456789abcdef", "commit": "89abcdef01234567", "state": "red",
        "stages": [{"name": name, "state": state} for name, state in (
            ("validate", "passed"), ("extract", "passed"), ("finetune", "running"), ("evaluate", "failed"),
            ("publish", "waiting"),
        )],
        "gates": [{
            "name": "speaker_similarity", "title": {"en": "Likeness to the speaker", "zh": "与说话人的相似度"},
            "advice": {"en": "Record in one room, with one microphone.", "zh": "请在同一个房间、用同一个话筒录音。"},
            "value": 0.71234, "limit": 0.8, "direction": "higher",
            "takes": [{"line": "0001", "why": "heard"}, {"line": "0002", "why": "speaker"}],
        }],
    }],
    "versions": [
        {"version": version, "created": "2026-03-01T10:20:30", "author": "Ada Example <ada@example.org>",
         "passed": not newest, "newest": newest, "production": not newest, "promote": newest, "approve": newest,
         "why": "gates" if newest else "current",
         "samples": [{"path": "samples/1.wav", "text": "The harbour was quiet when the fishing boats came home."}]}
        for version, newest in (("0123456789ab", True), ("ba9876543210", False))
    ],
    "rollback": "ba9876543210",
}  # fmt: skip
CHECKED = {
    "passed": False,
    "effective_s": 12.3,
    "problems": [
        {"where": "wavs/0002.flac", "value": "x", "limit": "", "remedy": "", "kind": "speaker"},
        {"where": "", "value": "x", "limit": "", "remedy": "", "kind": "room"},
    ],
    "remarks": [{"where": "wavs/0001.flac", "value": "x", "limit": "", "remedy": "", "kind": "dull"}],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")) as (only,):
        yield only


@pytest.fixture
def recorded(studio: Studio, tmp_path: Path) -> Studio:
    """Ada with one good take and one with other words, in a clone of a remote."""
    git(tmp_path.parent, "init", "-q", "--bare", "-b", "main", str(tmp_path / "server.git"))
    for command in (
        ("init", "-q", "-b", "main"), ("remote", "add", "origin", str(tmp_path / "server.git")),
        ("commit", "-q", "--allow-empty", "-m", "Begin"), ("push", "-q", "origin", "main"),
        ("config", "user.name", "Ada Example"), ("config", "user.email", "ada@example.org"),
    ):  # fmt: skip
        git(studio.root, *command)
    assert studio.call("POST", "/api/voices", VOICE).status == 201
    with_lines(studio, 4)
    lines = studio.voice / ".studio" / "lines.json"
    plan = json.loads(lines.read_text("utf-8"))
    plan[1][1] = sentence("awb", 2)
    lines.write_text(json.dumps(plan), encoding="utf-8")
    assert studio.call("PUT", "/api/voices/ada/takes/0001", recording("awb", 1)).status == 200
    assert studio.call("PUT", "/api/voices/ada/takes/0002", recording("awb", 3)).status == 200
    return studio


def rings(page: Any) -> list[str]:
    """Stops of the Tab key without a ring, and stops that it does not reach."""
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    wrong, reached, stops = [], set(), int(page.evaluate("screens.stops()"))
    # Players hold stops of their own.
    for _ in range(2 * stops + 10):
        page.keyboard.press("Tab")
        ring = page.evaluate("screens.ring()")
        if ring is None or ring["key"] in reached:
            continue
        reached.add(ring["key"])
        if not ring["good"]:
            wrong.append(f"{ring['name']}: {ring['why']}")
    return wrong if len(reached) >= stops else [*wrong, f"{len(reached)} of {stops} stops reached"]


def faults(page: Any, language: str, phone: bool) -> dict[str, list[str]]:
    """What a person would not show to a stranger."""
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    found = {
        "contrast of text": page.evaluate("screens.texts()"), "edges": page.evaluate("screens.edges()"),
        "targets": page.evaluate("phone => screens.targets(phone)", phone), "cut": page.evaluate("screens.cut()"),
        "overflow": overflowing(page), "words": page.evaluate("screens.words()") if language == "zh" else [],
        "focus": rings(page), "axe": violations(page),
    }  # fmt: skip
    return {what: items for what, items in found.items() if items}


def visit(page: Any, name: str, language: str, device: str, look: Callable[[], None], wrong: dict[str, Any]) -> None:
    """Makes a screen, keeps a picture and notes its faults."""
    look()
    keep(page, name)
    found = faults(page, language, device == "phone")
    if found:
        wrong[name] = found


@pytest.mark.parametrize(("language", "device", "scheme"), LOOKS)
def test_every_screen_can_be_shown_to_a_stranger(
    browser: Any, recorded: Studio, language: str, device: str, scheme: str
) -> None:
    context = browser.new_context(
        viewport=PHONE if device == "phone" else DESKTOP, color_scheme=scheme,
        locale="zh-CN" if language == "zh" else "en-GB",
    )  # fmt: skip
    page = context.new_page()
    page.add_init_script(path=SCREENS)
    page.set_default_timeout(120_000)
    wrong: dict[str, Any] = {}
    told = json.dumps(FOLLOWED)
    page.route("**/api/voices/ada/follow", lambda route: route.fulfill(body=told, content_type="application/json"))
    page.route("**/api/voices/ada/check", lambda route: route.fulfill(
        body=json.dumps(CHECKED), content_type="application/json"))  # fmt: skip

    def step(name: str) -> None:
        page.click(f'[data-step="{name}"]')
        page.wait_for_selector(f"#step-{name}:not([hidden])")

    def home() -> None:
        page.goto(f"{recorded.url}/enter?code={recorded.codes.code}")
        page.wait_for_selector("#voices button")
        page.set_input_files("#files", [{"name": "a.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}])
        page.click("#new button[type=submit]")
        page.wait_for_selector("#message:not(:empty)")

    def record(line: int) -> None:
        step("record")
        page.click(f"#lines li:nth-child({line}) button")

    def room() -> None:
        step("room")
        page.click("#measure")
        page.wait_for_selector("#measured:not(:empty)")

    def push() -> None:
        step("push")
        page.wait_for_selector("#plan:not(:empty)")
        page.click("#check")
        page.wait_for_selector("#checked strong")
        page.wait_for_selector(".gate")

    def question() -> None:
        page.click("#versions .move button")

    for name, look in (
        ("code", lambda: page.goto(recorded.url)), ("home", home),
        ("record-none", lambda: (page.click("#voices button"), record(3))), ("record-good", lambda: record(1)),
        ("record-bad", lambda: record(2)), ("consent", lambda: step("consent")), ("room", room), ("push", push),
        ("question", question),
    ):  # fmt: skip
        visit(page, f"{name}-{language}-{device}-{scheme}", language, device, look, wrong)
    context.close()
    assert wrong == {}


def test_the_page_for_a_key_too(browser: Any, studio: Studio) -> None:
    door = Door(studio.server.config.app, Sessions(()), frozenset({"127.0.0.1"}), studio.port, False, lasting=True)
    studio.server.config.loaded_app = door
    for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page = browser.new_page(viewport=size)
        page.add_init_script(path=SCREENS)
        page.goto(studio.url)
        page.wait_for_selector("#enter")
        page.fill("input", "no such key")
        page.click("button")
        until(lambda page=page: page.is_visible("#wrong"))
        keep(page, f"key-{device}")
        assert faults(page, "en", device == "phone") == {}
        page.close()
