"""From an empty page to a pushed voice: recorded, refused while lines are missing, checked by stage 1, pushed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.git_command import git
from tests.studio.running import ROOT, VOICE, recording, sentence, start
from timbre.core.recipe import load_recipe
from timbre.gptsovits.files.pico import make_pico

CLIPS = 8
AUTHOR = {"name": "Ada Example", "address": "ada@example.org"}


@pytest.mark.slow
def test_from_an_empty_page_to_a_pushed_voice(tmp_path: Path) -> None:
    server, clone = tmp_path / "server.git", tmp_path / "clone"
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
    # What a runner would check out: the merged branch holds a voice that the same stage accepts.
    git(clone, "fetch", "-q", "origin")
    assert git(clone, "merge-base", "origin/main", "origin/studio/ada") == git(clone, "rev-parse", "origin/main")
    follow = studio.call("GET", "/api/voices/ada/follow").json
    assert follow["pushed"]["commit"] == pushed.json["commit"]
    assert follow["versions"] == []
    studio.server.should_exit = True
