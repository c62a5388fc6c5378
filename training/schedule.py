"""The learning rate of every training here: linear warm-up, an optional plateau, a cosine."""

from __future__ import annotations

import math


def warm_cosine(
    full: float, step: int, steps: int, *, warm_up_steps: int, final_share: float = 0.0, fall_from: float = 0.0
) -> float:
    """Rate of a step, counted from 0.

    full: rate after warm_up_steps. fall_from: step at which the cosine begins; it ends after `steps` at final_share of
    the full rate.
    """
    warm = min(1.0, (step + 1) / max(1, warm_up_steps))
    done = min(1.0, max(0.0, (step - fall_from) / max(1.0, steps - fall_from)))
    return full * warm * (final_share + (1 - final_share) * 0.5 * (1.0 + math.cos(math.pi * done)))
