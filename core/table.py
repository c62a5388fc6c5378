"""A table of text, for terminals and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows under column titles."""

    head: Sequence[str]
    """Column titles."""
    rows: Sequence[Sequence[str]]
    """As many cells each, already text."""

    def text(self) -> str:
        """Columns padded to their widest cell; Chinese characters count as the two columns that they take."""
        # rich is imported when a table is shown: `timbre --help` must not pay for it.
        from rich.cells import cell_len

        lines = [self.head, *self.rows]
        widths = [max(cell_len(line[column]) for line in lines) for column in range(len(self.head))]
        padded = (
            [cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)] for line in lines
        )
        return "\n".join("  ".join(cells).rstrip() for cells in padded)

    def markdown(self) -> str:
        """A Markdown table; bars and line ends in cells are escaped."""
        head, *rows = ("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in (self.head, *self.rows))
        return "\n".join([head, "|---" * len(self.head) + "|", *rows])


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
