"""From an empty page to a published voice that the page plays: recorded and pushed in a browser, merged, run as by CI.

The microphone is a stream that plays, when asked, the recording of the line that the page shows.
"""

from __future__ import annotations

import base64
import csv
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import NEEDS_CHROMIUM, chromium
from tests.e2e.material import operator_registry
from tests.git_command import git
from tests.studio.running import ROOT, VOICE, Studio, recording, start
from timbre.core.recipe import load_recipe
from timbre.core.redaction import Redactor
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.run_log import RunLog
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.run_records import RunStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), NEEDS_CHROMIUM]
LIMIT_MS = 400_000


@dataclass(frozen=True)
class Journey:
    """A base, how many lines are read, and the recipe: stages made short, or as they are shipped."""

    base: str
    lines: int
    recipe: str


PLUMBING = Journey(
    "pico", 4, (ROOT / "recipes" / "ci.yaml").read_text("utf-8").replace("min_effective_s: 20", "min_effective_s: 6")
)
# Through the shipped gates of the base that speaks.
SPOKEN = Journey("nano", 20, "validate: {min_effective_s: 45}\nfinetune: {min_steps: 60, max_steps: 60}\n")
MICROPHONE = """
    navigator.mediaDevices.getUserMedia = async () => {
        const context = new AudioContext();
        const out = context.createMediaStreamDestination();
        const hiss = context.createBuffer(1, 2 * context.sampleRate, context.sampleRate);
        hiss.getChannelData(0).forEach((_, at, all) => { all[at] = 6e-4 * (Math.random() - 0.5); });
        const quiet = new AudioBufferSourceNode(context, { buffer: hiss, loop: true });
        quiet.connect(out);
        quiet.start();
        window.speak = async data => {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const source = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(bytes.buffer) });
            source.connect(out);
            source.start();
            await new Promise(done => { source.onended = done; });
        };
        return out.stream;
    };
"""


def repository(root: Path, base: Path, journey: Journey) -> tuple[Path, Path]:
    """A clone without a voice and its bare remote."""
    server, clone = root / "server.git", root / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(server)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(clone)], check=True)
    (clone / "recipes").mkdir()
    (clone / "recipes" / "default.yaml").write_text(journey.recipe, encoding="utf-8")
    shutil.copytree(base, clone / "bases" / journey.base)
    (clone / "voices").mkdir()
    (clone / "voices" / ".gitkeep").write_text("")
    (clone / ".gitignore").write_text(".timbre/\n")
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "-m", "Begin")
    git(clone, "remote", "add", "origin", str(server))
    git(clone, "push", "-q", "origin", "main")
    return server, clone


def read_aloud(page: Any, button: str, number: int) -> None:
    """Presses Record, speaks a recording of awb, presses Stop, and waits until it is judged."""
    page.click(button)
    page.wait_for_selector('body[data-busy="record"]')
    page.evaluate("data => window.speak(data)", base64.b64encode(recording("awb", number)).decode())
    if page.get_attribute("body", "data-busy") == "record":
        page.click(button)
    page.wait_for_selector('body[data-busy=""]')


def pipeline(server: Path, folder: Path, registry: RegistryAddress) -> None:
    """The pipeline of the newest commit, on a checkout of its own."""
    subprocess.run(["git", "clone", "-q", str(server), str(folder)], check=True)
    commit = git(folder, "rev-parse", "HEAD")
    origin = Origin(commit=commit, author=git(folder, "log", "-1", "--format=%an <%ae>"), ref="main")
    engine = Engine(Workspace(folder), load_recipe(folder / "recipes" / "default.yaml"), registry, origin)
    log = RunLog(RunStore(open_registry(registry).store), Redactor())
    run = run_voice(engine, "ada", "", False, None, runs=log)
    assert run.error is None, run.error


def until(condition: Callable[[], bool], what: str, limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_from_an_empty_page_to_a_voice_that_it_plays(tmp_path: Path, pico_base: Path, pico_export: Path) -> None:
    (tmp_path / "operator").mkdir()
    registry = RegistryAddress(str(operator_registry(tmp_path / "operator", pico_base, pico_export)), {})
    travelled(tmp_path, pico_base, registry, PLUMBING)


def test_a_voice_of_the_base_that_speaks_passes_its_gates(tmp_path: Path) -> None:
    travelled(tmp_path, ROOT / "bases" / "nano", RegistryAddress(str(tmp_path / "registry"), {}), SPOKEN)


def travelled(tmp_path: Path, base: Path, registry: RegistryAddress, journey: Journey) -> None:
    server, clone = repository(tmp_path, base, journey)
    studio = start(clone, recipe=load_recipe(clone / "recipes" / "default.yaml"), registry=registry)
    with chromium(()) as (browser,):
        page = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB").new_page()
        page.set_default_timeout(LIMIT_MS)
        page.add_init_script(MICROPHONE)
        page.goto(f"{studio.url}/enter?code={studio.codes.code}")
        recorded_and_pushed(page, studio, journey)
        commit = git(server, "rev-parse", "studio/ada")
        # What the button of a merge request does.
        git(server, "update-ref", "refs/heads/main", commit)
        pipeline(server, tmp_path / "runner", registry)
        page.click('[data-step="push"]')
        until(lambda: "in production" in page.inner_text("#versions"), page.inner_text("#step-push"))
        assert page.locator('#runs .stages li[data-state="passed"]').count() == 5
        assert commit[:8] in page.inner_text("#runs")
        version = open_registry(registry).resolve("ada").version
        assert version in page.inner_text("#versions")
        heard = "audio => new Promise(done => { audio.onended = () => done(audio.duration); audio.play(); })"
        assert page.locator("#versions audio").first.evaluate(heard) > 0.1
    studio.server.should_exit = True


def recorded_and_pushed(page: Any, studio: Studio, journey: Journey) -> None:
    with (ROOT / "voices/awb/metadata.csv").open(encoding="utf-8") as stream:
        texts = [row["text"] for row in csv.DictReader(stream, delimiter="|")]
    for name in ("name", "speaker", "purpose"):
        page.fill(f"#new [name={name}]", VOICE[name])
    page.select_option("#new [name=base]", journey.base)
    page.click("#new button[type=submit]")
    page.wait_for_selector("#step-room:not([hidden])")
    # The lines are what the recordings say; the statement is in another's words, for which a person answers.
    plan = [[f"{number:04d}", texts[number - 1]] for number in range(1, journey.lines + 1)]
    (studio.voice / ".studio" / "lines.json").write_text(json.dumps(plan), encoding="utf-8")
    settings = (studio.voice / "voice.yaml").read_text("utf-8")
    approved = settings.replace("  rights:", '  approved_by: "Tester, 2026"\n  rights:')
    (studio.voice / "voice.yaml").write_text(approved, encoding="utf-8")
    page.click("#measure")
    page.wait_for_selector('#measured[data-state="good"]')
    page.click("#room-on")
    read_aloud(page, "#consent-record", journey.lines + 1)
    page.click("#consent-on")
    for _ in range(journey.lines):
        number = texts.index(page.inner_text("#line-text")) + 1
        read_aloud(page, "#line-record", number)
        assert page.get_attribute("#verdict", "data-state") == "good", page.inner_text("#verdict")
        page.click("#line-next")
    page.click('[data-step="push"]')
    page.click("#check")
    page.wait_for_selector('#checked[data-state="good"]')
    page.fill("#push [name=name]", "Ada Example")
    page.fill("#push [name=address]", "ada@example.org")
    page.click("#push-now")
    until(lambda: "Pushed." in page.inner_text("#pushed"), page.inner_text("#message"))
