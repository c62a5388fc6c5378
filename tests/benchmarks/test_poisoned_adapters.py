"""The table of degraded adapters: who was refused by which of a base's own gates."""

from __future__ import annotations

from pathlib import Path

from benchmarks.poisoned_adapters import rows_of, silent_gates, table
from tests.evaluation.test_gates import gates_of, measured
from timbre.evaluation.calibration import GOOD, LOADING, Specimen


def test_each_kind_is_refused_by_gates_or_named_as_let_through(tmp_path: Path) -> None:
    lines = [{"metric": "stoi", "protocol": "copy", "limit": 0.85}, {"metric": "dnsmos", "protocol": "tts", "limit": 2}]
    gates = gates_of(tmp_path, lines)
    specimens = [
        Specimen("ada", GOOD, measured()),
        Specimen("bob", GOOD, measured()),
        Specimen("ada", "noisy", measured({"stoi": 0.6})),
        Specimen("bob", "noisy", measured({"stoi": 0.95})),
        Specimen("ada", "truncated-weights", None, "half a file"),
    ]
    good, noisy, truncated = rows_of(gates, specimens)
    assert (good.kind, good.measured, good.refused, good.right) == (GOOD, 2, 0, True)
    assert (noisy.kind, noisy.refused, noisy.by, noisy.passed) == ("noisy", 1, {"stoi_copy": 1}, ("bob",))
    assert not noisy.right
    assert truncated.right
    assert truncated.by == {LOADING: 1}
    text = table([good, noisy, truncated])
    assert "**1 of 2**" in text
    assert "0 of 2" in text
    assert "**0 of 2**" not in text
    assert silent_gates(gates, [good, noisy, truncated]) == ["dnsmos_tts"]
