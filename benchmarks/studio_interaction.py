"""From `timbre studio` to a pushed, valid voice, each line spoken once: python -m benchmarks.studio_interaction

A real `timbre studio` over a clone without a voice, headless Chromium, and a speaker (flite) who reads what the page
shows; keys and clicks as a person gives them, no command line but the first. Prints the parts of the wall clock, and
what is left without sound and without the machine's own work. A script's hands take no time, so a person's are added by
the keystroke-level model (Card, Moran and Newell 1980): 0.28 s a key, 1.1 s to point, 0.2 s to click, 1.35 s to think
before each act. Ends with 1 if the voice is not valid or interaction takes more than 180 s. Needs flite and Chromium.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tests.chromium import chromium
from tests.git_command import git
from tests.studio.test_published import MICROPHONE, Journey, repository

_ROOT = Path(__file__).resolve().parents[1]
_KEY_S, _POINT_S, _CLICK_S, _THINK_S = 0.28, 1.1, 0.2, 1.35
_LIMIT_S = 180.0
_PATIENCE_MS = 300_000
_FORM = (("name", "ada"), ("speaker", "Ada Example"), ("purpose", "announcements of Example School"))
# When the page counts down, records and waits for the studio, by its own clock.
_WATCH = """
    window.spent = {};
    addEventListener('DOMContentLoaded', () => {
        let now = '', since = performance.now();
        new MutationObserver(() => {
            const at = performance.now();
            spent[now] = (spent[now] ?? 0) + at - since;
            now = document.body.dataset.busy;
            since = at;
        }).observe(document.body, { attributes: true, attributeFilter: ['data-busy'] });
    });
"""


@dataclass
class Hands:
    """What a person does: counted."""

    page: Any
    keys: int = 0
    clicks: int = 0
    acts: int = 0
    own_s: float = 0.0
    """What the script took for them, instead of which a person's time counts."""

    def click(self, what: str) -> None:
        self._do(lambda: self.page.click(what))
        self.clicks += 1
        self.acts += 1

    def press(self, key: str) -> None:
        self._do(lambda: self.page.keyboard.press(key))
        self.keys += 1
        self.acts += 1

    def fill(self, what: str, text: str) -> None:
        self.click(what)
        self._do(lambda: self.page.keyboard.type(text))
        self.keys += len(text)

    def read(self, what: str) -> str:
        """What the page shows there."""
        return str(self._do(lambda: self.page.inner_text(what)))

    def _do(self, act: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        done = act()
        self.own_s += time.perf_counter() - began
        return done

    @property
    def seconds(self) -> float:
        """A person's hands and thoughts."""
        return self.keys * _KEY_S + self.clicks * (_POINT_S + _CLICK_S) + self.acts * _THINK_S


def spoken(text: str, folder: Path, voice: str) -> str:
    """A WAV file with that text, as Base64."""
    path = folder / "spoken.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
    return base64.b64encode(path.read_bytes()).decode()


def say(page: Any, text: str, folder: Path, voice: str) -> None:
    """Speaks as the page says so; its pause ends the take."""
    page.wait_for_selector('body[data-busy="record"]')
    page.evaluate("data => window.speak(data)", spoken(text, folder, voice))
    page.wait_for_selector('body[data-busy=""]')


@dataclass
class Outcome:
    """What the journey came to."""

    wall_s: float
    machine_s: float
    lines: int
    bad: int
    valid: str
    pushed: bool


def journey(page: Any, hands: Hands, folder: Path, voice: str) -> Outcome:
    """From the page's first sight to the push."""
    page.wait_for_selector("#home:not([hidden])")
    began, waited = time.perf_counter(), 0.0
    for name, text in _FORM:
        hands.fill(f"#new [name={name}]", text)
    hands.press("Enter")
    page.wait_for_selector("#step-room:not([hidden])")
    hands.click("#measure")
    page.wait_for_selector('#measured[data-state="good"]')
    hands.click("#room-on")
    hands.click("#consent-record")
    say(page, hands.read("#consent-text"), folder, voice)
    hands.click("#consent-on")
    lines = bad = 0
    while True:
        hands.press("Space")
        say(page, hands.read("#line-text"), folder, voice)
        lines += 1
        if page.get_attribute("#verdict", "data-state") != "good":
            bad += 1
            click.echo(f"<!-- {page.inner_text('#line-text')!r}: {page.inner_text('#verdict')!r} -->")
        if hands.read("#enough"):
            break
        hands.press("Enter")
    hands.click('[data-step="push"]')
    for button, done in (("#check", "#checked strong"), ("#push-now", "#pushed strong")):
        hands.click(button)
        at = time.perf_counter()
        page.wait_for_selector(f"{done}, #message:not(:empty)")
        waited += time.perf_counter() - at
    valid = page.inner_text("#checked")
    pushed = page.query_selector("#pushed strong") is not None
    return Outcome(time.perf_counter() - began, waited, lines, bad, valid, pushed)


@click.command()
@click.option("--speaker", default="awb", show_default=True, help="Voice of flite.")
def main(speaker: str) -> None:
    """Prints parts and sum."""
    with tempfile.TemporaryDirectory() as name, chromium(()) as (browser,):
        folder = Path(name)
        server, clone = repository(folder, _ROOT / "bases" / "nano", Journey("nano", 0, "{}\n"))
        git(clone, "config", "user.name", "Ada Example")
        git(clone, "config", "user.email", "ada@example.org")
        running = subprocess.Popen(
            [sys.executable, "-m", "timbre.cli.main", "studio", "--no-browser"], cwd=clone, env={**os.environ},
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert running.stderr is not None
            link = re.search(r"http://\S+", running.stderr.readline())
            assert link is not None
            page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
            page.set_default_timeout(_PATIENCE_MS)
            page.add_init_script(MICROPHONE + _WATCH)
            page.goto(link.group())
            hands = Hands(page)
            found = journey(page, hands, folder, speaker)
            spent = {state: float(ms) / 1000 for state, ms in page.evaluate("spent").items()}
            branch = git(server, "branch", "--list", "studio/ada") if found.pushed else ""
        finally:
            running.terminate()
            running.wait(30)
    sound, judged = spent.get("record", 0.0), spent.get("send", 0.0)
    # The room is measured while the page counts: it listens for 3.2 s.
    counted = spent.get("count", 0.0) - 3.2
    rest = found.wall_s - sound - 3.2 - judged - found.machine_s - hands.own_s
    total = rest + hands.seconds
    good = found.valid.startswith(("Good", "✓")) and bool(branch.strip())
    click.echo("| part | s |\n|---|---|")
    for what, seconds in (
        ("wall clock, first sight of the page to the push", found.wall_s),
        ("sound: recording with its pauses, room", sound + 3.2),
        ("machine: judging takes", judged),
        ("machine: check of the whole voice, push", found.machine_s),
        ("the script's hands and eyes", hands.own_s),
        ("left: the page itself", rest),
        ("of it counting down", counted),
        (f"a person's hands: {hands.clicks} clicks, {hands.keys} keys, {hands.acts} acts", hands.seconds),
        (f"interaction (limit {_LIMIT_S:.0f})", total),
    ):
        click.echo(f"| {what} | {seconds:.1f} |")
    click.echo(f"\nlines read once: {found.lines}, bad: {found.bad}; command lines after the first: 0")
    click.echo(f"valid and pushed: {'yes' if good else 'no'}: {found.valid.splitlines()[0]}")
    if not good or total > _LIMIT_S:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
