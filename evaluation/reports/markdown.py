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
from timbre.evaluation.reports.int8_note import served_sentence


def limit_text(item: Verdict) -> str:
    """The limit with its direction and unit, for example ">= 3.50 MOS-LQO"."""
    if item.gate.judges_int8:
        return f"fp32 {item.metric.text(item.fp32)}, {item.metric.text(item.gate.fp32_margin)} worse"
    if item.gate.limit is None:
        return "relative"
    return f"{'>=' if item.metric.direction == 'higher' else '<='} {item.metric.text(item.gate.limit)}"


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
    for item in verdicts.ordered:
        text = item.metric.text
        state = "ok" if item.passed else ("**red**" if item.gate.blocks else "low, does not block")
        if item.gate.judges_int8 and not item.passed:
            state = "**red**: served with fp32"
        interval = "-" if item.low is None else f"{text(item.low)} to {text(item.high)}"
        statistic = "" if item.gate.statistic == "mean" else f" ({item.gate.statistic})"
        rows.append((
            f"{item.title}{statistic}", item.gate.protocol, text(item.value), limit_text(item), interval,
            text(item.base), text(item.production), state,
        ))  # fmt: skip
    head = ("gate", "mode", "value", "limit", f"{100 * verdicts.confidence:g} % interval", "base", "production", "")
    lines.append(Table(head, rows).markdown())
    lines += ["", served_sentence(verdicts)[0]]
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
