"""A verdict's report says by which limits it was taken, and what the voice itself set."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.evaluation.test_gates import gate_lines, gates_of
from tests.evaluation.test_gates import measured as measurements
from timbre.core.digests import digest_file
from timbre.core.recipe import EvaluateRecipe
from timbre.pipeline.stages.table import Origin
from timbre.pipeline.verdict import decision
from timbre.pipeline.verdict.decision import Decision, decide_gates
from timbre.pipeline.verdict.production import Production
from timbre.pipeline.verdict.reports import write_reports
from timbre.registry.address import RegistryAddress


def context_of(tmp_path: Path, recipe: dict[str, dict[str, Any]]) -> Any:
    """What stage 4 is given of a voice with these settings of its own."""
    report = tmp_path / "report"
    report.mkdir(exist_ok=True)
    return SimpleNamespace(
        report=report, registry=RegistryAddress(str(tmp_path / "registry"), {}), key="e" * 64, origin=Origin(),
        inputs={"finetune": tmp_path / "none"}, voice=SimpleNamespace(name="ada", recipe=recipe),
        base=SimpleNamespace(folder=tmp_path), section=lambda kind: EvaluateRecipe(),
    )  # fmt: skip


def decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict[str, dict[str, Any]]) -> tuple[Any, Decision]:
    gates_of(tmp_path, gate_lines())
    monkeypatch.setattr(decision, "read_measurements", lambda folder: measurements())
    monkeypatch.setattr(decision, "production_measurements", lambda registry, voice: Production(None))
    context = context_of(tmp_path, recipe)
    return context, decide_gates(context, tmp_path)


def test_a_report_names_the_limits_and_the_settings_of_the_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, found = decided(tmp_path, monkeypatch, {"finetune": {"rank": 4, "max_steps": 900}, "extract": {}})
    digest = digest_file(tmp_path / "gates.yaml")
    (tmp_path / "samples").mkdir()
    for item in found.measured.adapted.tts:
        for name in (item.file, f"samples/real-{item.id}.wav"):
            soundfile.write(tmp_path / name, np.zeros(1600), 16_000, format="WAV")
    write_reports(context, tmp_path, found)
    kept = json.loads((context.report / "gates.json").read_bytes())
    assert (kept["gates_digest"], kept["overrides"]) == (digest, {"finetune": {"rank": 4, "max_steps": 900}})
    for name in ("report.md", "report.html"):
        text = (context.report / name).read_text()
        assert digest[:12] in text
        assert "finetune.rank = 4, finetune.max_steps = 900" in text


def test_other_limits_are_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = decided(tmp_path, monkeypatch, {})[1].verdicts
    (tmp_path / "gates.yaml").write_text((tmp_path / "gates.yaml").read_text() + "# changed in the same push\n")
    monkeypatch.setattr("tests.pipeline.verdict.test_decision.gates_of", lambda folder, text: None)
    after = decided(tmp_path, monkeypatch, {"finetune": {"rank": 4}})[1].verdicts
    assert before.gates_digest != after.gates_digest
    assert (before.overrides, after.overrides) == ({}, {"finetune": {"rank": 4}})
