"""The gates as a Markdown table, for merge-request comments and terminals."""

from __future__ import annotations

from timbre.core.table import Table
from timbre.evaluation.gates import Verdict, Verdicts
from timbre.evaluation.measurements import Measurements
from timbre.evaluation.reports.advice import advice
from timbre.evaluation.reports.calibration_note import (
    calibration_sentence,
    left_out_sentence,
    limits_sentence,
    undecided_sentence,
)


def number(value: float | None) -> str:
    """Three significant digits for people; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.3f}"


def limit_text(item: Verdict) -> str:
    """The limit with its direction, for example ">= 3.5"."""
    if item.gate.limit is None:
        return "relative"
    return f"{'>=' if item.metric.direction == 'higher' else '<='} {item.gate.limit:g}"


def markdown(verdicts: Verdicts, measured: Measurements) -> str:
    """Verdict first, then a row a gate, then what to do about each red one."""
    red = verdicts.red
    said = "passed every gate" if verdicts.passed else f"failed {len(red)} gate{'s' if len(red) != 1 else ''}"
    lines = [
        f"## {measured.voice}: {said}",
        "",
        f"Base `{measured.base}`, graphs `{measured.profile}`, texts version {measured.texts_version}.",
        "",
    ]
    rows = []
    for item in verdicts.verdicts:
        state = "ok" if item.passed else ("**red**" if item.gate.blocks else "low, does not block")
        interval = "-" if item.low is None else f"{number(item.low)} to {number(item.high)}"
        statistic = "" if item.gate.statistic == "mean" else f" ({item.gate.statistic})"
        rows.append((
            f"{item.metric.title}{statistic}", item.gate.protocol, number(item.value), limit_text(item), interval,
            number(item.base), number(item.production), state,
        ))  # fmt: skip
    head = ("gate", "mode", "value", "limit", f"{100 * verdicts.confidence:g} % interval", "base", "production", "")
    lines.append(Table(head, rows).markdown())
    lines += ["", calibration_sentence(verdicts.calibration, measured.base_digest)[0]]
    lines += ["", limits_sentence(verdicts.gates_digest, verdicts.overrides)[0]] if verdicts.gates_digest else []
    if verdicts.left_out:
        lines += ["", f"**{left_out_sentence(verdicts.left_out)[0]}**"]
    if verdicts.undecided:
        lines += ["", undecided_sentence(verdicts.undecided)[0]]
    for item in red:
        lines += ["", f"**{item.metric.title}**: {item.reason}. {advice(item.gate.metric)[0]}"]
        if item.worst_file:
            lines.append(f"Worst sample: `{item.worst_file}`.")
    return "\n".join(lines) + "\n"
