"""gates.json, junit.xml and OpenMetrics text: what CI engines, the registry and Prometheus read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from timbre.evaluation.gates import Verdict, Verdicts
from timbre.evaluation.measurements import Measurements
from timbre.evaluation.reports.calibration_note import (
    DEGRADED,
    HALVES,
    calibration_sentence,
    left_out_sentence,
    voice_counts,
)


def gates_json(verdicts: Verdicts, measured: Measurements) -> str:
    """The verdicts as JSON: passed, and for each gate value, limit, interval, base, production, model and reason."""
    data = {
        "schema_version": 1,
        "voice": measured.voice,
        "base": measured.base,
        "base_digest": measured.base_digest,
        "profile": measured.profile,
        "texts_version": measured.texts_version,
        "passed": verdicts.passed,
        "served_profile": verdicts.served_profile,
        "confidence": verdicts.confidence,
        "calibration": dict(verdicts.calibration),
        "production_left_out": verdicts.left_out,
        "undecided": dict(verdicts.undecided),
        "gates_digest": verdicts.gates_digest,
        "overrides": {name: dict(values) for name, values in verdicts.overrides.items()},
        "gates": {item.gate.name: gate_fields(item, measured) for item in verdicts.verdicts},
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def gate_fields(item: Verdict, measured: Measurements) -> dict[str, Any]:
    """One gate as plain data."""
    about, gate = item.metric, item.gate
    model = measured.models.get(about.name)
    return {
        "title": item.title, "metric": about.name, "protocol": str(gate.protocol), "statistic": str(gate.statistic),
        "unit": about.unit, "direction": str(about.direction), "model": about.model + (f" {model}" if model else ""),
        "passed": item.passed, "blocks": gate.blocks, "value": item.value, "limit": gate.limit,
        "low": item.low, "high": item.high, "count": item.count, "worst": item.worst, "worst_file": item.worst_file,
        "base": item.base, "base_margin": gate.base_margin, "production": item.production,
        "production_margin": gate.production_margin, "recorded": measured.real.get(about.name),
        "recorded_margin": gate.recorded_margin, "fp32": item.fp32, "fp32_margin": gate.fp32_margin,
        "reason": item.reason, "why": gate.why, "caution": about.caution,
    }  # fmt: skip


def junit_xml(verdicts: Verdicts, measured: Measurements) -> str:
    """A test case a gate; the failure text has value, limit and sample file. Gates that do not block are skipped when
    red.
    """
    red = verdicts.red
    suite = ElementTree.Element(
        "testsuite", name=f"timbre gates: {measured.voice}", tests=str(len(verdicts.verdicts)), failures=str(len(red)),
        errors="0", skipped=str(sum(not v.passed and not v.gate.blocks for v in verdicts.verdicts)),
    )  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(
        properties,
        "property",
        name="calibration",
        value=calibration_sentence(verdicts.calibration, measured.base_digest)[0],
    )
    if verdicts.left_out:
        ElementTree.SubElement(properties, "property", name="production", value=left_out_sentence(verdicts.left_out)[0])
    for item in verdicts.verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"voices.{measured.voice}", name=item.gate.name, time="0"
        )
        if item.passed:
            continue
        text = f"{item.reason} [sample: {item.worst_file or 'none'}]"
        if item.gate.blocks:
            failure = ElementTree.SubElement(case, "failure", message=text, type="gate")
            failure.text = f"{text}\n{item.title}; {item.metric.model}\n{item.metric.caution}"
        else:
            ElementTree.SubElement(case, "skipped", message=f"does not block: {text}")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def open_metrics(verdicts: Verdicts, measured: Measurements, stage_s: Mapping[str, float] | None = None) -> str:
    """OpenMetrics text with the gauges voice_quality_gate_value and voice_quality_gate_passed; and with
    voice_pipeline_stage_seconds of stage_s, stage -> seconds.
    """
    lines = [
        "# HELP voice_quality_gate_value Value that the gate compares with its limit.",
        "# TYPE voice_quality_gate_value gauge",
    ]
    labels = {item.gate.name: f'{{voice="{measured.voice}",gate="{item.gate.name}"}}' for item in verdicts.verdicts}
    lines += [
        f"voice_quality_gate_value{labels[item.gate.name]} {item.value:.6g}"
        for item in verdicts.verdicts
        if item.value is not None
    ]
    lines += [
        "# HELP voice_quality_gate_passed 1 when the gate passed.",
        "# TYPE voice_quality_gate_passed gauge",
    ]
    lines += [f"voice_quality_gate_passed{labels[item.gate.name]} {int(item.passed)}" for item in verdicts.verdicts]
    lines += _calibration_metrics(verdicts.calibration, measured.base)
    lines += _stage_metrics(stage_s or {}, measured.voice)
    return "\n".join([*lines, "# EOF"]) + "\n"


def _stage_metrics(stage_s: Mapping[str, float], voice: str) -> list[str]:
    """What the stages took; nothing when it is not known."""
    if not stage_s:
        return []
    name = "voice_pipeline_stage_seconds"
    head = [
        f"# HELP {name} What making the stage's output took, also where it was found in the cache.",
        f"# TYPE {name} gauge",
        f"# UNIT {name} seconds",
    ]
    values = [f'{name}{{voice="{voice}",stage="{stage}"}} {seconds:.6g}' for stage, seconds in stage_s.items()]
    return head + values


def _calibration_metrics(calibration: Mapping[str, Any], base: str) -> list[str]:
    """Results of the limits on good and degraded voices; nothing if they are not calibrated."""
    halves = {name: calibration[name] for name in HALVES if isinstance(calibration.get(name), Mapping)}
    if not halves:
        return []
    name = "voice_quality_calibration_voices"
    lines = [f"# HELP {name} Voices that the limits of the base were calibrated on.", f"# TYPE {name} gauge"]
    for half, found in halves.items():
        for kind in ("good", DEGRADED):
            for result, count in voice_counts(found, kind).items():
                lines.append(f'{name}{{base="{base}",half="{half}",kind="{kind}",result="{result}"}} {count}')
    return lines
