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


def test_at_least_98_percent_are_equal_outside_quirks(results: list[Comparison]) -> None:
    equal, items, _, _ = rates(results)["all"]
    assert items >= 60
    assert equal / items >= 0.98, [r.text for r in results if not r.equal and not r.codes]


def test_every_difference_has_a_stated_reason(results: list[Comparison]) -> None:
    assert [r.text for r in results if not r.equal and not r.stated] == []


def test_mandarin_and_mixed_text_are_all_equal_outside_quirks(results: list[Comparison]) -> None:
    assert [r.text for r in results if r.file != "en" and not r.codes and not r.equal] == []
