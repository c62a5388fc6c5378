"""Stage 1 as `timbre validate` runs it: absent bases, and a process killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.voice.bad_inputs import ROOT, good_folder
from timbre.cli.main import call

SMALL_RECIPE = "validate: {min_effective_s: 5.0, held_out_min: 1}\n"


def repository(root: Path, settings: str = "", clips: int = 1) -> Path:
    """A voice repository with the base nano and one voice, ada; settings: further lines of its voice.yaml."""
    folder = good_folder(root / "voices" / "ada", clips)
    with (folder / "voice.yaml").open("a", encoding="utf-8") as stream:
        stream.write(settings)
    (root / "recipes").mkdir(exist_ok=True)
    (root / "recipes" / "default.yaml").write_text(SMALL_RECIPE, encoding="utf-8")
    (root / "bases/nano").mkdir(parents=True)
    shutil.copy(ROOT / "bases/nano/base.yaml", root / "bases/nano")
    return folder


def validate(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    """(exit code, what `timbre validate ada --json` prints about the voice)."""
    code = call(["--root", str(root), "validate", "ada", "--json"])
    return code, json.loads(capsys.readouterr().out)["voices"][0]


def base_of(folder: Path, name: str) -> None:
    path = folder / "voice.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("base: nano", f"base: {name}"), encoding="utf-8")


def test_a_misspelt_base_hides_no_other_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path)
    base_of(folder, "nanno")
    (folder / "wavs/0001.wav").write_bytes(b"no sound")
    (folder / "lexicon.txt").write_text("Timbre\n", encoding="utf-8")
    code, said = validate(tmp_path, capsys)
    assert code == 10
    assert said["validation"]["passed"] is False
    problems = {problem["where"]: problem for problem in said["validation"]["problems"]}
    assert set(problems) >= {"voice.yaml: base", "lexicon.txt, line 1", "wavs/0001.wav"}
    assert problems["voice.yaml: base"]["value"] == "'nanno'"
    assert "nano" in problems["voice.yaml: base"]["remedy"]
    assert all(where in said["error"] for where in problems)


def test_a_base_that_is_the_only_problem_is_for_the_operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path, clips=3)
    base_of(folder, "nanno")
    code, said = validate(tmp_path, capsys)
    assert code == 40
    assert "did you mean 'nano'?" in said["error"]
    assert [problem["where"] for problem in said["validation"]["problems"]] == ["voice.yaml: base"]


def test_a_language_that_the_base_was_not_trained_on_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path)
    path = folder / "voice.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("language: en", "language: ja"), encoding="utf-8")
    code, said = validate(tmp_path, capsys)
    assert code == 10
    found = [remark for remark in said["validation"]["problems"] if remark["where"] == "voice.yaml: language"]
    assert found[0]["value"] == "ja"
    assert "what the base nano was trained to speak" in found[0]["limit"]


def files_of(root: Path) -> dict[str, bytes]:
    """Everything that stage 1 left behind, without the records of time and memory and of each run."""
    place = root / ".timbre"
    found = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    kept = {name: path for name, path in found.items() if not name.startswith("registry/runs/")}
    return {name: path.read_bytes() for name, path in kept.items() if not name.endswith(("stage.json", ".lock"))}


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_and_the_next_one_gives_the_same(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "timbre.cli.main", "--root"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for root in (whole, killed):
        repository(root, clips=8)
    subprocess.run([*command, str(whole), "validate", "ada"], check=True, cwd=ROOT, env=environment)
    process = subprocess.Popen([*command, str(killed), "validate", "ada"], cwd=ROOT, env=environment)
    work = killed / ".timbre/work/ada/validate"
    until = time.monotonic() + 400
    while not list(work.glob("*/slices/00003.wav")) and not list(work.glob(".*/slices/00003.wav")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = {path.name for path in work.iterdir()}
    assert left
    assert not list(work.glob("*/stage.json")), "half of the work must not look like all of it"
    subprocess.run([*command, str(killed), "validate", "ada"], check=True, cwd=ROOT, env=environment)
    assert files_of(killed) == files_of(whole)
    assert not {path.name for path in work.iterdir()} & left
    assert len(list(work.glob("*/stage.json"))) == 1
