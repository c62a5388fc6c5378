"""What the pushes are judged by: overhead, training steps of a revert, growth over many voices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks import pushes
from benchmarks.server import report

_BEGUN = datetime(2026, 5, 1, 12, 0, 0, 700_000, tzinfo=UTC)


def record(folder: Path, stage: str, started: datetime, facts: dict[str, int]) -> None:
    folder.mkdir(parents=True)
    about = {"stage": stage, "started": started.isoformat(timespec="seconds"), "facts": facts}
    (folder / "stage.json").write_text(json.dumps(about), encoding="utf-8")


def test_training_that_a_revert_starts_is_counted(tmp_path: Path) -> None:
    record(tmp_path / "ada" / "extract", "extract", _BEGUN, {"t2s_steps": 7})
    record(tmp_path / "ada" / "cached", "finetune", _BEGUN - timedelta(minutes=1), {"t2s_steps": 40})
    assert pushes.training_steps(tmp_path, _BEGUN) == 0
    record(tmp_path / "ada" / "finetune", "finetune", _BEGUN, {"t2s_steps": 8, "sovits_steps": 4, "t2s_best_step": 6})
    assert pushes.training_steps(tmp_path, _BEGUN) == 12
    record(tmp_path / "ben" / "finetune", "finetune", _BEGUN, {})
    assert pushes.training_steps(tmp_path, _BEGUN) == 13


def test_what_is_compared_with_the_limits() -> None:
    assert pushes.overhead_s(100.0, {"validate": 5.0, "finetune": 40.0, "evaluate": 30.0}) == pytest.approx(30.0)
    assert pushes.growth({5: 50.0, 10: 90.0, 20: 160.0}) == pytest.approx(0.8)
    assert pushes.growth({5: 50.0, 20: 400.0}) > pushes.LIMITS["growth"]
    assert pushes.growth({1: 9.0}) == 1.0, "one voice only"


def test_a_missed_limit_ends_with_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pushes.gitlab_tool, "missing", lambda: "")
    for value, code, word in ((14.9, 0, "ok"), (15.1, 1, "MISS")):
        monkeypatch.setattr(
            pushes, "_measure", lambda *_, value=value: report("revert", value, pushes.LIMITS["revert s"], "")
        )
        assert pushes.main([]) == code
        assert word in capsys.readouterr().out
