"""The commands of docs/recovery.md, in their order, on a registry with a voice."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.deploy.tools import ROOT
from tests.serving.shelf_of_voices import Shelf


def commands() -> list[list[str]]:
    """The console lines of the page."""
    return [
        shlex.split(line)[1:]
        for line in re.findall(r"^\$ (timbre .*)$", (ROOT / "docs" / "recovery.md").read_text("utf-8"), re.M)
    ]


@pytest.mark.slow
def test_the_drill_of_the_page_brings_the_voice_back(tmp_path: Path, pico_export: Path) -> None:
    Shelf(tmp_path / "registry", pico_export).publish("ada")
    environment = {**os.environ, "TIMBRE_REGISTRY": str(tmp_path / "registry"), "HOME": str(tmp_path)}
    (tmp_path / "drill").mkdir()

    def timbre(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "timbre.cli.main", *arguments], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = [
        timbre(*[re.sub(r"^/(backup|drill)", rf"{tmp_path}/\1", word) for word in command]) for command in commands()
    ]
    assert len(said) == 5
    assert "promoted" in said[3]
    timbre("say", "ada", "Good morning.", "--seed", "1", "-o", str(tmp_path / "original.wav"))
    original, _ = soundfile.read(tmp_path / "original.wav")
    restored, _ = soundfile.read(tmp_path / "drill" / "ada.wav")
    assert len(original) > 1000
    assert (original == restored).all()
