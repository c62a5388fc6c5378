"""Edit distance between phone (or word) sequences, counted by kind of error."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EditCounts:
    """Counts of a minimum edit path from a reference to a hypothesis."""

    substitutions: int
    """Items of the reference that another one replaces."""
    deletions: int
    """Items of the reference that are missing."""
    insertions: int
    """Items of the hypothesis that the reference lacks."""
    length: int
    """Items of the reference."""

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference item; above 1 when much was inserted. An empty reference has rate 0 or infinity."""
        if self.length == 0:
            return 0.0 if self.errors == 0 else float("inf")
        return self.errors / self.length

    def __add__(self, other: EditCounts) -> EditCounts:
        return EditCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.length + other.length,
        )


def edit_counts(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> EditCounts:
    """Levenshtein distance split by kind; ties prefer substitution over deletion over insertion.

    Memory is (len(reference) + 1) x (len(hypothesis) + 1) of 32-bit integers.
    """
    rows, columns = len(reference), len(hypothesis)
    cost = np.zeros((rows + 1, columns + 1), np.int32)
    cost[:, 0] = np.arange(rows + 1)
    cost[0, :] = np.arange(columns + 1)
    for i in range(1, rows + 1):
        item, above, here = reference[i - 1], cost[i - 1], cost[i]
        for j in range(1, columns + 1):
            diagonal = above[j - 1] + (item != hypothesis[j - 1])
            here[j] = min(diagonal, above[j] + 1, here[j - 1] + 1)
    substitutions = deletions = insertions = 0
    i, j = rows, columns
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            substitutions += int(reference[i - 1] != hypothesis[j - 1])
            i, j = i - 1, j - 1
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            deletions, i = deletions + 1, i - 1
        else:
            insertions, j = insertions + 1, j - 1
    return EditCounts(substitutions, deletions, insertions, rows)


def total(counts: Sequence[EditCounts]) -> EditCounts:
    """Counts summed over sentences: the corpus rate weighs every phone once, not every sentence."""
    return sum(counts, EditCounts(0, 0, 0, 0))
