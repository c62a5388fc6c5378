"""What a calibration writes: gates.yaml for the base, and a report with both halves, as Markdown and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from timbre.core.table import Table
from timbre.evaluation.calibration import INT8_GATES, Calibration, Half
from timbre.evaluation.gates import Gate, limits_as_set
from timbre.evaluation.metrics.catalogue import metric
from timbre.evaluation.reports.calibration_note import calibration_sentence

RULE = (
    "limit = worst good value of the setting half + {margin:g} spreads (|median - worst|) towards the bad side, at "
    "most half way to the nearest degraded one that the gate is there for; limits that caught none are dropped"
)


@dataclass(frozen=True)
class CalibrationContext:
    """What a calibration was done with."""

    base: str
    """Name, as in bases/."""
    base_digest: str
    """SHA-256 (Base.digest); gates.yaml names it, and other weights need another calibration."""
    date: str
    """ISO 8601."""
    plan: Mapping[str, Any]
    """CalibrationPlan as plain data: how long each was trained and what was spoken."""
    left_out: Sequence[str] = ()
    """Voices without a result, and why."""


def calibration_block(found: Calibration, about: CalibrationContext) -> dict[str, Any]:
    """The `calibration` of gates.yaml: where the limits come from. It decides nothing."""
    setting, judging = found.setting, found.judging
    return {
        "date": about.date,
        "base_digest": about.base_digest,
        "speakers": len(setting.speakers) + len(judging.speakers),
        "setting": setting.plain(),
        "judging": judging.plain(),
        "rule": RULE.format(margin=found.margin),
        "caught": {kind: sorted(counts) for kind, counts in sorted(caught_in_all(found).items())},
        "let_through": sorted([*setting.let_through, *judging.let_through]),
        "plan": dict(about.plan),
        "limits": limits_as_set(found.gates),
    }


def gates_yaml(found: Calibration, about: CalibrationContext) -> str:
    """The file's text; timbre.evaluation.gates.read_gates reads it back."""
    lines = [
        f"# Limits of the base {about.base}, written by `timbre gates calibrate`; docs/gates.md says how.",
        "# Written by hand, a limit is still obeyed; the calibration below then no longer describes it.",
        f"version: {found.gates.version}",
        f"min_sentences: {found.gates.min_sentences}",
        "gates:",
        *(f"  - {_flow(gate)}" for gate in (*found.gates.gates, *INT8_GATES)),
        yaml.safe_dump(
            {"calibration": calibration_block(found, about)}, sort_keys=False, allow_unicode=True, width=110
        ).rstrip(),
    ]
    return "\n".join(lines) + "\n"


def caught_in_all(found: Calibration) -> dict[str, dict[str, int]]:
    """Kind -> gate -> how many specimens of both halves."""
    total: dict[str, dict[str, int]] = {}
    for half in (found.setting, found.judging):
        for kind, counts in half.caught.items():
            table = total.setdefault(kind, {})
            for name, count in counts.items():
                table[name] = table.get(name, 0) + count
    return total


def plain_report(found: Calibration, about: CalibrationContext) -> dict[str, Any]:
    """The report as JSON holds it."""
    return {
        "schema_version": 1,
        "base": about.base,
        **calibration_block(found, about),
        "gates": [
            {"gate": gate.name, "limit": gate.limit, "blocks": gate.blocks, "unit": metric(gate.metric).unit}
            for gate in found.gates.gates
        ],
        "separated_by": {kind: list(names) for kind, names in found.separated.items()},
        "caught_counts": caught_in_all(found),
        "halves": {
            name: {
                "speakers": list(half.speakers), "refused": {key: list(red) for key, red in half.refused.items()},
                "let_through": list(half.let_through),
            }
            for name, half in (("setting", found.setting), ("judging", found.judging))
        },
        "left_out": list(about.left_out),
    }  # fmt: skip


def markdown_report(found: Calibration, about: CalibrationContext) -> str:
    """Both halves first, then the limits, then which gate caught what."""
    lines = [
        f"# Calibration of `{about.base}`",
        "",
        calibration_sentence(calibration_block(found, about))[0],
        "",
        f"Rule: {RULE.format(margin=found.margin)}. Base `{about.base_digest[:12]}`.",
        "",
        Table(
            ("half", "speakers", "good pass", "degraded pass"),
            [_half_row(name, half) for name, half in (("setting", found.setting), ("judging", found.judging))],
        ).markdown(),
        "",
        "## Limits",
        "",
        Table(
            ("gate", "limit", "worse than base, production, recordings by at most", "unit", "blocks"),
            [
                (gate.name, _limit(gate), _margins(gate), metric(gate.metric).unit, "yes" if gate.blocks else "no")
                for gate in found.gates.gates
            ],
        ).markdown(),
        "",
        "## Which gate caught what (specimens of both halves)",
        "",
        Table(
            ("degradation", "caught by"), [_caught_row(*item) for item in sorted(caught_in_all(found).items())]
        ).markdown(),
    ]
    for title, items in (
        ("Degraded and passed", [*found.setting.let_through, *found.judging.let_through]),
        ("Good and refused", [f"{name}: {', '.join(red)}" for half in (found.setting, found.judging)
                              for name, red in half.refused.items()]),
        ("Left out", about.left_out),
    ):  # fmt: skip
        if items:
            lines += ["", f"## {title}", "", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"


def _half_row(name: str, half: Half) -> tuple[str, ...]:
    good, degraded = half.good, half.degraded
    return name, str(len(half.speakers)), f"{good[1]} of {good[0]}", f"{degraded[1]} of {degraded[0]}"


def _caught_row(kind: str, counts: Mapping[str, int]) -> tuple[str, str]:
    most_first = sorted(counts.items(), key=lambda item: -item[1])
    return kind, ", ".join(f"{name} {count}" for name, count in most_first) or "**nothing**"


def _limit(gate: Gate) -> str:
    sign = ">=" if metric(gate.metric).direction == "higher" else "<="
    return "-" if gate.limit is None else f"{sign} {gate.limit:g}"


def _margins(gate: Gate) -> str:
    given = (gate.base_margin, gate.production_margin, gate.recorded_margin)
    return "-" if given == (None,) * 3 else ", ".join("-" if item is None else f"{item:g}" for item in given)


def _flow(gate: Gate) -> str:
    fields: dict[str, Any] = {"metric": gate.metric, "protocol": str(gate.protocol)}
    named = {
        "limit": gate.limit, "base_margin": gate.base_margin, "production_margin": gate.production_margin,
        "recorded_margin": gate.recorded_margin, "fp32_margin": gate.fp32_margin,
    }  # fmt: skip
    fields |= {name: value for name, value in named.items() if value is not None}
    if gate.statistic != "mean":
        fields["statistic"] = str(gate.statistic)
    if not gate.blocks and not gate.judges_int8:
        fields["blocks"] = False
    fields["why"] = gate.why
    return yaml.safe_dump(fields, default_flow_style=True, sort_keys=False, width=1000).strip()
