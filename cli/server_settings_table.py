"""The table of settings in docs/server.md, written from serving/settings.py; `make docs` runs this as a program."""

from __future__ import annotations

import sys
import typing
from dataclasses import fields
from pathlib import Path

from timbre.core.settings import describe_type, limits_text
from timbre.serving.settings import ServeSettings

BEGIN, END = "<!-- settings: written by make docs -->\n", "<!-- end of settings -->"


def table() -> str:
    """A Markdown table: name, default, type and limits, meaning."""
    hints = typing.get_type_hints(ServeSettings)
    rows = ["| setting | default | type and limits | meaning |", "|---|---|---|---|"]
    for item in fields(ServeSettings):
        about = item.metadata
        kind = ", ".join(
            part
            for part in (
                describe_type(hints[item.name]), limits_text(about["low"], about["high"]), ", ".join(about["choices"])
            ) if part
        )  # fmt: skip
        shown = _shown(item.default)
        unit = f" ({about['unit']})" if about["unit"] else ""
        rows.append(f"| `{item.name}` | {shown} | {kind} | {about['doc']}{unit} |")
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    text = ", ".join(default) if isinstance(default, tuple) else str(default)
    return f"`{text}`" if text else ""


def replaced(page: str) -> str:
    """The page with a fresh table between its marks. Raises ValueError when the marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no {BEGIN.strip()} ... {END}")
    return f"{before}{BEGIN}{table()}{END}{after}"


def main() -> None:
    """Rewrites the page that is named."""
    page = Path(sys.argv[1])
    page.write_text(replaced(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
