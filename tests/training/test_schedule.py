"""The schedule gives the bits that each training had with a formula of its own."""

from __future__ import annotations

import math

import pytest

from timbre.training.schedule import warm_cosine


@pytest.mark.parametrize(("steps", "warm_up_steps", "final_share"), [(1, 1, 0.1), (600, 20, 0.1), (5700, 200, 0.05)])
@pytest.mark.parametrize("full", [1.0, 2e-4, 8e-4])
def test_warm_up_and_cosine(steps: int, warm_up_steps: int, final_share: float, full: float) -> None:
    for step in range(steps + 3):
        warm = min(1.0, (step + 1) / warm_up_steps)
        done = min(1.0, step / steps)
        expected = full * warm * (final_share + (1 - final_share) * 0.5 * (1.0 + math.cos(math.pi * done)))
        found = warm_cosine(full, step, steps, warm_up_steps=warm_up_steps, final_share=final_share)
        assert found == expected, step


@pytest.mark.parametrize(("steps", "decay_share"), [(10, 0.35), (4600, 0.35), (5000, 1.0)])
def test_plateau_before_the_cosine(steps: int, decay_share: float) -> None:
    fall_from = steps * (1 - decay_share)
    for step in range(steps + 3):
        rise = min(1.0, (step + 1) / 200)
        progress = max(0.0, (step - fall_from) / max(1.0, steps - fall_from))
        expected = 1e-3 * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        assert warm_cosine(1e-3, step, steps, warm_up_steps=200, fall_from=fall_from) == expected, step


def test_it_starts_low_and_ends_at_its_share() -> None:
    assert warm_cosine(1.0, 0, 100, warm_up_steps=10, final_share=0.1) == pytest.approx(0.1)
    assert warm_cosine(1.0, 100, 100, warm_up_steps=10, final_share=0.1) == pytest.approx(0.1)
    assert warm_cosine(1.0, 0, 100, warm_up_steps=0) == pytest.approx(1.0)
