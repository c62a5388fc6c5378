"""The page of settings, written from the recipe's dataclasses; `make docs` runs this as a program."""

from __future__ import annotations

import dataclasses
import sys
import typing
from pathlib import Path
from typing import Any

from timbre.core.atomic import write_text
from timbre.core.recipe import SECTIONS
from timbre.core.settings import LOWER, describe_type, limits_text
from timbre.pipeline.stages.table import STAGES

HEAD = """\
# Settings

Written by `make docs` from `core/recipe.py`; do not edit. `recipes/default.yaml` holds the same values, one
section per stage. A voice can override those marked "voice" under `recipe:` in its voice.yaml; all others decide what
is accepted or what a run costs, and only the operator's recipe sets them. A base may bring
values of its own for those marked "voice" (`recipe:` in its base.yaml, such as the steps of `nano`), which count where
the operator's recipe has the built-in ones. Gate limits belong to a base:
`bases/<base>/gates.yaml`. Settings marked with an asterisk do not affect outputs, so changing them reruns nothing.
"""


def settings_markdown() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, kind in SECTIONS.items():
        row = next((row for row in STAGES if row.name == name), None)
        title = f"## `{name}`: stage {row.number}" if row else f"## `{name}`"
        doc = (kind.__doc__ or "").split("\n\n")[0].partition(": ")[2]
        about = " ".join(doc.split())
        parts.append(f"{title}\n\n{about[:1].upper() + about[1:]}\n\n{_table(kind)}")
    return "\n".join(parts)


def _table(kind: type) -> str:
    hints = typing.get_type_hints(kind)
    lines = ["| setting | default | unit | type and limits | set by | meaning |", "|---|---|---|---|---|---|"]
    for field in dataclasses.fields(kind):
        metadata = field.metadata
        mark = "" if metadata["keyed"] else " \\*"
        limits = limits_text(metadata["low"], metadata["high"]) or ", ".join(metadata["choices"])
        allowed = ", ".join(part for part in (describe_type(hints[field.name]), limits) if part)
        who = {True: "voice", LOWER: "voice, lower only"}.get(metadata["voice"], "operator")
        cells = [f"`{field.name}`{mark}", f"`{_shown(field.default)}`", metadata["unit"], allowed, who, metadata["doc"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), settings_markdown())
