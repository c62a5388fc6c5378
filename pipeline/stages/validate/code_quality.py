"""What stage 1 found as findings at file and line, as GitLab and Jenkins show them beside the changes.

problems, remarks -> Finding, Finding, ... -> JSON in GitLab's form, a subset of Code Climate's
                                           -> JSON in the native form of Jenkins' plugin warnings-ng
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timbre.core.digests import digest_value
from timbre.core.problems import Problem
from timbre.pipeline.voice.metadata import FILE as METADATA

FILE = "codequality.json"
JENKINS_FILE = "issues.json"
_PLACE = re.compile(r"(?P<file>[^,:\s]+\.[A-Za-z0-9]+)(?:, line (?P<line>\d+))?(?=$|[,:\s])")
_VOICE_FILE = "voice.yaml"
_CHECK = "timbre-validate"


@dataclass(frozen=True)
class Finding:
    """One finding for a CI server."""

    path: str
    """Relative to the root of the repository."""
    line: int
    """Line number, from 1."""
    description: str
    """One line: place, value, limit and what to do."""
    fingerprint: str
    """Stable while the finding persists."""
    blocks: bool
    """Whether it prevents building the voice."""


def findings(
    voice: str, problems: Sequence[Problem], remarks: Sequence[Problem], table: str = ""
) -> tuple[Finding, ...]:
    """Problems, then remarks. table: text of metadata.csv: a finding about a recording stands at its row."""
    rows = _rows(table)
    return (*_findings(voice, problems, True, rows), *_findings(voice, remarks, False, rows))


def code_quality(found: Iterable[Finding]) -> str:
    """For GitLab's code quality."""
    return _json(
        [
            {
                "description": item.description,
                "check_name": _CHECK,
                "fingerprint": item.fingerprint,
                "severity": "major" if item.blocks else "info",
                "location": {"path": item.path, "lines": {"begin": item.line}},
            }
            for item in found
        ]
    )


def warnings_ng(found: Iterable[Finding]) -> str:
    """For the tool `issues` of Jenkins' plugin warnings-ng."""
    issues = [
        {
            "fileName": item.path,
            "lineStart": item.line,
            "severity": "ERROR" if item.blocks else "LOW",
            "message": item.description,
            "category": _CHECK,
            "fingerprint": item.fingerprint,
        }
        for item in found
    ]
    return _json({"_class": "io.jenkins.plugins.analysis.core.restapi.ReportApi", "issues": issues})


def _json(found: object) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _findings(voice: str, problems: Iterable[Problem], blocks: bool, rows: dict[str, int]) -> list[Finding]:
    found = []
    for problem in problems:
        path, line = _place(problem.where, rows)
        full = path if path.startswith("voices/") else f"voices/{voice}/{path}"
        words = f"{problem.where}: {problem.value}; expected {problem.limit}. {problem.remedy}"
        # Without the line: a row that moves is no new finding.
        identity = digest_value([full, problem.value, problem.limit, problem.where])[:32]
        found.append(Finding(full, line, words, identity, blocks))
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
