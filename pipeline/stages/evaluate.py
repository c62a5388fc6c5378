"""Stage 4: speak and copy what was held out, measure it (cached), decide every gate (never cached).

held-out slices, adapter -> samples/*.wav, measurements.json -> gates.json, junit.xml, metrics.txt, report.md,
report.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from timbre.audio.reader import read
from timbre.core.recipe import EvaluateRecipe, Recipe
from timbre.core.remembered_digests import remembered_digest
from timbre.evaluation.judge import Judge, Plan, TrainingOutcome
from timbre.evaluation.measurements import FP32, INT8
from timbre.evaluation.metrics import distilled
from timbre.evaluation.optional_judges import OptionalJudges
from timbre.evaluation.rendition import Recording
from timbre.evaluation.whisper import MODEL_FILE, Whisper, fetch_model, find_model
from timbre.inference.device import choose_device
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.recogniser import Recogniser
from timbre.inference.voice import load_voice
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.bases.recogniser import recognising_base
from timbre.pipeline.stages.table import VALIDATION_FILE, StageContext
from timbre.pipeline.verdict.decision import decide_gates, require_passed
from timbre.pipeline.verdict.reports import write_reports


class EvaluateStage:
    """Runs the exported graphs through the engine that will serve the voice."""

    version = 7

    def prepare(self, recipe: Recipe) -> None:
        """Downloads the Whisper model that the recipe names. Raises ConfigurationError when it cannot be had."""
        fetch_model(recipe.evaluate.listener)

    def machine(self, recipe: Recipe, bases: Path, weights_root: Path) -> Mapping[str, str]:
        """Its optional judges: another machine may measure more. Large weights are read once, and remembered."""
        model, mos = find_model(recipe.evaluate.listener), distilled.weights_file()
        return {
            "mos": "" if mos is None else remembered_digest(mos, weights_root),
            "listener": "" if model is None else remembered_digest(model / MODEL_FILE, weights_root),
        }

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Measures; decides nothing. Raises InputError when too little was held out."""
        recipe = context.section(EvaluateRecipe)
        exported = exported_base(context.base, context.root, context.registry, progress=context.progress)
        voice = load_voice(context.inputs["finetune"], exported, name=context.voice.name, version=context.key[:12])
        recordings, plan = held_out_recordings(context.inputs["validate"]), Plan(recipe.seeds, recipe.fixed_sentences)
        others, alien = judges_here(recipe), None if exported.recogniser_classes else recogniser_beside(context)
        settings = EngineSettings(profile=recipe.profile, device=choose_device("auto"))
        with Engine(exported, settings) as engine:
            outcome = training_outcome(context.inputs["finetune"])
            judge = Judge(engine, alien, others)
            measured = judge.measure(
                voice, recordings, plan, context.output, context.progress, outcome=outcome, cancel=context.cancel
            )
        other = FP32 if recipe.profile == INT8 else INT8
        if recipe.int8_sentences and INT8 in exported.graphs["t2s"]:
            with Engine(exported, replace(settings, profile=other)) as engine:
                beside = Judge(engine, alien, others).beside(
                    voice, recordings, plan, recipe.int8_sentences, context.output, context.progress,
                    cancel=context.cancel,
                )  # fmt: skip
            measured = replace(measured, beside=beside)
        measured.write(context.output)
        return {"sentences": len(measured.adapted.tts), "copies": len(measured.adapted.copy)}

    def decide(self, context: StageContext, measured: Path) -> Mapping[str, Any]:
        """Writes every report. Raises CheckFailedError naming the red gates, and what decide_gates does."""
        decision = decide_gates(context, measured)
        require_passed(decision, write_reports(context, measured, decision))
        return {"gates": len(decision.verdicts.verdicts), "passed": True}


def judges_here(recipe: EvaluateRecipe) -> OptionalJudges:
    """What is installed here. Raises ConfigurationError when a Whisper model that the recipe names cannot be had."""
    model = find_model(recipe.listener)
    return OptionalJudges(distilled.available(), Whisper(model) if model is not None else None)


def recogniser_beside(context: StageContext) -> Recogniser | None:
    """The exported recogniser of nano, which hears any base; None where nano is not there."""
    other = recognising_base(context.base)
    if other is None:
        return None
    exported = exported_base(other, context.root, context.registry, progress=context.progress)
    return Recogniser(exported) if exported.recogniser_classes else None


def held_out_recordings(validated: Path) -> list[Recording]:
    """The held-out slices of stage 1's output, at the base's rate."""
    slices = json.loads((validated / VALIDATION_FILE).read_text(encoding="utf-8"))["slices"]
    return [
        Recording(item["id"], item["text"], item["language"], read(validated / item["file"]))
        for item in slices
        if item["held_out"]
    ]


def training_outcome(finetuned: Path) -> TrainingOutcome:
    """What stage 3 wrote about its training; a value that is not there is None, and gates on it are red."""
    path = finetuned / "training.json"
    if not path.is_file():
        return TrainingOutcome()
    about = json.loads(path.read_text(encoding="utf-8"))
    memorised, lost = about.get("memorisation"), about.get("held_out_loss")
    return TrainingOutcome(None if memorised is None else float(memorised), None if lost is None else float(lost))
