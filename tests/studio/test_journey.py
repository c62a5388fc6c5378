"""From an empty page to a published voice: recorded, checked, pushed, merged, trained on pico, heard in the studio."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.studio.running import ROOT, VOICE, recording, sentence, start
from timbre.core.recipe import load_recipe
from timbre.gptsovits.files.pico import make_pico

CLIPS = 8
AUTHOR = {"name": "Ada Example", "address": "ada@example.org"}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Owner", "-c", "user.email=owner@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_from_an_empty_page_to_a_published_voice(tmp_path: Path) -> None:
    server, clone, runner = tmp_path / "server.git", tmp_path / "clone", tmp_path / "runner"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(server)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(clone)], check=True)
    (clone / "recipes").mkdir()
    shutil.copy(ROOT / "recipes" / "ci.yaml", clone / "recipes" / "default.yaml")
    make_pico(clone / "bases" / "pico")
    (clone / "voices").mkdir()
    (clone / "voices" / ".gitkeep").write_text("")
    (clone / ".gitignore").write_text(".timbre/\nregistry/\n")
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "-m", "Begin")
    git(clone, "remote", "add", "origin", str(server))
    git(clone, "push", "-q", "origin", "main")

    studio = start(clone, recipe=load_recipe(clone / "recipes" / "default.yaml"))
    studio.enter()
    assert studio.call("POST", "/api/voices", {**VOICE, "base": "pico"}).status == 201
    rows = "".join(f"wavs/{number:04d}.flac|{sentence('awb', number)}\n" for number in range(1, CLIPS + 1))
    (studio.voice / "metadata.csv").write_text(f"file|text\n{rows}", encoding="utf-8")
    missing = studio.call("POST", "/api/voices/ada/check").json
    assert missing.get("passed") is False, missing
    assert missing["problems"]
    # The sample has no statement of consent in its own voice: a person answers for what stands in for it.
    settings = (studio.voice / "voice.yaml").read_text("utf-8")
    approved = settings.replace("  rights:", '  approved_by: "Tester, 2026"\n  rights:')
    (studio.voice / "voice.yaml").write_text(approved, encoding="utf-8")
    assert studio.call("PUT", "/api/voices/ada/consent", recording("awb", CLIPS + 1)).status == 200
    for number in range(1, CLIPS + 1):
        view = studio.call("PUT", f"/api/voices/ada/takes/{number:04d}", recording("awb", number)).json
    assert view["progress"]["good"] == CLIPS
    checked = studio.call("POST", "/api/voices/ada/check").json
    assert checked["passed"], checked["problems"]
    pushed = studio.call("POST", "/api/voices/ada/push", AUTHOR)
    assert pushed.status == 201, pushed.json

    subprocess.run(["git", "clone", "-q", str(server), str(runner)], check=True)
    git(runner, "merge", "-q", "--no-ff", "-m", "Merge", "origin/studio/ada")
    command = [sys.executable, "-m", "timbre.cli.main", "--root", str(runner), "publish", "ada"]
    outside_ci = {name: value for name, value in os.environ.items() if name not in ("CI", "GITLAB_CI")}
    done = subprocess.run(
        [*command, "--registry", str(clone / "registry")], capture_output=True, text=True, env=outside_ci, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

    follow = studio.call("GET", "/api/voices/ada/follow").json
    assert follow["problems"] == []
    assert follow["pushed"]["commit"] == pushed.json["commit"]
    (version,) = follow["versions"]
    assert version["production"]
    assert version["passed"]
    assert version["samples"]
    assert [stage["name"] for stage in follow["runs"][0]["stages"]][-1] == "publish"
    sample = studio.call("GET", f"/api/voices/ada/versions/{version['version']}/{version['samples'][0]}")
    assert sample.status == 200
    assert len(sample.body) > 1000
    assert studio.call("GET", f"/api/voices/ada/versions/{version['version']}/package.json").status == 404
    studio.server.should_exit = True
