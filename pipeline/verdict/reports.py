"""The files of stage 4's report: gates.json, junit.xml, metrics.txt, report.md and report.html."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timbre.evaluation.reports.machine import gates_json, junit_xml, open_metrics
from timbre.evaluation.reports.markdown import markdown
from timbre.evaluation.reports.page import report_page
from timbre.pipeline.engine.outputs import read_record
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.verdict.decision import Decision
from timbre.pipeline.verdict.production import Production
from timbre.registry.encryption.sealed_page import FILE as SEALED
from timbre.registry.encryption.sealed_page import seal_page
from timbre.registry.open import open_registry

PAGE = "report.html"


def write_reports(context: StageContext, measured: Path, decision: Decision) -> Path:
    """Writes every report into context.report; returns the page. measured: output directory of stage 4.

    What a CI job keeps of an encrypted voice holds no plain speech: the page is there without sound, and with it as
    a sealed file that `timbre keys open` opens.
    """
    values, verdicts = decision.measured, decision.verdicts
    commit = context.origin.commit[:12]
    keys = open_registry(context.registry).keys if context.origin.job_url else None
    files = {
        "gates.json": gates_json(verdicts, values),
        "junit.xml": junit_xml(verdicts, values),
        "metrics.txt": open_metrics(verdicts, values, stage_seconds({**context.inputs, "evaluate": measured})),
        "report.md": markdown(verdicts, values),
    }

    def page(sounds: Path, production: Mapping[tuple[str, str], bytes]) -> str:
        training = _training(context.inputs["finetune"])
        return report_page(
            verdicts, values, sounds, training=training, commit=commit, author=context.origin.author,
            production=production,
        )  # fmt: skip

    whole = page(measured, production_sounds(decision.production))
    files[PAGE] = whole
    if keys is not None:
        files |= {
            PAGE: page(context.report / "no-sound", {}),
            SEALED: seal_page(keys, context.voice.name, context.key, whole),
        }
    for name, text in files.items():
        (context.report / name).write_text(text, encoding="utf-8")
    return context.report / PAGE


def production_sounds(production: Production) -> Mapping[tuple[str, str], bytes]:
    """(id, text) of a spoken sentence -> how production says it; of the sentences that its package has kept."""
    found: dict[tuple[str, str], bytes] = {}
    for sample in production.measured.adapted.tts if production.measured else ():
        if (sample.id, sample.text) not in found and sample.file:
            data = production.sound(sample.file)
            found |= {(sample.id, sample.text): data} if data is not None else {}
    return found


def _training(finetuned: Path) -> Mapping[str, Any]:
    path = finetuned / "training.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def stage_seconds(outputs: Mapping[str, Path]) -> dict[str, float]:
    """Stage -> seconds it took, from the record beside its output; stages without a record are left out."""
    records = {name: read_record(path) or {} for name, path in outputs.items()}
    return {name: float(record["seconds"]) for name, record in records.items() if "seconds" in record}
