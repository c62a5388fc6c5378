"""What stage 1 found as code quality findings at file and line, for the changes of a merge request.

problems, remarks -> JSON in GitLab's form, a subset of Code Climate's
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from timbre.core.digests import digest_value
from timbre.core.problems import Problem
from timbre.pipeline.voice.metadata import FILE as METADATA

FILE = "codequality.json"
_PLACE = re.compile(r"(?P<file>[^,:\s]+\.[A-Za-z0-9]+)(?:, line (?P<line>\d+))?(?=$|[,:\s])")
_VOICE_FILE = "voice.yaml"


def code_quality(voice: str, problems: Sequence[Problem], remarks: Sequence[Problem], table: str = "") -> str:
    """The findings as JSON. table: text of metadata.csv: a finding about a recording stands at its row."""
    rows = _rows(table)
    found = [*_findings(voice, problems, "major", rows), *_findings(voice, remarks, "info", rows)]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _findings(voice: str, problems: Iterable[Problem], severity: str, rows: dict[str, int]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for problem in problems:
        path, line = _place(problem.where, rows)
        full = path if path.startswith("voices/") else f"voices/{voice}/{path}"
        words = f"{problem.value}; expected {problem.limit}. {problem.remedy}"
        found.append(
            {
                "description": f"{problem.where}: {words}",
                "check_name": "timbre-validate",
                # Without the line: a row that moves is no new finding.
                "fingerprint": digest_value([full, problem.value, problem.limit, problem.where])[:32],
                "severity": severity,
                "location": {"path": full, "lines": {"begin": line}},
            }
        )
    return found


def _place(where: str, rows: dict[str, int]) -> tuple[str, int]:
    found = _PLACE.match(where)
    if found is None:
        return _VOICE_FILE, 1
    file = found["file"]
    return (METADATA, rows[file]) if file in rows else (file, int(found["line"] or 1))


def _rows(table: str) -> dict[str, int]:
    """Path of a recording -> line of metadata.csv."""
    return {line.partition("|")[0].strip(): number for number, line in enumerate(table.splitlines(), 1) if "|" in line}
