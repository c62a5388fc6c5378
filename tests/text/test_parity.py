"""Agreement with the reference vectors beside the checkout."""

import os
from pathlib import Path

import pytest

from benchmarks.text_parity import Comparison, compare, rates

SHARED = Path(os.environ.get("TIMBRE_SHARED", Path(__file__).parents[3] / "shared"))
VECTORS = SHARED / "parity" / "text"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not VECTORS.is_dir(), reason=f"no reference vectors at {VECTORS}"),
]


@pytest.fixture(scope="module")
def results() -> list[Comparison]:
    return compare(VECTORS)


def test_98_percent_of_every_list_are_equal_outside_quirks(results: list[Comparison]) -> None:
    table = rates(results)
    assert table["all"][1] >= 160
    for name, (equal, items, _, _) in table.items():
        wrong = [r.text for r in results if not r.equal and not r.codes and name in (r.file, "all")]
        assert equal / items >= (0.95 if name == "en" else 0.98), (name, wrong)


def test_every_difference_has_a_stated_reason(results: list[Comparison]) -> None:
    assert [r.text for r in results if not r.equal and not r.stated] == []


def test_all_but_english_are_all_equal_outside_quirks(results: list[Comparison]) -> None:
    assert [r.text for r in results if r.file != "en" and not r.codes and not r.equal] == []
