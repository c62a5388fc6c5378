"""The reports below `.timbre/reports`, newest first, and the page that lists them.

folder -> Report, Report, ... -> index page
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from timbre.evaluation.reports.pages import CSS, LANGUAGE_SCRIPT, environment

_PACKAGE = "timbre.cli.reports"
_GATES = "gates.json"


@dataclass(frozen=True)
class Report:
    """One page."""

    voice: str
    """Folder above the stage's."""
    stage: str
    """Folder that holds the page."""
    path: str
    """Relative to the folder of reports, with `/`."""
    written: datetime
    """Time of writing, UTC."""
    size_bytes: int
    """Of the page with its sounds."""
    passed: bool | None
    """None for a page without verdicts."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "voice": self.voice, "stage": self.stage, "path": self.path, "passed": self.passed,
            "written": self.written.isoformat(timespec="seconds"), "size_bytes": self.size_bytes,
        }  # fmt: skip


def reports_below(folder: Path, voice: str = "") -> list[Report]:
    """All pages, newest first. voice: only of this one. Empty for a folder that is not there."""
    found = []
    for path in folder.glob("*/*/*.html"):
        name, stage = path.parent.parent.name, path.parent.name
        if (voice and name != voice) or path.is_symlink() or not path.is_file():
            continue
        about = path.stat()
        written = datetime.fromtimestamp(about.st_mtime, UTC)
        passed = _passed(path.parent / _GATES)
        found.append(Report(name, stage, path.relative_to(folder).as_posix(), written, about.st_size, passed))
    return sorted(found, key=lambda report: (report.written, report.path), reverse=True)


def index_page(reports: Sequence[Report]) -> str:
    """The list as a page."""
    rows = [
        {
            **report.plain(),
            "written": f"{report.written:%Y-%m-%d %H:%M:%S}",
            "size": f"{report.size_bytes / 1e6:.1f}",
        }
        for report in reports
    ]
    page = environment(_PACKAGE).get_template("index.html.j2")
    return page.render(css=Markup(CSS), script=Markup(LANGUAGE_SCRIPT), rows=rows)


def _passed(path: Path) -> bool | None:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["passed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
