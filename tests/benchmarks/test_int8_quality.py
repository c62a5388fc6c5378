"""What int8 loses is measured over the same texts, and each loss is held to its limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.int8_quality import Spoken, table
from timbre.text.edit_distance import edit_counts

TEXT = ["the", "morning", "train", "was", "late"]
GOOD = Spoken(edit_counts(TEXT, TEXT), 0.8, 3.0, (1, 2, 3))


def verdicts(lines: list[str]) -> list[str]:
    return [line.split()[-1] for line in lines[2:]]


def test_what_is_equal_loses_nothing() -> None:
    lines, kept = table({"fp32": [GOOD] * 4, "int8": [GOOD] * 4})
    assert kept
    assert lines[0] == "4 texts, 100 % with the same codes"
    assert verdicts(lines) == ["ok"] * 3


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        (replace(GOOD, edits=edit_counts(TEXT, TEXT[:-1])), 0),
        (replace(GOOD, likeness=0.75), 1),
        (replace(GOOD, mos=2.9), 2),
    ],
)
def test_one_loss_beyond_its_limit_is_a_miss(worse: Spoken, missed: int) -> None:
    """In one text of two; a gain of the same size is none."""
    lines, kept = table({"fp32": [GOOD, GOOD], "int8": [GOOD, worse]})
    assert not kept
    assert [index for index, word in enumerate(verdicts(lines)) if word == "MISS"] == [missed]
    assert table({"fp32": [GOOD, worse], "int8": [GOOD, GOOD]})[1]


def test_without_distillmos_the_table_says_so() -> None:
    bare = replace(GOOD, mos=None)
    lines, kept = table({"fp32": [bare], "int8": [replace(bare, codes=(1,))]})
    assert kept
    assert lines[0] == "1 texts, 0 % with the same codes"
    assert lines[-1].endswith("not installed")
