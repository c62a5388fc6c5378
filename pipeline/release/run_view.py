"""Runs of a voice as people read them: the jobs of one commit together, newest last, with state, stage and reason.

records of the registry -> RunView, RunView, ... -> a line for the terminal, plain data, pages
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from timbre.core.numbers import number
from timbre.core.printable import printable
from timbre.registry.run_records import LOST_AFTER, RUNNING, RunRecord

LOST = "lost"
FAILURES = ("red", "refused", "failed", "misconfigured", "bug", LOST)
"""States that somebody has to act on."""
_MARKS = {**dict.fromkeys(FAILURES, "✘"), RUNNING: "…", "cancelled": "–"}


@dataclass(frozen=True)
class StageView:
    """One stage of a run."""

    name: str
    """At most 20 printable characters: records may come from other programs."""
    state: str
    """As pipeline/engine/engine.py names it."""
    seconds: float
    """Spent on making the output, wherever that was."""
    peak_memory_mib: float | None
    """While the output was made; None where the record does not say."""


@dataclass(frozen=True)
class RunView:
    """The runs of one commit (CI starts one for each stage)."""

    record: RunRecord
    """The last run."""
    jobs: int = 1
    """Number of runs."""

    @property
    def time(self) -> str:
        """UTC, as 2026-11-28 17:30."""
        stamp = self.record.id
        return f"{stamp[:10]} {stamp[11:13]}:{stamp[13:15]}"

    @property
    def state(self) -> str:
        """As pipeline/engine/run_log.py names them, or running, or lost."""
        if not self.record.running:
            return self.text("state") or "bug"
        try:
            begun = datetime.strptime(self.record.id[:17], "%Y-%m-%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return LOST
        return LOST if datetime.now(UTC) - begun > LOST_AFTER else RUNNING

    @property
    def failed(self) -> bool:
        """Whether somebody has to act."""
        return self.state in FAILURES

    @cached_property
    def stages(self) -> tuple[StageView, ...]:
        """Stages that were reached; entries that are none are left out."""
        found = []
        for item in _list(self.record.about.get("stages")):
            memory = number(item.get("peak_memory_mib"))
            seconds = number(item.get("seconds")) or 0.0
            found.append(
                StageView(printable(str(item.get("name", "")))[:20], str(item.get("state", "")), seconds, memory)
            )
        return tuple(found)

    @property
    def reached(self) -> str:
        """Name of the last stage that was reached; "" for none."""
        return self.stages[-1].name if self.stages else ""

    @cached_property
    def gates(self) -> Mapping[str, Mapping[str, Any]]:
        """Verdicts, by name."""
        found = self.record.about.get("gates")
        return (
            {str(name): gate for name, gate in found.items() if isinstance(gate, dict)}
            if isinstance(found, dict)
            else {}
        )

    @property
    def red(self) -> tuple[str, ...]:
        """Titles of the gates that stopped this run."""
        return tuple(
            str(gate.get("title", name))
            for name, gate in self.gates.items()
            if not gate.get("passed") and gate.get("blocks", True)
        )

    @property
    def job(self) -> str:
        """Address of the CI job; "" for none, and for anything that is no web address."""
        job = self.text("job")
        return job if job.startswith(("https://", "http://")) else ""

    @property
    def where(self) -> str:
        """Commit and merge request, shortened."""
        request = self.text("merge_request")
        return ", ".join(
            part for part in (self.text("commit")[:12], f"merge request {request}" if request else "") if part
        )

    def text(self, name: str) -> str:
        """A field as text; "" when it is none."""
        value = self.record.about.get(name, "")
        return value if isinstance(value, str) else ""

    def line(self) -> str:
        """For a terminal."""
        mark, reached = _MARKS.get(self.state, "✔"), f" at {self.reached}" if self.failed and self.reached else ""
        reason = f": {', '.join(self.red)}" if self.red else f": {self.text('error')}" if self.text("error") else ""
        where = f" ({self.where})" if self.where else ""
        return printable(f"  {mark} last run {self.time} UTC: {self.state}{reached}{where}{reason}")[:400]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        names = ("commit", "author", "ref", "job", "merge_request", "error", "remedy", "version", "said", "base")
        stages = [{"name": item.name, "state": item.state, "seconds": item.seconds,
                   "peak_memory_mib": item.peak_memory_mib} for item in self.stages]  # fmt: skip
        return {
            "id": self.record.id, "state": self.state, "trusted": self.record.trusted, "jobs": self.jobs,
            "stage": self.reached, "red": list(self.red), "stages": stages, **{name: self.text(name) for name in names},
        }  # fmt: skip


def views(records: Iterable[RunRecord]) -> tuple[RunView, ...]:
    """Oldest first; the runs of one commit in one area are one, shown by the last of them."""
    found: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        commit = record.about.get("commit")
        key = (record.trusted, commit, record.about.get("merge_request")) if commit else (record.id,)
        found.setdefault(key, []).append(record)
    shown = [RunView(group[-1], len(group)) for group in found.values()]
    return tuple(sorted(shown, key=lambda view: view.record.id))


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
