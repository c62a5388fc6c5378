"""The table of likeness: whose voice passes, and what fails it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.similarity import Row, read_row, row_text, summary
from benchmarks.speakers import unseen_speakers
from timbre.core.atomic import write_json


def rows(count: int = 6) -> list[Row]:
    """Speakers in directions of their own; each voice as close to its speaker as the recordings are."""
    random = np.random.default_rng(1)
    found = []
    for number in range(count):
        centre = np.eye(256)[number]

        def around(amount: int, centre: np.ndarray = centre) -> np.ndarray:  # type: ignore[type-arg]
            return np.asarray(centre + 0.01 * random.standard_normal((amount, 256)), np.float32)

        losses = {"sovits": (3.0, 2.9), "t2s": (2.0, 1.9)}
        found.append(Row(f"so{number}", around(5), around(8), around(8), losses, 10.0))
    return found


def test_voices_like_their_speakers_pass() -> None:
    lines, held = summary(rows())
    assert held
    assert lines[-1].endswith("passed")
    assert sum("nearest" in line and " ok" in line for line in lines) == 6
    assert "voice 1.0" in row_text(rows()[0])
    assert "t2s 2.000 -> 1.900" in row_text(rows()[0])


@pytest.mark.parametrize("spoilt", ["another", "far", "losses"])
def test_each_limit_fails_the_table(spoilt: str) -> None:
    table = rows()
    if spoilt == "another":
        table[0] = replace(table[0], spoken=table[1].spoken)
    elif spoilt == "far":
        table[0] = replace(table[0], spoken=table[0].spoken + np.float32(0.2))
    else:
        table[0] = replace(table[0], losses={"sovits": (3.0, 2.9), "t2s": (2.0, 2.0)})
    lines, held = summary(table)
    assert not held
    assert lines[-1].endswith("FAILED")


def test_a_row_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    row = rows(1)[0]
    write_json(tmp_path / "row.json", {
        "speaker": row.speaker, "real": row.real.tolist(), "spoken": row.spoken.tolist(), "plain": row.plain.tolist(),
        "losses": {name: list(pair) for name, pair in row.losses.items()}, "seconds": row.seconds,
    })  # fmt: skip
    again = read_row(tmp_path / "row.json")
    assert again.losses == row.losses
    assert np.allclose(again.spoken, row.spoken)
    assert again.ratio(again.spoken) == pytest.approx(row.ratio(row.spoken))


def test_women_and_men_come_in_turn(tmp_path: Path) -> None:
    (tmp_path / "unseen-speakers.txt").write_text("# who\nA\nB\nC\nD\nE\n", encoding="utf-8")
    (tmp_path / "speechocean762").mkdir()
    table = "speaker|sex|age|level|seconds\nA|f|1|1|1\nB|f|1|1|1\nC|f|1|1|1\nD|m|1|1|1\nE|m|1|1|1\n"
    (tmp_path / "speechocean762" / "speakers.csv").write_text(table, encoding="utf-8")
    assert unseen_speakers(tmp_path) == ["A", "D", "B", "E", "C"]
