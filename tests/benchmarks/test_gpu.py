"""The script for CUDA machines: what it says without one; a failure or a missing part never reads as a pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import gpu
from timbre.pipeline.engine.accelerator import Accelerator


def test_without_a_device_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("timbre.pipeline.engine.accelerator.find_accelerator", lambda: Accelerator((), "2.0", ""))
    assert gpu.main([]) == 0
    assert capsys.readouterr().out == f"{gpu.NOT_RUN}\n"


def test_every_part_is_named_whatever_happens_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0

    def good() -> Iterator[gpu.Row]:
        yield gpu.Row("first sound", 59.0, "ms", 60)
        yield gpu.Row("factor", 0.5, "", 0.02)

    def full() -> Iterator[gpu.Row]:
        nonlocal now
        yield gpu.Row("peak", 1.0, "GiB")
        now = 1000.0
        raise RuntimeError("out of memory")

    rows, sound = gpu.measure({"good": good, "full": full, "late": good}, 8, lambda: now)
    said = capsys.readouterr().out.splitlines()
    assert not sound
    assert [row.verdict for row in rows] == ["ok", "MISS", ""]
    assert "MISS" in said[1]
    assert said[3].startswith("full: failed: RuntimeError('out of memory')")
    assert said[4] == "late: not run: 8 minutes are over"
    assert gpu.measure({"good": good}, 8, lambda: 0.0)[1]
