"""Which folders are refused for noise that comes and goes."""

import pytest

from timbre.pipeline.stages.validate.checks import Findings
from timbre.pipeline.stages.validate.passing_noise import PassingNoise, pieces_of


@pytest.mark.parametrize(("clips", "pieces"), [(1, [5]), (2, [3, 3]), (5, [1] * 5), (9, [1, 0] * 4 + [1])])
def test_five_pieces_are_spread_over_the_folder(clips: int, pieces: list[int]) -> None:
    assert [pieces_of(index, clips) for index in range(clips)] == pieces


@pytest.mark.parametrize(
    ("ratios_db", "refused"),
    [
        ([4.9, 4.9, 4.9], True),
        ([5.0, 5.0, 5.0], False),
        ([-7.0, 4.0, 30.0, 30.0, 2.0], True),
        ([-7.0, 2.0, 16.0, 20.0, 30.0], False),
        ([-7.0, -7.0], False),
    ],
)
def test_the_median_of_three_pieces_or_more_decides(ratios_db: list[float], refused: bool) -> None:
    found = Findings()
    PassingNoise(ratios_db).check(found)
    assert [problem.kind for problem in found.problems] == (["noise"] if refused else [])
