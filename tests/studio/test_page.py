"""The page in a headless browser whose microphone plays a recording: a voice from nothing, by hand and by keyboard, in
two languages, on a telephone, and with everything that goes wrong before a microphone.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.chromium import NEEDS_CHROMIUM, chromium
from tests.studio.running import ROOT, VOICE, Studio, sentence
from timbre.audio.reader import read

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]
RNG = np.random.default_rng(0)
QUIET = '#measured[data-state="good"]'
KEEPS_STREAM = """
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async wanted => (window.stream = await open(wanted));
"""
# Texts with English words in them, apart from names and commands, and the way back to English.
ENGLISH = r"""
    [...document.querySelectorAll('button, h2, h3, label > span, p:not(.read), summary, .verdict')]
        .filter(item => item.offsetParent && !item.closest('.line') && !['language', 'where'].includes(item.id))
        .map(item => item.innerText)
        .map(text => text.replace(/timbre|studio|voices|dBFS|nano|voice.yaml|promote|rollback|VERSION|ada/gi, ''))
        .filter(text => /[a-z]{4}/i.test(text))
"""
UNPLUG = "stream.getAudioTracks().forEach(track => { track.stop(); track.dispatchEvent(new Event('ended')); })"


def microphone(path: Path) -> Path:
    """A sentence every nine seconds; rests between, as quiet as a good room."""
    wave = read(next((ROOT / "voices/awb/wavs").glob("0001.*")))
    pause = np.zeros(int(5.5 * wave.rate_hz), np.float32)
    sound = np.concatenate((pause, wave.samples)) + RNG.normal(0, 3e-4, len(pause) + len(wave.samples))
    sf.write(str(path), sound.astype(np.float32), wave.rate_hz, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """One with a microphone that is allowed, one with a microphone that is refused."""
    sound = microphone(tmp_path_factory.mktemp("microphone") / "sound.wav")
    fake = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={sound}")
    with chromium((*fake, "--use-fake-ui-for-media-stream"), fake) as both:
        yield both


@pytest.fixture
def page(browsers: tuple[Any, Any], studio: Studio) -> Iterator[Any]:
    """The studio's page, entered by its link; script errors and calls of other hosts fail the test."""
    yield from opened(browsers[0], studio)


def opened(browser: Any, studio: Studio) -> Iterator[Any]:
    studio.desk.warm()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None)
    page.on("request", lambda request: None if "127.0.0.1" in request.url or request.url.startswith("blob:")
            else wrong.append(request.url))  # fmt: skip
    page.set_default_timeout(120_000)
    page.add_init_script(KEEPS_STREAM)
    page.goto(f"{studio.url}/enter?code={studio.codes.code}")
    page.wait_for_selector("#home:not([hidden])")
    yield page
    context.close()
    assert wrong == []


def until(condition: Callable[[], bool], limit_s: float = 40) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def keep(page: Any, name: str) -> None:
    """A screenshot for people to look at, where TIMBRE_SCREENSHOTS names a folder."""
    folder = os.environ.get("TIMBRE_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"studio-{name}.png"), full_page=True)


def violations(page: Any) -> list[str]:
    """What axe-core finds on the screen as it is."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {item['nodes'][0]['html'][:150]}" for item in found]


def with_lines(studio: Studio, count: int) -> None:
    """Gives ada `count` lines and no others, each of them what the microphone says."""
    plan = [[f"{number:04d}", sentence("awb", 1)] for number in range(1, count + 1)]
    (studio.voice / ".studio" / "lines.json").write_text(json.dumps(plan), encoding="utf-8")


def open_ada(page: Any, studio: Studio, lines: int = 3) -> None:
    """A voice with a few lines, at its step of recording."""
    assert studio.call("POST", "/api/voices", VOICE).status == 201
    with_lines(studio, lines)
    page.reload()
    page.click("#voices button")
    page.click('[data-step="record"]')
    page.wait_for_selector("#step-record:not([hidden])")


def record(page: Any, button: str = "#line-record") -> None:
    """Presses Record and waits for the pause that ends the take, and for its judgement."""
    page.click(button)
    page.wait_for_selector('body[data-busy="record"]')
    page.wait_for_selector('body[data-busy=""]')


def good_take(page: Any) -> None:
    """Again, until no take began in the middle of the sentence; a busy machine also tears holes into the sound."""
    for _ in range(6):
        take(page)
        if page.get_attribute("#verdict", "data-state") == "good":
            return
    raise AssertionError(page.inner_text("#verdict"))


def take(page: Any) -> None:
    """A take that was judged, however."""
    record(page)
    assert page.get_attribute("#verdict", "data-state") in ("good", "bad"), page.inner_text("#message")


def test_a_voice_from_nothing(page: Any, studio: Studio) -> None:
    assert violations(page) == []
    keep(page, "home")
    page.click("#new button[type=submit]")
    until(lambda: "Name of the voice" in page.inner_text("#message"))
    for name in ("name", "speaker", "purpose"):
        page.fill(f"#new [name={name}]", VOICE[name])
    page.click("#new button[type=submit]")
    page.wait_for_selector("#step-room:not([hidden])")
    with_lines(studio, 3)
    for _ in range(4):
        page.click("#measure")
        page.wait_for_selector('body[data-busy="count"]')
        page.wait_for_selector('body[data-busy=""]')
        until(lambda: page.inner_text("#measured") != "")
        if page.query_selector(QUIET):
            break
    assert page.query_selector(QUIET), page.inner_text("#measured")
    keep(page, "room")
    assert violations(page) == []
    page.click("#room-on")
    assert "Ada Example" in page.inner_text("#consent-text")
    for _ in range(4):
        # One that begins in the middle of the sentence is too short, which is said instead.
        record(page, "#consent-record")
        assert page.get_attribute("#consent-verdict", "data-state") == "bad"
        if "not heard" in page.inner_text("#consent-verdict"):
            break
    assert "not heard" in page.inner_text("#consent-verdict"), "another sentence is no consent"
    keep(page, "consent")
    assert violations(page) == []
    page.click("#consent-on")
    good_take(page)
    assert "s of speech" in page.inner_text("#verdict")
    assert float(page.evaluate("document.getElementById('speech').value")) > 1
    assert "of 3" in page.inner_text("#line-number")
    keep(page, "record")
    assert violations(page) == []
    page.click("#line-listen")
    until(lambda: page.inner_text("#line-listen") == "Stop listening")
    page.click("#line-listen")
    page.click("#line-delete")
    until(lambda: not list(studio.voice.glob("wavs/*.flac")))
    page.click("#notice button")
    until(lambda: len(list(studio.voice.glob("wavs/*.flac"))) == 1)
    page.click('[data-step="push"]')
    until(lambda: "no Git repository" in page.inner_text("#message"))
    assert violations(page) == []
    keep(page, "push")


def test_the_form_is_not_shown_before_what_it_offers(page: Any, studio: Studio) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/state", hold)
    page.reload()
    until(lambda: page.evaluate("document.readyState") == "complete" and bool(held))
    assert page.is_hidden("#home")
    held[0].continue_()
    page.wait_for_selector("#home:not([hidden])")
    assert page.input_value("#new [name=base]") == "nano"


def test_a_telephone_in_chinese(page: Any, studio: Studio) -> None:
    open_ada(page, studio)
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#language")
    assert page.inner_text("#line-record") == "录音"
    take(page)
    for step in ("record", "push", "consent", "room"):
        page.click(f'[data-step="{step}"]')
        page.wait_for_selector(f"#step-{step}:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step
        assert violations(page) == [], step
        assert page.evaluate(ENGLISH) == [], step
        keep(page, f"{step}-zh-phone")
    page.click("#leave")
    page.wait_for_selector("#home:not([hidden])")
    assert page.evaluate("[...document.querySelectorAll('[data-word]')].filter(e => !e.textContent).length") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    keep(page, "home-zh-phone")


def test_by_keyboard_alone(page: Any, studio: Studio) -> None:
    open_ada(page, studio)
    page.focus('[data-step="consent"]')
    page.keyboard.press("Enter")
    page.focus("#consent-on")
    page.keyboard.press("Enter")
    first = page.inner_text("#line-number")
    page.keyboard.press("Space")
    page.wait_for_selector('body[data-busy="record"]')
    time.sleep(1)
    page.keyboard.press("Space")
    page.wait_for_selector('body[data-busy=""]')
    until(lambda: len(list(studio.voice.glob("wavs/*.flac"))) == 1)
    page.focus("#line-record")
    page.keyboard.press("Enter")
    assert page.inner_text("#line-number") != first
    unlabelled = page.evaluate(
        "[...document.querySelectorAll('input, select, textarea')].filter(e => !e.labels.length).map(e => e.id)"
    )
    assert unlabelled == []


def test_a_refused_microphone_is_explained(browsers: tuple[Any, Any], studio: Studio) -> None:
    for page in opened(browsers[1], studio):
        open_ada(page, studio)
        page.click("#line-record")
        until(lambda page=page: "may not use the microphone" in page.inner_text("#message"))
        page.click("#language")
        assert "浏览器不能使用话筒" in page.inner_text("#message")
        assert page.is_enabled("#line-record")


def test_a_microphone_that_is_unplugged_half_way(page: Any, studio: Studio) -> None:
    open_ada(page, studio)
    take(page)
    page.click("#line-next")
    page.click("#line-record")
    page.wait_for_selector('body[data-busy="record"]')
    page.evaluate(UNPLUG)
    until(lambda: "microphone is gone" in page.inner_text("#message"))
    assert page.get_attribute("body", "data-busy") == ""
    assert len(list(studio.voice.glob("wavs/*.flac"))) == 1, "earlier takes stay, half a take is none"
    take(page)
    assert len(list(studio.voice.glob("wavs/*.flac"))) == 2


def test_two_tabs_show_the_same(page: Any, studio: Studio) -> None:
    open_ada(page, studio)
    other = page.context.new_page()
    other.goto(studio.url)
    other.click("#voices button")
    other.click('[data-step="record"]')
    take(page)
    until(lambda: other.query_selector("#lines .tag") is not None)
    assert "Another tab" in other.inner_text("#notice")
    other.close()


def test_a_full_disk_keeps_the_take_until_there_is_room(
    page: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ada(page, studio)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    record(page)
    until(lambda: "disk is full" in page.inner_text("#message"))
    assert not list(studio.voice.glob("wavs/*.flac"))
    monkeypatch.undo()
    page.click("#send-again")
    until(lambda: len(list(studio.voice.glob("wavs/*.flac"))) == 1)
    page.wait_for_selector("#send-again", state="hidden")


def test_withdrawing_consent_needs_the_name(page: Any, studio: Studio) -> None:
    open_ada(page, studio)
    record(page)
    page.click('[data-step="consent"]')
    page.click("#withdraw summary")
    assert page.is_disabled("#withdraw-now")
    page.fill("#withdraw-name", "ada")
    page.click("#withdraw-now")
    until(lambda: "Consent withdrawn" in page.inner_text("#notice"))
    assert not list(studio.voice.rglob("*.flac"))


def test_dropped_files_become_a_voice(page: Any, studio: Studio, tmp_path: Path) -> None:
    for number in (1, 2):
        shutil.copy(next((ROOT / "voices/awb/wavs").glob(f"{number:04d}.*")), tmp_path)
    suffix = next((ROOT / "voices/awb/wavs").glob("0001.*")).suffix
    text = "".join(f"{number:04d}{suffix}|{sentence('awb', number)}\n" for number in (1, 2))
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    files = [str(path) for path in tmp_path.iterdir() if path.is_file()]
    page.set_input_files("#files", files)
    page.fill("#bring [name=name]", "bob")
    page.click("#bring button[type=submit]")
    page.wait_for_selector("#step-consent:not([hidden])")
    assert "2 recordings imported" in page.inner_text("#notice")
    page.fill("#rights [name=speaker]", "Bob Example")
    page.fill("#rights [name=purpose]", "tests")
    page.click("#rights button")
    until(lambda: "Bob Example" in page.inner_text("#consent-text"))
    page.click('[data-step="record"]')
    until(lambda: len(page.query_selector_all('#lines button[data-state="good"]')) == 2)
