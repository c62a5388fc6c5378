"""The engine: keys, skipping, crashes, locks, verdicts, retries."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.engine.tiny_stages import ROWS, count, tiny_base, tiny_voice
from timbre.core.errors import (
    CheckFailedError,
    InfrastructureError,
    InputError,
)
from timbre.core.recipe import Recipe
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.engine import DONE, FETCHED, SKIPPED, WAITING, Engine, StageOutcome
from timbre.pipeline.engine.failures import RETRIED_EXIT_CODES, exit_code
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import StageRow

CHECKOUT = Path(__file__).resolve().parents[3]


def engine(root: Path, **changes: Any) -> Engine:
    return Engine(**{"workspace": Workspace(root), "rows": ROWS, "sleep": lambda seconds: None, **changes})


def run(root: Path, **changes: Any) -> list[str]:
    return [outcome.state for outcome in outcomes(root, **changes)]


def outcomes(
    root: Path, voice: Any = None, base: Any = None, until: str = "", rebuild: bool = False, **changes: Any
) -> list[StageOutcome]:
    return engine(root, **changes).run(voice or tiny_voice(root), base or tiny_base(root), until, rebuild)


def recipe(**sections: dict[str, Any]) -> Recipe:
    return Recipe().with_overrides(sections, "test")


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".*") if path.name.startswith((".partial", ".old", ".resume"))]


def test_second_run_skips_but_acts_and_decides(tmp_path: Path) -> None:
    assert run(tmp_path) == [DONE, DONE, DONE, DONE]
    assert run(tmp_path) == [SKIPPED, SKIPPED, SKIPPED, DONE]
    assert [count(tmp_path, name) for name in ("validate", "extract", "finetune", "decide", "publish")] == [
        1,
        1,
        1,
        2,
        2,
    ]
    assert leftovers(tmp_path) == []


def test_only_what_reads_a_change_runs_again(tmp_path: Path) -> None:
    run(tmp_path)
    assert run(tmp_path, recipe=recipe(finetune={"rank": 4})) == [SKIPPED, SKIPPED, DONE, DONE]
    assert run(tmp_path, recipe=recipe(extract={"shard_mib": 3})) == [SKIPPED, DONE, DONE, DONE]
    assert run(tmp_path, recipe=recipe(evaluate={"profile": "int8"})) == [SKIPPED, SKIPPED, SKIPPED, DONE]
    assert run(tmp_path, recipe=recipe(extract={"batch_s": 3})) == [SKIPPED, SKIPPED, SKIPPED, DONE], "not keyed"
    assert run(tmp_path, voice=tiny_voice(tmp_path, recipe={"finetune": {"rank": 2}})) == [SKIPPED, SKIPPED, DONE, DONE]
    assert run(tmp_path, base=tiny_base(tmp_path, bert=True)) == [SKIPPED, DONE, DONE, DONE], (
        "validate reads the rate only"
    )
    assert run(tmp_path, base=tiny_base(tmp_path, rate_hz=32000, hop=640))[0] == DONE
    assert run(tmp_path, voice=tiny_voice(tmp_path, text="other")) == [DONE, DONE, DONE, DONE]
    assert run(tmp_path, voice=tiny_voice(tmp_path)) == [SKIPPED, SKIPPED, SKIPPED, DONE], "undone edit costs nothing"


def test_stage_version_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    monkeypatch.setattr("tests.pipeline.engine.tiny_stages.Count.version", 2)
    assert run(tmp_path) == [SKIPPED, DONE, DONE, DONE]


def test_report_belongs_to_the_present_key(tmp_path: Path) -> None:
    report = tmp_path / ".timbre/reports/ada/validate/summary.md"
    run(tmp_path)
    run(tmp_path, voice=tiny_voice(tmp_path, text="other"))
    assert report.read_text() == "# other"
    run(tmp_path, voice=tiny_voice(tmp_path))
    assert report.read_text() == "# hello"


def test_stage_json_tells_how(tmp_path: Path) -> None:
    found = outcomes(tmp_path)[2]
    assert found.path is not None
    assert found.path.name == found.key
    assert len(found.key) == 64
    record = json.loads((found.path / "stage.json").read_text())
    assert record["stage"] == "finetune"
    assert record["voice"] == "ada"
    assert record["base"] == "tiny"
    assert record["parameters"]["finetune"]["rank"] == 8
    assert "checkpoint_every_steps" not in record["parameters"]["finetune"]
    assert record["seed"] == 1234
    assert record["tools"]["python"]
    assert record["peak_memory_mib"] > 1
    assert set(record["inputs"]) == {"extract", "base"}
    assert list(record["files"]) == ["seed.txt"]


def test_damaged_output_is_made_again(tmp_path: Path) -> None:
    path = outcomes(tmp_path)[1].path
    assert path is not None
    (path / "deep" / "count.txt").write_text("")
    assert run(tmp_path) == [SKIPPED, DONE, SKIPPED, DONE]
    (path / "stage.json").write_text("{")
    assert run(tmp_path) == [SKIPPED, DONE, SKIPPED, DONE]


def test_rebuild_makes_everything_again(tmp_path: Path) -> None:
    run(tmp_path)
    assert run(tmp_path, rebuild=True) == [DONE, DONE, DONE, DONE]
    assert leftovers(tmp_path) == []


def test_until(tmp_path: Path) -> None:
    assert run(tmp_path, until="extract") == [DONE, DONE]


def test_bad_input_leaves_a_report_and_no_output(tmp_path: Path) -> None:
    (tmp_path / "validate.do").write_text("input")
    with pytest.raises(InputError) as caught:
        run(tmp_path)
    assert exit_code(caught.value) == 10
    assert (tmp_path / ".timbre/reports/ada/validate/problems.json").exists()
    assert [
        path.name for path in (tmp_path / ".timbre/work/ada/validate").iterdir() if ".resume" not in path.name
    ] == []
    (tmp_path / "validate.do").unlink()
    assert run(tmp_path)[0] == DONE
    assert not (tmp_path / ".timbre/reports/ada/validate/problems.json").exists()


@pytest.mark.parametrize(
    ("wanted", "kind", "code"),
    [
        ("full", InfrastructureError, 30),
        ("memory", InfrastructureError, 30),
        ("bug", ZeroDivisionError, 1),
        ("cancel", InfrastructureError, 30),
    ],
)
def test_failures_of_the_machine(tmp_path: Path, wanted: str, kind: type[Exception], code: int) -> None:
    (tmp_path / "extract.do").write_text(wanted)
    with pytest.raises(kind) as caught:
        run(tmp_path)
    assert exit_code(caught.value) == code


def test_retries_only_the_machine(tmp_path: Path) -> None:
    (tmp_path / "extract.do").write_text("network once")
    with pytest.raises(InfrastructureError):
        run(tmp_path)
    (tmp_path / "extract.do").write_text("network once")
    slept: list[float] = []
    found = outcomes(tmp_path, retries=2, sleep=slept.append)
    assert [outcome.state for outcome in found] == [SKIPPED, DONE, DONE, DONE]
    assert slept == [5.0]
    assert found[1].facts == {"resumed": True}
    for wanted, stage in (("input", "validate"), ("cancel", "validate")):
        (tmp_path / f"{stage}.do").write_text(wanted)
        before = count(tmp_path, stage)
        with pytest.raises((InputError, InfrastructureError)):
            run(tmp_path, retries=2, rebuild=True)
        assert count(tmp_path, stage) == before + 1
    assert set(RETRIED_EXIT_CODES) == {30, 137, 143}


def test_red_verdict_every_time_without_measuring_again(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "red").touch()
    with pytest.raises(CheckFailedError) as caught:
        run(tmp_path)
    assert exit_code(caught.value) == 20
    assert count(tmp_path, "finetune") == 1
    assert count(tmp_path, "publish") == 1
    (tmp_path / "red").unlink()
    assert run(tmp_path) == [SKIPPED, SKIPPED, SKIPPED, DONE]


def test_status_changes_nothing(tmp_path: Path) -> None:
    voice, base = tiny_voice(tmp_path), tiny_base(tmp_path)
    assert [outcome.state for outcome in engine(tmp_path).status(voice, base)] == [WAITING] * 4
    assert not (tmp_path / ".timbre").exists()


def test_a_run_fetches_what_a_key_needs_and_status_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    for row in ROWS[:2]:
        monkeypatch.setattr(type(row.load()), "prepare", lambda self, recipe: fetched.append("fetched"), raising=False)
    voice, base = tiny_voice(tmp_path), tiny_base(tmp_path)
    engine(tmp_path).status(voice, base)
    assert not fetched
    engine(tmp_path).run(voice, base, until=ROWS[1].name)
    assert fetched == ["fetched"] * 2


def test_wrong_overrides_of_a_voice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean `rank`"):
        run(tmp_path, voice=tiny_voice(tmp_path, recipe={"finetune": {"rnak": 2}}))


def test_origin_reaches_publish(tmp_path: Path) -> None:
    assert outcomes(tmp_path, origin=Origin(commit="abc"))[3].facts == {"commit": "abc"}


def test_undeclared_section_is_refused(tmp_path: Path) -> None:
    rows = (dataclasses.replace(ROWS[0], sections=()), *ROWS[1:])
    with pytest.raises(LookupError, match="ValidateRecipe"):
        run(tmp_path, rows=rows)


def test_linked_output_is_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def linking(self: object, context: Any) -> dict[str, Any]:
        (context.output / "out").symlink_to("/etc/passwd")
        return {}

    monkeypatch.setattr("tests.pipeline.engine.tiny_stages.Copy.run", linking)
    with pytest.raises(RuntimeError, match="symbolic link"):
        run(tmp_path)


class FolderCache:
    """A stage cache that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, key: str, destination: Path) -> bool:
        if not (self.root / key).exists():
            return False
        shutil.copytree(self.root / key, destination, dirs_exist_ok=True)
        return True

    def offer(self, key: str, directory: Path) -> None:
        shutil.copytree(directory, self.root / key, dirs_exist_ok=True)


def test_stage_cache_on_another_machine(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache")
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(one, cache=cache) == [DONE, DONE, DONE, DONE]
    assert run(two, cache=cache) == [FETCHED, FETCHED, FETCHED, DONE]
    assert (two / ".timbre/reports/ada/validate/summary.md").read_text() == "# hello"
    assert run(two, cache=cache) == [SKIPPED, SKIPPED, SKIPPED, DONE]


def test_damaged_stage_cache_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FolderCache(tmp_path / "cache")
    run(tmp_path / "one", cache=cache)
    for path in (tmp_path / "cache").rglob("count.txt"):
        path.write_text("9")
    assert run(tmp_path / "two", cache=cache) == [FETCHED, DONE, FETCHED, DONE]
    assert "damaged" in caplog.text or any("damaged" in str(vars(record)) for record in caplog.records)


def start(root: Path, wait_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.pipeline.engine.tiny_stages", str(root), str(wait_s)]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if path.exists() and path.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


@pytest.mark.parametrize("stage", ["validate", "extract"])
def test_kill_in_the_middle_of_a_stage(tmp_path: Path, stage: str) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    broken.mkdir()
    (broken / f"{stage}.do").write_text("hang")
    process = start(broken, 0)
    wait_for(broken / "hanging")
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    process.communicate()
    assert any(name.startswith(".partial") for name in leftovers(broken))
    (broken / f"{stage}.do").unlink()

    found = outcomes(broken, wait_s=0.0)
    assert leftovers(broken) == []
    if stage == "extract":
        assert [outcome.state for outcome in found] == [SKIPPED, DONE, DONE, DONE]
        assert found[1].facts == {"resumed": True}, "the checkpoint of the killed attempt was there"
    expected = outcomes(whole)
    for one, other in zip(found[:3], expected[:3], strict=True):
        assert one.key == other.key
        assert one.path is not None
        assert other.path is not None
        files = [json.loads((path / "stage.json").read_text())["files"] for path in (one.path, other.path)]
        assert files[0] == files[1]


def test_leftovers_of_other_keys_are_removed(tmp_path: Path) -> None:
    """The voice was edited after a crash, so no stage comes back to the directories that the crash left."""
    run(tmp_path)
    work = tmp_path / ".timbre/work/ada/extract"
    for name in (".partial-0123", ".old-4567.x", ".tmp-89ab", ".resume-cdef"):
        (work / name / "deep").mkdir(parents=True)
        (work / name / "deep" / "half.bin").write_bytes(b"half")
    assert run(tmp_path, voice=tiny_voice(tmp_path, text="edited")) == [DONE, DONE, DONE, DONE]
    assert leftovers(tmp_path) == []
    assert not (work / ".tmp-89ab").exists()


def test_two_runs_of_one_voice(tmp_path: Path) -> None:
    (tmp_path / "validate.do").write_text("hang")
    first = start(tmp_path, 0)
    wait_for(tmp_path / "hanging")
    with pytest.raises(InfrastructureError, match=rf"voice ada is in use by process {first.pid}"):
        run(tmp_path, wait_s=0.2)
    assert any(name.startswith(".partial") for name in leftovers(tmp_path)), "the other run's work is left alone"
    (tmp_path / "validate.do").unlink()
    assert run(tmp_path, voice=tiny_voice(tmp_path, "bob"), wait_s=0.0) == [DONE] * 4, "another voice is free"
    waiting = start(tmp_path, 120)
    time.sleep(0.3)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    out, err = waiting.communicate(timeout=240)
    assert waiting.returncode == 0, err
    assert out.split() == [DONE, DONE, DONE, DONE]


def test_simultaneous_runs_share_the_work(tmp_path: Path) -> None:
    tiny_voice(tmp_path)
    processes = [start(tmp_path, 120) for _ in range(3)]
    states = sorted(process.communicate(timeout=240)[0].strip() for process in processes)
    assert states == ["done done done done"] + ["skipped skipped skipped done"] * 2
    assert count(tmp_path, "validate") == 1


def test_rows_name_only_earlier_inputs() -> None:
    from timbre.pipeline.stages.table import STAGES

    seen: list[str] = []
    for number, row in enumerate(STAGES, 1):
        assert isinstance(row, StageRow)
        assert row.number == number
        assert set(row.stage_inputs) <= set(seen)
        seen.append(row.name)
