"""Verdicts, runs and stage times of all voices as Prometheus text, for the textfile collector of the node exporter.

VoiceView -> lines of each family -> voices.prom
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from timbre.cli.dashboard.voice_view import VoiceView

Families = dict[str, list[str]]
FAMILIES: Mapping[str, str] = {
    "voice_pipeline_state": "1 for the state of a voice, as the dashboard shows it.",
    "voice_pipeline_runs": "Recorded runs that may publish, by how they ended.",
    "voice_pipeline_last_run_failed": "1 when somebody has to act on the last run.",
    "voice_pipeline_last_run_timestamp_seconds": "When the last run began.",
    "voice_pipeline_stage_seconds": "What making the output of a stage took, wherever that was.",
    "voice_quality_gate_value": "Value that a gate compared with its limit, in the last evaluated run.",
    "voice_quality_gate_passed": "1 when the gate passed in that run.",
}
"""Names are those of metrics.txt, which stage 4 writes about one voice."""


def metrics_of(view: VoiceView) -> Families:
    """Lines of one voice. Of merge requests nothing is counted: their records may say anything."""
    found: Families = {name: [] for name in FAMILIES}
    voice = view.known.name

    def add(family: str, value: float, **labels: str) -> None:
        text = ",".join(f'{name}="{_escaped(label)}"' for name, label in {"voice": voice, **labels}.items())
        found[family].append(f"{family}{{{text}}} {value:.15g}")

    add("voice_pipeline_state", 1, state=view.state)
    runs = [run for run in view.runs if run.record.trusted]
    for state, count in sorted(Counter(run.state for run in runs).items()):
        add("voice_pipeline_runs", count, state=state)
    if runs:
        last = runs[-1]
        add("voice_pipeline_last_run_failed", last.failed)
        begun = _seconds(last.record.id)
        if begun is not None:
            add("voice_pipeline_last_run_timestamp_seconds", begun)
        for stage in last.stages:
            add("voice_pipeline_stage_seconds", stage.seconds, stage=stage.name)
    evaluated = next((run.gates for run in reversed(runs) if run.gates), None)
    gates: Mapping[str, Mapping[str, Any]] = evaluated or (view.production.gates if view.production else {})
    for name, gate in gates.items():
        value = gate.get("value")
        if isinstance(value, int | float) and not isinstance(value, bool):
            add("voice_quality_gate_value", value, gate=name)
        add("voice_quality_gate_passed", bool(gate.get("passed")), gate=name)
    return {name: lines for name, lines in found.items() if lines}


def prometheus_text(voices: Iterable[Mapping[str, Iterable[str]]]) -> str:
    """All voices, family by family, as the format demands."""
    parts = list(voices)
    lines: list[str] = []
    for name, meaning in FAMILIES.items():
        own = [line for part in parts for line in part.get(name, ())]
        if own:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", *own]
    return "".join(f"{line}\n" for line in lines)


def _seconds(run: str) -> float | None:
    """The start of a run by its id."""
    try:
        return datetime.strptime(run[:17], "%Y-%m-%dT%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
