"""Stage 4: speak and copy what was held out, measure it (cached), decide every gate (always anew).

held-out slices, adapter -> samples/*.wav, measurements.json -> gates.json, junit.xml, metrics.txt, report.md,
report.html
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timbre.audio.reader import read
from timbre.core.errors import CheckFailedError
from timbre.core.recipe import EvaluateRecipe
from timbre.evaluation.gates import GATES_FILE, Verdicts, decide, read_gates
from timbre.evaluation.judge import Judge, Learnt, Plan
from timbre.evaluation.measurements import Measurements, read_measurements
from timbre.evaluation.metrics.summary import Interval
from timbre.evaluation.rendition import Recording
from timbre.evaluation.reports.machine import gates_json, junit_xml, open_metrics
from timbre.evaluation.reports.markdown import markdown
from timbre.evaluation.reports.page import report_page
from timbre.inference.engine import Engine, EngineSettings
from timbre.inference.voice import load_voice
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.engine.outputs import read_record
from timbre.pipeline.release.production import production_measurements
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.stages.validate.report import JSON_FILE


class EvaluateStage:
    """Runs the exported graphs through the engine that will serve the voice."""

    version = 4

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Measures; decides nothing. Raises InputError when too little was held out."""
        recipe = context.section(EvaluateRecipe)
        exported = exported_base(context.base, context.root, context.registry, progress=context.progress)
        with Engine(exported, EngineSettings(profile=recipe.profile)) as engine:
            voice = load_voice(context.inputs["finetune"], exported, name=context.voice.name, version=context.key[:12])
            measured = Judge(engine).measure(
                voice,
                held_out_recordings(context.inputs["validate"]),
                Plan(recipe.seeds, recipe.fixed_sentences),
                context.output,
                context.progress,
                learnt=learnt_by(context.inputs["finetune"]),
                cancel=context.cancel,
            )
        measured.write(context.output)
        return {"sentences": len(measured.adapted.tts), "copies": len(measured.adapted.copy)}

    def decide(self, context: StageContext, measured: Path) -> Mapping[str, Any]:
        """Writes every report. Raises CheckFailedError naming the red gates, and what production_measurements does."""
        # Equal recordings have one key, so these may have been measured under another name.
        values = dataclasses.replace(read_measurements(measured), voice=context.voice.name)
        gates = read_gates(context.base.folder / GATES_FILE)
        recipe = context.section(EvaluateRecipe)
        interval = Interval(recipe.bootstrap_samples, recipe.confidence)
        production = production_measurements(context.registry, context.voice.name)
        if production.left_out:
            about = {"voice": context.voice.name, "reason": production.left_out}
            context.log.warning("not compared with production", extra=about)
        verdicts = decide(gates, values, production.measured, interval)
        verdicts = dataclasses.replace(verdicts, left_out=production.left_out)
        _write_reports(context, measured, values, verdicts)
        if not verdicts.passed:
            reasons = "; ".join(item.reason for item in verdicts.red)
            raise CheckFailedError(
                f"{context.voice.name}: {len(verdicts.red)} of {len(verdicts.verdicts)} gates are red: {reasons}",
                f"open {context.report / 'report.html'}: it says what to do about each",
            )
        return {"gates": len(verdicts.verdicts), "passed": True}


def held_out_recordings(validated: Path) -> list[Recording]:
    """The held-out slices of stage 1's output, at the base's rate."""
    slices = json.loads((validated / JSON_FILE).read_text(encoding="utf-8"))["slices"]
    return [
        Recording(item["id"], item["text"], item["language"], read(validated / item["file"]))
        for item in slices
        if item["held_out"]
    ]


def learnt_by(finetuned: Path) -> Learnt:
    """What stage 3 wrote about its training; a value that is not there is None, and gates on it are red."""
    path = finetuned / "training.json"
    if not path.is_file():
        return Learnt()
    about = json.loads(path.read_text(encoding="utf-8"))
    memorised, lost = about.get("memorisation"), about.get("held_out_loss")
    return Learnt(None if memorised is None else float(memorised), None if lost is None else float(lost))


def _stage_seconds(context: StageContext, measured: Path) -> dict[str, float]:
    """What each stage so far took, by the record beside its output; one without a record is left out."""
    outputs = {**context.inputs, "evaluate": measured}
    records = {name: read_record(path) or {} for name, path in outputs.items()}
    return {name: float(record["seconds"]) for name, record in records.items() if "seconds" in record}


def _write_reports(context: StageContext, measured: Path, values: Measurements, verdicts: Verdicts) -> None:
    curve = context.inputs["finetune"] / "training.svg"
    commit = context.origin.commit[:12]
    about = f"voices/{context.voice.name}" + (f" at {commit} by {context.origin.author}" if commit else "")
    files = {
        "gates.json": gates_json(verdicts, values),
        "junit.xml": junit_xml(verdicts, values),
        "metrics.txt": open_metrics(verdicts, values, _stage_seconds(context, measured)),
        "report.md": markdown(verdicts, values),
        "report.html": report_page(
            verdicts,
            values,
            measured,
            curve_svg=curve.read_text(encoding="utf-8") if curve.is_file() else "",
            about=about,
        ),
    }
    for name, text in files.items():
        (context.report / name).write_text(text, encoding="utf-8")
