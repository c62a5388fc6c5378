"""The verdict of benchmarks/make_run.py; the run itself takes minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.make_run import LIMITS, stage_seconds, table


def test_a_missed_limit_is_said_and_counts() -> None:
    good = {"install": 999.0, "first run": 400.0, "second run": 2.0, "stage 4": 100.0}
    lines, met = table(good)
    assert met
    assert "MISSED" not in lines
    assert "999.0" in lines
    for name, limit in LIMITS.items():
        lines, met = table({**good, name: limit})
        assert not met
        assert next(line for line in lines.splitlines() if "MISSED" in line).startswith(name)


def test_the_seconds_are_those_of_the_stages_record(tmp_path: Path) -> None:
    for number, (stage, seconds) in enumerate((("evaluate", 88.0), ("finetune", 240.0))):
        folder = tmp_path / ".timbre" / str(number)
        folder.mkdir(parents=True)
        (folder / "stage.json").write_text(json.dumps({"stage": stage, "seconds": seconds}))
    assert stage_seconds(tmp_path, "evaluate") == 88.0
    with pytest.raises(KeyError, match="publish"):
        stage_seconds(tmp_path, "publish")
