"""metrics.txt of stage 4 says what each stage took, by the records beside their outputs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.evaluation.test_gates import gate_lines, gates_of, measured
from timbre.evaluation.gates import decide
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.outputs import SCHEMA, STAGE_FILE
from timbre.pipeline.verdict import reports
from timbre.pipeline.verdict.decision import Decision
from timbre.pipeline.verdict.production import Production


def test_metrics_say_what_each_stage_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def page(*arguments: Any, **options: Any) -> str:
        return ""

    monkeypatch.setattr(reports, "report_page", page)
    folders = {name: tmp_path / name for name in ("validate", "extract", "finetune", "evaluate", "report")}
    for folder in folders.values():
        folder.mkdir()
    for name, seconds in {"validate": 1.5, "finetune": 1234.567, "evaluate": 60.0}.items():
        record = {"schema": SCHEMA, "stage": name, "seconds": seconds}
        (folders[name] / STAGE_FILE).write_text(json.dumps(record), encoding="utf-8")
    inputs = {name: folders[name] for name in ("validate", "extract", "finetune")}
    context = SimpleNamespace(
        inputs=inputs, report=folders["report"], origin=Origin(),
        voice=SimpleNamespace(name="ada"),
    )  # fmt: skip
    values = measured({"stoi": 0.9})
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    reports.write_reports(cast(Any, context), folders["evaluate"], Decision(values, verdicts, Production()))
    text = (folders["report"] / "metrics.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("voice_pipeline_stage_seconds{")]
    assert lines == [
        'voice_pipeline_stage_seconds{voice="ada",stage="validate"} 1.5',
        'voice_pipeline_stage_seconds{voice="ada",stage="finetune"} 1234.57',
        'voice_pipeline_stage_seconds{voice="ada",stage="evaluate"} 60',
    ], "a stage without a record is left out"
    assert text.count("# TYPE voice_pipeline_stage_seconds gauge\n") == 1
    assert text.endswith("# EOF\n")
