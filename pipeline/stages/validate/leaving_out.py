"""One bad recording does not stop a voice: it is left out and named, as long as enough good ones remain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from timbre.core.problems import Problem
from timbre.core.recipe import ValidateRecipe
from timbre.pipeline.stages.validate.checks import Findings

LEFT_OUT = "-left-out"
"""Ends the kind of a problem whose recording is not used."""


def settle_rejected(
    found: Findings, files: Sequence[str], speech_s: Mapping[str, float], slices: Mapping[str, int],
    recipe: ValidateRecipe,
) -> frozenset[str]:  # fmt: skip
    """The files to leave out; what was said about them becomes remarks. Empty when the folder is refused for them.

    files: all clips. speech_s, slices: of each clip that has any.
    """
    rejected = found.rejected
    found.rejected = []
    bad = {file for file, _ in rejected}
    good = [file for file in files if file not in bad]
    left_s, left_slices = sum(speech_s.get(file, 0.0) for file in good), sum(slices.get(file, 0) for file in good)
    allowed = max(1, int(recipe.max_left_out_share * len(files)))
    enough = left_s >= recipe.min_effective_s and left_slices > recipe.held_out_min
    if bad and len(bad) <= allowed and enough:
        found.remarks += [
            Problem(
                problem.where, f"{problem.value}: left out", problem.limit, problem.remedy, f"{problem.kind}{LEFT_OUT}"
            )
            for _, problem in rejected
        ]
        return frozenset(bad)
    found.problems += [problem for _, problem in rejected]
    return frozenset()
