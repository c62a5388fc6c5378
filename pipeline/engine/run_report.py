"""What a run or a look at the status found, as text, JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timbre.core.errors import (
    EXIT_BAD_INPUT,
    EXIT_BUG,
    EXIT_CHECK_FAILED,
    EXIT_CONFIGURATION,
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    TimbreError,
)
from timbre.core.table import Table
from timbre.pipeline.engine.engine import StageOutcome
from timbre.pipeline.engine.failures import exit_code

# Of several voices with several failures the process can only end with one code: first what a retry may mend (work that
# is done is skipped then), then what somebody must look at.
_SEVERITY = (EXIT_INFRASTRUCTURE, EXIT_BUG, EXIT_CONFIGURATION, EXIT_CHECK_FAILED, EXIT_BAD_INPUT, EXIT_OK)
_MARKS = {
    "done": "✔", "skipped": "✔", "fetched": "✔", "known": "✔", "failed": "✘", "waiting": "·",
    "red": "✘", "undecided": "?",
}  # fmt: skip


@dataclass(frozen=True)
class VoiceRun:
    """One voice of a run: its stages and, when it failed, why."""

    voice: str
    """Name of its folder."""
    base: str
    """Name of its base; empty when the folder could not be opened."""
    outcomes: Sequence[StageOutcome]
    """One for each stage that was reached."""
    error: BaseException | None = None
    """Decides the exit code; None when the run succeeded."""

    @property
    def exit_code(self) -> int:
        return EXIT_OK if self.error is None else exit_code(self.error)


def overall_exit_code(runs: Sequence[VoiceRun]) -> int:
    """The exit code of a run over several voices."""
    codes = {run.exit_code for run in runs}
    return next((code for code in _SEVERITY if code in codes), EXIT_OK)


def as_plain(runs: Sequence[VoiceRun]) -> dict[str, Any]:
    """For --json."""
    return {"exit_code": overall_exit_code(runs), "voices": [_plain_voice(run) for run in runs]}


def as_text(runs: Sequence[VoiceRun]) -> str:
    """For a terminal or a log: a line a stage."""
    lines: list[str] = []
    for run in runs:
        lines.append(f"{run.voice} (base {run.base})" if run.base else run.voice)
        lines += [stage_line(outcome) for outcome in run.outcomes]
    return "\n".join(lines)


def stage_line(outcome: StageOutcome) -> str:
    """One stage: number, name, state, seconds, key, facts."""
    key = outcome.key[:12] or "-"
    line = f"  {_MARKS[outcome.state]} {outcome.row.number} {outcome.row.name:<9} {outcome.state:<8}"
    return f"{line}{outcome.seconds:7.1f} s  {key:<12}  {_facts(outcome.facts)}".rstrip()


def as_markdown(runs: Sequence[VoiceRun]) -> str:
    """A table for a merge request's comment or a job summary."""
    rows = [
        (run.voice, f"{outcome.row.number} {outcome.row.name}", outcome.state, f"{outcome.seconds:.1f}",
         outcome.key[:12], _facts(outcome.facts))
        for run in runs
        for outcome in run.outcomes
    ]  # fmt: skip
    lines = [Table(("voice", "stage", "state", "seconds", "key", "facts"), rows).markdown()]
    for run in runs:
        if run.error is not None:
            lines += ["", f"**{run.voice}** (exit code {run.exit_code})", "", "```", str(run.error), "```"]
    return "\n".join(lines)


def _plain_voice(run: VoiceRun) -> dict[str, Any]:
    stages = [
        {
            "number": outcome.row.number,
            "name": outcome.row.name,
            "state": outcome.state,
            "key": outcome.key,
            "seconds": round(outcome.seconds, 3),
            "path": str(outcome.path) if outcome.path else None,
            "facts": dict(outcome.facts),
        }
        for outcome in run.outcomes
    ]
    plain = {"voice": run.voice, "base": run.base, "exit_code": run.exit_code, "stages": stages}
    return plain | ({"error": _plain_error(run.error)} if run.error is not None else {})


def _plain_error(error: BaseException) -> dict[str, Any]:
    known = isinstance(error, TimbreError)
    plain: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": error.message if isinstance(error, TimbreError) else str(error),
        "remedy": error.remedy if isinstance(error, TimbreError) else "",
    }
    problems = getattr(error, "problems", None) if known else None
    if problems:
        names = ("where", "value", "limit", "remedy")
        plain["problems"] = [{name: getattr(problem, name) for name in names} for problem in problems]
    return plain


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in facts.items() if _is_short(value))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_short(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) <= 60)
